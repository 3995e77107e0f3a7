"""How long a host waits for the server, and what it weighs, against the SDK's own server with one tool.

Each is started as a host does: spawned, sent `initialize`, and timed until the answer is read. The two take turns in
one run, so that a busy machine is busy for both. Run it with `make bench`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from subprocess import PIPE
from tempfile import TemporaryDirectory
from time import perf_counter

RUNS = 15
"""Of each, after one of each that is not counted."""

BARE = """
import anyio
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

async def list_tools(ctx, params):
    return ListToolsResult(tools=[Tool(name="echo", input_schema={"type": "object"})])

async def call_tool(ctx, params):
    return CallToolResult(content=[TextContent(type="text", text="")])

async def main():
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}


def main() -> None:
    """Print medians and their ratio."""
    script = Path(sys.executable).with_name("mcp-llm-router")
    ours = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "mcp_router"]
    bare = [sys.executable, "-P", "-c", BARE]
    times: dict[str, list[tuple[float, float]]] = {"mcp-llm-router": [], "bare SDK server": []}
    with TemporaryDirectory() as home:
        for _ in range(RUNS + 1):
            for name, command in zip(times, (ours, bare), strict=True):
                times[name].append(started(command, home))
    print(f"spawn to `initialize` answered, {RUNS} runs of each, taking turns")
    medians = [shown(name, runs[1:]) for name, runs in times.items()]
    print(f"ratio             {medians[0] / medians[1]:.2f}")


def started(command: Sequence[str], home: str) -> tuple[float, float]:
    """Start a server and return milliseconds until it answered, and megabytes it then held."""
    environ = {"HOME": home, "PATH": os.environ["PATH"]}
    began = perf_counter()
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, env=environ, cwd=home) as process:
        if process.stdin is None or process.stdout is None:
            sys.exit("no pipes")
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        took = perf_counter() - began
        held = resident_megabytes(process.pid)
        process.stdin.close()
        process.wait(30)
    if "result" not in answer:
        sys.exit(f"{command[0]}: {answer}")
    return took * 1_000, held


def resident_megabytes(pid: int) -> float:
    """Read a process's resident set where the system shows it; 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1_024


def shown(name: str, runs: Sequence[tuple[float, float]]) -> float:
    """Print one server's line and return its median time."""
    times = [took for took, _ in runs]
    low, _, high = quantiles(times, n=4)
    held = median(megabytes for _, megabytes in runs)
    print(f"{name:17} {median(times):6.0f} ms (quartiles {low:.0f}-{high:.0f}), {held:.1f} MB resident")
    return median(times)


main()
