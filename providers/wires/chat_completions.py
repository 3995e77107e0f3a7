"""Chat Completions as every OpenAI-shaped wire parses it, whole or in chunks.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import ErrorResponse
from providers.transport.payload import Json, deduplicate, get_path, to_count, to_list, to_mapping, to_text
from providers.wires.finish_reasons import REFUSED, map_finish_reason, require_text
from providers.wires.reported_cost import parse_reported_cost


def parse_response(provider: Provider, model: Model, answer: Json) -> Completion:
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
    finish = map_finish_reason(to_text(choice.get("finish_reason")).lower(), content, usage)
    if to_text(message.get("refusal")) and not content:
        raise ContentFilterError(REFUSED, usage=usage)
    return Completion(
        text=require_text(content, finish, usage),
        model=to_text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=_parse_citations(message, answer),
    )


def accumulate(whole: dict[str, object], chunk: Json) -> str:
    """Add a chunk to the answer so far; return the visible text it brought."""
    for name in ("model", "usage", "error", "copilot_usage", "citations"):
        if chunk.get(name):
            whole[name] = chunk[name]
    # Groq reports a stream's usage and errors under `x_groq`. https://console.groq.com/docs/errors
    groq = to_mapping(chunk.get("x_groq"))
    for name in ("usage", "error"):
        if groq.get(name):
            whole[name] = groq[name]
    choice = to_mapping(get_path(chunk, "choices", 0))
    if not choice:
        return ""
    if "choices" not in whole:
        message: dict[str, list[object]] = {"content": [], "annotations": [], "executed_tools": []}
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
    return "".join(to_text(part.get("text")) for part in parts if part.get("type") in {"text", "output_text"})


def parse_usage(provider: Provider, answer: Json) -> Usage | None:
    """Return the counted tokens in inclusive buckets, or None if the vendor counted none."""
    usage = to_mapping(answer.get("usage"))
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
    for name in ("annotations", "executed_tools"):
        cast("list[object]", message[name]).extend(to_list(delta.get(name)))
    if to_text(delta.get("refusal")):
        message["refusal"] = to_text(delta.get("refusal"))
    piece = extract_text(delta.get("content"))
    if piece:
        cast("list[object]", message["content"]).append({"type": "text", "text": piece})
    return piece


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
    return sum("search" in to_text(tool.get("type")) for tool in tools)


def _parse_citations(message: Json, answer: Json) -> tuple[str, ...]:
    annotations = to_list(message.get("annotations"))
    cited = [to_text(get_path(note, "url_citation", "url")) or to_text(get_path(note, "url")) for note in annotations]
    found = [
        to_text(get_path(result, "url"))
        for tool in to_list(message.get("executed_tools"))
        for result in to_list(get_path(tool, "search_results", "results"))
    ]
    return deduplicate([*cited, *found, *map(to_text, to_list(answer.get("citations")))])
