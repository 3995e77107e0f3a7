"""Response with the answer of a chat, whole or as events, which ends the call when the client disconnects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_router.errors import RouterError
from mcp_router.http.streaming import EVENT_HEADERS, KEEPALIVE_S, ON_DISCONNECT
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.chat import ChatAnswer

Failure = RouterError | LedgerError
Work = Callable[[Callable[[str], Awaitable[None]] | None], Awaitable[ChatAnswer]]
"""Answers the chat, and passes final text on piece by piece if it gets a receiver."""


class AnswerFormat(Protocol):
    """How an API writes an answer."""

    def whole(self, answer: ChatAnswer) -> Response:
        """Return the response with a whole answer."""
        ...

    def failure(self, error: Failure) -> Response:
        """Return the response for a call that failed before anything was sent."""
        ...

    def start(self) -> bytes:
        """Return the events before the text."""
        ...

    def piece(self, text: str) -> bytes:
        """Return the event with a piece of text."""
        ...

    def keepalive(self) -> bytes:
        """Return what a silent stream sends."""
        ...

    def end(self, answer: ChatAnswer) -> bytes:
        """Return the events after the text."""
        ...

    def failure_event(self, error: Failure) -> bytes:
        """Return the last event of a stream that breaks off."""
        ...


class ChatResponse(Response):
    """Response with the answer of a chat."""

    def __init__(self, work: Work, answer_format: AnswerFormat, *, call_id: str, stream: bool) -> None:
        """With `stream`, the text is sent as events as soon as it is final."""
        super().__init__()
        self._work = work
        self._format = answer_format
        self._call_id = call_id
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with anyio.CancelScope() as call:
            scope["state"][ON_DISCONNECT] = call.cancel
            if self._stream:
                await self._send_events(scope, receive, send)
                return
            try:
                response = self._format.whole(await self._work(None))
            except (RouterError, LedgerError) as error:
                response = self._format.failure(error)
            await response(scope, receive, send)

    async def _send_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender, items = anyio.create_memory_object_stream[str | ChatAnswer | Failure](0)
        async with items, anyio.create_task_group() as group:
            group.start_soon(self._produce, sender)
            item = await _receive(items)
            if isinstance(item, RouterError | LedgerError):
                # Nothing was sent yet: the error still has its own status.
                await self._format.failure(item)(scope, receive, send)
                return
            headers = {**EVENT_HEADERS, "x-router-call-id": self._call_id}
            head = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await _send_body(send, self._format.start())
            while not isinstance(item, ChatAnswer | RouterError | LedgerError):
                await _send_body(send, self._format.keepalive() if item is None else self._format.piece(item))
                item = await _receive(items)
            last = self._format.end(item) if isinstance(item, ChatAnswer) else self._format.failure_event(item)
            await _send_body(send, last)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _produce(self, sender: MemoryObjectSendStream[str | ChatAnswer | Failure]) -> None:
        async with sender:
            try:
                await sender.send(await self._work(sender.send))
            except (RouterError, LedgerError) as error:
                await sender.send(error)


async def _receive(items: MemoryObjectReceiveStream[str | ChatAnswer | Failure]) -> str | ChatAnswer | Failure | None:
    """Return the next item, or None after a silence of `KEEPALIVE_S`."""
    with anyio.move_on_after(KEEPALIVE_S):
        return await items.receive()
    return None


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
