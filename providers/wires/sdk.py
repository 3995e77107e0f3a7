"""Sends through the SDKs that one generator made (openai, anthropic, groq): their pool, their headers, raw JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from providers.transport.error_mapping import Lost, Refused
from providers.transport.exchange import Answer, Request, Send, server_sent
from providers.transport.payload import Json, mapping, parsed

CUT = "the connection was cut before the answer was complete"
GARBLED = "the answer is not valid JSON"
UNREACHED = "no connection: {why}"


class RawResponse(Protocol):
    """What httpx and httpx2 have in common."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, found in whichever case."""
        ...

    @property
    def content(self) -> bytes:
        """The whole body, once it is read."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body is unread."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """The classes an SDK and its HTTP library raise."""

    status: type[Exception]
    """Carries `.response`."""
    unsent: tuple[type[Exception], ...]
    """Nothing can have reached the vendor."""
    cut: tuple[type[Exception], ...]


def sender(client: Any, *, response: type, faults: Faults) -> Send:  # noqa: ANN401 - three SDKs, no common type
    """Send with the SDK's own client; `response` is its HTTP library's class for a raw answer."""
    base_url = str(client.base_url).rstrip("/")

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _sent(client, response, faults, request, f"{base_url}{request.path}")

    return send


_NOTHING_BESIDE: dict[str, object] = {"headers": {}, "timeout": None, "max_retries": 0}
"""As the clients are set up. Unsaid, each would be copied from its default with every request."""


@asynccontextmanager
async def _sent(client: Any, cast_to: type, faults: Faults, request: Request, url: str) -> AsyncGenerator[Answer, None]:  # noqa: ANN401
    with renamed(faults):
        response: RawResponse = await client.post(
            url, content=request.content, cast_to=cast_to, stream=request.stream, options=_NOTHING_BESIDE
        )
    try:
        yield Answer(headers=response.headers, events=events(response, faults, stream=request.stream))
    finally:
        await response.aclose()


async def events(response: RawResponse, faults: Faults, *, stream: bool) -> AsyncGenerator[Json, None]:
    """The answer as one event, or its events as they come."""
    with renamed(faults):
        if not stream:
            yield mapping(parsed(response.content))
            return
        async for event in server_sent(response.aiter_bytes()):
            yield event


@contextmanager
def renamed(faults: Faults) -> Generator[None, None, None]:
    """Turns what an SDK raises into `Refused` and `Lost`.

    Raises:
        Refused: The vendor answered with an error.
        Lost: The answer did not arrive, or is none.
    """
    try:
        yield
    except faults.status as exc:
        response = cast("RawResponse", getattr(exc, "response"))  # noqa: B009 - every SDK's status error has it
        raise Refused(response.status_code, response.headers, response.content) from None
    except faults.cut as exc:
        for cause in (exc, exc.__cause__):  # the SDKs wrap their HTTP library's error
            if isinstance(cause, faults.unsent):
                raise Lost(UNREACHED.format(why=_why(cause)), sent=False) from None
        raise Lost(CUT, sent=True) from None
    except ValueError:
        raise Lost(GARBLED, sent=True) from None


def _why(exc: BaseException) -> str:
    return "timed out" if "Timeout" in type(exc).__name__ else "refused or unreachable"
