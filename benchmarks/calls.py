"""What a call costs beyond the vendor's own SDK: ours and its peers, in one run, taking turns.

`python -P benchmarks/calls.py [--rounds 20] [--quick]`. Peers whose environment `benchmarks/peers.py` has made take
part; it is said who is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from benchmarks import peers
from benchmarks.findings import Finding, machine
from benchmarks.probes import HERE, Contender, Probe, started, upstream

AT_ONCE = 32
SLOW_MS = 50
NAMED = {"use_case": "classification", "complexity": "simple", "budget_tier": "economy", "model": "openai:gpt-6-luna"}


@dataclass(kw_only=True, slots=True)
class Measured:
    """What was found."""

    each_ms: list[float] = field(default_factory=list[float])
    all_ms: list[float] = field(default_factory=list[float])
    pings_ms: list[float] = field(default_factory=list[float])


def contenders() -> list[Contender]:
    """Ours, the floors they stand on, and the peers."""
    bare = (sys.executable, str(HERE / "bare.py"), "ask", "{}")
    command = str(Path(sys.executable).with_name("mcp-llm-router"))
    peer = (str(peers.COMMANDS["llm-router"]), "llm_query", '{"model":"openai/gpt-4o-mini"}')
    ours, over = "**ours, in the process", "**ours, over stdio"
    return [
        Contender(name="httpx", key="httpx", probe=("httpx",)),
        Contender(name="openai SDK", key="openai", probe=("openai",)),
        Contender(name=f"{ours}, everything named**", key="ours", probe=("ours", "named")),
        Contender(name=f"{ours}, everything inferred**", key="inferred", probe=("ours",)),
        Contender(name="LiteLLM SDK", key="litellm", probe=("litellm",), peer="litellm"),
        Contender(name="LiteLLM Router", key="litellm_router", probe=("litellm_router",), peer="litellm"),
        Contender(name="pydantic-ai FallbackModel", key="pydantic_ai", probe=("pydantic_ai",), peer="pydantic-ai"),
        Contender(name="a bare SDK server over stdio, same call", key="bare", probe=("mcp", *bare), server=True),
        Contender(
            name=f"{over}, everything named**",
            key="stdio",
            probe=("mcp", command, "generate", json.dumps(NAMED)),
            server=True,
        ),
        Contender(
            name=f"{over}, everything inferred**",
            key="stdio_inferred",
            probe=("mcp", command, "generate", "{}"),
            server=True,
        ),
        Contender(
            name="claude-code-llm-router over stdio",
            key="llm_router",
            probe=("mcp", *peer),
            peer="llm-router",
            server=True,
            every=10,
        ),
    ]


def measure(rounds: int, *, alone: bool = False) -> list[Finding]:
    """Measure at two speeds of the upstream; `alone`: without peers."""
    chosen = [one for one in contenders() if one.takes_part(alone=alone)]
    found: list[Finding] = []
    with upstream() as address:
        for delay_ms, turn in ((0, 25), (SLOW_MS, 3)):
            url = f"{address}/delay/{delay_ms}/v1" if delay_ms else f"{address}/v1"
            found.append(_finding(_measured(chosen, url, rounds, turn), delay_ms, chosen, rounds * turn))
    return found


def _measured(chosen: Sequence[Contender], url: str, rounds: int, turn: int) -> dict[str, Measured]:
    """Let them take turns, so that a busy machine is busy for all."""
    found = {one.key: Measured() for one in chosen}
    with ExitStack() as stack:
        running = [(one, _warm(stack.enter_context(started(one, url)), turn)) for one in chosen]
        for number in range(rounds):
            for one, probe in running:
                if number % one.every == 0:
                    found[one.key].each_ms += probe.told(f"one {turn}")["each_ms"]
        for number in range(max(3, rounds // 2)):
            for one, probe in running:
                if number % one.every == 0:
                    found[one.key].all_ms.append(probe.told(f"many {AT_ONCE}")["all_ms"])
                    if one.server:
                        found[one.key].pings_ms += probe.told(f"ping {AT_ONCE}")["pings_ms"]
    return found


def _warm(probe: Probe, turn: int) -> Probe:
    probe.told(f"one {turn}")
    probe.told(f"many {AT_ONCE}")
    return probe


def _finding(found: dict[str, Measured], delay_ms: int, chosen: Sequence[Contender], calls: int) -> Finding:
    base = median(found["openai"].each_ms)
    rows: list[list[str]] = []
    numbers: dict[str, float] = {}
    for one in chosen:
        had = found[one.key]
        middle, together = median(had.each_ms), median(had.all_ms)
        numbers |= {f"{one.key}_ms": middle, f"{one.key}_{AT_ONCE}_ms": together}
        pings = "-"
        if had.pings_ms:
            numbers[f"{one.key}_ping_ms"] = median(had.pings_ms)
            pings = f"{median(had.pings_ms):.0f} ({max(had.pings_ms):.0f})"
        late = quantiles(had.each_ms, n=20)[18]
        rows.append(
            [
                one.name,
                f"{middle:.2f}",
                f"{late:.2f}",
                f"{middle - base:+.2f}",
                f"{middle / base:.2f}",
                f"{together:.0f}",
                pings,
            ]
        )
    return Finding(
        title=f"A call, an upstream that answers after {delay_ms} ms",
        about=f"{calls} calls each, one after the other, added to the openai SDK's own; then {AT_ONCE} at once.",
        columns=(
            "",
            "median ms",
            "p95 ms",
            "added ms",
            "ratio",
            f"{AT_ONCE} at once, ms",
            "concurrent ping (most), ms",
        ),
        rows=rows,
        numbers={f"calls_{delay_ms}.{key}": value for key, value in numbers.items()},
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each contender, 25 calls a turn")
    parser.add_argument("--quick", action="store_true", help="few turns: a look, not a measurement")
    given = parser.parse_args()
    print(f"{machine()}\n")
    for finding in measure(4 if given.quick else given.rounds):
        print(f"{finding.markdown()}\n")
    print("\n".join(peers.missing()))


if __name__ == "__main__":
    main()
