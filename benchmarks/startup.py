"""How long a host waits for the server, and what it weighs, against the SDK's own server with one tool.

`python -P benchmarks/startup.py`. Each is started as a host does: spawned, sent `initialize`, and timed until the
answer is read. They take turns in one run, so that a busy machine is busy for all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from subprocess import PIPE
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter

from benchmarks import peers
from benchmarks.findings import Finding, machine

RUNS, PEERS_RUNS = 15, 3
"""Of each, after one of each that is not counted."""
SDKS = ("anthropic", "groq", "mistralai", "openai", "xllamacpp")

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
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}


def servers(*, alone: bool = False) -> dict[str, Sequence[str]]:
    """Return the commands by name: the bare server, ours, and the peer unless `alone`."""
    script = Path(sys.executable).with_name("mcp-llm-router")
    chosen: dict[str, Sequence[str]] = {
        "a bare SDK server": [sys.executable, "-P", "-c", BARE],
        "**ours**": [str(script)] if script.exists() else [sys.executable, "-P", "-m", "mcp_router"],
    }
    if not alone and peers.there("llm-router"):
        chosen["claude-code-llm-router"] = [str(peers.COMMANDS["llm-router"])]
    return chosen


def measure(runs: int = RUNS, *, alone: bool = False) -> Finding:
    """Start them in turns; `alone`: without the peer."""
    chosen = servers(alone=alone)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for number in range(runs + 1):
            for name, command in chosen.items():
                if name in ("a bare SDK server", "**ours**") or number <= PEERS_RUNS:
                    found[name].append(started(command, home))
        loaded = sdks_loaded(chosen["**ours**"], home)
    bare, ours, *_ = (_medians(had[1:]) for had in found.values())
    rows = [_row(name, had[1:], bare) for name, had in found.items()]
    return Finding(
        title="Start-up",
        about=(
            f"From spawning the server to the answer to `initialize`, {runs} times, and the memory it then holds. "
            f"Vendors' SDKs that ours has loaded by then: {', '.join(loaded) or 'none'}."
        ),
        columns=("", "median ms", "quartiles", "ratio", "MB resident", "ratio"),
        rows=rows,
        numbers={
            "startup.bare_ms": bare[0],
            "startup.ours_ms": ours[0],
            "startup.bare_mb": bare[1],
            "startup.ours_mb": ours[1],
            "startup.sdks": len(loaded),
        }
        | ({"startup.llm_router_ms": _medians(found["claude-code-llm-router"][1:])[0]} if len(chosen) > 2 else {}),
    )


def started(command: Sequence[str], home: str) -> tuple[float, float]:
    """Start a server and return milliseconds until it answered, and megabytes it then held."""
    environ = {"HOME": home, "PATH": os.environ["PATH"]}
    began = perf_counter()
    with subprocess.Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, env=environ, cwd=home
    ) as process:
        answer = initialized(process)
        took = perf_counter() - began
        held = resident_megabytes(process.pid)
        process.terminate()
    if "result" not in answer:
        sys.exit(f"{command[0]}: {answer}")
    return took * 1_000, held


def initialized(process: subprocess.Popen[bytes]) -> dict[str, object]:
    """Send `initialize` and return the answer."""
    if process.stdin is None or process.stdout is None:
        sys.exit("no pipes")
    process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline() or b"{}")


def sdks_loaded(command: Sequence[str], home: str) -> list[str]:
    """Return the vendors' SDKs that a server has imported by the time it has answered."""
    environ = {"HOME": home, "PATH": os.environ["PATH"], "PYTHONPROFILEIMPORTTIME": "1"}
    with TemporaryFile() as told:
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=told, env=environ, cwd=home) as process:
            initialized(process)
            process.terminate()
        told.seek(0)
        imported = set(re.findall(r"\|\s+(\w+)$", told.read().decode(), re.MULTILINE))
    if "mcp_router" not in imported:
        sys.exit("the interpreter does not tell what it imports")
    return [sdk for sdk in SDKS if sdk in imported]


def resident_megabytes(pid: int) -> float:
    """Read a process's resident set where the system shows it; 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1_024


def _medians(runs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return median(took for took, _ in runs), median(held for _, held in runs)


def _row(name: str, runs: Sequence[tuple[float, float]], bare: tuple[float, float]) -> list[str]:
    took, held = _medians(runs)
    low, _, high = quantiles((took for took, _ in runs), n=4)
    weighed = f"{held / bare[1]:.2f}" if bare[1] else "-"
    return [name, f"{took:.0f}", f"{low:.0f} to {high:.0f}", f"{took / bare[0]:.2f}", f"{held:.0f}", weighed]


def main() -> None:
    """Measure and print."""
    print(f"{machine()}\n\n{measure().markdown()}")


if __name__ == "__main__":
    main()
