"""Wire: Messages, by the anthropic SDK.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from providers.catalog import Model, Provider
from providers.completion import Attachment, Effort, Message, Prompt
from providers.transport.exchange import Dialect, WireAdapter
from providers.transport.urls import without_version
from providers.wires import request_options
from providers.wires.anthropic_answers import fold, read

_KEYLESS = "none"
_CACHED: dict[str, object] = {"cache_control": {"type": "ephemeral"}}
_SEARCH_TYPES = {"web_search": "web_search_20250305"}
"""Tools carry their version in their type; one that is already written so is sent as it is."""


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Messages at `<base_url>/v1/messages`."""
    import anthropic  # noqa: PLC0415 - an SDK is loaded at first use of its wire
    import httpx2  # noqa: PLC0415

    from providers.transport.aiohttp_transport import WholeAddresses  # noqa: PLC0415
    from providers.transport.aiohttp_transport import client as carried  # noqa: PLC0415
    from providers.wires.sdk import Faults, sender  # noqa: PLC0415

    class AsyncAnthropic(WholeAddresses, anthropic.AsyncAnthropic):
        """By the SDK's own name, which it tells the vendor."""

    client = AsyncAnthropic(
        http_client=carried(),
        api_key=key or _KEYLESS,
        base_url=without_version(base_url),
        timeout=None,
        max_retries=0,  # the router owns retries, so every attempt is counted
        default_headers=dict(provider.headers),
    )
    faults = Faults(
        status=anthropic.APIStatusError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(anthropic.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )
    send = sender(client, response=httpx2.Response, faults=faults)
    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.close, secret=key)


def body(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """What is posted. Temperature is never sent: this API version refuses it."""
    search = request_options.search(provider, prompt, "anthropic_messages")
    by = request_options.schema_by(provider, model, prompt)
    if by != "nothing" and (search is not None or not request_options.strict(prompt.response_schema)):
        # Search results cite, which this field forbids; and it takes closed, plain schemas only.
        by = "words"
    system = request_options.system_text(prompt, by)
    built: dict[str, object] = {
        "model": model.name,
        "max_tokens": prompt.max_output_tokens,
        "messages": _turns(prompt, whole_first=not system),
        **_thinking(model, prompt.effort),
    }
    if system:
        built["system"] = [{"type": "text", "text": system, **_CACHED}] if prompt.shared_prefix else system
    output: dict[str, object] = {}
    level = request_options.dialled(model, prompt.effort)
    if level:
        output["effort"] = level
    if by == "json_schema":
        output["format"] = {"type": "json_schema", "schema": prompt.response_schema}
    if output:
        built["output_config"] = output
    if search is not None:
        kind = _SEARCH_TYPES.get(search.tool, search.tool)
        built["tools"] = [{"type": kind, "name": "web_search", "max_uses": prompt.max_searches}]
    return {**built, "stream": True} if stream else built


def _thinking(model: Model, effort: Effort) -> dict[str, object]:
    # https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
    off = model.thinking.off
    if effort == "off":
        return {} if off in {None, "omit"} else {"thinking": {"type": off}}
    if model.thinking.default == "off" and request_options.dialled(model, effort):
        return {"thinking": {"type": "adaptive"}}
    return {}


def _turns(prompt: Prompt, *, whole_first: bool) -> list[dict[str, object]]:
    if not prompt.shared_prefix:
        return [_message(message, 0) for message in prompt.messages]
    marked = [message.shared_chars for message in prompt.messages]
    if whole_first and not any(marked):
        marked[0] = len(prompt.messages[0].content)
    return [_message(message, kept) for message, kept in zip(prompt.messages, marked, strict=True)]


def _message(message: Message, kept: int) -> dict[str, object]:
    if not message.attachments and not kept:
        return {"role": message.role, "content": message.content}
    pieces = ((message.content[:kept], True), (message.content[kept:], False))
    said = [_text(piece, cached=cached) for piece, cached in pieces if piece]
    return {"role": message.role, "content": [*map(_block, message.attachments), *said]}


def _text(content: str, *, cached: bool) -> dict[str, object]:
    return {"type": "text", "text": content, **(_CACHED if cached else {})}


def _block(attachment: Attachment) -> dict[str, object]:
    source = {"type": "base64", "media_type": attachment.media_type, "data": request_options.encoded(attachment)}
    return {"type": "image" if request_options.is_image(attachment) else "document", "source": source}


DIALECT = Dialect(path=lambda _model, _stream: "/v1/messages", body=body, read=read, fold=fold)
