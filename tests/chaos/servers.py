"""Our server as a process, over stdio and over HTTP: called, listened to, killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.chaos.ground import Ground
from tests.chaos.upstream import BACKUP, OWN, VENDORS, Vendor
from tests.support.site import until

Json = dict[str, Any]
TIMEOUT_SECONDS = 30
"""For one attempt, where no part says otherwise: a busy machine shall not be taken for a broken promise."""
PATIENCE_SECONDS = 120
"""No call of the run may take longer."""
_LONGEST_LINE = 50_000_000
_ADDRESS = re.compile(rb"dashboard at (http://[\d.:]+)/")
_USE_CASES = (
    "classification",
    "code_generation",
    "conversation",
    "summarization",
    "analysis",
    "long_context",
    "expert_tasks",
)


class GoneError(Exception):
    """The server ended before it answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What came back from a tool."""

    error: bool
    text: str
    """All of it, as it came."""
    answer: Json = field(default_factory=dict[str, Any])


def routed() -> dict[str, str]:
    """The use case whose table has a vendor first, with the backup behind it."""
    return dict(zip((vendor.name for vendor in VENDORS), _USE_CASES, strict=True))


def configured(
    ground: Ground,
    room: Path,
    *,
    budget: str = "",
    ledger: Path | None = None,
    timeout: float = TIMEOUT_SECONDS,
    learning: bool = True,
) -> Path:
    """Write a configuration that points everybody at the fake vendors."""
    lines = [f'database_url = "sqlite:///{ledger or room / "ledger.sqlite3"}"', f"deadline_s = {3 * timeout}"]
    lines += [f'allowed_roots = ["{room}"]']
    lines += [] if learning else ["learn_from_outcomes = false"]
    lines += ["[budgets]", budget] if budget else []
    lines += ["[providers.embedded]", "enabled = false"]
    for vendor in (*VENDORS, BACKUP):
        lines += [f"[providers.{vendor.name}]", f'base_url = "{ground.upstream.url}{vendor.path}"']
        lines += [f'api_key_env = "{vendor.key}"', f"timeout_s = {timeout}"]
        if vendor.name in OWN:
            lines += [f'wire = "{OWN[vendor.name]}"']
            lines += [f'models = [{{name="{vendor.model}", context_window=100000, input_mtok=0.1, output_mtok=0.4}}]']
    for name, use_case in routed().items():
        model = next(vendor.model for vendor in VENDORS if vendor.name == name)
        lines += [f"[routes.{use_case}]", f'standard = ["{name}:{model}", "{BACKUP.name}:{BACKUP.model}"]']
    path = room / "config.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def environment(ground: Ground, room: Path, **more: str) -> dict[str, str]:
    """What a host hands on: little, and the keys."""
    return {"HOME": str(room), "PATH": "/usr/bin:/bin", **ground.keys, **more}


def command(config: Path, *words: str) -> list[str]:
    """How one of our commands is run."""
    return [sys.executable, "-P", "-m", "mcp_router", *words, "--config", str(config)]


@dataclass(kw_only=True)
class Stdio:
    """A server over stdio; every line that it writes is kept, and must be the protocol's."""

    process: Process
    lines: list[bytes] = field(default_factory=list[bytes])
    stray: list[bytes] = field(default_factory=list[bytes])
    """Lines that are no message."""
    _answers: dict[int, Json] = field(default_factory=dict[int, Json])
    _arrivals: dict[int, anyio.Event] = field(default_factory=dict[int, anyio.Event])
    _gone: bool = False
    _last: int = 0

    async def request(self, method: str, params: Json | None = None) -> Json:
        """Send a request and return the whole answer.

        Raises:
            GoneError: The server ended first.
        """
        self._last += 1
        number = self._last
        arrived = self._arrivals[number] = anyio.Event()
        try:
            await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise GoneError(method) from exc
        if self._gone:
            raise GoneError(method)
        with anyio.fail_after(PATIENCE_SECONDS):
            await arrived.wait()
        if number not in self._answers:
            raise GoneError(method)
        return self._answers.pop(number)

    async def call(self, tool: str, arguments: Json) -> Said:
        """Call a tool."""
        answer = await self.request("tools/call", {"name": tool, "arguments": arguments})
        if "error" in answer:
            raise AssertionError(f"{tool}: a protocol error: {answer['error']}")
        result = answer["result"]
        return Said(
            error=bool(result.get("isError")),
            text=result["content"][0]["text"],
            answer=result.get("structuredContent") or {},
        )

    async def send(self, message: Json) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(message).encode() + b"\n")

    async def listen(self) -> None:
        """Read until the server ends."""
        assert self.process.stdout is not None
        stream = BufferedByteReceiveStream(self.process.stdout)
        try:
            while True:
                self._heard(await stream.receive_until(b"\n", _LONGEST_LINE))
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._gone = True
        for arrived in self._arrivals.values():
            arrived.set()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def _heard(self, line: bytes) -> None:
        self.lines.append(line)
        try:
            message = json.loads(line)
        except ValueError:
            self.stray.append(line)
            return
        if (number := message.get("id")) in self._arrivals and "method" not in message:
            self._answers[number] = message
            self._arrivals.pop(number).set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """A server over HTTP."""

    process: Process
    url: str
    http: httpx.AsyncClient

    async def call(self, _tool: str, arguments: Json, *, stream: bool = False) -> Said:
        """Have `generate` run; with `stream` its text comes in pieces.

        Raises:
            GoneError: The server ended first.
        """
        try:
            reply = await self.http.post(
                "/api/llm/generate", json={**arguments, **({"stream": True} if stream else {})}
            )
        except httpx.TransportError as exc:
            raise GoneError("generate") from exc
        if reply.headers["content-type"].startswith("text/event-stream"):
            return _streamed(reply.text)
        answer = reply.json()
        return Said(error=reply.status_code != httpx.codes.OK, text=reply.text, answer=answer)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()


