"""Messages answers, whole and as events.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from mcp_router.http.responses import Json, json_response
from mcp_router.http.v1.chat_response import Failure
from mcp_router.http.v1.errors import anthropic_response, classify_error
from mcp_router.http.v1.receipt import build_receipt, build_receipt_headers
from mcp_router.operations.chat import ChatAnswer
from mcp_router.text import to_compact_json
from providers.completion import ToolCall, Usage
from providers.wires.tool_calls import parse_arguments, to_anthropic_id


class AnthropicFormat:
    """Writes one answer."""

    def __init__(self, *, call_id: str, model: str, unused: Sequence[str], input_tokens: int) -> None:
        """`input_tokens` is the estimate that a stream starts with; its end has the vendor's count."""
        self._call_id = call_id
        self._model = model
        self._unused = unused
        self._input_tokens = input_tokens
        self._index = 0
        self._is_open = False
        """Whether a text block has begun and not ended."""

    def whole(self, answer: ChatAnswer) -> Response:
        """Return the response with a whole answer."""
        completion, generation = answer.completion, answer.generation
        text = [{"type": "text", "text": completion.text}] if completion.text else []
        message = self._message(generation.candidate.model.id) | {
            "content": [*text, *map(build_tool_use, completion.tool_calls)],
            "stop_reason": choose_stop_reason(answer),
            "stop_sequence": answer.stop_sequence,
            "usage": build_usage(completion.usage),
            "x_router": build_receipt(generation, self._unused),
        }
        return json_response(message, headers={**build_receipt_headers(generation), "request-id": self._call_id})

    def failure(self, error: Failure) -> Response:
        """Return the response for a call that failed before anything was sent."""
        return anthropic_response(classify_error(error))

    def start(self) -> bytes:
        """Return the event that begins the message."""
        usage = {"input_tokens": self._input_tokens, "output_tokens": 0}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return _event("message_start", message=self._message(self._model) | {"usage": usage})

    def piece(self, text: str) -> bytes:
        """Return the event with a piece of text."""
        begin = b""
        if not self._is_open:
            self._is_open = True
            begin = _event("content_block_start", index=self._index, content_block={"type": "text", "text": ""})
        return begin + _event("content_block_delta", index=self._index, delta={"type": "text_delta", "text": text})

    def keepalive(self) -> bytes:
        """Return a ping."""
        return _event("ping")

    def end(self, answer: ChatAnswer) -> bytes:
        """Return the end of the text, each tool call as a block, and the end of the message."""
        events = [self._end_text(), *map(self._tool_block, answer.completion.tool_calls)]
        events.append(
            _event(
                "message_delta",
                delta={"stop_reason": choose_stop_reason(answer), "stop_sequence": answer.stop_sequence},
                usage=build_usage(answer.completion.usage),
                x_router=build_receipt(answer.generation, self._unused),
            )
        )
        return b"".join([*events, _event("message_stop")])

    def failure_event(self, error: Failure) -> bytes:
        """Return the error; no `message_stop` follows, so that no client takes the message for whole."""
        failed = classify_error(error).to_anthropic()
        return f"event: error\ndata: {to_compact_json(failed)}\n\n".encode()

    def _message(self, model: str) -> Json:
        return {
            "id": f"msg_{self._call_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _end_text(self) -> bytes:
        if not self._is_open:
            return b""
        self._index += 1
        self._is_open = False
        return _event("content_block_stop", index=self._index - 1)

    def _tool_block(self, call: ToolCall) -> bytes:
        index, self._index = self._index, self._index + 1
        block: Json = {**build_tool_use(call), "input": {}}
        delta = {"type": "input_json_delta", "partial_json": to_compact_json(parse_arguments(call))}
        return b"".join(
            [
                _event("content_block_start", index=index, content_block=block),
                _event("content_block_delta", index=index, delta=delta),
                _event("content_block_stop", index=index),
            ]
        )


def build_tool_use(call: ToolCall) -> Json:
    """Return a tool call, which goes to the client: the router runs none."""
    return {"type": "tool_use", "id": to_anthropic_id(call.id), "name": call.name, "input": parse_arguments(call)}


def choose_stop_reason(answer: ChatAnswer) -> str:
    """Return why the answer ended; always `tool_use` if there is a tool call, since clients run none otherwise."""
    if answer.completion.tool_calls:
        return "tool_use"
    if answer.stop_sequence is not None:
        return "stop_sequence"
    return "max_tokens" if answer.completion.finish_reason == "length" else "end_turn"


def build_usage(usage: Usage | None) -> Json:
    """Return the counted tokens in Anthropic's disjoint counts; the SDKs need numbers, so unknown ones are 0."""
    found = usage or Usage(input_tokens=0, output_tokens=0)
    return {
        "input_tokens": found.input_tokens - found.cache_read_tokens - found.cache_write_tokens,
        "cache_creation_input_tokens": found.cache_write_tokens,
        "cache_read_input_tokens": found.cache_read_tokens,
        "output_tokens": found.output_tokens,
    }


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {to_compact_json({'type': kind, **fields})}\n\n".encode()
