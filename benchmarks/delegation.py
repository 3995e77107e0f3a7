"""What delegating files costs: an agent's tokens, time, memory and money, and what a kill leaves to be done.

`python -P benchmarks/delegation.py [--files 500] [--delay-ms 50]` prints Markdown. The server runs as hosts run it, a
process over stdio; the vendor is a server on loopback that waits as long as told, answers with a note, and counts and
caches tokens as vendors do. Tokens are counted by `rs-bpe` (o200k_base) in what really went to and fro.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent

ROOT = Path(__file__).parents[1]
NOTED = 40
LUNA = {"use_case": "summarization", "complexity": "medium", "budget_tier": "standard", "model": "openai:gpt-6-luna"}
HAIKU = LUNA | {"model": "claude:claude-haiku-5-5", "budget_tier": "enterprise"}
PROMPT = "Summarize this module in five sentences: what it is for, what it offers, and what a change must mind."

_BPE: Any = import_module("rs_bpe.bpe")  # it ships no types
_TOKENIZER = _BPE.openai.o200k_base()
NOTE = (
    "This module keeps one responsibility and says so in its first line. It offers a handful of functions that take "
    "frozen data and hand back frozen data, so callers can run them concurrently. Failures are reported by an "
    "error that names the file, the number and what to do next. Its helpers follow the function that calls them, and "
    "nothing in it knows a vendor by name. Changes must keep in mind that its results are written to the ledger: an "
    "amount that is unknown stays unknown, and is never counted as nothing."
)
_CHARS_A_TOKEN = 4


@dataclass(kw_only=True, slots=True)
class Notes:
    """Where the vendor is, how it behaves, and what it was asked."""

    url: str
    delay_ms: float
    note: str = NOTE
    requests: int = 0
    input_tokens: int = 0
    read_tokens: int = 0
    caches: bool = True
    _known: set[str] = field(default_factory=set[str])

    def forget(self, *, caches: bool) -> None:
        """Reset the counts, with a cache or without."""
        self.requests = self.input_tokens = self.read_tokens = 0
        self.caches = caches
        self._known.clear()

    def answer(self, path: str, body: dict[str, Any]) -> bytes:
        """Answer in the dialect of the path."""
        self.requests += 1
        if path.endswith("/messages"):
            return json.dumps(self._messages(body)).encode()
        counted = len(json.dumps(body["messages"])) // _CHARS_A_TOKEN
        self.input_tokens += counted
        return json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.note}}
                ],
                "usage": {"prompt_tokens": counted, "completion_tokens": len(self.note) // _CHARS_A_TOKEN},
            }
        ).encode()

    def _messages(self, body: dict[str, Any]) -> dict[str, Any]:
        """https://platform.claude.com/docs/en/build-with-claude/prompt-caching: a prefix is known once answered."""
        system = body.get("system")
        marked = json.dumps(system) if isinstance(system, list) else ""
        whole = len(json.dumps(system)) + len(json.dumps(body["messages"]))
        prefix = len(marked) // _CHARS_A_TOKEN if self.caches and "cache_control" in marked else 0
        known = marked in self._known
        self._known.add(marked)
        counted = whole // _CHARS_A_TOKEN
        self.input_tokens += counted
        self.read_tokens += prefix if known else 0
        return {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": self.note}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": counted - prefix,
                "cache_read_input_tokens": prefix if known else 0,
                "cache_creation_input_tokens": 0 if known else prefix,
                "output_tokens": len(self.note) // _CHARS_A_TOKEN,
            },
        }

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection, request after request."""
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            try:
                while True:
                    await self._exchange(stream, buffered)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _exchange(self, stream: SocketStream, buffered: BufferedByteReceiveStream) -> None:
        head = (await buffered.receive_until(b"\r\n\r\n", 65_536)).decode("latin-1")
        line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
        body = json.loads(await buffered.receive_exactly(int(headers.get("content-length", "0"))) or b"{}")
        content = self.answer(line.split(" ")[1], body)
        await anyio.sleep(self.delay_ms / 1_000)
        told = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        await stream.send(told.encode() + content)


@asynccontextmanager
async def upstream(delay_ms: float) -> AsyncGenerator[Notes]:
    """Serve on a port that is free."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    notes = Notes(url=f"http://127.0.0.1:{port}", delay_ms=delay_ms)
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, notes.serve)
        yield notes
        serving.cancel_scope.cancel()


