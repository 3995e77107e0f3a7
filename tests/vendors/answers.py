"""What each vendor answers, in its own shape: whole, or as the events of a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from providers.catalog import Provider
from tests.vendors.tool_rules import Calls, chat_calls, chat_deltas, message_blocks, offers_functions, searches

CITATIONS = ("https://example.com/one", "https://example.com/two")
COST_USD = 0.00123
_MARKS = [{"type": "url_citation", "url_citation": {"url": url, "title": "t"}} for url in CITATIONS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What is answered, in the project's own inclusive counts."""

    text: str
    thought: str = "Hm."
    finish: str = ""
    """The vendor's own word; empty: the one it ends a good answer with."""
    unfinished: bool = False
    refusal: str = ""
    calls: Calls = ()
    """Tools to call, if the request offers some and has no result yet."""
    counted: bool = True
    input_tokens: int = 100
    cached: int = 40
    written: int = 20
    visible: int = 30
    reasoning: int = 12


def answer(row: Provider, path: str, body: dict[str, Any], reply: Reply, failed: object = None) -> bytes | list[bytes]:
    """The bytes of the answer, or the events of its stream; `failed` is a failure inside a 200."""
    if reply.calls:
        reply = replace(reply, calls=reply.calls if offers_functions(body) else ())
    if path.endswith("/messages"):
        return _messages(body, reply)
    if path.endswith("/responses"):
        return _responses(row, body, reply, failed)
    if "enerateContent" in path:
        return _gemini(path, body, reply)
    return _chat(row, body, reply, failed)