def _streamed(text: str) -> Said:
    events = [event.split("\n", 1) for event in text.split("\n\n") if event.startswith("event: ")]
    name, data = events[-1]
    return Said(error=name != "event: result", text=text, answer=json.loads(data.removeprefix("data: ")))


def asking(ground: Ground, vendor: Vendor, words: object) -> Json:
    """Arguments of a small call that one vendor is to answer."""
    return {
        "prompt": f"{ground.prompt} {words}",
        "model": f"{vendor.name}:{vendor.model}",
        "use_case": "conversation",
        "budget_tier": "standard",
        "complexity": "medium",
        "max_output_tokens": 64,
    }


async def warmed_up(ground: Ground, call: Callable[[str, Json], Awaitable[Said]]) -> set[str]:
    """Have every vendor's SDK loaded, so that what comes next is met by the call it is meant for; the calls' ids."""
    said = [await call("generate", asking(ground, vendor, "first")) for vendor in (*ground.vendors, BACKUP)]
    return {one.answer["call_id"] for one in said if not one.error}


@asynccontextmanager
async def stdio(
    ground: Ground, room: Path, config: Path, *, name: str = "stdio", more: Mapping[str, str] | None = None
) -> AsyncGenerator[Stdio]:
    """Start a server over stdio and greet it; when it is let go its lines are kept in the room."""
    with (room / f"{name}.stderr").open("ab") as stderr:
        process = await anyio.open_process(
            command(config, "serve"), stderr=stderr, env=environment(ground, room, **(more or {})), cwd=room
        )
    server = Stdio(process=process)
    try:
        async with anyio.create_task_group() as listening:
            listening.start_soon(server.listen)
            hello = {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "chaos", "version": "1"},
            }
            await server.request("initialize", hello)
            await server.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            yield server
            listening.cancel_scope.cancel()
    finally:
        with (room / f"{name}.stdout").open("ab") as stdout:
            stdout.writelines(line + b"\n" for line in server.lines)
        await _ended(process)


@asynccontextmanager
async def http(
    ground: Ground, room: Path, config: Path, *, name: str = "http", more: Mapping[str, str] | None = None
) -> AsyncGenerator[Http]:
    """Start a server over HTTP."""
    path = room / f"{name}.stderr"
    path.write_bytes(b"")
    with path.open("ab") as stderr, (room / f"{name}.stdout").open("ab") as stdout:
        process = await anyio.open_process(
            [*command(config, "serve"), "--transport=http", "--port=0"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment(ground, room, **(more or {})),
            cwd=room,
        )
    try:
        await until(lambda: _ADDRESS.search(path.read_bytes()) is not None, seconds=60)
        found = _ADDRESS.search(path.read_bytes())
        assert found is not None
        url = found[1].decode()
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            yield Http(process=process, url=url, http=client)
    finally:
        await _ended(process)


async def _ended(process: Process) -> None:
    """Ask it to stop, as hosts do; after a while it is made to."""
    with anyio.CancelScope(shield=True):
        with suppress(ProcessLookupError):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(20):
            await process.wait()
        with suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
        await process.aclose()
