"""`serve`: MCP over stdio."""

from __future__ import annotations

from argparse import Namespace

from mcp.server.stdio import stdio_server

from mcp_router.app import App
from mcp_router.cli import DONE
from mcp_router.server import create_server


async def run(app: App, _given: Namespace) -> int:
    """Serve until the host hangs up."""
    server = create_server(app)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())
    return DONE
