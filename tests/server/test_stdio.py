"""The server over its own pipes: what a host can send, and how the process ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_router.server.json_lines import parse_line
from tests.support.front import environment
from tests.vendors import Vendors, vendor_server

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
CALL = {"name": "generate", "arguments": {"prompt": "Say hello.", "use_case": "conversation", "model": "groq"}}
ANSWERED_WITH_AN_ERROR: dict[str, tuple[bytes, object]] = {
    "no jsonrpc": (b'{"id": 1, "method": "ping"}', 1),
    "id is null": (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', None),
    "id is a boolean": (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', None),
    "cut off": (b'{"jsonrpc": "2.0", "id": 2, "method": "pi', 2),
    "deep": (
        b'{"jsonrpc":"2.0","params":{"id":9,"a":' + b"[" * 9_000 + b"]" * 9_000 + b'},"id":"q","method":"x"}',
        "q",
    ),
    "long id": (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b', "method": "ping"}', None),
    "control character": (b'{"jsonrpc": "2.0", "id": 3, "method": "x", "params": {"a": "\x01"}}', 3),
    "params are a list": (b'{"jsonrpc": "2.0", "id": 4, "method": "x", "params": []}', 4),
    "batch": (b'[{"jsonrpc": "2.0", "id": 5, "method": "ping"}]', 5),
    "not JSON": (b"hello", None),
    "UTF-16": ('{"jsonrpc": "2.0"}'.encode("utf-16"), None),
}
SERVED = {
    "half an emoji": b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "\\ud83d"}}',
    "byte order mark": b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "x"}\r',
    "long number": b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": ' + b"9" * 5_000 + b"}}",
    "invalid UTF-8": b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "\xff"}}',
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def test_invalid_line_is_answered_with_an_error_and_its_id() -> None:
    answers = {name: parse_line(line) for name, (line, _) in ANSWERED_WITH_AN_ERROR.items()}

    wrong = [
        name
        for name, answer in answers.items()
        if not isinstance(answer, tuple) or [one.id for one in answer] != [ANSWERED_WITH_AN_ERROR[name][1]]
    ]
    assert wrong == []


def test_unusual_line_is_served() -> None:
    assert [name for name, line in SERVED.items() if getattr(parse_line(line), "id", None) != 1] == []


class Server:
    """The command as a subprocess."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        config = folder / "config.toml"
        config.write_text(
            f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n[providers.embedded]\nenabled = false\n'
        )
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mcp_router", "--config", str(config)],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def request(self, number: int, method: str, params: dict[str, Any]) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode())

    async def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(await anyio.to_thread.run_sync(self.process.stdout.readline))

    async def greet(self) -> None:
        self.request(1, "initialize", HELLO)
        await self.read()
        self.send(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')

    async def wait(self) -> tuple[int, bytes]:
        assert self.process.stdout is not None
        rest = await anyio.to_thread.run_sync(self.process.stdout.read)
        code = await anyio.to_thread.run_sync(self.process.wait)
        self.process.stdout.close()
        self.process.stdin.close()  # type: ignore[union-attr]
        return code, rest


def read_outcomes(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as ledger:
        assert ledger.execute("SELECT COUNT(*) FROM holds").fetchone() == (0,)
        return ledger.execute("SELECT outcome, cost_source FROM attempts").fetchall()


async def test_every_line_is_answered_and_the_connection_goes_on(tmp_path: Path, vendors: Vendors) -> None:
    server = Server(tmp_path, environment(vendors, "groq"))
    await server.greet()
    with anyio.fail_after(60):
        for line, expected in ANSWERED_WITH_AN_ERROR.values():
            server.send(line)
            answer = await server.read()
            assert (answer["id"], "error" in answer) == (expected, True)
        server.request(7, "tools/call", {**CALL, "arguments": json.dumps(CALL["arguments"])})
        assert (await server.read())["result"]["structuredContent"]["text"] == "Hello from groq."
        server.process.stdin.close()  # type: ignore[union-attr]
        await server.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_signal_settles_calls_in_flight_and_ends_the_process(
    tmp_path: Path, vendors: Vendors, number: signal.Signals
) -> None:
    vendors.delay("groq", 30)
    server = Server(tmp_path, environment(vendors, "groq"))
    await server.greet()
    server.request(2, "tools/call", CALL)
    with anyio.fail_after(30):
        while not vendors.requests("groq"):
            await anyio.sleep(0.01)
        server.process.send_signal(number)
        code, _ = await server.wait()

    assert code == 0
    assert read_outcomes(tmp_path) == [("cancelled", "bound")]


async def test_no_response_is_written_after_the_end_of_the_input(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    server = Server(tmp_path, environment(vendors, "groq"))
    await server.greet()
    server.request(2, "tools/call", CALL)
    with anyio.fail_after(30):
        while not vendors.requests("groq"):
            await anyio.sleep(0.01)
        server.process.stdin.close()  # type: ignore[union-attr]
        code, rest = await server.wait()

    assert (code, b'"id":2' in rest) == (0, False)
    assert read_outcomes(tmp_path) == [("cancelled", "bound")]
