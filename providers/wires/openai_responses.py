"""Responses through the openai SDK: the wire of Perplexity, and of other vendors for searches or some models.

https://developers.openai.com/api/reference/resources/responses and https://docs.perplexity.ai/docs/agent-api
"""

from __future__ import annotations

from providers.catalog import Model, Provider
from providers.completion import Attachment, Completion, Effort, FinishReason, Message, Prompt, ToolOffer, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import ErrorResponse
from providers.transport.exchange import Dialect, WireAdapter
from providers.transport.payload import Json, deduplicate, get_path, to_count, to_list, to_mapping, to_text
from providers.wires import openai_chat, request_options
from providers.wires.finish_reasons import REFUSED, map_finish_reason
from providers.wires.reported_cost import parse_reported_cost
from providers.wires.text_blocks import choose_separator, join_texts
from providers.wires.tool_calls import create_call, finish_answer, shorten_id

_MIN_OUTPUT_TOKENS = 16
"""The endpoint answers 400 to fewer."""
_FINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for `<base_url>/responses`."""
    return openai_chat.create_sdk_adapter(provider, DIALECT, key=key, base_url=base_url)


def build_request(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """Return the request body."""
    mode = request_options.choose_schema_mode(provider, model, prompt)
    body: dict[str, object] = {
        "model": model.name,
        "input": [item for message in prompt.messages for item in _build_items(message)],
        "max_output_tokens": max(prompt.max_output_tokens, _MIN_OUTPUT_TOKENS),
        **_build_reasoning(model, prompt.effort),
        **_build_format(provider, prompt, mode),
        **request_options.build_cache_options(provider, model, prompt),
    }
    if provider.keeps_responses:
        body["store"] = False
    system = request_options.build_system_text(prompt, mode)
    if system:
        body["instructions"] = system
    temperature = request_options.choose_temperature(model, prompt)
    if temperature is not None:
        body["temperature"] = temperature
    if prompt.service_tier or provider.names_standard_tier:
        body["service_tier"] = prompt.service_tier or openai_chat.STANDARD_TIER
    search = request_options.choose_search(provider, prompt, "openai_responses")
    if search is not None:
        body["tools"] = [{"type": search.tool}]
        if search.bounded:
            body["max_tool_calls"] = prompt.max_searches
    if prompt.offer is not None:
        body |= _build_tools(prompt.offer)
    return {**body, "stream": True} if stream else body


def _build_items(message: Message) -> list[dict[str, object]]:
    items: list[dict[str, object]] = [
        {
            "type": "function_call_output",
            "call_id": shorten_id(result.call_id),
            "output": request_options.mark_error(result),
        }
        for result in message.tool_results
    ]
    if message.content or message.all_attachments or not (items or message.tool_calls):
        items.append(_build_item(message))
    for call in message.tool_calls:
        named = {"type": "function_call", "call_id": shorten_id(call.id), "name": call.name}
        items.append({**named, "arguments": call.arguments})
    return items


def _build_tools(offer: ToolOffer) -> dict[str, object]:
    tools: list[dict[str, object]] = []
    for tool in offer.tools:
        about = {"description": tool.description} if tool.description else {}
        # Unlike on Chat Completions, strict is the default here.
        strict = {"strict": bool(tool.strict)}
        tools.append({"type": "function", "name": tool.name, **about, "parameters": tool.parameters, **strict})
    choice: object = {"type": "function", "name": offer.name} if offer.choice == "named" else offer.choice
    fields: dict[str, object] = {"tools": tools, "tool_choice": choice}
    return fields if offer.parallel else {**fields, "parallel_tool_calls": False}


def _build_item(message: Message) -> dict[str, object]:
    kind = "input_text" if message.role == "user" else "output_text"
    content = {"type": kind, "text": message.content}
    return {"type": "message", "role": message.role, "content": [*map(_build_part, message.all_attachments), content]}


def _build_part(attachment: Attachment) -> dict[str, object]:
    url = request_options.to_data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "input_image", "image_url": url}
    return {"type": "input_file", "filename": attachment.name, "file_data": url}


def _build_reasoning(model: Model, effort: Effort) -> dict[str, object]:
    if model.thinking.default == "none":
        return {}
    if effort == "off":
        return {} if model.thinking.off in {None, "omit"} else {"reasoning": {"effort": "none"}}
    level = request_options.choose_effort_level(model, effort)
    return {"reasoning": {"effort": level}} if level else {}


def _build_format(provider: Provider, prompt: Prompt, mode: request_options.SchemaMode) -> dict[str, object]:
    if provider.responses_schema == "response_format":
        return openai_chat.build_response_format(prompt, mode)
    if mode == "json_object":
        return {"text": {"format": {"type": "json_object"}}}
    if mode != "json_schema":
        return {}
    schema = prompt.response_schema
    named = {
        "type": "json_schema",
        "name": "answer",
        "schema": schema,
        "strict": request_options.is_strict_schema(schema),
    }
    return {"text": {"format": named}}


def parse_response(provider: Provider, model: Model, answer: Json, is_complete: bool) -> Completion:
    """Return the completion in a whole answer.

    Raises:
        ProviderError: The answer is refused, empty or incomplete.
        ErrorResponse: The answer carries an error.
    """
    usage = parse_usage(provider, answer)
    if answer.get("error") or answer.get("status") == "failed":
        raise ErrorResponse(None, {}, {"error": answer.get("error") or {}}, usage)
    output = [to_mapping(item) for item in to_list(answer.get("output"))]
    parts = [
        to_mapping(part) for item in output if item.get("type") == "message" for part in to_list(item.get("content"))
    ]
    content = join_texts(text for item in output for text in _get_texts(item))
    calls = [
        create_call(to_text(item.get("name")), item.get("arguments"), to_text(item.get("call_id")))
        for item in output
        if item.get("type") == "function_call"
    ]
    said = content or "".join(call.name for call in calls)
    finish = _map_status(answer, said, usage, is_complete)
    if not content and any(part.get("type") == "refusal" for part in parts):
        raise ContentFilterError(REFUSED, usage=usage)
    text, finish, calls = finish_answer(content, finish, usage, calls)
    return Completion(
        text=text,
        model=to_text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=_parse_citations(output, parts),
        tool_calls=calls,
    )


def accumulate(whole: dict[str, object], event: Json) -> str:
    """Keep the whole answer when it comes; return the visible text of an event before it."""
    kind = to_text(event.get("type"))
    if kind in _FINAL_EVENTS:
        whole |= to_mapping(event.get("response"))
    elif kind in {"error", "response.error"}:
        whole["error"] = event.get("error") or event
    elif kind == "response.output_text.delta":
        return _append_delta(whole, event)
    return ""


def _append_delta(whole: dict[str, object], event: Json) -> str:
    """Return a delta's text, after a line break if another item stands between it and the last one."""
    delta, index = to_text(event.get("delta")), to_count(event.get("output_index")) or 0
    last = to_mapping(whole.get("last_delta"))
    whole["last_delta"] = {"text": delta or last.get("text"), "index": index}
    is_apart = delta and last and index > (to_count(last.get("index")) or 0) + 1
    return choose_separator(to_text(last.get("text")), delta) + delta if is_apart else delta


