"""Load over HTTP: this server beside LiteLLM's proxy and Portkey's gateway, each before the same upstream.

`python -P benchmarks/load.py [--seconds 4] [--turns 2] [--concurrency 1,32,256] [--delay-ms 0]`. All take turns, each
with its default of one worker process, and receive the same request: one short prompt, one model, no stream. This
server records every call and holds its cost against a budget, as always. Peers whose environment `benchmarks/peers.py`
has made take part; the others are named.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from benchmarks import peers
from benchmarks.findings import Finding, machine
from benchmarks.gateways import Target, targets
from benchmarks.probes import upstream


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a load showed."""

    seconds: Sequence[float]
    """Of every call that was answered."""
    failed: int
    took: float
    megabytes: float
    cpu_seconds: float
    """What the server worked for it; tells on a busy machine too."""

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of a core for one call."""
        return self.cpu_seconds * 1_000 / len(self.seconds) if self.seconds else float("nan")

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How it is measured."""

    seconds: float = 4.0
    turns: int = 2
    concurrency: Sequence[int] = (1, 32, 256)
    delay_ms: int = 0


async def measure(load: Load) -> Finding:
    """Start who there is, load them in turns."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, upstream() as address:
        async with targets(Path(folder), address, load.delay_ms) as found:
            return _finding(found, await _measured(found, load), load)


async def _measured(chosen: Sequence[Target], load: Load) -> dict[tuple[str, int], Measured]:
    for target in chosen:
        await _checked(target)
        await _load(target, 8, 1.0)
    found: dict[tuple[str, int], Measured] = {}
    for number in load.concurrency:
        runs: dict[str, list[Measured]] = {}
        for _ in range(load.turns):
            for target in chosen:
                runs.setdefault(target.name, []).append(await _load(target, number, load.seconds))
        found |= {(name, number): _together(of) for name, of in runs.items()}
    return found


def _together(runs: Sequence[Measured]) -> Measured:
    return Measured(
        seconds=[one for run in runs for one in run.seconds],
        failed=sum(run.failed for run in runs),
        took=sum(run.took for run in runs),
        megabytes=max(run.megabytes for run in runs),
        cpu_seconds=sum(run.cpu_seconds for run in runs),
    )


async def _checked(target: Target) -> None:
    """Refuse to measure a server that does not return the upstream's text."""
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

    pid = target.process.pid if target.process else None
    worked = _cpu_seconds(pid)
    async with anyio.create_task_group() as callers:
        for _ in range(number):
            callers.start_soon(caller)
    elapsed = time.perf_counter() - began
    return Measured(
        seconds=took,
        failed=len(failed),
        took=elapsed,
        megabytes=_megabytes(pid) if pid else float("nan"),
        cpu_seconds=_cpu_seconds(pid) - worked,
    )


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


def _cpu_seconds(pid: int | None) -> float:
    """Return the processor seconds of a process and its children, if the system shows them."""
    total = float("nan")
    for one in [pid, *_children(pid)] if pid else []:
        with suppress(OSError):
            *_, user, system = Path(f"/proc/{one}/stat").read_text("utf-8").rpartition(")")[2].split()[:13]
            total = (0.0 if isnan(total) else total) + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return total


def _megabytes(pid: int) -> float:
    """Return the memory of a process and its children, if the system shows it."""
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


def _finding(chosen: Sequence[Target], results: Mapping[tuple[str, int], Measured], load: Load) -> Finding:
    """Put it into a table; ratios are to our plain endpoint."""
    rows: list[list[str]] = []
    numbers: dict[str, float] = {}
    for number in load.concurrency:
        alone, ours = results[chosen[0].name, number], results[chosen[1].name, number]
        for target in chosen:
            one = results[target.name, number]
            added = one.median_ms - alone.median_ms
            row = [f"{number}: {target.name}", f"{one.per_second:.0f}", f"{one.per_second / ours.per_second:.2f}"]
            row += [f"{one.median_ms:.1f}", f"{added:.1f}", f"{added / (ours.median_ms - alone.median_ms):.2f}"]
            row += [f"{one.p99_ms:.1f}", str(one.failed), f"{one.megabytes:.0f}"]
            row += [f"{one.cpu_ms:.1f}", f"{one.cpu_ms / ours.cpu_ms:.2f}"]
            rows.append(["-" if cell == "nan" else cell for cell in row])
            numbers |= {
                f"load_{number}.{target.key}_per_second": one.per_second,
                f"load_{number}.{target.key}_added_ms": added,
                f"load_{number}.{target.key}_p99_ms": one.p99_ms,
                f"load_{number}.{target.key}_cpu_ms": one.cpu_ms,
            }
    return Finding(
        title="Over HTTP",
        about=(
            f"So many calls at once; the upstream takes {load.delay_ms} ms; {load.turns} turns of {load.seconds:g} s "
            "each; the cores are shared by load, servers and upstream. Added: the median less the upstream's own. "
            "Ratios: to ours."
        ),
        columns=(
            "at once",
            "calls/s",
            "ratio",
            "median ms",
            "added ms",
            "ratio",
            "p99 ms",
            "failed",
            "MB",
            "CPU ms",
            "ratio",
        ),
        rows=rows,
        numbers=numbers,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, each (default 4)")
    parser.add_argument("--turns", type=int, default=2, help="each is loaded so many times (default 2)")
    parser.add_argument("--concurrency", default="1,32,256", help="calls at once (default 1,32,256)")
    parser.add_argument("--delay-ms", type=int, default=0, help="what the upstream takes to answer (default 0)")
    given = parser.parse_args()
    load = Load(
        seconds=given.seconds,
        turns=given.turns,
        concurrency=tuple(map(int, given.concurrency.split(","))),
        delay_ms=given.delay_ms,
    )
    print(f"{machine()}\n\n{anyio.run(measure, load).markdown()}")
    print("\n".join(peers.missing()))


if __name__ == "__main__":
    main()
