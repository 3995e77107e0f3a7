"""Chat Completions through the openai SDK; most providers use this wire.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never
from urllib.parse import urlsplit

from providers.catalog import Model, Provider
from providers.completion import Attachment, Effort, Message, Prompt, ToolCall, ToolOffer
from providers.transport.exchange import Dialect, WireAdapter
from providers.transport.payload import get_path
from providers.wires import request_options
from providers.wires.chat_completions import accumulate, parse_response
from providers.wires.request_options import SchemaMode, choose_effort_level
from providers.wires.tool_calls import shorten_id

NO_SIGNATURE = "skip_thought_signature_validator"
"""Gemini's word for a call that another model made."""
_GEMINI = "gemini"
_OPENAI_HOST = "api.openai.com"
"""The only server that gets OpenAI's own settings; compatible servers refuse some."""
STANDARD_TIER = "default"
"""Without it a project's setting can double the price. https://developers.openai.com/api/docs/guides/flex-processing"""
NO_KEY = "none"
"""SDKs require a key; servers that need none ignore it."""


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for `<base_url>/chat/completions`."""
    return create_sdk_adapter(provider, DIALECT, key=key, base_url=base_url)


def create_sdk_adapter(provider: Provider, dialect: Dialect, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for any dialect the openai SDK can send."""
    # The SDK inspects httpx if it is loaded; half loaded by Groq's SDK in another thread, it breaks every request.
    import httpx  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]
    import httpx2  # noqa: PLC0415 - load an SDK at first use of its wire
    import openai  # noqa: PLC0415

    from providers.transport.aiohttp_transport import UrlCacheMixin, create_client  # noqa: PLC0415
    from providers.wires.sdk import Faults, create_sender, drop_environment_headers  # noqa: PLC0415

    class AsyncOpenAI(UrlCacheMixin, openai.AsyncOpenAI):
        """The SDK sends its class name to the vendor: keep it."""

    bearer = key or NO_KEY
    client = AsyncOpenAI(
        http_client=create_client(),
        api_key=bearer,
        base_url=base_url,
        timeout=None,
        max_retries=0,  # the router owns retries, so that it counts every attempt
        # Explicit: an Authorization in OPENAI_CUSTOM_HEADERS must not replace this provider's key.
        default_headers={"Authorization": f"Bearer {bearer}", **provider.headers},
    )
    if not _is_openai(base_url):
        # The SDK reads them from the environment; other vendors must not see them.
        client.organization = client.project = None
    drop_environment_headers(client, provider, owner="openai")
    faults = Faults(
        status=openai.APIStatusError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(openai.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )
    send = create_sender(client, response=httpx2.Response, faults=faults)
    return WireAdapter(
        provider=name_standard_tier(provider, base_url), dialect=dialect, send=send, close=client.close, secret=key
    )


def name_standard_tier(provider: Provider, base_url: str) -> Provider:
    """Return a row whose requests name the standard processing class, if they go to OpenAI itself."""
    return replace(provider, names_standard_tier=True) if _is_openai(base_url) else provider


def _is_openai(base_url: str) -> bool:
    return urlsplit(base_url).hostname == _OPENAI_HOST


def build_request(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """Return the request body."""
    mode = request_options.choose_schema_mode(provider, model, prompt)
    has_marks = provider.cache_field == "marks" and model.lineage == "claude"
    body: dict[str, object] = {
        "model": model.name,
        "messages": _build_messages(prompt, request_options.build_system_text(prompt, mode), has_marks=has_marks),
        provider.max_tokens_field: request_options.choose_max_output_tokens(provider, prompt),
        **_build_thinking(provider, model, prompt.effort),
        **build_response_format(prompt, mode),
        **request_options.build_cache_options(provider, model, prompt),
    }
    temperature = request_options.choose_temperature(model, prompt)
    if temperature is not None:
        body["temperature"] = temperature
    if provider.policy_field == "openrouter_provider" and (prompt.denies_training or prompt.denies_retention):
        # Both, also if one is demanded: an upstream that keeps prompts can train on them later.
        body["provider"] = {"data_collection": "deny", "zdr": True}
    if prompt.service_tier or provider.names_standard_tier:
        body["service_tier"] = prompt.service_tier or STANDARD_TIER
    search = request_options.choose_search(provider, prompt, "openai_chat")
    if search is not None:
        bound = {"parameters": {"max_uses": prompt.max_searches}} if search.bounded else {}
        body["tools"] = [{"type": search.tool, **bound}]
    if prompt.offer is not None:
        body |= build_tools(prompt.offer)
        if provider.name == _GEMINI:
            prompt = replace(prompt, messages=tuple(map(_sign_calls, prompt.messages)))
            body["messages"] = _build_messages(prompt, request_options.build_system_text(prompt, mode), has_marks=False)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def build_response_format(prompt: Prompt, mode: SchemaMode) -> dict[str, object]:
    """Return the field that asks for JSON, or no field."""
    if mode == "json_object":
        return {"response_format": {"type": "json_object"}}
    if mode != "json_schema":
        return {}
    schema = prompt.response_schema
    named = {"name": "answer", "schema": schema, "strict": request_options.is_strict_schema(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _build_messages(prompt: Prompt, system: str | None, *, has_marks: bool) -> list[dict[str, object]]:
    shared = [0] * len(prompt.messages)
    if has_marks:
        shared = request_options.choose_cached_chars(prompt, has_system=bool(system))
    leading: list[dict[str, object]] = []
    if system:
        is_cached = has_marks and prompt.shared_prefix
        content = request_options.build_cached_texts(system, len(system)) if is_cached else system
        leading.append({"role": "system", "content": content})
    turns = zip(prompt.messages, shared, strict=True)
    return [*leading, *(entry for turn, chars in turns for entry in _build_turn(turn, chars))]


def _build_turn(turn: Message, cached_chars: int) -> list[dict[str, object]]:
    """Return a turn as messages: each tool result is one of its own."""
    entries = build_results(turn)
    if turn.tool_calls:
        entries.append(build_calls(turn, turn.content or None))
    elif turn.content or turn.all_attachments or not entries:
        entries.append({"role": turn.role, "content": _build_content(turn, cached_chars)})
    return entries


def build_results(turn: Message) -> list[dict[str, object]]:
    """Return a turn's tool results as messages."""
    return [
        {
            "role": "tool",
            "tool_call_id": shorten_id(result.call_id),
            "content": request_options.mark_error(result),
        }
        for result in turn.tool_results
    ]


def build_calls(turn: Message, content: object) -> dict[str, object]:
    """Return an assistant's turn with tool calls, and with the thinking that its vendor wants back."""
    reasoning = get_path(turn.thinking, "reasoning_content")
    calls = [_build_call(call) for call in turn.tool_calls]
    for call, entry in zip(turn.tool_calls, calls, strict=True):
        if extra := get_path(turn.thinking, "extra_content", call.id):
            entry["extra_content"] = extra
    thinking = {"reasoning_content": reasoning} if reasoning else {}
    return {"role": "assistant", "content": content, "tool_calls": calls, **thinking}


def _sign_calls(turn: Message) -> Message:
    """Return a turn whose first call has a signature: Gemini refuses calls without, unless they carry its own word.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    if not turn.tool_calls or get_path(turn.thinking, "extra_content"):
        return turn
    extra = {"google": {"thought_signature": NO_SIGNATURE}}
    return replace(turn, thinking={"extra_content": {turn.tool_calls[0].id: extra}})


def _build_call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": shorten_id(call.id), "type": "function", "function": function}


def build_tools(offer: ToolOffer) -> dict[str, object]:
    """Return the fields that offer the caller's tools; the vendors' defaults are left out."""
    tools: list[dict[str, object]] = []
    for tool in offer.tools:
        strict = {} if tool.strict is None else {"strict": tool.strict}
        about = {"description": tool.description} if tool.description else {}
        function = {"name": tool.name, **about, "parameters": tool.parameters, **strict}
        tools.append({"type": "function", "function": function})
    choice: object = offer.choice
    if offer.choice == "named":
        choice = {"type": "function", "function": {"name": offer.name}}
    fields: dict[str, object] = {"tools": tools, "tool_choice": choice}
    return fields if offer.parallel else {**fields, "parallel_tool_calls": False}


def _build_content(message: Message, cached_chars: int) -> object:
    if not message.all_attachments and not cached_chars:
        return message.content
    texts = request_options.build_cached_texts(message.content, cached_chars)
    return [*map(_build_part, message.all_attachments), *texts]


def _build_part(attachment: Attachment) -> dict[str, object]:
    url = request_options.to_data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": attachment.name, "file_data": url}}


def _build_thinking(provider: Provider, model: Model, effort: Effort) -> dict[str, object]:
    """Return the fields that set the effort: every vendor has its own."""
    if model.thinking.default == "none":
        return {}
    level = choose_effort_level(model, effort)
    is_off = effort == "off" and model.thinking.off not in {None, "omit"}
    dial: dict[str, object] = {"reasoning_effort": level} if level is not None else {}
    match provider.thinking_field:
        case "none":
            return {}
        case "reasoning_effort":
            return {"reasoning_effort": "none"} if is_off else dial
        case "openrouter_reasoning":
            return {"reasoning": {"effort": "none" if is_off else level}} if is_off or level else {}
        case "thinking_type":
            switch: dict[str, object] = {"thinking": {"type": "disabled" if is_off else "enabled"}}
        case "enable_thinking":
            switch = {"enable_thinking": not is_off}
        case _:
            assert_never(provider.thinking_field)
    # A model that always thinks, or whose switch is unknown, gets no switch.
    has_switch = model.thinking.off is not None or model.thinking.default == "on"
    return {**(switch if is_off or has_switch else {}), **dial}


def _must_stream(provider: Provider, prompt: Prompt) -> bool:
    # Some hybrid Qwen models think only while streaming.
    # https://www.alibabacloud.com/help/en/model-studio/deep-thinking
    return provider.thinking_field == "enable_thinking" and prompt.effort != "off"


DIALECT = Dialect(
    path=lambda _model, _stream: "/chat/completions",
    build_request=build_request,
    parse_response=parse_response,
    accumulate=accumulate,
    must_stream=_must_stream,
)
