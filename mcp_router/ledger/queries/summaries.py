"""Totals of a period, read from rollups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache

from mcp_router.ledger.calendar import DAY_SECONDS, day_from_time, first_day_after, iso_from_day
from mcp_router.ledger.latency_histogram import BUCKETS, compute_percentiles_ms
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.consistency import SUMS_OF_ROWS
from mcp_router.ledger.queries.rollups import SUMS, format_client_book
from mcp_router.ledger.queries.statements import Script, Statement, Value, ask, end, text, whole
from mcp_router.ledger.records import GroupBy, Summary, Totals
from mcp_router.money import usd_from_nano

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
    "project": "project",
}
"""Dimensions that have rollups. The others are summed up from attempts."""

_COLUMNS: Mapping[GroupBy, str] = {
    "provider": "model",
    "model": "model",
    "use_case": "use_case",
    "budget_tier": "budget_tier",
    "client": "client",
    "day": "day",
    "project": "project",
    "branch": "branch",
    "host": "host",
}
SEPARATOR = " / "
"""Between the two names of a group by two dimensions."""


def summarize(
    *,
    since: float | None,
    until: float | None,
    session: str | None,
    group_by: GroupBy | None,
    then_by: GroupBy | None = None,
) -> Script[Summary]:
    """Return totals of every UTC day that the period touches, and of its groups. Groups by branch or host, and by two
    dimensions, come from attempts: they miss days that were pruned.
    """
    days = (
        _FIRST_DAY if since is None else day_from_time(since),
        _LAST_DAY if until is None else first_day_after(until),
    )
    if group_by is not None and (then_by is not None or group_by not in _DIMS):
        return (yield from _summarize_rows(days, session, group_by, then_by))
    rolled = yield from ask(_added_up(group_by), clean(session or ""), _DIMS[group_by], *days)
    name, groups = _namer(group_by), defaultdict[str, list[list[int]]](list)
    for value, *sums in rolled:
        groups[name(value)].append([whole(each) for each in sums])
    total = [sums for group in groups.values() for sums in group]
    grouped = {} if group_by is None else {name: _totals(groups[name]) for name in sorted(groups)}
    return Summary(total=_totals(total), groups=grouped)


def _summarize_rows(
    days: tuple[int, int], session: str | None, group_by: GroupBy, then_by: GroupBy | None
) -> Script[Summary]:
    """Return the total from rollups, and groups from attempts."""
    by: list[GroupBy] = [group_by] if then_by is None else [group_by, then_by]
    keys, (whose, who) = ", ".join(_COLUMNS[one] for one in by), _select_book(session)
    total, rows = yield from end(
        Statement(_added_up(None), (clean(session or ""), "all", *days)),
        Statement(
            f"SELECT {keys}, {SUMS_OF_ROWS} FROM attempts WHERE started_at >= ? AND started_at < ? AND day >= ? "  # noqa: S608 - only our own names
            f"AND day < ?{whose} GROUP BY {keys}, bucket",
            (DAY_SECONDS * days[0] - 1, DAY_SECONDS * days[1] + 1, *days, *who),
        ),
    )
    namers, groups = [_namer(one) for one in by], defaultdict[str, list[list[int]]](list)
    for row in rows:
        name = SEPARATOR.join(name(value) for name, value in zip(namers, row, strict=False))
        bucket, *sums = [whole(each) for each in row[len(by) :]]
        buckets = [sums[SUMS.index("answered")] if at == bucket else 0 for at in range(len(BUCKETS))]
        groups[name].append([*sums, *buckets])
    return Summary(
        total=_totals([[whole(each) for each in row[1:]] for row in total]),
        groups={name: _totals(groups[name]) for name in sorted(groups)},
    )


def _select_book(session: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition for the attempts of a book of rollups: of all, of a session or of a client."""
    if not session:
        return "", ()
    client = session.removeprefix(format_client_book(""))
    return (" AND session = ?", (clean(session),)) if client == session else (" AND client = ?", (clean(client),))


def summarize_by_day(*, since: float, session: str | None, group_by: GroupBy) -> Script[dict[str, dict[str, Decimal]]]:
    """Return the cost of each group by ISO day, in USD, from the day of `since` on."""
    rolled = yield from ask(_DAILY, clean(session or ""), _DIMS[group_by], day_from_time(since))
    name, nanos = _namer(group_by), defaultdict[str, defaultdict[str, int]](lambda: defaultdict(int))
    for value, day, cost in rolled:
        nanos[name(day if group_by == "day" else value)][iso_from_day(whole(day))] += whole(cost)
    return {group: {day: usd_from_nano(cost) for day, cost in days.items()} for group, days in nanos.items()}


@cache
def _added_up(group_by: GroupBy | None) -> str:
    key = "day" if group_by == "day" else "value"
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in (*SUMS, *BUCKETS))
    # 'all' has one value, ''. With it in the condition SQLite need not sort the days.
    which = "session = ? AND dim = ? AND day >= ? AND day < ?" + (" AND value = ''" if group_by == "day" else "")
    return f"SELECT {key}, {sums} FROM rollups WHERE {which} GROUP BY {key}"  # noqa: S608 - only our own names


def _namer(group_by: GroupBy | None) -> Callable[[Value], str]:
    match group_by:
        case "day":
            return lambda value: iso_from_day(whole(value))
        case "provider":
            return lambda value: text(value).partition(":")[0]
        case _:
            return text


def _totals(rows: Sequence[Sequence[int]]) -> Totals:
    added = _added(rows)
    of = dict(zip(SUMS, added, strict=False))
    latencies = tuple(added[len(SUMS) :])
    half, most = compute_percentiles_ms(latencies, 0.5, 0.95)
    return Totals(
        calls=of["calls"],
        attempts=of["attempts"],
        failed_attempts=of["failed"],
        fallback_calls=of["fallbacks"],
        input_tokens=of["input_tokens"],
        output_tokens=of["output_tokens"],
        cost_usd=usd_from_nano(of["cost_nano"]),
        uncertain_usd=usd_from_nano(of["uncertain_nano"]),
        lost_attempts=of["lost"],
        unpriced_attempts=of["unpriced"],
        baseline_usd=usd_from_nano(of["baseline_nano"]),
        seconds=of["answered_micros"] / 1_000_000,
        latency_p50_ms=half,
        latency_p95_ms=most,
        answered_attempts=of["answered"],
        answered_output_tokens=of["answered_output_tokens"],
        latencies=latencies,
    )


def _added(rows: Sequence[Sequence[int]]) -> Sequence[int]:
    match rows:
        case []:
            return [0] * (len(SUMS) + len(BUCKETS))
        case [only]:
            return only
        case _:
            return [sum(column) for column in zip(*rows, strict=True)]