def _whole(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _event(value: object, name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + _whole(value) + b"\n\n"


def _pieces(text: str) -> list[str]:
    return [text[start : start + 5] for start in range(0, len(text), 5)]


def _chat(row: Provider, body: dict[str, Any], reply: Reply, failed: object) -> bytes | list[bytes]:
    searched = searches(body)
    usage = chat_usage(row.name, reply, searched=searched)
    finish = None if reply.unfinished else reply.finish or ("tool_calls" if reply.calls else "stop")
    head = {"id": "x1", "object": "chat.completion", "created": 1, "model": body["model"]}
    extra = {"copilot_usage": _credits()} if row.name == "copilot" else {}
    marks: dict[str, Any] = {}
    if searched and row.name == "groq":
        results = [{"url": url, "title": "t", "content": "c"} for url in CITATIONS]
        marks = {"executed_tools": [{"type": "browser_search", "index": 0, "search_results": {"results": results}}]}
    elif searched:
        marks = {"annotations": _MARKS}
    refused = {"refusal": reply.refusal} if reply.refusal else {}
    if not body.get("stream"):
        if failed is not None:
            return _whole(failed)
        content: Any = reply.text
        if row.name == "mistral":
            content = [{"type": "thinking", "thinking": [{"type": "text", "text": reply.thought}]}]
            content.append({"type": "text", "text": reply.text})
        if reply.calls:
            marks |= {"tool_calls": chat_calls(reply.calls, signed=row.name == "gemini")}
        message = {"role": "assistant", "content": content, **_thought(row.name, reply), **marks, **refused}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return _whole({**head, "choices": [choice], **({"usage": usage} if reply.counted else {}), **extra})
    return _chat_stream(row, body, reply, failed, finish=finish, usage=usage, extra=extra, marks={**marks, **refused})


def _chat_stream(
    row: Provider,
    body: dict[str, Any],
    reply: Reply,
    failed: object,
    *,
    finish: str | None,
    usage: dict[str, Any],
    extra: dict[str, Any],
    marks: dict[str, Any],
) -> list[bytes]:
    head = {"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: object) -> bytes:
        return _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

    noise = {"deepseek": b": keep-alive\n\n", "openrouter": b": OPENROUTER PROCESSING\n\n"}.get(row.name, b"\n")
    events = [noise, chunk({"role": "assistant", "content": "", **_thought(row.name, reply)})]
    events += [chunk({"content": piece}) for piece in _pieces(reply.text)]
    events += [chunk(delta) for delta in chat_deltas(reply.calls, signed=row.name == "gemini")]
    if failed is not None:
        return [*events, _event({**head, "choices": [], **_mapping(failed)}), b"data: [DONE]\n\n"]
    asked = (body.get("stream_options") or {}).get("include_usage") is True
    told = reply.counted and (asked or row.name in {"mistral", "gemini", "openrouter"})
    if row.name == "groq" and told:
        events.append(chunk(marks, finish, x_groq={"id": "r", "usage": usage}))
    elif row.name == "mistral":
        events.append(chunk({"content": "", **marks}, finish, **({"usage": usage} if told else {})))
    else:
        events.append(chunk(marks, finish))
        if told:
            events.append(_event({**head, "choices": [], "usage": usage, **extra}))
    return events if reply.unfinished else [*events, b"data: [DONE]\n\n"]


def _thought(name: str, reply: Reply) -> dict[str, Any]:
    if not reply.reasoning or name in {"openai", "grok", "mistral", "gemini", "groq"}:
        return {}
    field = {"openrouter": "reasoning", "copilot": "reasoning_text"}.get(name, "reasoning_content")
    return {field: reply.thought}


def chat_usage(name: str, reply: Reply, *, searched: bool) -> dict[str, Any]:
    """Usage in the vendor's own buckets, from our inclusive ones."""
    outside = name in {"grok", "gemini"}
    output = reply.visible if outside else reply.visible + reply.reasoning
    usage: dict[str, Any] = {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": output,
        "total_tokens": reply.input_tokens + reply.visible + reply.reasoning,
    }
    if name != "gemini":
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning}
    match name:
        case "deepseek":
            usage |= {"prompt_cache_hit_tokens": reply.cached}
            usage |= {"prompt_cache_miss_tokens": reply.input_tokens - reply.cached}
        case "openai" | "openrouter" | "kimi":
            usage["prompt_tokens_details"] = {"cached_tokens": reply.cached, "cache_write_tokens": reply.written}
        case _:
            usage["prompt_tokens_details"] = {"cached_tokens": reply.cached}
    if name == "openrouter":
        usage |= {"cost": COST_USD, "server_tool_use_details": {"web_search_requests": int(searched)}}
    if name == "grok":
        usage["cost_in_usd_ticks"] = round(COST_USD * 10_000_000_000)
    return usage


def _credits() -> dict[str, Any]:
    # 0.123 credits: 100 tokens at 0.00063 and 42 at 0.00142857... would not divide, so one kind bears it all.
    detail = {"token_type": "output", "batch_size": 1_000_000, "cost_per_batch": 3_000_000_000_000, "token_count": 41}
    return {"token_details": [detail]}


def _messages(body: dict[str, Any], reply: Reply) -> bytes | list[bytes]:
    usage = {
        "input_tokens": reply.input_tokens - reply.cached - reply.written,
        "cache_read_input_tokens": reply.cached,
        "cache_creation_input_tokens": reply.written,
        "output_tokens": reply.visible + reply.reasoning,
        "output_tokens_details": {"thinking_tokens": reply.reasoning},
    }
    searched = searches(body)
    if searched:
        usage["server_tool_use"] = {"web_search_requests": 1}
    finish = None if reply.unfinished else reply.finish or ("tool_use" if reply.calls else "end_turn")
    cites = [{"type": "web_search_result_location", "url": url, "title": "t"} for url in CITATIONS] if searched else []
    blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": reply.thought, "signature": "s"}]
    if searched:
        blocks.append({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}})
        blocks.append({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []})
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    if not body.get("stream"):
        if reply.text or not reply.calls:
            blocks.append({"type": "text", "text": reply.text, **({"citations": cites} if cites else {})})
        blocks += message_blocks(reply.calls)
        return _whole({**head, "content": blocks, "stop_reason": finish, **({"usage": usage} if reply.counted else {})})
    started = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events = [_event({"type": "message_start", "message": started}, "message_start"), _event({"type": "ping"}, "ping")]
    for index, block in enumerate([*blocks, {"type": "text", "text": ""}, *message_blocks(reply.calls)]):
        begun = block | {"input": {}} if block["type"] == "tool_use" else block
        events.append(_event({"type": "content_block_start", "index": index, "content_block": begun}))
        if block["type"] == "tool_use":
            parts = [{"type": "input_json_delta", "partial_json": one} for one in _pieces(json.dumps(block["input"]))]
            events += [_event({"type": "content_block_delta", "index": index, "delta": part}) for part in parts]
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(reply.text)]
            deltas += [{"type": "citations_delta", "citation": cite} for cite in cites]
            events += [_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        events.append(_event({"type": "content_block_stop", "index": index}))
    if reply.unfinished:
        return events
    told = {"output_tokens": usage["output_tokens"], "output_tokens_details": usage["output_tokens_details"]}
    events.append(_event({"type": "message_delta", "delta": {"stop_reason": finish}, "usage": told}, "message_delta"))
    return [*events, _event({"type": "message_stop"}, "message_stop")]


def _responses(row: Provider, body: dict[str, Any], reply: Reply, failed: object) -> bytes | list[bytes]:
    searched = searches(body)
    cached = "cache_read_input_tokens" if row.name == "perplexity" else "cached_tokens"
    usage: dict[str, Any] = {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {cached: reply.cached},
        "output_tokens": reply.visible + reply.reasoning,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning},
    }
    if row.name == "openai":
        usage["input_tokens_details"]["cache_write_tokens"] = reply.written
    if row.name == "grok":
        usage["cost_in_usd_ticks"] = round(COST_USD * 10_000_000_000)
    if row.name == "perplexity":
        usage["cost"] = {"currency": "USD", "total_cost": COST_USD}
        usage["tool_calls_details"] = {"search_web": {"invocation": int(searched)}}
    notes = [{"type": "url_citation", "url": url, "title": "t"} for url in CITATIONS] if searched else []
    part = {"type": "output_text", "text": reply.text, "annotations": notes}
    if reply.refusal:
        part = {"type": "refusal", "refusal": reply.refusal}
    output: list[dict[str, Any]] = [{"type": "reasoning", "summary": []}]
    if searched and row.name == "perplexity":
        output.append({"type": "search_results", "results": [{"url": url} for url in CITATIONS]})
    elif searched:
        output.append({"type": "web_search_call", "id": "w1", "status": "completed"})
    if reply.text or not reply.calls:
        output.append({"type": "message", "role": "assistant", "content": [part]})
    for number, (name, arguments) in enumerate(reply.calls):
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name}
        output.append({**call, "arguments": json.dumps(arguments)})
    whole: dict[str, Any] = {"id": "r1", "object": "response", "model": body["model"], "output": output}
    whole["status"] = "in_progress" if reply.unfinished else "completed"
    if reply.finish:
        whole |= {"status": "incomplete", "incomplete_details": {"reason": reply.finish}}
    whole |= {"usage": usage} if reply.counted else {}
    whole |= {"copilot_usage": _credits()} if row.name == "copilot" else {}
    whole |= _mapping(failed)
    if not body.get("stream"):
        return _whole(whole)
    events = [_event({"type": "response.created", "response": {"status": "in_progress"}})]
    events += [_event({"type": "response.output_text.delta", "delta": piece}) for piece in _pieces(reply.text)]
    if not reply.unfinished:
        events.append(_event({"type": f"response.{whole['status']}", "response": whole}))
    return events


