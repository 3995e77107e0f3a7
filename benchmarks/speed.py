"""Measures everything in one run and compares it with the goals.

`python -P benchmarks/speed.py` makes the peers' environments where they are missing, measures for about eight minutes
and prints Markdown, the goals last; `--json FILE` writes the numbers too, and `--write` puts all of it
into docs/speed.md. `--quick`, which `make bench` runs, leaves out the peers and the load over HTTP.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite
from pathlib import Path

import anyio

from benchmarks import calls, context, fallback, load, peers, startup
from benchmarks.findings import Finding, machine, table

ROOT = Path(__file__).parent.parent
Numbers = Mapping[str, float]
COLUMNS = ("", "ours", "beside", "ratio", "goal", "met")


def main() -> None:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in a minute: no peers, no load over HTTP")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/speed.md")
    given = parser.parse_args()
    if not given.quick:
        peers.main()
    about = machine()
    print(f"{about}\n", flush=True)
    findings: list[Finding] = []
    for finding in _quick() if given.quick else _whole():
        print(f"{finding.markdown()}\n", flush=True)
        findings.append(finding)
    numbers = {name: value for finding in findings for name, value in finding.numbers.items()}
    reached = f"Measured {about}.\n\n{table(COLUMNS, goals(numbers))}"
    print(f"### Goals\n\n{reached}")
    absent = [] if given.quick else peers.missing()
    print("\n".join(absent))
    if given.json:
        finite = {name: value if isfinite(value) else None for name, value in numbers.items()}
        given.json.write_text(json.dumps({"machine": about, "numbers": finite}, indent=2) + "\n", "utf-8")
    if given.write:
        details = [f"## {finding.markdown().removeprefix('### ')}" for finding in findings]
        _write(ROOT / "docs" / "speed.md", "\n\n".join([reached, *details, *absent]))


def _write(page: Path, measured: str) -> None:
    """Put what was measured between a page's two marks."""
    before, begin, rest = page.read_text("utf-8").partition("<!-- speed -->\n")
    _, end, after = rest.partition("<!-- end speed -->")
    page.write_text(f"{before}{begin}{measured}\n{end}{after}", "utf-8")


def _quick() -> Iterator[Finding]:
    yield startup.measure(runs=5, alone=True)
    yield anyio.run(partial(context.measure, alone=True))
    yield from calls.measure(rounds=4, alone=True)
    yield fallback.measure(times=5, alone=True)


def _whole() -> Iterator[Finding]:
    yield startup.measure()
    yield anyio.run(context.measure)
    yield from calls.measure(rounds=20)
    yield fallback.measure()
    yield anyio.run(load.measure, load.Load())


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """One of our numbers, a peer's, and the goal."""

    what: str
    ours: str
    beside: str = ""
    theirs: str = ""
    less: str = ""
    """A number taken off both: what the call costs without either."""
    unit: str = " ms"
    digits: int = 0
    at_most: float | None = None
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None

    def row(self, had: Numbers) -> list[str] | None:
        """Say how it stands; None where it was not measured."""
        if any(key and key not in had for key in (self.ours, self.theirs, self.less)):
            return None
        off = had[self.less] if self.less else 0.0
        ours, theirs = had[self.ours] - off, had[self.theirs] - off if self.theirs else None
        ratio = ours / theirs if theirs else None
        goal, met = self._goal(ours, ratio)
        beside = f"{self.beside}: {self._shown(theirs)}" if theirs is not None else ""
        return [self.what, self._shown(ours), beside, _ratio(ratio), goal, met]

    def _goal(self, ours: float, ratio: float | None) -> tuple[str, str]:
        if self.at_most is not None:
            return f"at most {self.at_most:,g}{self.unit}", _yes(ours <= self.at_most)
        if ratio is not None and self.ratio_at_most is not None:
            return f"ratio at most {self.ratio_at_most:g}", _yes(ratio <= self.ratio_at_most)
        if ratio is not None and self.ratio_at_least is not None:
            return f"ratio at least {self.ratio_at_least:g}", _yes(ratio >= self.ratio_at_least)
        return "", ""

    def _shown(self, value: float) -> str:
        return f"over {fallback.PATIENCE_MS:,}{self.unit}" if value == inf else f"{value:,.{self.digits}f}{self.unit}"


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 0 else "below 0"


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"


