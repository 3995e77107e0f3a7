"""The command line: `mcp-llm-router`."""

from mcp_router.cli.main import main

__all__ = ["main"]
