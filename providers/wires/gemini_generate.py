"""Wire: Gemini's own generateContent, over plain httpx; its search is offered nowhere else.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from providers.catalog import Model, Provider
from providers.completion import Attachment, Message, Prompt
from providers.transport.error_mapping import Refused
from providers.transport.exchange import Answer, Dialect, Request, WireAdapter
from providers.transport.urls import gemini_native
from providers.wires import request_options
from providers.wires.gemini_answers import fold, read
from providers.wires.sdk import Faults, events, renamed

if TYPE_CHECKING:
    import httpx

_ERROR = 400


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """GenerateContent at `<base_url>/models/<model>:generateContent`."""
    import httpx  # noqa: PLC0415 - as late as any SDK

    client = httpx.AsyncClient(
        base_url=gemini_native(base_url),
        headers={"x-goog-api-key": key or "", "content-type": "application/json", **provider.headers},
        timeout=None,  # noqa: S113 - time is the router's
        follow_redirects=True,
    )
    faults = Faults(
        status=httpx.HTTPStatusError,
        unsent=(httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL),
        cut=(httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError),
    )

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _sent(client, faults, request)

    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.aclose, secret=key)


def body(provider: Provider, model: Model, prompt: Prompt, _stream: bool) -> dict[str, object]:
    """What is posted."""
    search = request_options.search(provider, prompt, "gemini_generate")
    by = request_options.schema_by(provider, model, prompt)
    if by == "json_schema" and search is not None:
        by = "words"  # the 2.5 models refuse a schema beside a tool
    config: dict[str, object] = {"maxOutputTokens": prompt.max_output_tokens, **_thinking(model, prompt)}
    temperature = request_options.temperature(model, prompt)
    if temperature is not None:
        config["temperature"] = temperature
    if by == "json_schema":
        config |= {"responseMimeType": "application/json", "responseJsonSchema": prompt.response_schema}
    built: dict[str, object] = {
        "contents": [_content(message) for message in prompt.messages],
        "generationConfig": config,
    }
    system = request_options.system_text(prompt, by)
    if system:
        built["systemInstruction"] = {"parts": [{"text": system}]}
    if search is not None:
        built["tools"] = [{search.tool: {}}]
    return built


def _thinking(model: Model, prompt: Prompt) -> dict[str, object]:
    # https://ai.google.dev/gemini-api/docs/thinking: 2.5 models take a budget, later ones a level.
    if model.thinking.default == "none":
        return {}
    if prompt.effort == "off":
        return {} if model.thinking.off is None else {"thinkingConfig": {"thinkingBudget": 0}}
    level = request_options.dialled(model, prompt.effort)
    return {"thinkingConfig": {"thinkingLevel": level}} if level else {}


def _content(message: Message) -> dict[str, object]:
    role = "user" if message.role == "user" else "model"
    return {"role": role, "parts": [*map(_part, message.attachments), {"text": message.content}]}


def _part(attachment: Attachment) -> dict[str, object]:
    return {"inlineData": {"mimeType": attachment.media_type, "data": request_options.encoded(attachment)}}


def _path(model: Model, stream: bool) -> str:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/models/{quote(model.name, safe='')}:{verb}"


@asynccontextmanager
async def _sent(client: httpx.AsyncClient, faults: Faults, request: Request) -> AsyncGenerator[Answer, None]:
    with renamed(faults):
        outgoing = client.build_request("POST", request.path, content=request.content)
        response = await client.send(outgoing, stream=True)
    try:
        with renamed(faults):
            if response.status_code >= _ERROR or not request.stream:
                await response.aread()
        if response.status_code >= _ERROR:
            raise Refused(response.status_code, response.headers, response.content)
        yield Answer(headers=response.headers, events=events(response, faults, stream=request.stream))
    finally:
        await response.aclose()


DIALECT = Dialect(path=_path, body=body, read=read, fold=fold)