_ADDED = "added to a call by the vendor's SDK"
_OVER_STDIO = "a call over stdio"
_FALLBACK = "a failure until the next request, slowest of seven kinds"
_HTTP = "calls a second over HTTP, 32 at once"
GOALS = (
    Goal(
        what="start-up, until `initialize` is answered",
        ours="startup.ours_ms",
        beside="a bare SDK server",
        theirs="startup.bare_ms",
        ratio_at_most=1.15,
    ),
    Goal(what="the same", ours="startup.ours_ms", beside="claude-code-llm-router", theirs="startup.llm_router_ms"),
    Goal(
        what="memory then",
        ours="startup.ours_mb",
        beside="a bare SDK server",
        theirs="startup.bare_mb",
        unit=" MB",
        ratio_at_most=1.25,
    ),
    Goal(what="vendors' SDKs loaded then", ours="startup.sdks", unit="", at_most=0),
    Goal(what=_ADDED, ours="calls_0.ours_ms", less="calls_0.openai_ms", digits=2, at_most=1.5),
    Goal(
        what="the same, everything inferred",
        ours="calls_0.inferred_ms",
        less="calls_0.openai_ms",
        digits=2,
        at_most=1.5,
    ),
    *(
        Goal(
            what="the same, everything named",
            ours="calls_0.ours_ms",
            beside=name,
            theirs=f"calls_0.{key}_ms",
            less="calls_0.openai_ms",
            digits=2,
            ratio_at_most=1,
        )
        for name, key in (
            ("LiteLLM SDK", "litellm"),
            ("LiteLLM Router", "litellm_router"),
            ("pydantic-ai FallbackModel", "pydantic_ai"),
        )
    ),
    Goal(
        what=_OVER_STDIO,
        ours="calls_0.stdio_ms",
        beside="a bare SDK server, same call",
        theirs="calls_0.bare_ms",
        digits=2,
    ),
    Goal(
        what=_OVER_STDIO,
        ours="calls_0.stdio_ms",
        beside="claude-code-llm-router",
        theirs="calls_0.llm_router_ms",
        digits=2,
        ratio_at_most=1,
    ),
    Goal(
        what="32 calls at once over stdio, a model that takes 50 ms",
        ours="calls_50.stdio_32_ms",
        beside="a bare SDK server",
        theirs="calls_50.bare_32_ms",
        at_most=120,
    ),
    Goal(
        what="concurrent `ping`, median",
        ours="calls_50.stdio_ping_ms",
        beside="a bare SDK server",
        theirs="calls_50.bare_ping_ms",
        digits=1,
    ),
    Goal(what=_FALLBACK, ours="fallback.ours_ms", digits=1, at_most=50),
    Goal(
        what=_FALLBACK, ours="fallback.ours_ms", beside="LiteLLM Router", theirs="fallback.litellm_router_ms", digits=1
    ),
    Goal(
        what=_FALLBACK,
        ours="fallback.ours_ms",
        beside="pydantic-ai FallbackModel",
        theirs="fallback.pydantic_ai_ms",
        digits=1,
    ),
    Goal(
        what=_HTTP,
        ours="load_32.api_per_second",
        beside="LiteLLM's proxy",
        theirs="load_32.litellm_per_second",
        unit="",
        ratio_at_least=5,
    ),
    Goal(
        what=_HTTP,
        ours="load_32.api_per_second",
        beside="Portkey's gateway",
        theirs="load_32.portkey_per_second",
        unit="",
    ),
    Goal(
        what="a core's time for such a call",
        ours="load_32.api_cpu_ms",
        beside="LiteLLM's proxy",
        theirs="load_32.litellm_cpu_ms",
        digits=1,
        ratio_at_most=1,
    ),
    Goal(
        what="tokens of the tools, as an agent is shown them",
        ours="context.tools",
        beside="claude-code-llm-router",
        theirs="context.llm_router",
        unit="",
        at_most=1_300,
    ),
)


def goals(had: Numbers) -> list[list[str]]:
    """Set each goal beside what was found; what was not measured is left out, or stands without its peer."""
    rows = [goal.row(had) or _without_peer(goal, had) for goal in GOALS]
    return [row for row in rows if row is not None]


def _without_peer(goal: Goal, had: Numbers) -> list[str] | None:
    return replace(goal, beside="", theirs="").row(had) if goal.at_most is not None else None


if __name__ == "__main__":
    main()
