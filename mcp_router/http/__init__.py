"""The router over HTTP: MCP, four plain endpoints, health, metrics and a dashboard behind one door."""
