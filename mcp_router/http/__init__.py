"""The router over HTTP: MCP, JSON endpoints, health, metrics and a dashboard."""
