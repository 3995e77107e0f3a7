"""Chat Completions as every OpenAI-shaped wire parses it, whole or in chunks.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, ToolCall, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import ErrorResponse
from providers.transport.payload import Json, deduplicate, get_path, parse_json, to_count, to_list, to_mapping, to_text
from providers.wires.finish_reasons import REFUSED, map_finish_reason
from providers.wires.reported_cost import parse_reported_cost
from providers.wires.text_blocks import join_texts
from providers.wires.tool_calls import accumulate_chat_calls, finish_answer, parse_chat_calls

_TEXT_TYPES = {"text", "output_text"}


def parse_response(provider: Provider, model: Model, answer: Json, is_complete: bool) -> Completion:
    """Return the completion in a whole answer.

    Raises:
        ProviderError: The answer is refused, empty or incomplete.
        ErrorResponse: The answer carries an error.
    """
    usage = parse_usage(provider, answer)
    choice = to_mapping(get_path(answer, "choices", 0))
    failed = answer.get("error") or choice.get("error")
    if failed:
        raise ErrorResponse(None, {}, {"error": failed}, usage)
    message = to_mapping(choice.get("message"))
    content = extract_text(message.get("content"))
    calls = parse_chat_calls(message)
    said = content or "".join(call.name for call in calls)
    finish = map_finish_reason(to_text(choice.get("finish_reason")), said, usage, is_complete=is_complete)
    if to_text(message.get("refusal")) and not content:
        raise ContentFilterError(REFUSED, usage=usage)
    text, finish, calls = finish_answer(content, finish, usage, calls)
    return Completion(
        text=text,
        model=to_text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=_parse_citations(message, answer),
        tool_calls=calls,
        thinking=_collect_thinking(message, calls),
    )


def accumulate(whole: dict[str, object], chunk: Json) -> str:
    """Add a chunk to the answer so far; return the visible text it brought."""
    for name in ("model", "error", "copilot_usage", "citations", "service_tier"):
        if chunk.get(name):
            whole[name] = chunk[name]
    choice = to_mapping(get_path(chunk, "choices", 0))
    # Groq reports a stream's usage and errors under `x_groq`. https://console.groq.com/docs/errors
    groq = to_mapping(chunk.get("x_groq"))
    if groq.get("error"):
        whole["error"] = groq["error"]
    # Moonshot reports usage in the last choice. https://platform.moonshot.ai/docs/api/chat
    for counted in (chunk.get("usage"), groq.get("usage"), choice.get("usage")):
        if _sum_tokens(counted) >= _sum_tokens(whole.get("usage")) and counted:
            whole["usage"] = counted
    if not choice:
        return ""
    if "choices" not in whole:
        message: dict[str, list[object]] = {
            "content": [],
            "annotations": [],
            "executed_tools": [],
            "tool_calls": [],
            "reasoning_content": [],
        }
        whole["choices"] = [{"message": message}]
    so_far = cast("dict[str, object]", get_path(whole, "choices", 0))
    for name in ("finish_reason", "error"):
        if choice.get(name):
            so_far[name] = choice[name]
    return _append_delta(cast("dict[str, object]", so_far["message"]), to_mapping(choice.get("delta")))


def extract_text(content: object) -> str:
    """Return the visible text of a message, a string or parts, without thinking."""
    if isinstance(content, str):
        return content
    parts = map(to_mapping, to_list(content))
    return join_texts(to_text(part.get("text")) if part.get("type") in _TEXT_TYPES else None for part in parts)


def parse_usage(provider: Provider, answer: Json) -> Usage | None:
    """Return the counted tokens in inclusive buckets, or None if the vendor counted none."""
    usage = to_mapping(answer.get("usage") or get_path(answer, "choices", 0, "usage"))
    given, produced = to_count(usage.get("prompt_tokens")), to_count(usage.get("completion_tokens"))
    if given is None or produced is None:
        return None
    reasoning = to_count(get_path(usage, "completion_tokens_details", "reasoning_tokens")) or 0
    if provider.reasoning_outside_output:
        # If the details are missing, the total still shows the reasoning tokens.
        total = to_count(usage.get("total_tokens")) or 0
        reasoning = max(reasoning, total - given - produced)
        produced += reasoning
    return Usage(
        input_tokens=given,
        output_tokens=produced,
        cache_read_tokens=_count_cached(usage),
        cache_write_tokens=to_count(get_path(usage, "prompt_tokens_details", "cache_write_tokens")) or 0,
        reasoning_tokens=reasoning,
        searches=_count_searches(usage, answer),
        reported_cost_usd=parse_reported_cost(provider, answer),
    )


def _append_delta(message: dict[str, object], delta: Json) -> str:
    cast("list[object]", message["annotations"]).extend(to_list(delta.get("annotations")))
    _merge_tools(cast("list[object]", message["executed_tools"]), to_list(delta.get("executed_tools")))
    accumulate_chat_calls(cast("list[object]", message["tool_calls"]), to_list(delta.get("tool_calls")))
    if to_text(delta.get("reasoning_content")):
        cast("list[object]", message["reasoning_content"]).append(delta["reasoning_content"])
    if to_text(delta.get("refusal")):
        message["refusal"] = to_text(delta.get("refusal"))
    piece = extract_text(delta.get("content"))
    if piece:
        cast("list[object]", message["content"]).append({"type": "text", "text": piece})
    return piece


def _collect_thinking(message: Json, calls: tuple[ToolCall, ...]) -> Json | None:
    """Return what vendors want back with the results of tool calls: DeepSeek's, Kimi's and GLM's reasoning, and the
    signatures of Gemini's calls.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    reasoning = message.get("reasoning_content")
    reasoning = to_text(reasoning) or "".join(map(to_text, to_list(reasoning)))
    extras = {
        to_text(get_path(call, "id")): get_path(call, "extra_content")
        for call in to_list(message.get("tool_calls"))
        if get_path(call, "extra_content")
    }
    return {"reasoning_content": reasoning, "extra_content": extras} if calls and (reasoning or extras) else None


