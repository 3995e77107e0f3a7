"""Mistral's Chat Completions through the mistralai SDK.

https://docs.mistral.ai/api/endpoint/chat
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast

from providers.catalog import Model, Provider
from providers.completion import Attachment, Message, Prompt
from providers.transport.error_mapping import ConnectionLost, ErrorResponse
from providers.transport.exchange import Answer, Dialect, Request, WireAdapter
from providers.transport.payload import to_list, to_mapping, to_text
from providers.transport.urls import format_url, strip_version
from providers.wires import openai_chat, request_options
from providers.wires.chat_completions import accumulate, parse_response
from providers.wires.sdk import CUT, Faults, RawResponse, read_events, translate_exceptions
from providers.wires.tool_calls import to_mistral_id

_NO_TIMEOUT_MS = 7 * 24 * 3600 * 1000
"""Replaces the SDK's five minutes: the router owns deadlines."""
_MIN_ERROR_STATUS = 300

_response: ContextVar[RawResponse | None] = ContextVar("response", default=None)
"""The raw response to this task's request: the SDK returns it parsed, without headers."""


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for `<base_url>/chat/completions`."""
    import httpx2  # noqa: PLC0415 - load an SDK at first use of its wire
    from mistralai.client import Mistral, errors  # noqa: PLC0415

    from providers.transport.aiohttp_transport import create_transport  # noqa: PLC0415

    transport = httpx2.AsyncClient(
        transport=create_transport(),
        timeout=None,
        headers=dict(provider.headers),
        event_hooks={"response": [_remember]},
    )
    client = Mistral(
        api_key=key or openai_chat.NO_KEY,
        server_url=strip_version(base_url),
        async_client=transport,
        timeout_ms=_NO_TIMEOUT_MS,
    )
    faults = Faults(
        status=errors.MistralError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(errors.NoResponseError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _send(client, faults, request)

    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=transport.aclose, secret=key)


def build_request(provider: Provider, model: Model, prompt: Prompt, _stream: bool) -> dict[str, object]:
    """Return the request body; the SDK adds `stream`, and usage comes without asking."""
    mode = request_options.choose_schema_mode(provider, model, prompt)
    system = request_options.build_system_text(prompt, mode)
    leading: list[dict[str, object]] = [{"role": "system", "content": system}] if system else []
    body = openai_chat.build_request(provider, model, prompt, stream=False)
    return {**body, "messages": [*leading, *_build_messages(prompt.messages)]}


def _build_messages(messages: tuple[Message, ...]) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for message in messages:
        entries += openai_chat.build_results(message)
        if message.tool_calls:
            entries.append(openai_chat.build_calls(replace(message, thinking=None), message.content))
        elif entries and entries[-1]["role"] == "tool" and message.role == "user" and not message.all_attachments:
            # The vendor accepts no user's turn directly after a tool's.
            entries[-1]["content"] = "\n\n".join(filter(None, [str(entries[-1]["content"]), message.content]))
        else:
            entries.append(_build_message(message))
    for entry in entries:
        if "tool_call_id" in entry:
            entry["tool_call_id"] = to_mistral_id(str(entry["tool_call_id"]))
        for call in to_list(entry.get("tool_calls")):
            cast("dict[str, object]", call)["id"] = to_mistral_id(to_text(to_mapping(call).get("id")))
    return entries


def _build_message(message: Message) -> dict[str, object]:
    if not message.all_attachments:
        return {"role": message.role, "content": message.content}
    content = {"type": "text", "text": message.content}
    return {"role": message.role, "content": [*map(_build_part, message.all_attachments), content]}


def _build_part(attachment: Attachment) -> dict[str, object]:
    url = request_options.to_data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "image_url", "image_url": url}
    return {"type": "document_url", "document_url": url, "document_name": attachment.name}


async def _remember(response: object) -> None:
    _response.set(cast("RawResponse", response))


@asynccontextmanager
async def _send(client: Any, faults: Faults, request: Request) -> AsyncGenerator[Answer, None]:  # noqa: ANN401
    response = await _request_response(client, faults, request)
    try:
        url = format_url(str(getattr(response, "url", "")))
        yield Answer(headers=response.headers, events=read_events(response, faults, request), url=url)
    finally:
        await response.aclose()


async def _request_response(client: Any, faults: Faults, request: Request) -> RawResponse:  # noqa: ANN401
    request_method = client.chat.stream_async if request.stream else client.chat.complete_async
    _response.set(None)
    with translate_exceptions(faults):
        try:
            await request_method(**request.body)
        except faults.status as exc:
            response = _response.get()
            # The SDK rejects some answers that this wire can parse.
            if response is None or response.status_code >= _MIN_ERROR_STATUS:
                raw = cast("Any", exc)  # every error of the SDK carries these
                url = format_url(str(getattr(response, "url", "")))
                raise ErrorResponse(raw.status_code, raw.headers, raw.body, url=url) from None
    response = _response.get()
    if response is None:
        raise ConnectionLost(CUT, sent=True)
    return response


DIALECT = Dialect(
    path=lambda _model, _stream: "/chat/completions",
    build_request=build_request,
    parse_response=parse_response,
    accumulate=accumulate,
)
