"""`serve`: MCP over stdio, or everything over HTTP."""

from __future__ import annotations

import gc
import sys
from argparse import ArgumentParser, Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE, USAGE
from mcp_router.cli.options import parse_count, parse_port
from mcp_router.errors import ConfigError
from mcp_router.logs import LEVELS
from mcp_router.server import create_server
from mcp_router.server.stdio import serve_stdio

_TERMINAL_HINT = (
    "mcp-llm-router: MCP server waiting on standard input, which is a terminal. MCP hosts start it this way; "
    "for people: mcp-llm-router --help. Stop with Ctrl-C."
)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `serve`."""
    parser.add_argument(
        "--transport",
        choices=("stdio", "http", "sse"),
        default="stdio",
        help="stdio, http (streamable HTTP at /mcp, API and dashboard) or sse (http with /sse beside it) "
        "(default stdio)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to bind (default 127.0.0.1); other addresses require client tokens",
    )
    parser.add_argument(
        "--port",
        type=parse_port,
        default=8000,
        metavar="NUMBER",
        help="port to bind (default 8000; 0 picks a free port)",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests for this host name too; repeatable (default: the address itself)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="format of the log on stderr (default text); json has one object per line, with request ids",
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default="warning", help="least level that is logged (default warning)"
    )
    parser.add_argument(
        "--workers",
        type=parse_count,
        default=1,
        metavar="NUMBER",
        help="processes that share the address (default 1); more need --transport http",
    )
    parser.add_argument("--access-log", action="store_true", help="log every HTTP request")


def run_early(given: Namespace) -> int | None:
    """Run the supervisor of several workers; go on for one server, and in each worker."""
    if given.workers == 1:
        return None
    from mcp_router.http.workers import find_seat  # noqa: PLC0415 - not over stdio

    if find_seat() is not None:
        return None
    from mcp_router.cli.workers import run_workers  # noqa: PLC0415

    try:
        return run_workers(given)
    except ConfigError as error:
        print(f"mcp-llm-router: {error}", file=sys.stderr)
        return USAGE


async def run(app: App, given: Namespace) -> int:
    """Serve until the host hangs up, or until a signal stops it."""
    if given.transport == "stdio":
        if sys.stdin is not None and sys.stdin.isatty():
            print(_TERMINAL_HINT, file=sys.stderr, flush=True)
        server = create_server(app)
        _leave_alone_what_stays()
        await serve_stdio(server)
        return DONE
    # Imported here, not above: hosts start one process a session over stdio, which needs none of it.
    from mcp_router.http.app import HttpOptions  # noqa: PLC0415
    from mcp_router.http.request_guard import Address  # noqa: PLC0415
    from mcp_router.http.serve import serve  # noqa: PLC0415
    from mcp_router.http.workers import find_seat  # noqa: PLC0415

    _leave_alone_what_stays()
    seat = find_seat()
    options = HttpOptions(sse=given.transport == "sse", access_log=given.access_log, sessions=seat is None)
    address = Address(host=given.host, port=given.port, allowed_hosts=tuple(given.allowed_host))
    await serve(app, address, options=options, seat=seat, on_listening=_say)
    return DONE


def _leave_alone_what_stays() -> None:
    """Keep the collector from what is loaded by now, and from looking up at every few calls."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _say(url: str) -> None:
    print(f"mcp-llm-router: dashboard at {url}/, MCP at {url}/mcp. Stop with Ctrl-C.", file=sys.stderr, flush=True)
