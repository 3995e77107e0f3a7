"""Reads Chat Completions, whole or in pieces, and what vendors have made of them."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, FinishReason, Usage
from providers.errors import (
    BrokenAnswerError,
    ContentFilterError,
    ContextLengthError,
    EmptyAnswerError,
)
from providers.transport.error_mapping import Refused
from providers.transport.payload import Json, count, distinct, dug, listed, mapping, money, text

REFUSED = "the model or its vendor refused to answer"
EMPTY = "the model answered nothing"
ALL_THOUGHT = "the model spent all its output tokens before it said anything; allow more or think less"
TICKS_A_DOLLAR = 10_000_000_000
"""https://docs.x.ai/developers/pricing"""
NANO_CREDITS_A_DOLLAR = 100_000_000_000
"""A credit is a cent. https://docs.github.com/en/copilot/reference/copilot-billing/models-and-pricing"""

_STOPS = {"stop", "eos", "eos_token", "stop_sequence", "tool_calls", "function_call"}
_LENGTHS = {"length", "model_length", "max_tokens"}
_REFUSALS = {"content_filter", "sensitive", "refusal"}
_TOO_LONG = {"model_context_window_exceeded"}


def read(provider: Provider, model: Model, answer: Json) -> Completion:
    """The completion in a whole answer.

    Raises:
        ProviderError: It was refused, empty, or not ended as an answer ends.
        Refused: It carries an error instead.
    """
    usage = counted(provider, answer)
    choice = mapping(dug(answer, "choices", 0))
    failed = answer.get("error") or choice.get("error")
    if failed:
        raise Refused(None, {}, {"error": failed}, usage)
    message = mapping(choice.get("message"))
    said = spoken(message.get("content"))
    finish = ended(text(choice.get("finish_reason")).lower(), said, usage)
    if text(message.get("refusal")) and not said:
        raise ContentFilterError(REFUSED, usage=usage)
    return Completion(
        text=filled(said, finish, usage),
        model=text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=_citations(message, answer),
    )


def fold(whole: dict[str, object], event: Json) -> str:
    """Adds a chunk to the answer so far and returns the visible text it brought."""
    for name in ("model", "usage", "error", "copilot_usage", "citations"):
        if event.get(name):
            whole[name] = event[name]
    # Groq reports usage and failures of a stream in a place of its own. https://console.groq.com/docs/errors
    groq = mapping(event.get("x_groq"))
    for name in ("usage", "error"):
        if groq.get(name):
            whole[name] = groq[name]
    choice = mapping(dug(event, "choices", 0))
    if not choice:
        return ""
    if "choices" not in whole:
        message: dict[str, list[object]] = {"content": [], "annotations": [], "executed_tools": []}
        whole["choices"] = [{"message": message}]
    so_far = cast("dict[str, object]", dug(whole, "choices", 0))
    for name in ("finish_reason", "error"):
        if choice.get(name):
            so_far[name] = choice[name]
    return _said(cast("dict[str, object]", so_far["message"]), mapping(choice.get("delta")))


def _said(message: dict[str, object], delta: Json) -> str:
    for name in ("annotations", "executed_tools"):
        cast("list[object]", message[name]).extend(listed(delta.get(name)))
    if text(delta.get("refusal")):
        message["refusal"] = text(delta.get("refusal"))
    said = spoken(delta.get("content"))
    if said:
        cast("list[object]", message["content"]).append({"type": "text", "text": said})
    return said


def spoken(content: object) -> str:
    """The visible text of a message, in one string or in parts, without any thinking."""
    if isinstance(content, str):
        return content
    parts = map(mapping, listed(content))
    return "".join(text(part.get("text")) for part in parts if part.get("type") in {"text", "output_text"})


