"""How much of the server one request, and all together, may take up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import anyio
from anyio import CancelScope
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http.responses import refusal

_WRITING_SECONDS = 5.0
"""For calls that were cut short to be written down."""
_DISCARDING_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
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


class Admission:
    """ASGI middleware: admits so many requests, reads their bodies, and waits for nobody forever."""

    def __init__(self, app: ASGIApp, *, limits: Limits, free: frozenset[str]) -> None:
        """`free` are the paths that are answered however busy it is."""
        self._app = app
        self._limits = limits
        self._free = free
        self._under_way: dict[CancelScope, Scope] = {}
        self._drained = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request, or say when to come back."""
        if scope["type"] != "http" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        if len(self._under_way) >= self._limits.requests:
            busy = refusal("busy", "Too many requests are under way.", 503, {"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        cut = CancelScope()
        self._under_way[cut] = scope
        begun: list[Message] = []
        try:
            with cut:
                await self._admitted(scope, receive, self._patient(send, begun, cut))
        finally:
            del self._under_way[cut]
            if not self._under_way:
                self._drained.set()
        if cut.cancelled_caught and not begun:
            stopping = refusal("stopping", "The server is being stopped.", 503, {"Retry-After": "1"})
            await stopping(scope, receive, send)

    async def stop(self) -> None:
        """Let requests end for a while, then cut those that do not, and wait until they are written down."""
        for cut, scope in list(self._under_way.items()):
            if scope["path"] == "/mcp" and (scope["method"] == "GET" or _listens(scope)):
                cut.cancel()  # a stream that stands open for news: there will be none
        with anyio.move_on_after(self._limits.grace_seconds):
            await self._until_drained()
        for cut in list(self._under_way):
            cut.cancel()
        with anyio.move_on_after(_WRITING_SECONDS):
            await self._until_drained()

    async def _until_drained(self) -> None:
        while self._under_way:
            self._drained = anyio.Event()
            await self._drained.wait()

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._body(Headers(scope=scope), receive)
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        if body is None:
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def received() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, received, send)

    def _patient(self, send: Send, begun: list[Message], cut: CancelScope) -> Send:
        """Send, but give up on a client that takes nothing."""

        async def sent(message: Message) -> None:
            if not begun:
                begun.append(message)
            cut.deadline = anyio.current_time() + self._limits.stalled_seconds
            await send(message)
            cut.deadline = math.inf

        return sent

    async def _body(self, headers: Headers, receive: Receive) -> bytes | Response | None:
        """Read the whole body; None where the client has gone before it was sent."""
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            return await self._too_large(receive)
        body = bytearray()
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > self._limits.body_bytes:
                    return await self._too_large(receive)
                if not message.get("more_body", False):
                    return bytes(body)
        told = f"The body did not arrive within {self._limits.body_seconds:.0f} s."
        return refusal("too_slow", told, 408, {"Connection": "close"})

    async def _too_large(self, receive: Receive) -> Response:
        # What is under way is thrown away for a moment: a client hears nothing while it is still sending.
        with anyio.move_on_after(_DISCARDING_SECONDS):
            while (await receive()).get("more_body", False):
                pass
        told = f"The body is larger than {self._limits.body_bytes:,} bytes."
        return refusal("too_large", told, 413, {"Connection": "close"})


def _listens(scope: Scope) -> bool:
    """Whether a request only waits for news."""
    # https://modelcontextprotocol.io/specification/2026-07-28: every request names its method in a header.
    return Headers(scope=scope).get("mcp-method") == "subscriptions/listen"
