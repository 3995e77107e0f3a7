"""Reads Messages, whole or in events.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from typing import cast

from providers.catalog import Model, Provider
from providers.completion import Completion, FinishReason, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import Refused
from providers.transport.payload import Json, count, distinct, dug, listed, mapping, text
from providers.wires.chat_answers import REFUSED, ended, filled

_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    # The vendor paused a long turn of searches: what was said so far is unfinished, like an answer cut for length.
    "pause_turn": "length",
}


def read(_provider: Provider, model: Model, answer: Json) -> Completion:
    """The completion in a whole answer.

    Raises:
        ProviderError: It was refused, empty, or not ended as an answer ends.
        Refused: It carries an error instead.
    """
    usage = counted(mapping(answer.get("usage")))
    if answer.get("error"):
        raise Refused(None, {}, {"error": answer["error"]}, usage)
    blocks = [mapping(block) for block in listed(answer.get("content"))]
    said = "".join(text(block.get("text")) for block in blocks if block.get("type") == "text")
    finish = _finish(text(answer.get("stop_reason")), said, usage)
    return Completion(
        text=filled(said, finish, usage),
        model=text(answer.get("model")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=distinct([text(dug(cited, "url")) for block in blocks for cited in listed(block.get("citations"))]),
    )


def fold(whole: dict[str, object], event: Json) -> str:
    """Adds an event to the answer so far and returns the visible text it brought."""
    match event.get("type"):
        case "message_start":
            whole |= mapping(event.get("message"))
            whole["content"] = []
        case "content_block_start":
            blocks = cast("list[object]", whole.setdefault("content", []))
            block = dict(mapping(event.get("content_block")))
            blocks.append(block | {"citations": [*listed(block.get("citations"))]})
            return text(block.get("text")) if block.get("type") == "text" else ""
        case "content_block_delta":
            return _grown(whole, mapping(event.get("delta")))
        case "message_delta":
            whole["stop_reason"] = dug(event, "delta", "stop_reason")
            whole["usage"] = {**mapping(whole.get("usage")), **_told(mapping(event.get("usage")))}
        case "error":
            whole["error"] = event.get("error") or "unknown"
        case _:
            pass
    return ""


def counted(told: Json) -> Usage | None:
    """What was counted: the vendor's three counts of input are disjoint, ours are inclusive."""
    fresh, produced = count(told.get("input_tokens")), count(told.get("output_tokens"))
    if fresh is None or produced is None:
        return None
    written, cached = count(told.get("cache_creation_input_tokens")) or 0, count(told.get("cache_read_input_tokens"))
    return Usage(
        input_tokens=fresh + written + (cached or 0),
        output_tokens=produced,
        cache_read_tokens=cached or 0,
        cache_write_tokens=written,
        reasoning_tokens=count(dug(told, "output_tokens_details", "thinking_tokens")) or 0,
        searches=count(dug(told, "server_tool_use", "web_search_requests")) or 0,
    )


def _finish(reason: str, said: str, usage: Usage | None) -> FinishReason:
    if reason == "refusal":
        raise ContentFilterError(REFUSED, usage=usage)
    return ended(_ENDS.get(reason, reason), said, usage)


def _grown(whole: dict[str, object], delta: Json) -> str:
    blocks = listed(whole.get("content"))
    if delta.get("type") == "citations_delta" and blocks:
        cast("list[object]", mapping(blocks[-1])["citations"]).append(delta.get("citation"))
    said = text(delta.get("text")) if delta.get("type") == "text_delta" else ""
    if said:
        # Pieces lie side by side until they are read: joining them at each step would take quadratic time.
        cast("list[object]", whole.setdefault("content", [])).append({"type": "text", "text": said, "citations": []})
    return said


def _told(usage: Json) -> dict[str, object]:
    return {name: value for name, value in usage.items() if value is not None}
