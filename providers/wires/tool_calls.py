"""Tool calls on every wire: ids, arguments, and the end of an answer that calls tools."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from providers.completion import Completion, FinishReason, ToolCall, ToolOffer, Usage
from providers.transport.payload import Json, get_path, parse_json, to_list, to_mapping, to_text
from providers.wires.finish_reasons import require_text

_MAX_CALLS = 128
_MAX_ID_CHARS = 40
"""OpenAI refuses longer ids."""
_ANTHROPIC_ID = re.compile(r"[\w-]+", re.ASCII)
_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")


def create_call(name: str, arguments: object, call_id: str = "") -> ToolCall:
    """Return a tool call from a vendor's answer; arguments can be JSON text, its pieces, or an object."""
    if isinstance(arguments, list):
        arguments = "".join(map(to_text, to_list(arguments)))  # pyright: ignore[reportUnknownArgumentType] -- vendor's JSON
    if not isinstance(arguments, str):
        arguments = _dump(arguments or {})
    return ToolCall(id=call_id or f"call_{secrets.token_hex(12)}", name=name, arguments=arguments.strip() or "{}")


def parse_arguments(call: ToolCall) -> Json:
    """Return a call's arguments, for vendors that take them as an object; empty if they are no JSON object."""
    try:
        return to_mapping(json.loads(call.arguments))
    except (ValueError, RecursionError):
        return {}


def finish_answer(
    text: str, finish: FinishReason, usage: Usage | None, calls: Iterable[ToolCall]
) -> tuple[str, FinishReason, tuple[ToolCall, ...]]:
    """Return text, finish reason and calls of an answer; a call that was cut within its arguments is left out.

    Raises:
        EmptyAnswerError: There is neither text nor a call.
    """
    whole = tuple(call for call in calls if call.name and _is_object(call.arguments))[:_MAX_CALLS]
    if not whole:
        return require_text(text, finish, usage), finish, ()
    return text, "length" if finish == "length" else "tool_calls", whole


def limit_calls(completion: Completion, offer: ToolOffer | None) -> Completion:
    """Return the completion with the calls that the caller allows: none without tools, one if not in parallel.

    Raises:
        EmptyAnswerError: Nothing is left.
    """
    if not completion.tool_calls or (offer is not None and offer.parallel):
        return completion
    if offer is not None:
        return replace(completion, tool_calls=completion.tool_calls[:1])
    text = require_text(completion.text, "stop", completion.usage)
    return replace(completion, text=text, tool_calls=(), finish_reason="stop", thinking=None)


def shorten_id(call_id: str) -> str:
    """Return an id that OpenAI-shaped APIs accept."""
    return call_id if len(call_id) <= _MAX_ID_CHARS else f"call_{_digest(call_id, 24)}"


def to_anthropic_id(call_id: str) -> str:
    """Return an id that Anthropic's API accepts."""
    return call_id if _ANTHROPIC_ID.fullmatch(call_id) else f"toolu_{_digest(call_id, 24)}"


def to_mistral_id(call_id: str) -> str:
    """Return an id that Mistral's API accepts: exactly nine letters and digits."""
    return call_id if _MISTRAL_ID.fullmatch(call_id) else _digest(call_id, 9)


def parse_chat_calls(message: Json) -> list[ToolCall]:
    """Return the calls in a message of Chat Completions."""
    return [
        create_call(
            to_text(get_path(call, "function", "name")),
            get_path(call, "function", "arguments"),
            to_text(get_path(call, "id")),
        )
        for call in to_list(message.get("tool_calls"))
        if get_path(call, "function") is not None
    ]


def accumulate_chat_calls(calls: list[object], deltas: list[object]) -> None:
    """Add a chunk's pieces of calls to the calls so far. A new id at a known index starts another call."""
    for number, delta in enumerate(map(to_mapping, deltas)):
        index, call_id = delta.get("index", number), to_text(delta.get("id"))
        call = next((one for one in reversed(calls) if get_path(one, "index") == index), None)
        if call is None or (call_id and get_path(call, "id") not in ("", call_id)):
            function: dict[str, object] = {"name": "", "arguments": []}
            call = {"index": index, "id": "", "function": function}
            calls.append(call)
        _merge_delta(cast("dict[str, object]", call), delta)


def _merge_delta(call: dict[str, object], delta: Json) -> None:
    function = cast("dict[str, object]", call["function"])
    call["id"] = to_text(delta.get("id")) or call["id"]
    function["name"] = to_text(get_path(delta, "function", "name")) or function["name"]
    if delta.get("extra_content"):
        call["extra_content"] = delta["extra_content"]
    if arguments := get_path(delta, "function", "arguments"):
        piece = arguments if isinstance(arguments, str) else _dump(arguments)
        cast("list[object]", function["arguments"]).append(piece)


def _dump(arguments: object) -> str:
    # Decimals are numbers of the vendor's JSON with a fraction.
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=float)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(parse_json(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]