@dataclass(kw_only=True, slots=True)
class Bill:
    """What passed through an agent's context."""

    written: int = 0
    read: int = 0
    calls: int = 0

    def wrote(self, value: object) -> None:
        """Count what the agent writes: dear output tokens."""
        self.written += tokens(value)

    def saw(self, value: object) -> None:
        """Count what it reads: input tokens, carried through the rest of its session."""
        self.read += tokens(value)


@dataclass(kw_only=True, slots=True)
class Server:
    """A server as a process, and a client connected to it."""

    client: Client
    pid: int

    async def call(self, arguments: Mapping[str, object], bill: Bill | None = None) -> dict[str, Any]:
        """Call `generate` and count what the agent writes and reads for it."""
        result = await self.client.call_tool("generate", dict(arguments))
        (block,) = result.content
        if result.is_error or not isinstance(block, TextContent):
            sys.exit(f"generate: {result.content}")
        if bill is not None:
            bill.calls += 1
            bill.wrote({"name": "generate", "arguments": arguments})
            bill.saw(block.text)
        return json.loads(block.text)

    def peak_mb(self) -> float:
        """Return the peak memory in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1_024


@asynccontextmanager
async def server(home: Path, notes: Notes) -> AsyncGenerator[Server]:
    """Start the server in a folder, as a host does."""
    script = str(Path(sys.executable).with_name("mcp-llm-router"))
    environ = {
        "HOME": str(home / "user"),
        "MCP_ROUTER_DATABASE_URL": f"sqlite:///{home}/ledger.sqlite3",
        "OPENAI_API_KEY": "benchmark",
        "OPENAI_BASE_URL": f"{notes.url}/v1",
        "ANTHROPIC_API_KEY": "benchmark",
        "CLAUDE_BASE_URL": notes.url,
        "PATH": os.environ["PATH"],
    }
    started = StdioServerParameters(command="sh", args=["-c", f'echo $$ > pid; exec "{script}"'], env=environ, cwd=home)
    async with Client(started) as client:
        await client.list_tools()
        yield Server(client=client, pid=int((home / "pid").read_text()))


def tokens(value: object) -> int:
    """Count a text's tokens, or those of a value as compact JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(_TOKENIZER.encode(text))


def modules(home: Path) -> list[str]:
    """Put modules of this project into a folder, as files to be summarized."""
    chosen = sorted((ROOT / "mcp_router").glob("*.py"), key=lambda path: (-path.stat().st_size, path.name))[:NOTED]
    (home / "src").mkdir()
    for path in chosen:
        shutil.copy(path, home / "src" / path.name)
    return [f"src/{path.name}" for path in chosen]