def _gemini(path: str, body: dict[str, Any], reply: Reply) -> bytes | list[bytes]:
    usage = {
        "promptTokenCount": reply.input_tokens - 10,
        "toolUsePromptTokenCount": 10,
        "cachedContentTokenCount": reply.cached,
        "candidatesTokenCount": reply.visible,
        "thoughtsTokenCount": reply.reasoning,
    }
    grounding = {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": url}} for url in CITATIONS]}
    more = {"groundingMetadata": grounding} if searches(body) else {}
    model = path.split("/models/")[1].split(":", maxsplit=1)[0]
    finish = {} if reply.unfinished else {"finishReason": reply.finish or "STOP"}

    def piece(texts: list[dict[str, Any]], **last: object) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": texts}, **last}
        return {"candidates": [candidate], "modelVersion": model}

    thought = {"text": reply.thought, "thought": True}
    counted = {"usageMetadata": usage} if reply.counted else {}
    calls = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in reply.calls]
    if calls:
        calls[0]["thoughtSignature"] = "sig-1"  # type: ignore[assignment]
    if ":streamGenerateContent" not in path:
        return _whole({**piece([thought, {"text": reply.text}, *calls], **finish, **more), **counted})
    events = [_event(piece([thought]))]
    events += [_event(piece([{"text": said}])) for said in _pieces(reply.text)]
    events += [_event(piece([call])) for call in calls]
    return [*events, _event({**piece([{"text": ""}], **finish, **more), **counted})]


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
