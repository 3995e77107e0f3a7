"""Chat Completions answers, whole and as chunks."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.responses import Response

from mcp_router.http.responses import Json, json_response
from mcp_router.http.v1.chat_response import Failure
from mcp_router.http.v1.errors import classify_error, openai_response
from mcp_router.http.v1.receipt import build_receipt, build_receipt_headers
from mcp_router.operations.chat import ChatAnswer
from mcp_router.text import to_compact_json
from providers.completion import Completion, ToolCall, Usage

_DONE = b"data: [DONE]\n\n"


class OpenAIFormat:
    """Writes one answer."""

    def __init__(self, *, call_id: str, model: str, unused: Sequence[str], includes_usage: bool) -> None:
        """`model` is the name that the client sent: chunks carry it until the model that answers is known."""
        self._id = f"chatcmpl-{call_id}"
        self._model = model
        self._unused = unused
        self._includes_usage = includes_usage
        self._created = int(time.time())

    def whole(self, answer: ChatAnswer) -> Response:
        """Return the response with a whole answer."""
        completion, generation = answer.completion, answer.generation
        choice: Json = {
            "index": 0,
            "message": build_message(completion),
            "logprobs": None,
            "finish_reason": completion.finish_reason,
        }
        body: Json = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": generation.candidate.model.id,
            "choices": [choice],
            "usage": build_usage(completion.usage),
            "x_router": build_receipt(generation, self._unused),
        }
        return json_response(body, headers=build_receipt_headers(generation))

    def failure(self, error: Failure) -> Response:
        """Return the response for a call that failed before anything was sent."""
        return openai_response(classify_error(error))

    def start(self) -> bytes:
        """Return the chunk with the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """Return the chunk with a piece of text."""
        return self._chunk({"content": text})

    def keepalive(self) -> bytes:
        """Return a comment."""
        return b": keep-alive\n\n"

    def end(self, answer: ChatAnswer) -> bytes:
        """Return each tool call in a chunk, then the finish reason and the receipt, then usage if asked for."""
        completion, model = answer.completion, answer.generation.candidate.model.id
        receipt = build_receipt(answer.generation, self._unused)
        last = b"".join(
            self._chunk({"tool_calls": [{"index": index, **build_call(call)}]})
            for index, call in enumerate(completion.tool_calls)
        )
        last += self._chunk({}, finish=completion.finish_reason, model=model, x_router=receipt)
        if self._includes_usage:
            last += self._event(choices=[], model=model, usage=build_usage(completion.usage))
        return last + _DONE

    def failure_event(self, error: Failure) -> bytes:
        """Return the error; no `[DONE]` follows, so that no client takes the text for whole."""
        return f"data: {to_compact_json(classify_error(error).to_openai())}\n\n".encode()

    def _chunk(self, delta: Json, *, finish: str | None = None, model: str | None = None, **more: object) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._includes_usage else {}
        return self._event(choices=[choice], model=model or self._model, **usage, **more)

    def _event(self, *, choices: list[Json], model: str, **more: object) -> bytes:
        chunk: Json = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": model,
            "choices": choices,
            **more,
        }
        return f"data: {to_compact_json(chunk)}\n\n".encode()


def build_message(completion: Completion) -> Json:
    """Return the message of an answer."""
    message: Json = {"role": "assistant", "content": completion.text, "refusal": None}
    if not completion.tool_calls:
        return message
    calls = [build_call(call) for call in completion.tool_calls]
    return {**message, "content": completion.text or None, "tool_calls": calls}


def build_call(call: ToolCall) -> Json:
    """Return a tool call, which goes to the client: the router runs none."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def build_usage(usage: Usage | None) -> Json | None:
    """Return the counted tokens of the attempt that answered; None if the vendor counted none."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
