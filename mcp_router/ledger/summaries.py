"""Totals of a period, read from rollups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from mcp_router.ledger import GroupBy
from mcp_router.ledger.latency import percentile_ms
from mcp_router.ledger.nano import usd
from mcp_router.ledger.periods import day_of, first_day_after, iso
from mcp_router.ledger.rollups import SUMS, timed
from mcp_router.ledger.rows import clean
from mcp_router.ledger.statements import Script, Value, ask, text, whole
from mcp_router.ledger.totals import Summary, Totals

_FIRST_DAY, _LAST_DAY = -(10**9), 10**9

_DAILY = "SELECT value, day, cost_nano FROM rollups WHERE session = ? AND dim = ? AND day >= ?"

_DIMS: Mapping[GroupBy | None, str] = {
    None: "all",
    "day": "all",
    "provider": "model",
    "model": "model",
    "use_case": "use_case",
    "budget_tier": "budget_tier",
    "client": "client",
}


@dataclass(slots=True)
class _Sums:
    """A group while it is being added up."""

    sums: list[int] = field(default_factory=lambda: [0] * len(SUMS))
    latencies: defaultdict[int, int] = field(default_factory=lambda: defaultdict[int, int](int))

    def add(self, row: Iterable[Value]) -> None:
        self.sums = [have + whole(more) for have, more in zip(self.sums, row, strict=True)]


def summary(
    *, since: float | None, until: float | None, session: str | None, group_by: GroupBy | None
) -> Script[Summary]:
    """Totals of every UTC day that the period touches, and of its groups; a session's percentiles are kept for
    the whole and by provider and model.
    """
    days = (
        _FIRST_DAY if since is None else day_of(since),
        _LAST_DAY if until is None else first_day_after(until),
    )
    dim, key = _DIMS[group_by], "day" if group_by == "day" else "value"
    book = clean(session or "")
    rolled = yield from ask(_rollups(key), book, dim, *days)
    by_group = timed(book, dim)
    counted = yield from ask(_latencies(key), book, dim if by_group else "all", *days)
    name = _namer(group_by)
    total, groups = _Sums(), defaultdict[str, _Sums](_Sums)
    for value, *sums in rolled:
        total.add(sums)
        groups[name(value)].add(sums)
    for value, bucket, attempts in counted:
        total.latencies[whole(bucket)] += whole(attempts)
        if by_group:
            groups[name(value)].latencies[whole(bucket)] += whole(attempts)
    grouped = {} if group_by is None else {name: _totals(groups[name]) for name in sorted(groups)}
    return Summary(total=_totals(total), groups=grouped)


def daily(*, since: float, session: str | None, group_by: GroupBy) -> Script[dict[str, dict[str, Decimal]]]:
    """What each group cost on each UTC day, in dollars by ISO day, from the day of `since` on."""
    rolled = yield from ask(_DAILY, clean(session or ""), _DIMS[group_by], day_of(since))
    name, nanos = _namer(group_by), defaultdict[str, defaultdict[str, int]](lambda: defaultdict(int))
    for value, day, cost in rolled:
        nanos[name(day if group_by == "day" else value)][iso(whole(day))] += whole(cost)
    return {group: {day: usd(cost) for day, cost in days.items()} for group, days in nanos.items()}


def _rollups(key: str) -> str:
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in SUMS)
    return f"SELECT {key}, {sums} FROM rollups WHERE session = ? AND dim = ? AND day >= ? AND day < ? GROUP BY {key}"  # noqa: S608 - only our own names


def _latencies(key: str) -> str:
    return (
        f"SELECT {key}, bucket, CAST(SUM(attempts) AS BIGINT) FROM latencies "  # noqa: S608 - only our own names
        f"WHERE session = ? AND dim = ? AND day >= ? AND day < ? GROUP BY {key}, bucket"
    )


def _namer(group_by: GroupBy | None) -> Callable[[Value], str]:
    match group_by:
        case "day":
            return lambda value: iso(whole(value))
        case "provider":
            return lambda value: text(value).partition(":")[0]
        case _:
            return text


def _totals(group: _Sums) -> Totals:
    of = dict(zip(SUMS, group.sums, strict=True))
    return Totals(
        calls=of["calls"],
        attempts=of["attempts"],
        failed_attempts=of["failed"],
        fallback_calls=of["fallbacks"],
        input_tokens=of["input_tokens"],
        output_tokens=of["output_tokens"],
        cost_usd=usd(of["cost_nano"]),
        uncertain_usd=usd(of["uncertain_nano"]),
        unpriced_attempts=of["unpriced"],
        baseline_usd=usd(of["baseline_nano"]),
        seconds=of["answered_micros"] / 1_000_000,
        latency_p50_ms=percentile_ms(group.latencies, 0.5),
        latency_p95_ms=percentile_ms(group.latencies, 0.95),
        answered_attempts=of["answered"],
        answered_output_tokens=of["answered_output_tokens"],
        latencies=dict(group.latencies),
    )
