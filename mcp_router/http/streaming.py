"""A call whose answer is sent as it comes, and which ends when its client hangs up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_router.errors import RouterError
from mcp_router.http.responses import Json, error_reply, error_view, reply
from mcp_router.ledger.ledger import LedgerError
from mcp_router.text import dumped
from providers.completion import OnText

Work = Callable[[OnText | None], Awaitable[Json]]
"""A call; it tells its text piece by piece to whom it is given."""

_Told = str | Json | RouterError | LedgerError
"""A piece of text, the result, or why there is none."""


class _End:
    """Nothing more is told."""


HUNG_UP = "hung_up"
"""Where a request's state names what the server does when its client hangs up. A task that waited for that beside each
call would take a twentieth of its time.
"""
SIGN_OF_LIFE = 10.0
"""Seconds of silence after which a stream says that it still lives: proxies cut silent ones."""
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


class CallReply(Response):
    """Runs a call and answers with its result; cancels it when the client hangs up."""

    def __init__(self, work: Work, *, stream: bool) -> None:
        """With `stream`, its text is sent as events as it comes."""
        super().__init__()
        self._work = work
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with anyio.CancelScope() as call:
            scope["state"][HUNG_UP] = call.cancel
            if self._stream:
                await _streamed(self._work, scope, receive, send)
            else:
                await (await _ended(self._work))(scope, receive, send)


async def _ended(work: Work) -> Response:
    try:
        return reply(await work(None))
    except (RouterError, LedgerError) as error:
        return error_reply(error)


async def _streamed(work: Work, scope: Scope, receive: Receive, send: Send) -> None:
    telling, told = anyio.create_memory_object_stream[_Told](0)
    async with told, anyio.create_task_group() as group:
        group.start_soon(_tell, work, telling)
        first = await _next(told)
        if isinstance(first, RouterError | LedgerError):
            # Nothing was sent yet: the error still has its own status.
            await error_reply(first)(scope, receive, send)
            return
        head = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": _event(first), "more_body": True})
        while not isinstance(told_next := await _next(told), _End):
            await send({"type": "http.response.body", "body": _event(told_next), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _tell(work: Work, telling: MemoryObjectSendStream[_Told]) -> None:
    async with telling:
        try:
            await telling.send(await work(telling.send))
        except (RouterError, LedgerError) as error:
            await telling.send(error)


async def _next(told: MemoryObjectReceiveStream[_Told]) -> _Told | _End | None:
    """Take what is told next; None where nothing was for a while."""
    with anyio.move_on_after(SIGN_OF_LIFE):
        try:
            return await told.receive()
        except anyio.EndOfStream:
            return _End()
    return None


def _event(told: _Told | _End | None) -> bytes:
    match told:
        case str():
            name, data = "text", {"text": told}
        case dict():
            name, data = "result", told
        case RouterError() | LedgerError():
            name, data = "error", error_view(told)
        case _:
            return b": still at it\n\n"
    return f"event: {name}\ndata: {dumped(data)}\n\n".encode()
