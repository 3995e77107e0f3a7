"""How much of the server one request, and all together, may take up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import anyio
from anyio import CancelScope
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http.responses import error_response

_SETTLE_TIMEOUT_S = 5.0
"""For calls that were cut short to be written down."""
_DISCARD_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionLimits:
    """What a server admits."""

    body_bytes: int = 8 * 1024 * 1024
    requests: int = 512
    """At once; more are told to come back."""
    connections: int = 2_048
    head_seconds: float = 10.0
    """For a request's head to arrive, all of it."""
    body_seconds: float = 30.0
    """For its body to arrive, all of it."""
    stalled_seconds: float = 60.0
    """For a client to take what it is sent."""
    idle_seconds: int = 30
    """Between requests on one connection."""
    grace_seconds: int = 20
    """For calls under way to end when the server is stopped."""


class AdmissionControl:
    """ASGI middleware: admits so many requests, reads their bodies, and waits for nobody forever."""

    def __init__(self, app: ASGIApp, *, limits: AdmissionLimits, free: frozenset[str]) -> None:
        """`free` are the paths that are answered however busy it is."""
        self._app = app
        self._limits = limits
        self._free = free
        self._in_flight: dict[CancelScope, Scope] = {}
        self._drained = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request, or say when to come back."""
        if scope["type"] != "http" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        if len(self._in_flight) >= self._limits.requests:
            busy = error_response("busy", "Too many requests are under way.", 503, {"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        cut = CancelScope()
        self._in_flight[cut] = scope
        begun: list[Message] = []
        try:
            with cut:
                await self._serve_admitted(scope, receive, self._limit_send_time(send, begun, cut))
        finally:
            del self._in_flight[cut]
            if not self._in_flight:
                self._drained.set()
        if cut.cancelled_caught and not begun:
            stopping = error_response("stopping", "The server is being stopped.", 503, {"Retry-After": "1"})
            await stopping(scope, receive, send)

    async def stop(self) -> None:
        """Let requests end for a while, then cut those that do not, and wait until they are written down."""
        for cut, scope in list(self._in_flight.items()):
            if scope["path"] == "/mcp" and (scope["method"] == "GET" or _is_listening(scope)):
                cut.cancel()  # a stream that stands open for news: there will be none
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
        body = await self._read_body(Headers(scope=scope), receive)
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
        """Send, but give up on a client that takes nothing."""

        async def sent(message: Message) -> None:
            if not begun:
                begun.append(message)
            cut.deadline = anyio.current_time() + self._limits.stalled_seconds
            await send(message)
            cut.deadline = math.inf

        return sent

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes | Response | None:
        """Read the whole body; None where the client has gone before it was sent."""
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            return await self._reject_large_body(receive)
        body = bytearray()
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > self._limits.body_bytes:
                    return await self._reject_large_body(receive)
                if not message.get("more_body", False):
                    return bytes(body)
        told = f"The body did not arrive within {self._limits.body_seconds:.0f} s."
        return error_response("too_slow", told, 408, {"Connection": "close"})

    async def _reject_large_body(self, receive: Receive) -> Response:
        # What is under way is thrown away for a moment: a client hears nothing while it is still sending.
        with anyio.move_on_after(_DISCARD_TIMEOUT_S):
            while (await receive()).get("more_body", False):
                pass
        told = f"The body is larger than {self._limits.body_bytes:,} bytes."
        return error_response("too_large", told, 413, {"Connection": "close"})


def _is_listening(scope: Scope) -> bool:
    """Whether a request only waits for news."""
    # https://modelcontextprotocol.io/specification/2026-07-28: every request names its method in a header.
    return Headers(scope=scope).get("mcp-method") == "subscriptions/listen"
