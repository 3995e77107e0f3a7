"""The HTTP server: binds the address, serves until a signal, and gives calls in flight time to end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mcp_router.app import App
from mcp_router.errors import ConfigError
from mcp_router.http.admission import AdmissionLimits
from mcp_router.http.app import HttpApp, HttpOptions, create_http_app
from mcp_router.http.auth import TokenStore, require_tokens
from mcp_router.http.reload import reload_configuration, serve_others
from mcp_router.http.request_guard import Address
from mcp_router.http.streaming import ON_DISCONNECT
from mcp_router.http.workers import WorkerSeat

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport

_MAX_HEAD_BYTES = 32 * 1024
_BACKLOG = 2_048
_LINGER_S = 1.0
_SETTLE_TIMEOUT_S = 10
"""Seconds after the grace in which calls that were cut are written down."""


async def serve(
    app: App,
    address: Address,
    *,
    options: HttpOptions | None = None,
    limits: AdmissionLimits | None = None,
    seat: WorkerSeat | None = None,
    on_listening: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; `on_listening` receives the URL. A worker with a `seat` inherits its socket.

    Raises:
        ConfigError: The address cannot be bound, or others can reach it and no client has a token.
    """
    known = TokenStore(app.ledger.tokens, app.settings)
    await known.refresh()
    require_tokens(address.host, known, app.settings)
    app.settings = serve_others(app.settings)
    chosen = limits or AdmissionLimits()
    with bind(address) if seat is None else socket.socket(fileno=seat.listener) as listener:
        site = create_http_app(app, address, tokens=known, limits=chosen, options=options or HttpOptions())
        server = _Server(_create_config(site.asgi, chosen, is_worker=seat is not None), site)
        server.seat = seat
        announce = partial(on_listening, format_url(address, listener)) if seat is None else None
        await _serve_until_stopped(server, listener, partial(reload_configuration, app, known, address.host), announce)


async def _serve_until_stopped(
    server: _Server,
    listener: socket.socket,
    reload: Callable[[], Awaitable[object]],
    announce: Callable[[], None] | None,
) -> None:
    """Serve until a signal comes or the caller is cancelled; in both cases calls in flight get time to end."""

    async def serve_to_the_end() -> None:
        with anyio.CancelScope(shield=True):
            await server.serve(sockets=[listener])
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(serve_to_the_end)
        group.start_soon(_handle_signals, server, reload, announce)
        if server.seat is not None:
            group.start_soon(_stop_with_supervisor, server, server.seat)
        try:
            await anyio.sleep_forever()
        finally:
            server.should_exit = True


def _create_config(site: Callable[..., object], limits: AdmissionLimits, *, is_worker: bool) -> uvicorn.Config:
    class Patient(TimeoutProtocol):
        head_seconds = limits.head_seconds

    return uvicorn.Config(
        site,
        http=Patient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # A worker takes one connection at a time, so that the others get their share; see `_Server.startup`.
        backlog=1 if is_worker else _BACKLOG,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=limits.grace_seconds + _SETTLE_TIMEOUT_S,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
    )


def format_url(address: Address, listener: socket.socket) -> str:
    """Return the URL of a bound address."""
    shown = f"[{address.host}]" if ":" in address.host else address.host
    port: int = listener.getsockname()[1]
    return f"http://{shown}:{port}"


def bind(address: Address) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        ConfigError: The address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # TCP by name: asyncio leaves Nagle's algorithm on where a socket does not say so, and every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"--host {address.host} --port {address.port}: cannot bind ({exc.strerror or exc}). "
            "Choose another address or port."
        ) from exc
    return listener


class TimeoutProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on a client whose request's head does not arrive in time."""

    head_seconds = 10.0
    _head_timer: TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as the class above it does
        """Start waiting for the first head."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Take what has come; the clock runs from a head's first byte to its last."""
        if self._refused:
            return
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):  # pyright: ignore[reportUnnecessaryComparison] -- uvicorn types it as never None, and sets it to None
            self._start_head_timer()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._cancel_head_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer an invalid head, and read on for a moment: a client that still sends when the connection closes never
        sees the answer.
        """
        said = f"{msg} A request's head may have {_MAX_HEAD_BYTES // 1024} KiB.\n".encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {len(said)}\r\nconnection: close"
        )
        self._refused = True
        self._cancel_head_timer()
        self.transport.write(head.encode() + b"\r\n\r\n" + said)
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and end what the client does not wait for any more."""
        self._cancel_head_timer()
        super().connection_lost(exc)
        if self.cycle is not None and self.cycle.disconnected:  # pyright: ignore[reportUnnecessaryComparison] -- as above
            end: Callable[[], None] | None = self.cycle.scope.get("state", {}).get(ON_DISCONNECT)
            if end is not None:
                end()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, site: HttpApp) -> None:
        super().__init__(config)
        self._site = site
        self.seat: WorkerSeat | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and tell the supervisor."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)
        if self.seat is not None:
            self.seat.announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let requests end or be cut; uvicorn itself would cut them without an answer."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._site.admission.stop)
            group.start_soon(self._site.sse.close)
            await super().shutdown(sockets)
            group.cancel_scope.cancel()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: uvicorn would raise them again at the end, and the ledger would not be closed."""
        yield


async def _stop_with_supervisor(server: uvicorn.Server, seat: WorkerSeat) -> None:
    await seat.wait_for_orphaning()
    server.should_exit = True


async def _handle_signals(
    server: uvicorn.Server, reload: Callable[[], Awaitable[object]], announce: Callable[[], None] | None
) -> None:
    """Stop on SIGINT and SIGTERM, at once on the second one; reload the configuration on SIGHUP."""
    hangup = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *hangup) as signals:
        if announce is not None:
            announce()  # not before: a SIGHUP without this handler ends the process
        async for received in signals:
            if received in hangup:
                await reload()
                continue
            server.force_exit = server.should_exit
            server.should_exit = True
