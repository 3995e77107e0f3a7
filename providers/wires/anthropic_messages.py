"""Messages through the anthropic SDK.

https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Attachment, Completion, Effort, Message, Prompt, ToolOffer, ToolResult, Usage
from providers.transport.error_mapping import ErrorResponse
from providers.transport.exchange import Dialect, WireAdapter
from providers.transport.payload import Json, deduplicate, get_path, to_count, to_list, to_mapping, to_text
from providers.transport.urls import strip_version
from providers.wires import request_options
from providers.wires.finish_reasons import map_finish_reason
from providers.wires.text_blocks import find_separator, join_texts
from providers.wires.tool_calls import create_call, finish_answer, parse_arguments, to_anthropic_id

_NO_KEY = "none"
_SEARCH_TYPES = {"web_search": "web_search_20250305"}
"""Tools have their version in their type; a type that is not here is sent unchanged."""
_FINISH_REASONS = {
    # The vendor paused a long turn of searches: like an answer cut at its limit, the text is unfinished.
    "pause_turn": "length",
    "refusal": "content_filter",
}


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for `<base_url>/v1/messages`."""
    import anthropic  # noqa: PLC0415 - load an SDK at first use of its wire
    import httpx2  # noqa: PLC0415

    from providers.transport.aiohttp_transport import UrlCacheMixin, create_client  # noqa: PLC0415
    from providers.wires.sdk import Faults, create_sender, drop_environment_headers  # noqa: PLC0415

    class AsyncAnthropic(UrlCacheMixin, anthropic.AsyncAnthropic):
        """The SDK sends its class name to the vendor: keep it."""

    client = AsyncAnthropic(
        http_client=create_client(),
        api_key=key or _NO_KEY,
        base_url=strip_version(base_url),
        timeout=None,
        max_retries=0,  # the router owns retries, so that it counts every attempt
        default_headers=dict(provider.headers),
    )
    drop_environment_headers(client, provider, owner="claude")
    faults = Faults(
        status=anthropic.APIStatusError,
        unsent=(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL),
        cut=(anthropic.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError),
    )
    send = create_sender(client, response=httpx2.Response, faults=faults)
    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.close, secret=key)


