"""Reads Gemini's own answers, whole or in pieces.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import Refused
from providers.transport.payload import Json, count, distinct, dug, listed, mapping, text
from providers.wires.chat_answers import REFUSED, ended, filled

_ENDS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
}


def read(_provider: Provider, model: Model, answer: Json) -> Completion:
    """The completion in a whole answer.

    Raises:
        ProviderError: It was blocked, empty, or not ended as an answer ends.
        Refused: It carries an error instead.
    """
    usage = counted(answer)
    if answer.get("error"):
        raise Refused(None, {}, {"error": answer["error"]}, usage)
    if text(dug(answer, "promptFeedback", "blockReason")):
        raise ContentFilterError(REFUSED, usage=usage)
    candidate = mapping(dug(answer, "candidates", 0))
    said = _spoken(candidate)
    reason = text(candidate.get("finishReason"))
    finish = ended(_ENDS.get(reason, reason), said, usage)
    chunks = listed(dug(candidate, "groundingMetadata", "groundingChunks"))
    return Completion(
        text=filled(said, finish, usage),
        model=text(answer.get("modelVersion")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=distinct([text(dug(chunk, "web", "uri")) for chunk in chunks]),
    )


def fold(whole: dict[str, object], event: Json) -> str:
    """Adds a piece to the answer so far and returns the visible text it brought."""
    for name in ("error", "promptFeedback", "usageMetadata", "modelVersion"):
        if event.get(name):
            whole[name] = event[name]
    candidate = mapping(dug(event, "candidates", 0))
    if not candidate:
        return ""
    if "candidates" not in whole:
        parts: dict[str, list[object]] = {"parts": []}
        whole["candidates"] = [{"content": parts}]
    so_far = cast("dict[str, object]", dug(whole, "candidates", 0))
    for name in ("finishReason", "groundingMetadata"):
        if candidate.get(name):
            so_far[name] = candidate[name]
    cast("list[object]", dug(so_far, "content", "parts")).extend(listed(dug(candidate, "content", "parts")))
    return _spoken(candidate)


def counted(answer: Json) -> Usage | None:
    """What was counted: thoughts lie outside the vendor's output, tool results outside its input."""
    told = mapping(answer.get("usageMetadata"))
    given = count(told.get("promptTokenCount"))
    if given is None:
        return None
    thoughts = count(told.get("thoughtsTokenCount")) or 0
    return Usage(
        input_tokens=given + (count(told.get("toolUsePromptTokenCount")) or 0),
        output_tokens=(count(told.get("candidatesTokenCount")) or 0) + thoughts,
        cache_read_tokens=count(told.get("cachedContentTokenCount")) or 0,
        reasoning_tokens=thoughts,
        searches=len(listed(dug(answer, "candidates", 0, "groundingMetadata", "webSearchQueries"))),
    )


def _spoken(candidate: Json) -> str:
    parts = map(mapping, listed(dug(candidate, "content", "parts")))
    return "".join(text(part.get("text")) for part in parts if not part.get("thought"))
