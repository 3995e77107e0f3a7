"""MCP's older HTTP transport: events go out on one stream, messages come in as separate requests."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from starlette.types import Message, Receive, Scope, Send

_SEND_TIME_S = 0.5
"""From a request's answer until it has left on the stream."""


class SseEndpoint:
    """ASGI application: the stream of one client, open until the client or the server closes it."""

    def __init__(self, transport: SseServerTransport, server: Server[object]) -> None:
        self._transport = transport
        self._server = server
        self._unanswered = 0
        self._answered = anyio.Event()
        self._closed = anyio.Event()
        server.middleware.append(self._count_request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a client on its stream."""

        async def received() -> Message:
            async with anyio.create_task_group() as either:
                either.start_soon(self._cancel_when_closed, either.cancel_scope)
                message = await receive()
                either.cancel_scope.cancel()
                return message
            return {"type": "http.disconnect"}

        async with self._transport.connect_sse(scope, received, send) as (read_stream, write_stream):
            await self._server.run(read_stream, write_stream, self._server.create_initialization_options())

    async def close(self) -> None:
        """End every stream once each request has its answer."""
        await anyio.sleep(_SEND_TIME_S)
        while self._unanswered:
            self._answered = anyio.Event()
            await self._answered.wait()
            await anyio.sleep(_SEND_TIME_S)
        self._closed.set()

    async def _cancel_when_closed(self, cut: anyio.CancelScope) -> None:
        await self._closed.wait()
        cut.cancel()

    async def _count_request(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "subscriptions/listen":
            return await call_next(ctx)  # it has no answer
        self._unanswered += 1
        try:
            return await call_next(ctx)
        finally:
            self._unanswered -= 1
            if not self._unanswered:
                self._answered.set()
