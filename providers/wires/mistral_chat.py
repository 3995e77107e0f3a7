"""Wire: Mistral's Chat Completions, by the mistralai SDK.

https://docs.mistral.ai/api/endpoint/chat
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any, cast

from providers.catalog import Model, Provider
from providers.completion import Attachment, Message, Prompt
from providers.transport.error_mapping import Lost, Refused
from providers.transport.exchange import Answer, Dialect, Request, WireAdapter
from providers.transport.urls import without_version
from providers.wires import openai_chat, request_options
from providers.wires.chat_answers import fold, read
from providers.wires.sdk import CUT, Faults, RawResponse, events, renamed

_NO_TIMEOUT_MS = 7 * 24 * 3600 * 1000
"""The SDK has five minutes of its own; time is the router's."""
_ERROR = 400

_answered: ContextVar[RawResponse | None] = ContextVar("answered", default=None)
"""The raw answer to this task's request: the SDK hands out a model of it without headers."""


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Chat Completions at `<base_url>/chat/completions`."""
    import httpx2  # noqa: PLC0415 - an SDK is loaded at first use of its wire
    from mistralai.client import Mistral, errors  # noqa: PLC0415

    from providers.transport.aiohttp_transport import carrier  # noqa: PLC0415

    transport = httpx2.AsyncClient(
        transport=carrier(),
        timeout=None,
        follow_redirects=True,
        headers=dict(provider.headers),
        event_hooks={"response": [_remember]},
    )
    client = Mistral(
        api_key=key or openai_chat.KEYLESS,
        server_url=without_version(base_url),
        async_client=transport,
        timeout_ms=_NO_TIMEOUT_MS,
    )
    faults = Faults(
        status=errors.MistralError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(errors.NoResponseError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _sent(client, faults, request)

    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=transport.aclose, secret=key)


def body(provider: Provider, model: Model, prompt: Prompt, _stream: bool) -> dict[str, object]:
    """What is posted; the SDK says by itself whether it streams, and usage comes without asking."""
    by = request_options.schema_by(provider, model, prompt)
    system = request_options.system_text(prompt, by)
    told: list[dict[str, object]] = [{"role": "system", "content": system}] if system else []
    built = openai_chat.body(provider, model, prompt, stream=False)
    return {**built, "messages": [*told, *map(_message, prompt.messages)]}


def _message(message: Message) -> dict[str, object]:
    if not message.attachments:
        return {"role": message.role, "content": message.content}
    said = {"type": "text", "text": message.content}
    return {"role": message.role, "content": [*map(_part, message.attachments), said]}


def _part(attachment: Attachment) -> dict[str, object]:
    url = request_options.data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "image_url", "image_url": url}
    return {"type": "document_url", "document_url": url, "document_name": attachment.name}


async def _remember(response: object) -> None:
    _answered.set(cast("RawResponse", response))


@asynccontextmanager
async def _sent(client: Any, faults: Faults, request: Request) -> AsyncGenerator[Answer, None]:  # noqa: ANN401
    response = await _response(client, faults, request)
    try:
        yield Answer(headers=response.headers, events=events(response, faults, stream=request.stream))
    finally:
        await response.aclose()


async def _response(client: Any, faults: Faults, request: Request) -> RawResponse:  # noqa: ANN401
    ask = client.chat.stream_async if request.stream else client.chat.complete_async
    _answered.set(None)
    with renamed(faults):
        try:
            await ask(**request.body)
        except faults.status as exc:
            response = _answered.get()
            # An answer that is not as the SDK expects it may still be one that we can read.
            if response is None or response.status_code >= _ERROR:
                raw = cast("Any", exc)  # every error of the SDK carries these
                raise Refused(raw.status_code, raw.headers, raw.body) from None
    response = _answered.get()
    if response is None:
        raise Lost(CUT, sent=True)
    return response


DIALECT = Dialect(path=lambda _model, _stream: "/chat/completions", body=body, read=read, fold=fold)