def build_request(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """Return the request body, without a temperature: this API version refuses it."""
    search = request_options.choose_search(provider, prompt, "anthropic_messages")
    mode = request_options.choose_schema_mode(provider, model, prompt)
    if mode == "json_schema" and not request_options.is_strict_schema(prompt.response_schema):
        mode = "words"  # the field accepts only closed, plain schemas
    system = request_options.build_system_text(prompt, mode)
    body: dict[str, object] = {
        "model": model.name,
        "max_tokens": prompt.max_output_tokens,
        "messages": _build_messages(prompt, has_system=bool(system)),
        **_build_thinking(model, prompt.effort),
    }
    if system:
        is_cached = prompt.shared_prefix
        body["system"] = request_options.build_cached_texts(system, len(system)) if is_cached else system
    output: dict[str, object] = {}
    level = request_options.choose_effort_level(model, prompt.effort)
    if level:
        output["effort"] = level
    if mode == "json_schema":
        output["format"] = {"type": "json_schema", "schema": prompt.response_schema}
    if prompt.native is not None:
        output |= to_mapping(prompt.native.fields.get("output_config"))
        body |= prompt.native.fields
    if output:
        body["output_config"] = output
    if search is not None:
        kind = _SEARCH_TYPES.get(search.tool, search.tool)
        body["tools"] = [{"type": kind, "name": "web_search", "max_uses": prompt.max_searches}]
    if prompt.offer is not None:
        body |= _build_tools(prompt.offer)
    return {**body, "stream": True} if stream else body


def _build_thinking(model: Model, effort: Effort) -> dict[str, object]:
    # https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
    off = model.thinking.off
    if effort == "off":
        return {} if off in {None, "omit"} else {"thinking": {"type": off}}
    if model.thinking.default == "off" and request_options.choose_effort_level(model, effort):
        return {"thinking": {"type": "adaptive"}}
    return {}


def _build_messages(prompt: Prompt, *, has_system: bool) -> list[dict[str, object]]:
    shared = request_options.choose_cached_chars(prompt, has_system=has_system)
    return [_build_message(message, chars) for message, chars in zip(prompt.messages, shared, strict=True)]


def _build_message(message: Message, shared_chars: int) -> dict[str, object]:
    is_plain = not (message.attachments or message.tool_calls or message.tool_results)
    if is_plain and not shared_chars:
        return {"role": message.role, "content": message.content}
    content = [
        *(to_list(message.thinking) if message.tool_calls else ()),
        *map(_build_result, message.tool_results),
        *map(_build_attachment, message.attachments),
        *request_options.build_cached_texts(message.content, shared_chars),
        *(
            {"type": "tool_use", "id": to_anthropic_id(call.id), "name": call.name, "input": parse_arguments(call)}
            for call in message.tool_calls
        ),
    ]
    return {"role": message.role, "content": content}


def _build_result(result: ToolResult) -> dict[str, object]:
    content: object = result.content
    if result.attachments:
        texts = request_options.build_cached_texts(result.content, 0)
        content = [*texts, *map(_build_attachment, result.attachments)]
    block: dict[str, object] = {
        "type": "tool_result",
        "tool_use_id": to_anthropic_id(result.call_id),
        "content": content,
    }
    return {**block, "is_error": True} if result.is_error else block


def _build_tools(offer: ToolOffer) -> dict[str, object]:
    tools: list[dict[str, object]] = []
    for tool in offer.tools:
        about = {"description": tool.description} if tool.description else {}
        strict = {"strict": True} if tool.strict else {}
        tools.append({"name": tool.name, **about, "input_schema": tool.parameters, **strict})
    match offer.choice:
        case "named":
            choice: dict[str, object] = {"type": "tool", "name": offer.name}
        case "required":
            choice = {"type": "any"}
        case _:
            choice = {"type": offer.choice}
    if not offer.parallel and offer.choice != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _build_attachment(attachment: Attachment) -> dict[str, object]:
    source = {"type": "base64", "media_type": attachment.media_type, "data": request_options.to_base64(attachment)}
    return {"type": "image" if request_options.is_image(attachment) else "document", "source": source}


def parse_response(_provider: Provider, model: Model, answer: Json, is_complete: bool) -> Completion:
    """Return the completion in a whole answer.

    Raises:
        ProviderError: The answer is refused, empty or incomplete.
        ErrorResponse: The answer carries an error.
    """
    usage = parse_usage(to_mapping(answer.get("usage")))
    if answer.get("error"):
        raise ErrorResponse(None, {}, {"error": answer["error"]}, usage)
    blocks = [to_mapping(block) for block in to_list(answer.get("content"))]
    content = join_texts(map(_get_text, blocks))
    reason = to_text(answer.get("stop_reason"))
    calls = [
        create_call(to_text(block.get("name")), block.get("input_json") or block.get("input"), to_text(block.get("id")))
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    said = content or "".join(call.name for call in calls)
    finish = map_finish_reason(_FINISH_REASONS.get(reason, reason), said, usage, is_complete=is_complete)
    text, finish, calls = finish_answer(content, finish, usage, calls)
    return Completion(
        text=text,
        model=to_text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=deduplicate(
            [to_text(get_path(cited, "url")) for block in blocks for cited in to_list(block.get("citations"))]
        ),
        tool_calls=calls,
        thinking=_collect_thinking(blocks) if calls else None,
    )


def accumulate(whole: dict[str, object], event: Json) -> str:
    """Add an event to the answer so far; return the visible text it brought."""
    match event.get("type"):
        case "message_start":
            whole |= to_mapping(event.get("message"))
            whole["content"] = []
        case "content_block_start":
            blocks = cast("list[object]", whole.setdefault("content", []))
            block = dict(to_mapping(event.get("content_block")))
            piece = _get_text(block) or ""
            separator = _find_separator(blocks, piece)
            blocks.append(block | {"citations": [*to_list(block.get("citations"))], "input_json": []})
            return separator + piece
        case "content_block_delta":
            return _append_delta(whole, to_mapping(event.get("delta")))
        case "message_delta":
            whole["stop_reason"] = get_path(event, "delta", "stop_reason")
            whole["usage"] = _merge_usage(to_mapping(whole.get("usage")), to_mapping(event.get("usage")))
        case "error":
            whole["error"] = event.get("error") or "unknown"
        case _:
            pass
    return ""


def parse_usage(usage: Json) -> Usage | None:
    """Return the counted tokens: the vendor's three counts of input are disjoint, ours are inclusive."""
    fresh, produced = to_count(usage.get("input_tokens")), to_count(usage.get("output_tokens"))
    if fresh is None or produced is None:
        return None
    written = to_count(usage.get("cache_creation_input_tokens")) or 0
    cached = to_count(usage.get("cache_read_input_tokens")) or 0
    return Usage(
        input_tokens=fresh + written + cached,
        output_tokens=produced,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=to_count(get_path(usage, "output_tokens_details", "thinking_tokens")) or 0,
        searches=to_count(get_path(usage, "server_tool_use", "web_search_requests")) or 0,
    )


def _collect_thinking(blocks: list[Json]) -> list[object] | None:
    """Return the thinking blocks as the vendor wants them back: unchanged."""
    found: list[object] = []
    for block in blocks:
        if block.get("type") == "thinking":
            thought = to_text(block.get("thinking")) + "".join(map(to_text, to_list(block.get("pieces"))))
            found.append({"type": "thinking", "thinking": thought, "signature": block.get("signature")})
        elif block.get("type") == "redacted_thinking":
            found.append({"type": "redacted_thinking", "data": block.get("data")})
    return found or None


def _get_text(block: Json) -> str | None:
    return to_text(block.get("text")) if block.get("type") == "text" else None


def _merge_usage(before: Json, after: Json) -> dict[str, object]:
    """Return the later counts, without those that are missing or lower: counts of a stream are cumulative."""
    higher = {
        name: value
        for name, value in after.items()
        if value is not None and (to_count(value) or 0) >= (to_count(before.get(name)) or 0)
    }
    return {**before, **higher}


def _append_delta(whole: dict[str, object], delta: Json) -> str:
    blocks = to_list(whole.setdefault("content", []))
    if not blocks:
        blocks.append({"type": "text", "text": "", "citations": [], "input_json": []})
    last = cast("dict[str, object]", blocks[-1])
    match delta.get("type"):
        case "citations_delta":
            cast("list[object]", last["citations"]).append(delta.get("citation"))
        case "input_json_delta":
            cast("list[object]", last["input_json"]).append(to_text(delta.get("partial_json")))
        case "thinking_delta":
            cast("list[object]", last.setdefault("pieces", [])).append(to_text(delta.get("thinking")))
        case "signature_delta":
            last["signature"] = delta.get("signature")
        case _:
            pass
    piece = to_text(delta.get("text")) if delta.get("type") == "text_delta" else ""
    if not piece:
        return ""
    separator = _find_separator(blocks, piece)
    # A block per piece: joining strings at each step would take quadratic time.
    blocks.append({"type": "text", "text": piece, "citations": [], "input_json": []})
    return separator + piece


def _find_separator(blocks: list[object], piece: str) -> str:
    return find_separator((_get_text(to_mapping(block)) for block in reversed(blocks)), piece) if piece else ""


DIALECT = Dialect(
    path=lambda _model, _stream: "/v1/messages",
    build_request=build_request,
    parse_response=parse_response,
    accumulate=accumulate,
)