def _sum_tokens(usage: object) -> int:
    """Return the tokens of a usage: a later one with fewer does not replace it."""
    names = ("prompt_tokens", "completion_tokens")
    return sum(to_count(get_path(usage, name)) or 0 for name in names)


def _merge_tools(tools: list[object], updates: list[object]) -> None:
    """Add a stream's tools: Groq sends each twice, when it starts and with its results."""
    for update in map(to_mapping, updates):
        same = [at for at, tool in enumerate(tools) if _is_same_tool(to_mapping(tool), update)]
        if same:
            tools[same[0]] = {**to_mapping(tools[same[0]]), **update}
        else:
            tools.append(update)


def _is_same_tool(tool: Json, update: Json) -> bool:
    keys = [key for key in ("id", "index") if update.get(key) is not None]
    return bool(keys) and all(tool.get(key) == update[key] for key in keys)


def _is_search(tool: Json) -> bool:
    """Return whether an executed tool searched; Groq's browser also opens pages and finds text, which costs nothing.

    https://console.groq.com/docs/browser-search
    """
    kind = (to_text(tool.get("name")) or to_text(tool.get("type"))).lower()
    if "search" not in kind:
        return False
    try:
        arguments = to_mapping(parse_json(to_text(tool.get("arguments"))))
    except ValueError:
        return True
    return not arguments or "query" in arguments


def _count_cached(usage: Json) -> int:
    for value in (
        get_path(usage, "prompt_tokens_details", "cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
    ):
        if to_count(value):
            return to_count(value) or 0
    return 0


def _count_searches(usage: Json, answer: Json) -> int:
    requests = to_count(get_path(usage, "server_tool_use_details", "web_search_requests"))
    if requests is not None:
        return requests
    tools = map(to_mapping, to_list(get_path(answer, "choices", 0, "message", "executed_tools")))
    return sum(map(_is_search, tools))


def _parse_citations(message: Json, answer: Json) -> tuple[str, ...]:
    annotations = to_list(message.get("annotations"))
    cited = [to_text(get_path(note, "url_citation", "url")) or to_text(get_path(note, "url")) for note in annotations]
    found = [
        to_text(get_path(result, "url"))
        for tool in to_list(message.get("executed_tools"))
        for result in to_list(get_path(tool, "search_results", "results"))
    ]
    return deduplicate([*cited, *found, *map(to_text, to_list(answer.get("citations")))])
