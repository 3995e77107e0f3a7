"""How long a call takes to reach the next model once the first has failed, for each way to fail.

`python -P benchmarks/fallback.py`. The upstream's own clock tells: from the failure it handed out to the next model's
request. A silent model has not failed before its time is up, so that one second is taken off.
"""

from __future__ import annotations

import json
from statistics import median
from urllib.request import urlopen

from benchmarks import peers
from benchmarks.findings import Finding, machine
from benchmarks.probes import Contender, DiedError, Probe, started, upstream

MANNERS = {
    "401": "status/401",
    "404": "status/404",
    "410": "status/410",
    "429, Retry-After 30": "status/429",
    "500": "status/500",
    "connection cut": "cut",
    "silent": "silent",
}
SILENCE = 1.0
"""Seconds until a silent model counts as failed, for everybody."""
TIMES, PEERS_TIMES = 15, 2
GAVE_UP = float("inf")
PATIENCE_MS = 10_000
"""How long a probe waits for one call."""


def contenders() -> list[Contender]:
    """Ours and the peers that fall back; each asks the second where the first fails."""
    return [
        Contender(name="**ours**", key="ours", probe=("ours", "brief")),
        Contender(name="LiteLLM Router", key="litellm_router", probe=("litellm_router", "brief"), peer="litellm"),
        Contender(
            name="pydantic-ai FallbackModel", key="pydantic_ai", probe=("pydantic_ai", "brief"), peer="pydantic-ai"
        ),
    ]


def measure(times: int = TIMES, *, alone: bool = False) -> Finding:
    """Let each fail in every way; `alone`: without peers."""
    chosen = [one for one in contenders() if one.takes_part(alone=alone)]
    rows: list[list[str]] = []
    numbers: dict[str, float] = {}
    with upstream() as address:
        for one in chosen:
            gaps = {
                how: _gaps_ms(one, address, manner, PEERS_TIMES if one.peer else times)
                for how, manner in MANNERS.items()
            }
            had = {how: median(later) for how, (_, *later) in gaps.items()}
            if not one.peer:
                rows.append([f"{one.name}, the first time", *(_shown(first) for first, *_ in gaps.values())])
            rows.append([one.name, *(_shown(value) for value in had.values())])
            numbers |= {f"fallback.{one.key}.{how}_ms": value for how, value in had.items()}
            numbers[f"fallback.{one.key}_ms"] = max(had.values())
    return Finding(
        title="Falling back",
        about=(
            f"Milliseconds from a failure until the next request, medians of {times} "
            f"(peers: {PEERS_TIMES}) after a first time."
        ),
        columns=("", *MANNERS),
        rows=rows,
        numbers=numbers,
    )


def _gaps_ms(one: Contender, address: str, manner: str, times: int) -> list[float]:
    _told(address, "set/first/")
    with started(one, f"{address}/as/first/v1,{address}/as/second/v1") as probe:
        try:
            probe.told("one 3")
            _told(address, f"set/first/{manner}")
            return [_gap_ms(probe, address) for _ in range(times + 1)]
        except DiedError:
            return [GAVE_UP, GAVE_UP]


def _gap_ms(probe: Probe, address: str) -> float:
    """Have the first fail once, and tell how long the second was not asked."""
    probe.told("forget 0")
    _told(address, "log")
    probe.told("brief 1")
    log = _told(address, "log")
    asked = next((at for name, what, at in log if name == "second" and what == "asked"), GAVE_UP)
    failed = next((at for name, what, at in log if name == "first" and what == "failed"), None)
    if failed is None:
        failed = next((at + SILENCE for name, what, at in log if name == "first" and what == "asked"), GAVE_UP)
    return 1_000 * (asked - failed) if GAVE_UP not in (asked, failed) else GAVE_UP


def _told(address: str, order: str) -> list[tuple[str, str, float]]:
    with urlopen(f"{address}/{order}") as answer:  # noqa: S310 - our own upstream
        return json.load(answer)


def _shown(milliseconds: float) -> str:
    if milliseconds == GAVE_UP:
        return f"over {PATIENCE_MS:,}"
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def main() -> None:
    """Measure and print."""
    print(f"{machine()}\n")
    print(measure().markdown())
    print("\n".join(note for note in peers.missing() if "portkey" not in note))


if __name__ == "__main__":
    main()
