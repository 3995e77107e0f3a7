"""A model without a mind on loopback, in three vendors' dialects: it calls the tool it was told to, and stops."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]


@dataclass(kw_only=True)
class Script:
    """What the model does, and what it saw."""

    tool: str
    """How the tool's name ends."""
    arguments: Json
    subagent: str = ""
    """To whom the work is handed first, where the client has subagents."""
    port: int = 0
    results: list[str] = field(default_factory=list[str])
    """What came back from the tool, as the model was shown it."""
    offered: set[str] = field(default_factory=set[str])
    """Every tool it was ever offered."""
    searched: list[str] = field(default_factory=list[str])
    """Tools that it had to look for first."""
    paths: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def scripted(script: Script) -> Generator[Script]:
    """Serve a script on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body: Json = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            script.paths.append(self.path)
            events = _events(script, self.path, body)
            kind = "text/event-stream" if body.get("stream") or "alt=sse" in self.path else "application/json"
            self._send("".join(events).encode(), kind)

        def do_GET(self) -> None:
            self._send(b'{"object":"list","data":[],"models":[]}', "application/json")

        def do_HEAD(self) -> None:
            self._send(b"", "application/json")

        def _send(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.port = server.server_port
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()


def _events(script: Script, path: str, body: Json) -> Iterator[str]:
    if "/messages/count_tokens" in path:
        return iter(['{"input_tokens": 10}'])
    if "/messages" in path:
        return _anthropic(script, body)
    if "/responses" in path:
        return _openai(script, body)
    if "enerateContent" in path:
        return _gemini(script, path, body)
    return iter(["{}"])


def _named(script: Script, names: list[str]) -> str | None:
    script.offered.update(names)
    return next((name for name in names if _is_ours(script, name)), None)


def _is_ours(script: Script, name: str) -> bool:
    """Clients put the server's name before the tool's, each in its own way."""
    return "router" in name and name.endswith(script.tool)


def _anthropic(script: Script, body: Json) -> Iterator[str]:
    """https://platform.claude.com/docs/en/build-with-claude/streaming"""
    names = [tool["name"] for tool in body.get("tools", [])]
    target = _named(script, names)
    called = {block["id"]: block["name"] for block in _blocks(body, "assistant") if block.get("type") == "tool_use"}
    for block in _blocks(body, "user"):
        if block.get("type") == "tool_result" and _is_ours(script, called.get(block["tool_use_id"], "")):
            script.results.append(json.dumps(block["content"]))
    handed = {"Agent", "Task"} & set(called.values())
    if script.results or handed or not names:
        return said("Done.", body)
    if script.subagent and not called and (hand := next((name for name in names if name in ("Agent", "Task")), "")):
        script.searched.append(hand)
        return used(hand, {"description": "bulk", "prompt": "Go.", "subagent_type": script.subagent}, body)
    if target is None and "ToolSearch" in names and not called:
        script.searched.append(script.tool)
        return used("ToolSearch", {"query": f"select:mcp__llm-router__{script.tool}"}, body)
    if target is None and not called:
        return said("There is no such tool.", body)
    return used(target or f"mcp__llm-router__{script.tool}", script.arguments, body)


def _blocks(body: Json, role: str) -> Iterator[Json]:
    for message in body.get("messages", []):
        if message["role"] == role and isinstance(message["content"], list):
            yield from message["content"]


def said(text: str, body: Json) -> Iterator[str]:
    block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
    return _message(block, delta, "end_turn", body)


def used(tool: str, arguments: Json, body: Json) -> Iterator[str]:
    block = {"type": "tool_use", "id": f"toolu_{len(body['messages'])}", "name": tool, "input": {}}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
    return _message(block, delta, "tool_use", body)


def _message(block: Json, delta: Json, reason: str, body: Json) -> Iterator[str]:
    usage = {"input_tokens": 10, "output_tokens": 5}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": body["model"]}
    start |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    if not body.get("stream"):
        yield json.dumps(start | {"content": [{"type": "text", "text": "Done."}], "stop_reason": "end_turn"})
        return
    for event in (
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _openai(script: Script, body: Json) -> Iterator[str]:
    """https://developers.openai.com/api/reference/resources/responses/streaming-events"""
    tools: list[Json] = body.get("tools", [])
    inner = [(tool["name"], one["name"]) for tool in tools if tool["type"] == "namespace" for one in tool["tools"]]
    named = [("", tool["name"]) for tool in tools if tool["type"] == "function"] + inner
    target = _named(script, [f"{space}{name}" for space, name in named])
    outputs = [item for item in body["input"] if item.get("type") == "function_call_output"]
    script.results += [json.dumps(item["output"]) for item in outputs]
    if target is None or outputs:
        item: Json = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": "Done.", "annotations": []}]
    else:
        space, name = next(pair for pair in named if "".join(pair) == target)
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed", "name": name}
        item |= {"arguments": json.dumps(script.arguments)} | ({"namespace": space} if space else {})
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "model": body["model"]}
    response["usage"] = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    for event in (
        {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _gemini(script: Script, path: str, body: Json) -> Iterator[str]:
    """https://ai.google.dev/api/generate-content"""
    declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
    target = _named(script, [one["name"] for one in declared])
    answers = [
        part["functionResponse"] for turn in body["contents"] for part in turn["parts"] if "functionResponse" in part
    ]
    script.results += [json.dumps(answer["response"]) for answer in answers]
    part: Json = {"text": "Done."}
    if target is not None and not answers:
        part = {"functionCall": {"name": target, "args": script.arguments}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    answer = json.dumps({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"})
    yield f"data: {answer}\n\n" if "alt=sse" in path else answer
