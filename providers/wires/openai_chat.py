"""Wire: Chat Completions, by the openai SDK; serves most rows.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from providers.catalog import Model, Provider
from providers.completion import Attachment, Message, Prompt
from providers.transport.exchange import Dialect, WireAdapter
from providers.wires import request_options
from providers.wires.chat_answers import fold, read
from providers.wires.chat_thinking import thinking

KEYLESS = "none"
"""SDKs insist on a key; servers that need none ignore it."""


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Chat Completions at `<base_url>/chat/completions`."""
    return opened(provider, DIALECT, key=key, base_url=base_url)


def opened(provider: Provider, dialect: Dialect, *, key: str | None, base_url: str) -> WireAdapter:
    """Any dialect that the openai SDK carries."""
    # The SDK uses httpx2, but looks at httpx wherever that is loaded. Groq's SDK loads it, maybe in another thread, and
    # half loaded it breaks every request of this one; so it is loaded before the first.
    import httpx  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]
    import httpx2  # noqa: PLC0415 - an SDK is loaded at first use of its wire
    import openai  # noqa: PLC0415

    from providers.transport.aiohttp_transport import WholeAddresses  # noqa: PLC0415
    from providers.transport.aiohttp_transport import client as carried  # noqa: PLC0415
    from providers.wires.sdk import Faults, sender  # noqa: PLC0415

    class AsyncOpenAI(WholeAddresses, openai.AsyncOpenAI):
        """By the SDK's own name, which it tells the vendor."""

    shown = key or KEYLESS
    client = AsyncOpenAI(
        http_client=carried(),
        api_key=shown,
        base_url=base_url,
        timeout=None,
        max_retries=0,  # the router owns retries, so every attempt is counted
        # Said outright, so that an Authorization from OPENAI_CUSTOM_HEADERS never replaces this provider's key.
        default_headers={"Authorization": f"Bearer {shown}", **provider.headers},
    )
    if httpx2.URL(base_url).host != "api.openai.com":
        # The SDK takes them from the environment; they are no other vendor's business.
        client.organization = client.project = None
    faults = Faults(
        status=openai.APIStatusError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(openai.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )
    send = sender(client, response=httpx2.Response, faults=faults)
    return WireAdapter(provider=provider, dialect=dialect, send=send, close=client.close, secret=key)


def body(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """What is posted."""
    by = request_options.schema_by(provider, model, prompt)
    built: dict[str, object] = {
        "model": model.name,
        "messages": messages(prompt, request_options.system_text(prompt, by)),
        provider.max_tokens_field: prompt.max_output_tokens,
        **thinking(provider, model, prompt.effort),
        **response_format(prompt, by),
    }
    temperature = request_options.temperature(model, prompt)
    if temperature is not None:
        built["temperature"] = temperature
    search = request_options.search(provider, prompt, "openai_chat")
    if search is not None:
        bound = {"parameters": {"max_uses": prompt.max_searches}} if search.bounded else {}
        built["tools"] = [{"type": search.tool, **bound}]
    if stream:
        built |= {"stream": True, "stream_options": {"include_usage": True}}
    return built


def messages(prompt: Prompt, system: str | None) -> list[dict[str, object]]:
    """The conversation, the system text first."""
    told: list[dict[str, object]] = [{"role": "system", "content": system}] if system else []
    return [*told, *({"role": message.role, "content": _content(message)} for message in prompt.messages)]


def response_format(prompt: Prompt, by: request_options.SchemaBy) -> dict[str, object]:
    """The field that asks for JSON, where there is one."""
    if by == "json_object":
        return {"response_format": {"type": "json_object"}}
    if by != "json_schema":
        return {}
    schema = prompt.response_schema
    named = {"name": "answer", "schema": schema, "strict": request_options.strict(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _content(message: Message) -> object:
    if not message.attachments:
        return message.content
    return [*map(_part, message.attachments), {"type": "text", "text": message.content}]


def _part(attachment: Attachment) -> dict[str, object]:
    url = request_options.data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": attachment.name, "file_data": url}}


def _must_stream(provider: Provider, prompt: Prompt) -> bool:
    # Some hybrid Qwen models refuse to think in one piece.
    # https://www.alibabacloud.com/help/en/model-studio/deep-thinking
    return provider.thinking_field == "enable_thinking" and prompt.effort != "off"


DIALECT = Dialect(
    path=lambda _model, _stream: "/chat/completions",
    body=body,
    read=read,
    fold=fold,
    must_stream=_must_stream,
)
