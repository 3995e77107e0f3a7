"""Raw requests through the clients of generated SDKs (openai, anthropic, groq): their pool and headers, JSON bodies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from providers.transport.error_mapping import ConnectionLost, ErrorResponse
from providers.transport.exchange import Answer, Request, Send, read_server_sent_events
from providers.transport.payload import Json, parse_json, to_mapping

CUT = "the connection closed before the answer was complete"
GARBLED = "the answer is not valid JSON"
UNREACHED = "cannot connect: {why}"


class RawResponse(Protocol):
    """The part of a response that httpx and httpx2 share."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        ...

    @property
    def content(self) -> bytes:
        """The whole body, after it is read."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        ...

    async def aclose(self) -> None:
        """Return the connection to the pool, or close it if the body is unread."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """The exception classes of an SDK and its HTTP library."""

    status: type[Exception]
    """Has the attribute `response`."""
    unsent: tuple[type[Exception], ...]
    """The vendor cannot have received the request."""
    cut: tuple[type[Exception], ...]
    """The connection broke at any point."""


def create_sender(client: Any, *, response: type, faults: Faults) -> Send:  # noqa: ANN401 - three SDKs, no common type
    """Return a function that sends with the SDK's client; `response` is its HTTP library's response class."""
    base_url = str(client.base_url).rstrip("/")

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _send(client, response, faults, request, f"{base_url}{request.path}")

    return send


_OPTIONS: dict[str, object] = {"headers": {}, "timeout": None, "max_retries": 0}
"""The clients' settings. Left out, the SDK copies its defaults with every request."""


@asynccontextmanager
async def _send(client: Any, cast_to: type, faults: Faults, request: Request, url: str) -> AsyncGenerator[Answer, None]:  # noqa: ANN401
    with translate_exceptions(faults):
        response: RawResponse = await client.post(
            url, content=request.content, cast_to=cast_to, stream=request.stream, options=_OPTIONS
        )
    try:
        yield Answer(headers=response.headers, events=read_events(response, faults, stream=request.stream))
    finally:
        await response.aclose()


async def read_events(response: RawResponse, faults: Faults, *, stream: bool) -> AsyncGenerator[Json, None]:
    """Yield the answer as one event, or its events as they arrive."""
    with translate_exceptions(faults):
        if not stream:
            yield to_mapping(parse_json(response.content))
            return
        async for event in read_server_sent_events(response.aiter_bytes()):
            yield event


@contextmanager
def translate_exceptions(faults: Faults) -> Generator[None, None, None]:
    """Translate an SDK's exceptions into `ErrorResponse` and `ConnectionLost`.

    Raises:
        ErrorResponse: The vendor answered with an error.
        ConnectionLost: The answer did not arrive, or is not JSON.
    """
    try:
        yield
    except faults.status as exc:
        response = cast("RawResponse", getattr(exc, "response"))  # noqa: B009 - every SDK's status error has it
        raise ErrorResponse(response.status_code, response.headers, response.content) from None
    except faults.cut as exc:
        for cause in (exc, exc.__cause__):  # the SDKs wrap their HTTP library's error
            if isinstance(cause, faults.unsent):
                raise ConnectionLost(UNREACHED.format(why=_describe_cause(cause)), sent=False) from None
        raise ConnectionLost(CUT, sent=True) from None
    except ValueError:
        raise ConnectionLost(GARBLED, sent=True) from None


def _describe_cause(exc: BaseException) -> str:
    return "timed out" if "Timeout" in type(exc).__name__ else "refused or unreachable"
