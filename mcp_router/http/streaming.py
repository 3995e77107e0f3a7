"""Responses that stream a call's answer, and end the call when the client disconnects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_router.errors import RouterError
from mcp_router.http.responses import Json, json_response, response_from_error, view_from_error
from mcp_router.ledger.ledger import LedgerError
from mcp_router.text import to_compact_json
from providers.completion import RESTART, OnText

Work = Callable[[OnText | None], Awaitable[Json]]
"""A call that passes its text on piece by piece."""

_Item = str | Json | RouterError | LedgerError
"""A piece of text, the result, or why there is none."""


class _End:
    """The end of a stream."""


ON_DISCONNECT = "hung_up"
"""Where a request's state names what the server does when its client hangs up. A task that waited for that beside each
call would take a twentieth of its time.
"""
KEEPALIVE_S = 10.0
"""Seconds of silence after which a stream sends a comment: proxies cut silent streams."""
EVENT_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


class CallResponse(Response):
    """Response with the result of a call, which ends when the client disconnects."""

    def __init__(self, work: Work, *, stream: bool) -> None:
        """With `stream`, the text is sent as events as it arrives."""
        super().__init__()
        self._work = work
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with anyio.CancelScope() as call:
            scope["state"][ON_DISCONNECT] = call.cancel
            if self._stream:
                await _stream(self._work, scope, receive, send)
            else:
                await (await _run_to_end(self._work))(scope, receive, send)


async def _run_to_end(work: Work) -> Response:
    try:
        return json_response(await work(None))
    except (RouterError, LedgerError) as error:
        return response_from_error(error)


async def _stream(work: Work, scope: Scope, receive: Receive, send: Send) -> None:
    sender, items = anyio.create_memory_object_stream[_Item](0)
    async with items, anyio.create_task_group() as group:
        group.start_soon(_produce, work, sender)
        first = await _receive(items)
        if isinstance(first, RouterError | LedgerError):
            # Nothing was sent yet: the error still has its own status.
            await response_from_error(first)(scope, receive, send)
            return
        head = [(name.lower().encode(), value.encode()) for name, value in EVENT_HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": _format_event(first), "more_body": True})
        while not isinstance(item := await _receive(items), _End):
            await send({"type": "http.response.body", "body": _format_event(item), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _produce(work: Work, sender: MemoryObjectSendStream[_Item]) -> None:
    async with sender:
        try:
            await sender.send(await work(sender.send))
        except (RouterError, LedgerError) as error:
            await sender.send(error)


async def _receive(items: MemoryObjectReceiveStream[_Item]) -> _Item | _End | None:
    """Return the next item, or None after a silence of `KEEPALIVE_S`."""
    with anyio.move_on_after(KEEPALIVE_S):
        try:
            return await items.receive()
        except anyio.EndOfStream:
            return _End()
    return None


def _format_event(item: _Item | _End | None) -> bytes:
    match item:
        case str() if item is RESTART:
            name, data = "restart", {}
        case str():
            name, data = "text", {"text": item}
        case dict():
            name, data = "result", item
        case RouterError() | LedgerError():
            name, data = "error", view_from_error(item)
        case _:
            return b": keep-alive\n\n"
    return f"event: {name}\ndata: {to_compact_json(data)}\n\n".encode()