def _get_texts(item: Json) -> list[str | None]:
    if item.get("type") != "message":
        return [None]
    parts = map(to_mapping, to_list(item.get("content")))
    return [to_text(part.get("text")) for part in parts if part.get("type") in {"text", "output_text"}]


def parse_usage(provider: Provider, answer: Json) -> Usage | None:
    """Return the counted tokens; the vendors' counts are inclusive, as ours are."""
    usage = to_mapping(answer.get("usage"))
    given, produced = to_count(usage.get("input_tokens")), to_count(usage.get("output_tokens"))
    if given is None or produced is None:
        return None
    details = to_mapping(usage.get("input_tokens_details"))
    return Usage(
        input_tokens=given,
        output_tokens=produced,
        cache_read_tokens=_find_count(details, "cached_tokens", "cache_read_input_tokens"),
        cache_write_tokens=_find_count(details, "cache_write_tokens", "cache_creation_input_tokens"),
        reasoning_tokens=to_count(get_path(usage, "output_tokens_details", "reasoning_tokens")) or 0,
        searches=_count_searches(usage, answer),
        reported_cost_usd=parse_reported_cost(provider, answer),
    )


def _map_status(answer: Json, content: str, usage: Usage | None, is_complete: bool) -> FinishReason:
    status = to_text(answer.get("status"))
    if status == "incomplete":
        reason = to_text(get_path(answer, "incomplete_details", "reason"))
        return map_finish_reason(reason, content, usage)
    return map_finish_reason(status, content, usage, is_complete=is_complete)


def _find_count(details: Json, *names: str) -> int:
    return next((found for name in names if (found := to_count(details.get(name)))), 0)


def _count_searches(usage: Json, answer: Json) -> int:
    # Perplexity counts searches; at other vendors each one is an item of the output.
    invoked = to_count(get_path(usage, "tool_calls_details", "search_web", "invocation"))
    if invoked is not None:
        return invoked
    return sum(get_path(item, "type") == "web_search_call" for item in to_list(answer.get("output")))


def _parse_citations(output: list[Json], parts: list[Json]) -> tuple[str, ...]:
    cited = [to_text(get_path(note, "url")) for part in parts for note in to_list(part.get("annotations"))]
    found = [
        to_text(get_path(result, "url"))
        for item in output
        if item.get("type") == "search_results"
        for result in to_list(item.get("results"))
    ]
    return deduplicate([*cited, *found])


DIALECT = Dialect(
    path=lambda _model, _stream: "/responses",
    build_request=build_request,
    parse_response=parse_response,
    accumulate=accumulate,
)
