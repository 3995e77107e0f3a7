"""How much of the server one request, and all together, may take up."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http.replies import refusal


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
        self._under_way = 0
        self._idle = anyio.Event()

    async def drained(self, seconds: float) -> bool:
        """Wait until no request is under way; False where that takes longer than so long."""
        with anyio.move_on_after(seconds):
            while self._under_way:
                self._idle = anyio.Event()
                await self._idle.wait()
        return not self._under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request, or say when to come back."""
        if scope["type"] != "http" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._limits.requests:
            busy = refusal("busy", "Too many requests are under way.", 503, {"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._admitted(scope, receive, send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            with anyio.fail_after(self._limits.stalled_seconds):
                await send(message)

        body = await self._body(Headers(scope=scope), receive)
        if isinstance(body, Response):
            await body(scope, receive, sent)
            return
        if body is None:
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def received() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, received, sent)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | Response | None:
        """Read the whole body; None where the client has gone before it was sent."""
        too_large = refusal(
            "too_large", f"The body is larger than {self._limits.body_bytes:,} bytes.", 413, {"Connection": "close"}
        )
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            return too_large
        body = bytearray()
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > self._limits.body_bytes:
                    return too_large
                if not message.get("more_body", False):
                    return bytes(body)
        return refusal(
            "too_slow",
            f"The body did not arrive within {self._limits.body_seconds:.0f} s.",
            408,
            {"Connection": "close"},
        )
