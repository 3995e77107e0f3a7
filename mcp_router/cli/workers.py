"""`serve --workers N`: the supervisor's side of the command line."""

from __future__ import annotations

import sys
from argparse import Namespace

import anyio

from mcp_router.errors import ConfigError
from mcp_router.http.request_guard import Address
from mcp_router.http.serve import bind, format_url
from mcp_router.http.workers import check_platform, list_arguments, supervise
from mcp_router.logs import configure_logging
from mcp_router.settings import load


def run_workers(given: Namespace) -> int:
    """Run the workers of `serve` until a signal.

    Raises:
        ConfigError: The options, the configuration or the address cannot be used.
    """
    configure_logging(given.log_format, given.log_level)
    if given.transport == "stdio":
        raise ConfigError(f"--workers {given.workers}: needs --transport http.")
    if given.transport == "sse":
        raise ConfigError(
            f"--workers {given.workers}: --transport sse needs one worker, because /sse and /messages/ are one session "
            "in one process. Use --transport http, or --workers 1."
        )
    check_platform(given.workers)
    settings = load(given.config)
    if not settings.configuration.store_text:
        print(
            "mcp-llm-router: a conversation (conversation_id) is known only to the worker that answered it; "
            "store_text = true shares conversations.",
            file=sys.stderr,
            flush=True,
        )
    address = Address(host=given.host, port=given.port)
    with bind(address) as listener:
        url = format_url(address, listener)

        def announce() -> None:
            said = f"dashboard at {url}/, MCP at {url}/mcp, {given.workers} workers. Stop with Ctrl-C."
            print(f"mcp-llm-router: {said}", file=sys.stderr, flush=True)

        return anyio.run(supervise, list_arguments(_list_words(given)), listener, given.workers, announce)


def _list_words(given: Namespace) -> list[str]:
    words = ["serve", "--transport", given.transport, "--host", given.host, "--port", str(given.port)]
    words += ["--workers", str(given.workers), "--log-format", given.log_format, "--log-level", given.log_level]
    words += [word for name in given.allowed_host for word in ("--allowed-host", name)]
    words += ["--access-log"] if given.access_log else []
    return words + (["--config", given.config] if given.config is not None else [])
