"""The MCP server: protocol requests to operations, results to protocol responses."""

from mcp_router.server.handlers import create_server

__all__ = ["create_server"]