async def agents_tokens(home: Path, notes: Notes) -> None:
    """Have modules summarized into notes in three ways, and count what each costs the agent."""
    names = modules(home)
    bills = {"pasting, reading answers": Bill(), "files and save_to, call by call": Bill(), "per_file": Bill()}
    pasting, by_name, per_file = bills.values()
    async with server(home, notes) as running:
        for name in names:
            content = (home / name).read_text("utf-8")
            pasting.saw(content)
            answer = await running.call(LUNA | {"prompt": f"{PROMPT}\n\n{content}"}, pasting)
            pasting.wrote({"name": "Write", "arguments": {"path": f"notes/{name}.md", "content": answer["text"]}})
        for name in names:
            await running.call(LUNA | {"prompt": PROMPT, "files": [name], "save_to": f"notes/{name}.md"}, by_name)
        asked = {"prompt": PROMPT, "files": ["src/*.py"], "per_file": True, "save_to": "notes"}
        answer = await running.call(LUNA | asked, per_file)
    print(f"\n## {NOTED} modules of this project summarized into {NOTED} notes\n")
    print(f"{answer['answered']} notes of {tokens(notes.note)} tokens each. Tokens in the agent's context:\n")
    print("| how | calls | written by the agent | read by the agent | together | of pasting |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    whole = pasting.written + pasting.read
    for how, bill in bills.items():
        both = bill.written + bill.read
        print(f"| {how} | {bill.calls} | {bill.written:,} | {bill.read:,} | {both:,} | {both / whole:.2%} |")
    print("\nPasting: the agent reads each file, writes it into a call, reads the answer, and writes the note.")


async def many(home: Path, notes: Notes, count: int) -> None:
    """Have many files summarized in one call, then again with a kill in the middle."""
    names = modules(home)
    for number in range(count):
        target = home / "many" / f"{number:04}.py"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(home / names[number % len(names)], target)
    asked = LUNA | {"prompt": PROMPT, "files": ["many/*.py"], "per_file": True}
    print(f"\n## {count} files in one call, a vendor that takes {notes.delay_ms:.0f} ms\n")
    print("| run | seconds | answered | asked of the vendor | USD | peak memory, MB | result, tokens |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    async with server(home, notes) as running:
        idle = running.peak_mb()
        await _row("straight through", running, notes, asked | {"save_to": "whole"})
    asked |= {"save_to": "halves"}
    notes.requests = 0
    began = anyio.current_time()
    try:
        async with server(home, notes) as running:
            await _killed_at(count // 2, running, notes, asked)
    except* (MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    done = len(list((home / "halves").rglob("*.md")))
    took = anyio.current_time() - began
    print(f"| killed with SIGKILL | {took:.1f} | {done} on disk | {notes.requests} | | | |")
    async with server(home, notes) as running:
        await _row("resumed", running, notes, asked | {"resume": True})
    print(f"\nThe server held {idle:.0f} MB before. Each file except those in flight at the kill is requested once.")


async def _row(what: str, running: Server, notes: Notes, asked: Mapping[str, object]) -> None:
    notes.requests = 0
    bill = Bill()
    began = anyio.current_time()
    answer = await running.call(asked, bill)
    took = anyio.current_time() - began
    print(
        f"| {what} | {took:.1f} | {answer['answered']} | {notes.requests} | {answer['cost_usd']:.6f} "
        f"| {running.peak_mb():.0f} | {bill.read} |"
    )


async def _killed_at(count: int, running: Server, notes: Notes, asked: Mapping[str, object]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(running.call, asked)
        while notes.requests < count:  # noqa: ASYNC110 - the vendor counts and has no event to wait for
            await anyio.sleep(0.005)
        os.kill(running.pid, signal.SIGKILL)
        group.cancel_scope.cancel()


async def caching(home: Path, notes: Notes) -> None:
    """Ask for many files with one long system text, of a vendor that caches and of one that does not."""
    modules(home)
    rules = (ROOT / "docs" / "routing.md").read_text("utf-8")
    asked = HAIKU | {"prompt": PROMPT, "system": rules, "files": ["src/*.py"], "per_file": True}
    costs: dict[str, tuple[float, int, int]] = {}
    for caches in (False, True):
        notes.forget(caches=caches)
        async with server(home, notes) as running:
            answer = await running.call(asked | {"save_to": f"cached-{caches}"})
        costs["cached" if caches else "not cached"] = (answer["cost_usd"], notes.input_tokens, notes.read_tokens)
    print(f"\n## {NOTED} files under one system text of {tokens(rules):,} tokens, claude-haiku-5-5\n")
    print("| prefix | USD | input tokens | of them read from the cache |")
    print("| --- | ---: | ---: | ---: |")
    for what, (usd, given, read) in costs.items():
        print(f"| {what} | {usd:.4f} | {given:,} | {read:,} |")
    print(f"\nCaching takes {1 - costs['cached'][0] / costs['not cached'][0]:.0%} off the cost.")


async def measure(count: int, delay_ms: float) -> None:
    """Measure it all."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    parts: list[Callable[[Path, Notes], Any]] = [
        agents_tokens,
        lambda home, notes: many(home, notes, count),
        caching,
    ]
    async with upstream(delay_ms) as notes:
        for part in parts:
            with TemporaryDirectory() as home:
                await part(Path(home), notes)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--delay-ms", type=float, default=50)
    chosen = parser.parse_args()
    anyio.run(measure, chosen.files, chosen.delay_ms)


if __name__ == "__main__":
    main()
