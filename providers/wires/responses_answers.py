"""Reads Responses, whole or in events.

https://developers.openai.com/api/reference/resources/responses
"""

from __future__ import annotations

from providers.catalog import Model, Provider
from providers.completion import Completion, FinishReason, Usage
from providers.errors import BrokenAnswerError, ContentFilterError
from providers.transport.error_mapping import Refused
from providers.transport.payload import Json, count, distinct, dug, listed, mapping, text
from providers.wires.chat_answers import REFUSED, ended, filled, reported, spoken

_WHOLE = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
_ENDS = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}


def read(provider: Provider, model: Model, answer: Json) -> Completion:
    """The completion in a whole answer.

    Raises:
        ProviderError: It was refused, empty, or not completed.
        Refused: It failed inside a 200.
    """
    usage = counted(provider, answer)
    if answer.get("error") or answer.get("status") == "failed":
        raise Refused(None, {}, {"error": answer.get("error") or {}}, usage)
    output = [mapping(item) for item in listed(answer.get("output"))]
    parts = [mapping(part) for item in output if item.get("type") == "message" for part in listed(item.get("content"))]
    said = spoken(parts)
    finish = _finish(answer, said, usage)
    if not said and any(part.get("type") == "refusal" for part in parts):
        raise ContentFilterError(REFUSED, usage=usage)
    return Completion(
        text=filled(said, finish, usage),
        model=text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=_citations(output, parts),
    )


def fold(whole: dict[str, object], event: Json) -> str:
    """Keeps the whole answer when it comes and returns the visible text of the pieces before it."""
    kind = text(event.get("type"))
    if kind in _WHOLE:
        whole |= mapping(event.get("response"))
    elif kind in {"error", "response.error"}:
        whole["error"] = event.get("error") or event
    elif kind == "response.output_text.delta":
        return text(event.get("delta"))
    return ""


def counted(provider: Provider, answer: Json) -> Usage | None:
    """What the vendor counted; reasoning and cached tokens are inside here."""
    told = mapping(answer.get("usage"))
    given, produced = count(told.get("input_tokens")), count(told.get("output_tokens"))
    if given is None or produced is None:
        return None
    details = mapping(told.get("input_tokens_details"))
    return Usage(
        input_tokens=given,
        output_tokens=produced,
        cache_read_tokens=_first(details, "cached_tokens", "cache_read_input_tokens"),
        cache_write_tokens=_first(details, "cache_write_tokens", "cache_creation_input_tokens"),
        reasoning_tokens=count(dug(told, "output_tokens_details", "reasoning_tokens")) or 0,
        searches=_searches(told, answer),
        reported_cost_usd=reported(provider, answer),
    )


def _finish(answer: Json, said: str, usage: Usage | None) -> FinishReason:
    status = text(answer.get("status"))
    if status == "completed":
        return "stop"
    if status == "incomplete":
        reason = text(dug(answer, "incomplete_details", "reason"))
        return ended(_ENDS.get(reason, reason), said, usage)
    if not status:
        raise BrokenAnswerError("the answer broke off before it was completed", usage=usage)
    raise BrokenAnswerError(f"the answer broke off with status {status[:40]!r}", usage=usage)


def _first(details: Json, *names: str) -> int:
    return next((found for name in names if (found := count(details.get(name)))), 0)


def _searches(told: Json, answer: Json) -> int:
    # Perplexity counts them; elsewhere each is an item of the output.
    invoked = count(dug(told, "tool_calls_details", "search_web", "invocation"))
    if invoked is not None:
        return invoked
    return sum(dug(item, "type") == "web_search_call" for item in listed(answer.get("output")))


def _citations(output: list[Json], parts: list[Json]) -> tuple[str, ...]:
    noted = [text(dug(note, "url")) for part in parts for note in listed(part.get("annotations"))]
    found = [
        text(dug(result, "url"))
        for item in output
        if item.get("type") == "search_results"
        for result in listed(item.get("results"))
    ]
    return distinct([*noted, *found])
