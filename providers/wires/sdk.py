"""Raw requests through the clients of generated SDKs (openai, anthropic, groq): their pool and headers, JSON bodies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from providers.catalog import Provider
from providers.transport.error_mapping import ConnectionLost, ErrorResponse
from providers.transport.exchange import Answer, Request, Send, limit_bytes, parse_answer, read_server_sent_events
from providers.transport.payload import Json
from providers.transport.urls import format_url

CUT = "the connection closed before the answer was complete"
GARBLED = "the answer is not valid JSON"
_MAX_ERROR_BYTES = 2**20
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
    def is_closed(self) -> bool:
        """Whether the body was read to its end."""
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
        # As a stream even if it is none, so that no answer is read beyond its limit.
        options = {**_OPTIONS, "headers": dict(request.headers)} if request.headers else _OPTIONS
        response: RawResponse = await client.post(
            url, content=request.content, cast_to=cast_to, stream=True, options=options
        )
    try:
        yield Answer(headers=response.headers, events=read_events(response, faults, request), url=format_url(url))
    finally:
        await response.aclose()


async def read_events(response: RawResponse, faults: Faults, request: Request) -> AsyncGenerator[Json, None]:
    """Yield the answer as one event, or its events as they arrive."""
    with translate_exceptions(faults):
        if response.is_closed:  # the SDK has read it
            yield parse_answer(response.content)
            return
        chunks = limit_bytes(response.aiter_bytes(), request.max_bytes)
        if not request.stream:
            yield parse_answer(b"".join([chunk async for chunk in chunks]))
            return
        async for event in read_server_sent_events(chunks):
            yield event


def drop_environment_headers(client: Any, provider: Provider, *, owner: str) -> None:  # noqa: ANN401 - as above
    """Drop headers that an SDK took from its vendor's environment variables, unless `owner` is the provider."""
    if provider.name != owner:
        own = dict(provider.headers)
        if "Authorization" in client._custom_headers:  # noqa: SLF001 - the SDK has no public way to drop them
            own["Authorization"] = client._custom_headers["Authorization"]  # noqa: SLF001
        client._custom_headers = own  # noqa: SLF001


async def reject_error_response(response: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
    """Read the start of an error's body, as a hook of an HTTP client: the SDK would read all of it.

    Raises:
        ErrorResponse: The answer is an error or a redirect.
    """
    if response.is_success:
        return
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MAX_ERROR_BYTES:
            break
    raise ErrorResponse(response.status_code, response.headers, body, url=format_url(str(response.url)))


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
        url = format_url(str(getattr(response, "url", "")))
        raise ErrorResponse(response.status_code, response.headers, response.content, url=url) from None
    except faults.cut as exc:
        if isinstance(exc.__cause__, ErrorResponse):  # raised below the SDK, which wraps it
            raise exc.__cause__ from None
        for cause in (exc, exc.__cause__):  # the SDKs wrap their HTTP library's error
            if isinstance(cause, faults.unsent):
                raise ConnectionLost(UNREACHED.format(why=_describe_cause(cause)), sent=False) from None
        raise ConnectionLost(CUT, sent=True) from None
    except ValueError:
        raise ConnectionLost(GARBLED, sent=True) from None


def _describe_cause(exc: BaseException) -> str:
    return "timed out" if "Timeout" in type(exc).__name__ else "refused or unreachable"
