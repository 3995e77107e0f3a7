"""Chat Completions as every OpenAI-shaped wire parses it, whole or in chunks.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import Refused
from providers.transport.payload import Json, count, distinct, dug, listed, mapping, text
from providers.wires.finish_reasons import REFUSED, map_finish_reason, require_text
from providers.wires.reported_cost import parse_reported_cost


def parse_response(provider: Provider, model: Model, answer: Json) -> Completion:
    """Return the completion in a whole answer.

    Raises:
        ProviderError: The answer is refused, empty or incomplete.
        Refused: The answer carries an error.
    """
    usage = parse_usage(provider, answer)
    choice = mapping(dug(answer, "choices", 0))
    failed = answer.get("error") or choice.get("error")
    if failed:
        raise Refused(None, {}, {"error": failed}, usage)
    message = mapping(choice.get("message"))
    content = extract_text(message.get("content"))
    finish = map_finish_reason(text(choice.get("finish_reason")).lower(), content, usage)
    if text(message.get("refusal")) and not content:
        raise ContentFilterError(REFUSED, usage=usage)
    return Completion(
        text=require_text(content, finish, usage),
        model=text(answer.get("model")) or model.name,
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
    groq = mapping(chunk.get("x_groq"))
    for name in ("usage", "error"):
        if groq.get(name):
            whole[name] = groq[name]
    choice = mapping(dug(chunk, "choices", 0))
    if not choice:
        return ""
    if "choices" not in whole:
        message: dict[str, list[object]] = {"content": [], "annotations": [], "executed_tools": []}
        whole["choices"] = [{"message": message}]
    so_far = cast("dict[str, object]", dug(whole, "choices", 0))
    for name in ("finish_reason", "error"):
        if choice.get(name):
            so_far[name] = choice[name]
    return _append_delta(cast("dict[str, object]", so_far["message"]), mapping(choice.get("delta")))


def extract_text(content: object) -> str:
    """Return the visible text of a message, a string or parts, without thinking."""
    if isinstance(content, str):
        return content
    parts = map(mapping, listed(content))
    return "".join(text(part.get("text")) for part in parts if part.get("type") in {"text", "output_text"})


def parse_usage(provider: Provider, answer: Json) -> Usage | None:
    """Return the counted tokens in inclusive buckets, or None if the vendor counted none."""
    usage = mapping(answer.get("usage"))
    given, produced = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if given is None or produced is None:
        return None
    reasoning = count(dug(usage, "completion_tokens_details", "reasoning_tokens")) or 0
    if provider.reasoning_outside_output:
        # If the details are missing, the total still shows the reasoning tokens.
        total = count(usage.get("total_tokens")) or 0
        reasoning = max(reasoning, total - given - produced)
        produced += reasoning
    return Usage(
        input_tokens=given,
        output_tokens=produced,
        cache_read_tokens=_count_cached(usage),
        cache_write_tokens=count(dug(usage, "prompt_tokens_details", "cache_write_tokens")) or 0,
        reasoning_tokens=reasoning,
        searches=_count_searches(usage, answer),
        reported_cost_usd=parse_reported_cost(provider, answer),
    )


def _append_delta(message: dict[str, object], delta: Json) -> str:
    for name in ("annotations", "executed_tools"):
        cast("list[object]", message[name]).extend(listed(delta.get(name)))
    if text(delta.get("refusal")):
        message["refusal"] = text(delta.get("refusal"))
    piece = extract_text(delta.get("content"))
    if piece:
        cast("list[object]", message["content"]).append({"type": "text", "text": piece})
    return piece


def _count_cached(usage: Json) -> int:
    for value in (
        dug(usage, "prompt_tokens_details", "cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
    ):
        if count(value):
            return count(value) or 0
    return 0


def _count_searches(usage: Json, answer: Json) -> int:
    requests = count(dug(usage, "server_tool_use_details", "web_search_requests"))
    if requests is not None:
        return requests
    tools = map(mapping, listed(dug(answer, "choices", 0, "message", "executed_tools")))
    return sum("search" in text(tool.get("type")) for tool in tools)


def _parse_citations(message: Json, answer: Json) -> tuple[str, ...]:
    annotations = listed(message.get("annotations"))
    cited = [text(dug(note, "url_citation", "url")) or text(dug(note, "url")) for note in annotations]
    found = [
        text(dug(result, "url"))
        for tool in listed(message.get("executed_tools"))
        for result in listed(dug(tool, "search_results", "results"))
    ]
    return distinct([*cited, *found, *map(text, listed(answer.get("citations")))])
