"""Sends one request and reads its answer, for every wire; maps failures to `providers.errors`."""

from __future__ import annotations

import json
import time
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace

import anyio

from providers.catalog import Model, Provider
from providers.completion import Completion, OnText, Prompt
from providers.errors import InvalidRequestError, ProviderError
from providers.transport.error_body import is_page
from providers.transport.error_mapping import (
    ConnectionLost,
    ErrorResponse,
    error_from_lost_connection,
    error_from_response,
)
from providers.transport.payload import Json, parse_json, to_list, to_mapping
from providers.transport.rate_limit_headers import parse_rate_limits
from providers.transport.redaction import redact
from providers.transport.service_tier import add_service_tier

_DRAIN_TIMEOUT_S = 0.05
_MARGIN_BYTES = 8 * 2**20
_MAX_BYTES_PER_TOKEN = 1024
"""A streamed token takes about 300 bytes."""
_OK = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What goes out."""

    path: str
    body: Json
    content: bytes
    """The body as JSON."""
    stream: bool
    max_bytes: int
    """An answer that is longer is not read to its end."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers besides those of the client."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What comes in: the whole answer as one event, or a stream of them."""

    headers: Mapping[str, str]
    events: AsyncGenerator[Json, None]
    url: str
    """Where it came from, without credentials."""


class WholeAnswer(dict[str, object]):
    """A whole answer from a vendor or gateway that does not stream, in reply to a request for a stream."""


Send = Callable[[Request], AbstractAsyncContextManager[Answer]]
"""Raises `Refused` or `Lost`, and nothing else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How a wire writes a prompt and reads an answer; pure functions."""

    path: Callable[[Model, bool], str]
    build_request: Callable[[Provider, Model, Prompt, bool], dict[str, object]]
    parse_response: Callable[[Provider, Model, Json, bool], Completion]
    """Parses an answer; the flag says that it is one complete JSON document, not the events of a stream.

    Raises `ProviderError`, or `ErrorResponse` for an error inside a 200.
    """
    accumulate: Callable[[dict[str, object], Json], str]
    """Adds an event to the answer so far, in the shape `parse_response` expects; returns its visible text."""
    must_stream: Callable[[Provider, Prompt], bool] = lambda _provider, _prompt: False


class WireAdapter:
    """Speaks one dialect over one client; it remembers the client and the key to keep out of error texts."""

    def __init__(
        self,
        *,
        provider: Provider,
        dialect: Dialect,
        send: Send,
        close: Callable[[], Awaitable[None]],
        secret: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._dialect = dialect
        self._send = send
        self._close = close
        self._secret = secret
        self._clock = clock

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Ask once.

        Raises:
            ProviderError: Whatever went wrong.
        """
        request = self._request(model, prompt, stream=on_text is not None)
        answer: Answer | None = None
        try:
            async with self._send(request) as answer:
                whole, is_complete = await self._gather(answer, request, on_text)
            completion = self._parse(model, answer, whole, is_complete)
            if isinstance(whole, WholeAnswer) and on_text is not None:
                await on_text(completion.text)
            left = parse_rate_limits(answer.headers, now=self._clock())
            return completion if left is None else replace(completion, limits=left)
        # `from None`: the cause may quote the key or the prompt in a traceback.
        except ErrorResponse as refused:
            if answer is not None:
                refused.headers, refused.url = answer.headers, answer.url
            raise error_from_response(refused, secret=self._secret, prompt=prompt, now=self._clock()) from None
        except ConnectionLost as lost:
            raise error_from_lost_connection(lost) from None
        except ProviderError as error:
            error.args = (redact(str(error), secret=self._secret),)  # it can quote a finish reason
            if error.limits is None and answer is not None:
                error.limits = parse_rate_limits(answer.headers, now=self._clock())
            raise

    def _parse(self, model: Model, answer: Answer, whole: Json, is_complete: bool) -> Completion:
        try:
            completion = self._dialect.parse_response(self._provider, model, whole, is_complete)
        except ProviderError as error:
            error.usage = add_service_tier(error.usage, answer.headers, whole)
            raise
        return replace(completion, usage=add_service_tier(completion.usage, answer.headers, whole))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._close()

    def _request(self, model: Model, prompt: Prompt, *, stream: bool) -> Request:
        stream = stream or self._dialect.must_stream(self._provider, prompt)
        try:
            body = self._dialect.build_request(self._provider, model, prompt, stream)
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as exc:
            message = f"the prompt cannot be written as JSON: {type(exc).__name__}"
            raise InvalidRequestError(message) from None
        return Request(
            path=self._dialect.path(model, stream),
            body=body,
            content=content,
            stream=stream,
            max_bytes=_MARGIN_BYTES + _MAX_BYTES_PER_TOKEN * prompt.max_output_tokens,
            headers=prompt.native.headers if prompt.native is not None else {},
        )

    async def _gather(self, answer: Answer, request: Request, on_text: OnText | None) -> tuple[Json, bool]:
        """Return the whole answer, and whether it came as one complete JSON document."""
        whole: dict[str, object] = {}
        async with aclosing(answer.events) as events:
            async for event in events:
                if not request.stream or isinstance(event, WholeAnswer):
                    return event, True
                delta = self._dialect.accumulate(whole, event)
                if delta and on_text is not None:
                    await on_text(delta)
                if whole.get("error"):
                    break
        return whole, False