def ended(reason: str, said: str, usage: Usage | None) -> FinishReason:
    """Our word for why it ended.

    Raises:
        ProviderError: It did not end as an answer ends.
    """
    if reason in _STOPS:
        return "stop"
    if reason in _LENGTHS:
        return "length"
    if reason in _REFUSALS:
        raise ContentFilterError(REFUSED, usage=usage)
    if reason in _TOO_LONG:
        raise ContextLengthError("the prompt does not fit the model's window", usage=usage)
    if not reason:
        raise BrokenAnswerError(f"the answer broke off without a finish reason after {len(said)} characters")
    raise BrokenAnswerError(f"the answer broke off with finish reason {reason[:40]!r}", usage=usage)


def filled(said: str, finish: FinishReason, usage: Usage | None) -> str:
    """The text, if there is any.

    Raises:
        EmptyAnswerError: There is none.
    """
    if said.strip():
        return said
    raise EmptyAnswerError(ALL_THOUGHT if finish == "length" else EMPTY, usage=usage)


def counted(provider: Provider, answer: Json) -> Usage | None:
    """What the vendor counted, in inclusive buckets; None where it counted nothing."""
    told = mapping(answer.get("usage"))
    given, produced = count(told.get("prompt_tokens")), count(told.get("completion_tokens"))
    if given is None or produced is None:
        return None
    reasoning = count(dug(told, "completion_tokens_details", "reasoning_tokens")) or 0
    if provider.reasoning_outside_output:
        # Where the details are missing, the total still shows what was thought.
        total = count(told.get("total_tokens")) or 0
        reasoning = max(reasoning, total - given - produced)
        produced += reasoning
    return Usage(
        input_tokens=given,
        output_tokens=produced,
        cache_read_tokens=_cached(told),
        cache_write_tokens=count(dug(told, "prompt_tokens_details", "cache_write_tokens")) or 0,
        reasoning_tokens=reasoning,
        searches=_searches(told, answer),
        reported_cost_usd=reported(provider, answer),
    )


def reported(provider: Provider, answer: Json) -> Decimal | None:
    """The cost in US dollars, where this vendor says it."""
    usage = mapping(answer.get("usage"))
    match provider.reported_cost:
        case "none":
            return None
        case "usage_cost":
            return money(usage.get("cost"))
        case "usage_cost_total":
            return money(dug(usage, "cost", "total_cost"))
        case "usd_ticks":
            ticks = money(usage.get("cost_in_usd_ticks"))
            return None if ticks is None else ticks / TICKS_A_DOLLAR
        case "copilot":
            return _credits(mapping(answer.get("copilot_usage") or usage.get("copilot_usage")))


def _credits(told: Json) -> Decimal | None:
    # Each kind of token has a price for a batch of so many.
    total = Decimal(0)
    details = [mapping(detail) for detail in listed(told.get("token_details"))]
    for detail in details:
        price, size = money(detail.get("cost_per_batch")), money(detail.get("batch_size"))
        tokens = count(detail.get("token_count"))
        if price is None or not size or tokens is None:
            return None
        total += price * tokens / size
    return total / NANO_CREDITS_A_DOLLAR if details else None


def _cached(told: Json) -> int:
    for value in (
        dug(told, "prompt_tokens_details", "cached_tokens"),
        told.get("prompt_cache_hit_tokens"),
        told.get("cached_tokens"),
    ):
        if count(value):
            return count(value) or 0
    return 0


def _searches(told: Json, answer: Json) -> int:
    asked = count(dug(told, "server_tool_use_details", "web_search_requests"))
    if asked is not None:
        return asked
    tools = map(mapping, listed(dug(answer, "choices", 0, "message", "executed_tools")))
    return sum("search" in text(tool.get("type")) for tool in tools)


def _citations(message: Json, answer: Json) -> tuple[str, ...]:
    noted = [text(dug(note, "url_citation", "url")) or text(dug(note, "url")) for note in _list(message, "annotations")]
    found = [
        text(dug(result, "url"))
        for tool in _list(message, "executed_tools")
        for result in listed(dug(tool, "search_results", "results"))
    ]
    return distinct([*noted, *found, *map(text, _list(answer, "citations"))])


def _list(source: Json, name: str) -> list[object]:
    return listed(source.get(name))
