"""Load over HTTP: this server beside LiteLLM's proxy and Portkey's gateway, each before the same upstream.

`python benchmarks/http.py --litellm VENV/bin/litellm --portkey node_modules/.bin/gateway` measures all three in turns
and prints a table in Markdown; who is not named or not there is left out, and the table says so. All of them take their
default of one worker process. What is asked is the same: one short prompt, one model, no stream. This server writes
every call to its ledger and holds its cost against a budget meanwhile, as it always does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
from anyio.abc import Process, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

HERE = Path(__file__).parent
MODEL = "gpt-6-luna"
PROMPT = "Classify as bug, feature or question: the export button does nothing."
KEY = "sk-benchmark-0123456789abcdef"
PATIENCE = 90.0
"""Seconds a server may take to start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Somebody to load."""

    name: str
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a load showed."""

    seconds: Sequence[float]
    """Of every call that was answered."""
    failed: int
    took: float
    megabytes: float

    @property
    def median_ms(self) -> float:
        """Half of the calls took no longer."""
        return median(self.seconds) * 1_000 if self.seconds else float("nan")

    @property
    def p99_ms(self) -> float:
        """One in a hundred took longer."""
        return quantiles(self.seconds, n=100)[98] * 1_000 if len(self.seconds) > 1 else float("nan")

    @property
    def per_second(self) -> float:
        """How many were answered a second."""
        return len(self.seconds) / self.took


async def main() -> None:
    """Start who there is, load them in turns, print the table."""
    given = _arguments()
    with TemporaryDirectory() as folder:
        async with _upstream() as upstream:
            missing: list[str] = []
            async with _targets(given, Path(folder), upstream, missing) as targets:
                results = await _measured(targets, given)
        print(_table(targets, results, given, missing))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--litellm", metavar="FILE", help="LiteLLM's command, with its extra `proxy` installed")
    parser.add_argument("--portkey", metavar="FILE", help="Portkey's command `gateway`")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, each (default 4)")
    parser.add_argument("--turns", type=int, default=2, help="each is loaded so many times (default 2)")
    parser.add_argument("--concurrency", default="1,32,256", help="calls at once (default 1,32,256)")
    parser.add_argument("--delay-ms", type=int, default=0, help="what the upstream takes to answer (default 0)")
    return parser.parse_args()


@asynccontextmanager
async def _upstream() -> AsyncGenerator[str]:
    process = await anyio.open_process(
        [sys.executable, "-P", str(HERE / "upstream.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
    )
    async with process:
        if process.stdout is None or process.stdin is None:
            sys.exit("no pipes")
        url = (await process.stdout.receive()).decode().strip()
        yield url
        await process.stdin.aclose()


@asynccontextmanager
async def _targets(
    given: argparse.Namespace, folder: Path, upstream: str, missing: list[str]
) -> AsyncGenerator[list[Target]]:
    base = f"{upstream}/delay/{given.delay_ms}/v1"
    chat: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 16}
    bearer = ("Authorization", f"Bearer {KEY}")
    port = int(upstream.rpartition(":")[2])
    path = f"/delay/{given.delay_ms}/v1/chat/completions"
    targets = [Target(name="upstream alone", port=port, path=path, body=chat, headers=(bearer,))]
    processes: list[Process] = []
    try:
        ours = await _started(_ours(folder), folder, {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": KEY}, processes)
        targets += _of_ours(ours, processes[-1])
        if _there("LiteLLM's proxy", given.litellm, missing):
            port = await _started(_litellm(given.litellm, folder, base), folder, _LITELLM, processes)
            targets.append(
                Target(
                    name="LiteLLM's proxy",
                    port=port,
                    path="/v1/chat/completions",
                    body=chat,
                    headers=(bearer,),
                    process=processes[-1],
                )
            )
        if _there("Portkey's gateway", given.portkey, missing):
            port = await _started([given.portkey, "--headless", "--port={port}"], folder, {}, processes)
            headers = (bearer, ("x-portkey-provider", "openai"), ("x-portkey-custom-host", base))
            targets.append(
                Target(
                    name="Portkey's gateway",
                    port=port,
                    path="/v1/chat/completions",
                    body=chat,
                    headers=headers,
                    process=processes[-1],
                )
            )
        yield targets
    finally:
        for process in processes:
            process.terminate()
            with anyio.move_on_after(15) as patience:
                await process.wait()
            if patience.cancelled_caught:
                process.kill()
            await process.aclose()


def _there(name: str, command: str | None, missing: list[str]) -> bool:
    found = command is not None and shutil.which(command) is not None
    if not found:
        missing.append(f"{name} ({'not named' if command is None else f'{command}: not found'})")
    return found


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
            name="ours, `/api/llm/generate`",
            port=port,
            path="/api/llm/generate",
            body=arguments,
            process=process,
        ),
        Target(name="ours, `/mcp`", port=port, path="/mcp", body=call, headers=(accept, version), process=process),
    ]


_LITELLM = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}


