"""Gateways over HTTP before the same upstream, each as it comes: with one worker process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from benchmarks import peers
from benchmarks.probes import HERE

MODEL = "gpt-6-luna"
PROMPT = "Classify as bug, feature or question: the export button does nothing."
KEY = "sk-benchmark-0123456789abcdef"
PATIENCE = 90.0
"""Seconds a server may take to start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A server under load."""

    name: str
    key: str
    """What its numbers are called."""
    port: int
    path: str
    body: dict[str, object]
    headers: tuple[tuple[str, str], ...] = ()
    process: Process | None = None

    @property
    def request(self) -> bytes:
        """One request as it goes over the wire."""
        content = json.dumps(self.body).encode()
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@asynccontextmanager
async def targets(folder: Path, address: str, delay_ms: int) -> AsyncGenerator[list[Target]]:
    """Start the servers before an upstream with this delay; the upstream itself comes first."""
    base = f"{address}/delay/{delay_ms}/v1"
    chat: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 16}
    bearer = ("Authorization", f"Bearer {KEY}")
    path = f"/delay/{delay_ms}/v1/chat/completions"
    alone = Target(
        name="upstream alone",
        key="upstream",
        port=int(address.rpartition(":")[2]),
        path=path,
        body=chat,
        headers=(bearer,),
    )
    processes: list[Process] = []

    async def gateway(name: str, key: str, command: list[str], *headers: tuple[str, str]) -> Target:
        port = await _started(command, folder, _QUIET, processes)
        where = "/v1/chat/completions"
        return Target(
            name=name, key=key, port=port, path=where, body=chat, headers=(bearer, *headers), process=processes[-1]
        )

    try:
        ours = await _started(_ours(folder), folder, {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": KEY}, processes)
        found = [alone, *_of_ours(ours, processes[-1])]
        if peers.there("litellm"):
            found.append(await gateway("LiteLLM's proxy", "litellm", _litellm(folder, base)))
        if peers.there("portkey"):
            named = (("x-portkey-provider", "openai"), ("x-portkey-custom-host", base))
            command = [str(peers.COMMANDS["portkey"]), "--headless", "--port={port}"]
            found.append(await gateway("Portkey's gateway", "portkey", command, *named))
        yield found
    finally:
        await _stopped(processes)


async def _stopped(processes: Sequence[Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()
        with anyio.move_on_after(15) as patience:
            await process.wait()
        if patience.cancelled_caught:
            process.kill()
        await process.aclose()


def _ours(folder: Path) -> list[str]:
    config = folder / "config.toml"
    ledger = folder / "ledger.sqlite3"
    config.write_text(f'database_url = "sqlite:///{ledger}"\n[budgets]\ndaily_usd = 1000\n', "utf-8")
    start = [sys.executable, "-P", "-m", "mcp_router", "serve", "--config", str(config)]
    return [*start, "--transport", "http", "--port", "{port}"]


def _of_ours(port: int, process: Process) -> list[Target]:
    arguments: dict[str, object] = {
        "prompt": PROMPT,
        "model": f"openai:{MODEL}",
        "use_case": "classification",
        "complexity": "simple",
    }
    arguments |= {"budget_tier": "standard"}
    call: dict[str, object] = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "generate", "arguments": arguments},
    }
    accept = ("Accept", "application/json, text/event-stream")
    version = ("MCP-Protocol-Version", "2025-06-18")
    return [
        Target(
            name="**ours, `/api/llm/generate`**",
            key="api",
            port=port,
            path="/api/llm/generate",
            body=arguments,
            process=process,
        ),
        Target(
            name="**ours, `/mcp`**",
            key="mcp",
            port=port,
            path="/mcp",
            body=call,
            headers=(accept, version),
            process=process,
        ),
    ]


_QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}


def _litellm(folder: Path, base: str) -> list[str]:
    config = folder / "litellm.yaml"
    said = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": base, "api_key": KEY},
            }
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }
    config.write_text(json.dumps(said), "utf-8")  # JSON is YAML
    return [str(peers.COMMANDS["litellm"]), "--config", str(config), "--host", "127.0.0.1", "--port", "{port}"]


async def _started(command: list[str], folder: Path, environ: dict[str, str], processes: list[Process]) -> int:
    """Start a server and return its port once it takes connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    log = (folder / f"{Path(command[0]).name}.log").open("w+b")
    process = await anyio.open_process(
        [part.format(port=port) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(HERE.parent), **environ},
    )
    processes.append(process)
    with anyio.move_on_after(PATIENCE):
        while process.returncode is None:
            with suppress(OSError):
                async with await anyio.connect_tcp("127.0.0.1", port):
                    return port
            await anyio.sleep(0.1)
    log.seek(0)
    sys.exit(f"{command[0]} did not start:\n{log.read()[-2_000:].decode('utf-8', 'replace')}")
