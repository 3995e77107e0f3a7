"""What a call costs beyond the vendor's own SDK: ours and its peers, in one run, taking turns.

`python -P benchmarks/calls.py [--peers FOLDER] [--rounds 20] [--quick]`. FOLDER holds the environments that
`python -P benchmarks/peers.py FOLDER` makes; those that are missing are left out, and it is said so. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

HERE = Path(__file__).parent
AT_ONCE = 32
NAMED = {"use_case": "classification", "complexity": "simple", "budget_tier": "economy", "model": "openai:gpt-6-luna"}
BASE = "openai SDK"
SERVER_BASE = "MCP server of the SDK's own, one tool, same call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """What is measured, and how its probe is started."""

    name: str
    probe: tuple[str, ...]
    peer: str = ""
    """The environment it lives in; empty for ours."""
    server: bool = False


@dataclass(kw_only=True, slots=True)
class Measured:
    """What was found."""

    each_ms: list[float] = field(default_factory=list[float])
    all_ms: list[float] = field(default_factory=list[float])
    pings_ms: list[float] = field(default_factory=list[float])


def contenders(peers: Path | None) -> list[Contender]:
    """Ours, the floors they stand on, and the peers."""
    beside = Path(sys.executable).parent
    bare = (sys.executable, str(HERE / "bare.py"), "ask", "{}")
    command, named = str(beside / "mcp-llm-router"), json.dumps(NAMED)
    peer = (str((peers or Path()) / "llm-router" / "bin" / "llm-router"), "llm_query", '{"model":"openai/gpt-4o-mini"}')
    return [
        Contender(name="httpx", probe=("httpx",)),
        Contender(name=BASE, probe=("openai",)),
        Contender(name="**ours, in the process, everything named**", probe=("ours", "named")),
        Contender(name="**ours, in the process, everything inferred**", probe=("ours",)),
        Contender(name="LiteLLM SDK", probe=("litellm",), peer="litellm"),
        Contender(name="LiteLLM Router", probe=("litellm_router",), peer="litellm"),
        Contender(name="pydantic-ai FallbackModel", probe=("pydantic_ai",), peer="pydantic-ai"),
        Contender(name=SERVER_BASE, probe=("mcp", *bare), server=True),
        Contender(
            name="**our server over stdio, everything named**", probe=("mcp", command, "generate", named), server=True
        ),
        Contender(
            name="**our server over stdio, everything inferred**", probe=("mcp", command, "generate", "{}"), server=True
        ),
        Contender(name="claude-code-llm-router over stdio", probe=("mcp", *peer), peer="llm-router", server=True),
    ]


def main() -> None:
    """Measure at two speeds of the upstream and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=None, help="folder with the peers' environments")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each contender, 25 calls a turn")
    parser.add_argument("--quick", action="store_true", help="few turns: a look, not a measurement")
    arguments = parser.parse_args()
    rounds = 4 if arguments.quick else arguments.rounds
    chosen = [one for one in contenders(arguments.peers) if _there(one, arguments.peers)]
    print(f"{_machine()}; {rounds} turns each\n")
    with upstream() as address:
        for delay, turn in ((0, 25), (50, 3)):
            found = measured(
                chosen, f"{address}/delay/{delay}/v1" if delay else f"{address}/v1", rounds, turn, arguments
            )
            shown(found, delay, chosen, rounds * turn)


def _there(one: Contender, peers: Path | None) -> bool:
    if one.peer and (peers is None or not (peers / one.peer).is_dir()):
        print(f"left out: {one.name} (no environment {one.peer!r}: benchmarks/peers.py makes it, --peers names it)")
        return False
    return True


def _machine() -> str:
    day = datetime.now(UTC).date()
    return f"{day}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


@contextmanager
def upstream() -> Generator[str]:
    """The models' server, in a process of its own."""
    with Popen([sys.executable, str(HERE / "upstream.py")], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - asked for
        yield process.stdout.readline().strip()
        process.terminate()


@contextmanager
def started(one: Contender, url: str, peers: Path | None) -> Generator[Popen[str]]:
    """A contender's probe, warm."""
    inside = one.peer and not one.server and peers
    python = str(peers / one.peer / "bin" / "python") if peers and inside else sys.executable
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
    command = [python, "-P", str(HERE / "probe.py"), one.probe[0], url, *one.probe[1:]]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True, env=environ) as process:
        told(process, one, "one 30")
        told(process, one, f"many {AT_ONCE}")
        yield process
        process.terminate()


def told(process: Popen[str], one: Contender, order: str) -> dict[str, Any]:
    """Give an order and wait for its answer."""
    assert process.stdin is not None  # noqa: S101 - asked for
    assert process.stdout is not None  # noqa: S101 - asked for
    process.stdin.write(order + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{one.name} died: run its probe by hand to see why: {one.probe}")
    return json.loads(line)


def measured(
    chosen: Sequence[Contender], url: str, rounds: int, turn: int, arguments: argparse.Namespace
) -> dict[str, Measured]:
    """Let them take turns, so that a busy machine is busy for all."""
    found = {one.name: Measured() for one in chosen}
    with ExitStack() as stack:
        running = [(one, stack.enter_context(started(one, url, arguments.peers))) for one in chosen]
        for _ in range(rounds):
            for one, process in running:
                found[one.name].each_ms += told(process, one, f"one {turn}")["each_ms"]
        for _ in range(max(3, rounds // 2)):
            for one, process in running:
                found[one.name].all_ms.append(told(process, one, f"many {AT_ONCE}")["all_ms"])
                if one.server:
                    found[one.name].pings_ms += told(process, one, f"ping {AT_ONCE}")["pings_ms"]
    return found


def shown(found: dict[str, Measured], delay: int, chosen: Sequence[Contender], calls: int) -> None:
    """Print one table."""
    print(f"Upstream answers after {delay} ms; {calls} calls each, one after the other; then {AT_ONCE} at once.\n")
    print(f"| | median ms | p95 ms | added ms | ratio | {AT_ONCE} at once, ms | ping meanwhile, ms (most) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    base = median(found[BASE].each_ms)
    for one in chosen:
        had = found[one.name]
        middle = median(had.each_ms)
        pings = f"{median(had.pings_ms):.0f} ({max(had.pings_ms):.0f})" if had.pings_ms else "-"
        print(
            f"| {one.name} | {middle:.2f} | {quantiles(had.each_ms, n=20)[18]:.2f} | {middle - base:+.2f} "
            f"| {middle / base:.2f} | {median(had.all_ms):.0f} | {pings} |"
        )
    print()


if __name__ == "__main__":
    main()