def _litellm(command: str, folder: Path, base: str) -> list[str]:
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
    return [command, "--config", str(config), "--host", "127.0.0.1", "--port", "{port}"]


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


async def _measured(targets: Sequence[Target], given: argparse.Namespace) -> dict[tuple[str, int], Measured]:
    for target in targets:
        await _checked(target)
        await _load(target, 8, 1.0)
    found: dict[tuple[str, int], Measured] = {}
    for number in map(int, given.concurrency.split(",")):
        runs: dict[str, list[Measured]] = {}
        for _ in range(given.turns):
            for target in targets:
                runs.setdefault(target.name, []).append(await _load(target, number, given.seconds))
        found |= {(name, number): _together(of) for name, of in runs.items()}
    return found


def _together(runs: Sequence[Measured]) -> Measured:
    return Measured(
        seconds=[one for run in runs for one in run.seconds],
        failed=sum(run.failed for run in runs),
        took=sum(run.took for run in runs),
        megabytes=max(run.megabytes for run in runs),
    )


async def _checked(target: Target) -> None:
    """A server that answers anything but the upstream's text is not measured."""
    async with await anyio.connect_tcp("127.0.0.1", target.port) as stream:
        status, content = await _exchange(stream, BufferedByteReceiveStream(stream), target.request)
    if status != 200 or b"bug" not in content:
        sys.exit(f"{target.name} answered {status}: {content[:2_000].decode(errors='replace')}")


async def _load(target: Target, number: int, seconds: float) -> Measured:
    took: list[float] = []
    failed: list[int] = []
    began = time.perf_counter()

    async def caller() -> None:
        async with await anyio.connect_tcp("127.0.0.1", target.port) as stream:
            buffered = BufferedByteReceiveStream(stream)
            request = target.request
            while (start := time.perf_counter()) < began + seconds:
                status, _ = await _exchange(stream, buffered, request)
                if status == 200:
                    took.append(time.perf_counter() - start)
                else:
                    failed.append(status)

    async with anyio.create_task_group() as callers:
        for _ in range(number):
            callers.start_soon(caller)
    elapsed = time.perf_counter() - began
    megabytes = _megabytes(target.process.pid) if target.process else float("nan")
    return Measured(seconds=took, failed=len(failed), took=elapsed, megabytes=megabytes)


async def _exchange(stream: SocketStream, buffered: BufferedByteReceiveStream, request: bytes) -> tuple[int, bytes]:
    await stream.send(request)
    head = (await buffered.receive_until(b"\r\n\r\n", 65_536)).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        return status, await buffered.receive_exactly(length) if length else b""
    content = b""
    while size := int(await buffered.receive_until(b"\r\n", 64), 16):
        content += (await buffered.receive_exactly(size + 2))[:-2]
    await buffered.receive_exactly(2)
    return status, content


def _megabytes(pid: int) -> float:
    """What a process and its children hold, where the system shows it."""
    total = 0.0
    for one in [pid, *_children(pid)]:
        with suppress(OSError):
            lines = Path(f"/proc/{one}/status").read_text("utf-8").splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1_024
    return total or float("nan")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text("utf-8").split()):
                found += [child, *_children(child)]
    return found


def _table(
    targets: Sequence[Target],
    results: dict[tuple[str, int], Measured],
    given: argparse.Namespace,
    missing: Sequence[str],
) -> str:
    """Put it into Markdown; ratios are to our plain endpoint."""
    about = (
        f"Upstream takes {given.delay_ms} ms; {given.turns} turns of {given.seconds:g} s each; {os.cpu_count()} cores, "
        "shared by load, servers and upstream. Added: the median less the upstream's own. Ratios: to ours."
    )
    lines = [
        about,
        "",
        "| at once | server | calls/s | ratio | median ms | added ms | ratio | p99 ms | failed | MB |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for number in map(int, given.concurrency.split(",")):
        alone, ours = results[targets[0].name, number], results[targets[1].name, number]
        for target in targets:
            one = results[target.name, number]
            added = one.median_ms - alone.median_ms
            lines.append(
                f"| {number} | {target.name} | {one.per_second:.0f} | {one.per_second / ours.per_second:.2f} "
                f"| {one.median_ms:.2f} | {added:.2f} | {added / (ours.median_ms - alone.median_ms):.2f} "
                f"| {one.p99_ms:.1f} | {one.failed} | {one.megabytes:.0f} |".replace("nan", "-")
            )
    if missing:
        lines += ["", f"Not measured: {'; '.join(missing)}."]
    return "\n".join(lines)


if __name__ == "__main__":
    anyio.run(main)