def parse_answer(content: bytes) -> Json:
    """Return the JSON object of an answer, or the only one in an array.

    Raises:
        ErrorResponse: It is a web page.
        ValueError: It is not JSON.
    """
    try:
        answer = parse_json(content.removeprefix(BOM_UTF8))
    except ValueError:
        if is_page(content):
            raise ErrorResponse(_OK, {}, content) from None
        raise
    entries = to_list(answer)
    return to_mapping(entries[0] if entries else answer)


async def limit_bytes(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of an answer.

    Raises:
        ConnectionLost: They are longer than `max_bytes` together.
    """
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > max_bytes:
            raise ConnectionLost(f"the answer is longer than {max_bytes // 2**20} MB, and was cut", sent=True)
        yield chunk


async def read_server_sent_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Json, None]:
    """Yield the JSON of each server-sent event; comments and keep-alives are skipped.

    A body that is not a stream but one JSON object is yielded as a `WholeAnswer`.

    Raises:
        ErrorResponse: It is a web page.
        ValueError: An event is not JSON.
    """
    head = await _read_head(chunks)
    if head.lstrip().startswith((b"{", b"[", b"<")):
        yield WholeAnswer(parse_answer(b"".join([head, *[chunk async for chunk in chunks]])))
        return
    rest = b""
    data: list[bytes] = []
    async for chunk in _prepend(head, chunks):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = _complete_event(line.rstrip(b"\r"), data)
            if event == b"[DONE]":
                await _drain(chunks)
                return
            if event:
                yield to_mapping(parse_json(event))
    last = _complete_event(rest.rstrip(b"\r"), data) or b"\n".join(data)
    if last.strip() and last.strip() != b"[DONE]":
        yield to_mapping(parse_json(last))


def _complete_event(line: bytes, data: list[bytes]) -> bytes:
    if line.startswith(b"data:"):
        data.append(line[5:].strip(b" "))
        return b""
    if line or not data:
        return b""
    event = b"\n".join(data).strip()
    data.clear()
    return event


async def _read_head(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the body's beginning up to its first visible byte, without a byte order mark."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= len(BOM_UTF8) and head.removeprefix(BOM_UTF8).strip():
            break
    return head.removeprefix(BOM_UTF8)


async def _prepend(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield head
    async for chunk in chunks:
        yield chunk


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    # Only a body read to its end leaves the connection free for the next request.
    with anyio.move_on_after(_DRAIN_TIMEOUT_S):
        async for _ in chunks:
            pass
