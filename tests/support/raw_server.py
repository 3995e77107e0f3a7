"""A stdio server as a process of its own, spoken to line by line: for tests that kill it."""

from __future__ import annotations

import itertools
import json
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import Process

PROGRAM = Path(sys.executable).with_name("mcp-llm-router")
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
_numbers = itertools.count(1)


class RawServer:
    """One process, and the 2026-07-28 requests that it gets."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._rest = b""

    async def ask(self, method: str, capabilities: Mapping[str, Any] = TASKS, **params: Any) -> dict[str, Any]:
        """Send a request, and return the whole response."""
        number = next(_numbers)
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        }
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(request).encode() + b"\n")
        while True:
            response = json.loads(await self._line())
            if response.get("id") == number:
                return response

    async def result(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request that is expected to be answered."""
        response = await self.ask(method, **params)
        assert "result" in response, response
        return response["result"]

    async def ended(self, task_id: str, seconds: float = 30) -> dict[str, Any]:
        """Poll a task until it has ended."""
        with anyio.fail_after(seconds):
            while (state := await self.result("tasks/get", taskId=task_id))["status"] in {"working", "input_required"}:
                await anyio.sleep(0.05)
        return state

    async def hang_up(self) -> int:
        """Close the server's input, as a host does that ends."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        with anyio.fail_after(10):
            return await self.process.wait()

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def _line(self) -> bytes:
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            self._rest += await self.process.stdout.receive()
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@asynccontextmanager
async def raw_server(config: Path, folder: Path, environ: Mapping[str, str]) -> AsyncGenerator[RawServer]:
    """Start a server in a folder; it is killed at the end if it still runs."""
    command = [str(PROGRAM), "serve", "--config", str(config)]
    process = await anyio.open_process(command, cwd=folder, env=dict(environ), stdin=PIPE, stdout=PIPE, stderr=None)
    try:
        yield RawServer(process)
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
