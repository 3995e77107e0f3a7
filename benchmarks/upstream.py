"""A model's server as fast as can be: it reads a request, waits as long as told, and sends the same answer.

`python -P benchmarks/upstream.py` prints its address and serves until its standard input ends. A path may begin with
`/delay/MS`, and then with `/status/CODE` (a refusal; 429 with `retry-after: 30`), `/cut` (the connection is closed
before an answer) or `/silent` (no answer ever). `/as/NAME/...` behaves as the last `/set/NAME/...` said, and `/log`
tells, once, who was asked and who failed since, in seconds on this process's clock.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_521_600,
    "model": "gpt-6-luna",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "bug"}}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
}
MESSAGES = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5",
    "content": [{"type": "text", "text": "bug"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "output_tokens": 1},
}
REFUSAL = {"error": {"message": "refused for the benchmark", "type": "error", "code": "refused"}}
EVENT_STREAM: tuple[dict[str, object], ...] = (
    {
        **CHAT,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "bug"}}],
    },
    {**CHAT, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)


MANNERS: dict[str, list[str]] = {}
LOG: list[tuple[str, str, float]] = []


async def serve(stream: SocketStream) -> None:
    """Answer one connection, request after request."""
    async with stream:
        buffered = BufferedByteReceiveStream(stream)
        try:
            while await _exchange(stream, buffered):
                pass
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


async def _exchange(stream: SocketStream, buffered: BufferedByteReceiveStream) -> bool:
    head = (await buffered.receive_until(b"\r\n\r\n", 65_536)).decode("latin-1")
    line, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
    content = await buffered.receive_exactly(int(headers.get("content-length", "0")))
    steps = line.split(" ")[1].split("/")[1:]
    name = ""
    if steps[0] == "as":
        name, steps = steps[1], [*MANNERS.get(steps[1], []), *steps[2:]]
        LOG.append((name, "asked", perf_counter()))
    if steps[0] in {"set", "log"}:
        await _write(stream, 200, json.dumps(_ordered(steps)).encode())
        return True
    if steps[0] == "delay":
        await anyio.sleep(float(steps[1]) / 1_000)
        steps = steps[2:]
    if steps[0] in {"cut", "status"}:
        LOG.append((name, "failed", perf_counter()))
    if steps[0] == "cut":
        return False
    if steps[0] == "silent":
        await buffered.receive(1)
    if steps[0] == "status":
        later = "retry-after: 30\r\n" if steps[1] == "429" else ""
        await _write(stream, int(steps[1]), json.dumps(REFUSAL).encode(), later)
        return True
    if steps[-1] == "messages":
        await _write(stream, 200, json.dumps(MESSAGES).encode())
    elif json.loads(content or b"{}").get("stream"):
        await _write(stream, 200, _events(), kind="text/event-stream")
    else:
        await _write(stream, 200, json.dumps(CHAT).encode())
    return True


def _ordered(steps: list[str]) -> list[tuple[str, str, float]]:
    if steps[0] == "set":
        MANNERS[steps[1]] = [step for step in steps[2:] if step]
        return []
    told = LOG.copy()
    LOG.clear()
    return told


def _events() -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENT_STREAM) + b"data: [DONE]\n\n"


async def _write(
    stream: SocketStream, status: int, content: bytes, more: str = "", *, kind: str = "application/json"
) -> None:
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{more}\r\n"
    await stream.send(head.encode() + content)


async def main() -> None:
    """Serve until standard input ends."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    print(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", flush=True)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, serve)
        await anyio.to_thread.run_sync(sys.stdin.read)
        serving.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
