"""`serve`: MCP over stdio, or everything over HTTP."""

from __future__ import annotations

import gc
import sys
from argparse import Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.server import create_server
from mcp_router.server.stdio import serve_stdio


async def run(app: App, given: Namespace) -> int:
    """Serve until the host hangs up, or until a signal stops it."""
    if given.transport == "stdio":
        server = create_server(app)
        _leave_alone_what_stays()
        await serve_stdio(server)
        return DONE
    # Imported here, not above: hosts start one process a session over stdio, which needs none of it.
    from mcp_router.http.request_guard import Address  # noqa: PLC0415
    from mcp_router.http.serve import serve  # noqa: PLC0415

    _leave_alone_what_stays()
    address = Address(host=given.host, port=given.port, allowed_hosts=tuple(given.allowed_host))
    await serve(app, address, sse=given.transport == "sse", on_listening=_say)
    return DONE


def _leave_alone_what_stays() -> None:
    """Keep the collector from what is loaded by now, and from looking up at every few calls."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _say(url: str) -> None:
    print(f"mcp-llm-router: dashboard at {url}/, MCP at {url}/mcp. Stop with Ctrl-C.", file=sys.stderr, flush=True)
