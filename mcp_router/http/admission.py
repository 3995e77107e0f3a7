"""Limits on how much of the server one request, one client and all together can use."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import anyio
from anyio import CancelScope
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http.v1.errors import response_for
from mcp_router.server.callers import client_from_scope

_SETTLE_TIMEOUT_S = 5.0
"""Time for cancelled calls to be recorded."""
_DISCARD_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionLimits:
    """What the server admits at once, and for how long."""

    body_bytes: int = 8 * 1024 * 1024
    requests: int = 512
    """Requests in flight."""
    streams: int = 512
    """Open streams that only wait for events; they take no request's place."""
    client_share: float = 0.5
    """The part of either that one client with a token can take."""
    connections: int = 2_048
    head_seconds: float = 10.0
    """Time for a request's head to arrive."""
    body_seconds: float = 30.0
    """Time for its body to arrive."""
    stalled_seconds: float = 60.0
    """Time for a client to take what it is sent."""
    idle_seconds: int = 30
    """Time between requests on one connection."""
    grace_seconds: int = 20
    """Time for calls in flight to end when the server stops."""


class AdmissionControl:
    """ASGI middleware that admits requests within the limits and reads their bodies."""

    def __init__(self, app: ASGIApp, *, limits: AdmissionLimits, free: frozenset[str]) -> None:
        """`free` are the paths that are always admitted."""
        self._app = app
        self._limits = limits
        self._free = free
        self._in_flight: dict[CancelScope, Scope] = {}
        self._places: Counter[tuple[bool, str | None]] = Counter()
        self._drained = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer when to try again."""
        if scope["type"] != "http" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        place = (_is_stream(scope), client_from_scope(scope))
        if (problem := self._find_shortage(*place)) is not None:
            busy = response_for(scope, "busy", problem, 503, {"Retry-After": "1", "Connection": "close"})
            await busy(scope, receive, send)
            return
        cut = CancelScope()
        self._in_flight[cut] = scope
        self._places[place] += 1
        begun: list[Message] = []
        try:
            with cut:
                await self._serve_admitted(scope, receive, self._limit_send_time(send, begun, cut))
        finally:
            del self._in_flight[cut]
            self._places[place] -= 1
            if not self._in_flight:
                self._drained.set()
        if cut.cancelled_caught and not begun:
            stopping = response_for(scope, "stopping", "The server is stopping.", 503, {"Retry-After": "1"})
            await stopping(scope, receive, send)

    def _find_shortage(self, stream: bool, client: str | None) -> str | None:
        """Return why a request finds no place, or None if there is one."""
        most = self._limits.streams if stream else self._limits.requests
        what = "open streams" if stream else "requests in flight"
        if sum(count for (kind, _), count in self._places.items() if kind == stream) >= most:
            return f"The server has {most} {what}. Try again later."
        share = max(1, int(most * self._limits.client_share))
        if client is not None and self._places[stream, client] >= share:
            return f"Client {client} has {share} {what}. Try again later."
        return None

    async def stop(self) -> None:
        """Give requests time to end, cancel the others, and wait until their calls are recorded."""
        for cut, scope in list(self._in_flight.items()):
            if scope["path"] != "/sse" and _is_stream(scope):
                cut.cancel()  # no event will come; the SSE endpoint first sends the answers that are due
        with anyio.move_on_after(self._limits.grace_seconds):
            await self._wait_until_drained()
        for cut in list(self._in_flight):
            cut.cancel()
        with anyio.move_on_after(_SETTLE_TIMEOUT_S):
            await self._wait_until_drained()

    async def _wait_until_drained(self) -> None:
        while self._in_flight:
            self._drained = anyio.Event()
            await self._drained.wait()

    async def _serve_admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._read_body(scope, receive)
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        if body is None:
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def received() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, received, send)

    def _limit_send_time(self, send: Send, begun: list[Message], cut: CancelScope) -> Send:
        """Return a `send` that cancels the request if the client takes nothing for too long."""

        async def sent(message: Message) -> None:
            if not begun:
                begun.append(message)
            cut.deadline = anyio.current_time() + self._limits.stalled_seconds
            await send(message)
            cut.deadline = math.inf

        return sent

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes | Response | None:
        """Return the whole body; an error if it is too large or too slow; None if the client disconnected."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            return await self._reject_large_body(scope, receive)
        body = bytearray()
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > self._limits.body_bytes:
                    return await self._reject_large_body(scope, receive)
                if not message.get("more_body", False):
                    return bytes(body)
        problem = f"The body did not arrive within {self._limits.body_seconds:.0f} s."
        return response_for(scope, "too_slow", problem, 408, {"Connection": "close"})

    async def _reject_large_body(self, scope: Scope, receive: Receive) -> Response:
        # Clients read no answer while they send: discard their bytes for a moment.
        with anyio.move_on_after(_DISCARD_TIMEOUT_S):
            while (await receive()).get("more_body", False):
                pass
        problem = f"The body is larger than {self._limits.body_bytes:,} bytes."
        return response_for(scope, "too_large", problem, 413, {"Connection": "close"})


def _is_stream(scope: Scope) -> bool:
    """Whether a request only waits for events."""
    if scope["method"] == "GET":
        return scope["path"].rstrip("/") in ("/mcp", "/sse")
    # https://modelcontextprotocol.io/specification/2026-07-28: every request names its method in a header.
    return Headers(scope=scope).get("mcp-method") == "subscriptions/listen"
