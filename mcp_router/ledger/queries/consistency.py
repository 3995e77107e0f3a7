"""Comparison of the rollups of some days with the sums of their attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from operator import add
from typing import Final, NamedTuple

from mcp_router.ledger.calendar import DAY_SECONDS, iso_from_day
from mcp_router.ledger.latency_histogram import BOUNDS_MS, BUCKETS
from mcp_router.ledger.queries.rollups import DIMS, SUMS, Key, list_books
from mcp_router.ledger.queries.statements import Row, Rows, Script, Statement, Value, end, tell, text, whole
from mcp_router.money import usd_from_nano

_FACTS: Final = "SELECT name, value FROM facts WHERE name = 'kept_from_day'"
_BEFORE_ALL: Final = -(10**9)


def _bucket(low: int, high: int) -> str:
    """Return the SQL expression for the bucket of `micros`, a binary search."""
    if low == high:
        return str(low)
    middle = (low + high) // 2
    longest = 1_000 * BOUNDS_MS[middle]
    return f"CASE WHEN micros <= {longest} THEN {_bucket(low, middle)} ELSE {_bucket(middle + 1, high)} END"


SUMS_OF_ROWS: Final = f"""
    CASE WHEN outcome = 'answered' THEN {_bucket(0, len(BOUNDS_MS))} ELSE -1 END AS bucket,
    COUNT(*),
    COUNT(CASE WHEN number = 1 THEN 1 END),
    COUNT(CASE WHEN number = 2 THEN 1 END),
    COUNT(CASE WHEN outcome IN ('failed', 'lost') THEN 1 END),
    COUNT(CASE WHEN outcome = 'answered' THEN 1 END),
    CAST(SUM(COALESCE(input_tokens, 0)) AS BIGINT),
    CAST(SUM(COALESCE(output_tokens, 0)) AS BIGINT),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN COALESCE(output_tokens, 0) ELSE 0 END) AS BIGINT),
    CAST(SUM(COALESCE(cost_nano, 0)) AS BIGINT),
    CAST(SUM(CASE WHEN cost_source = 'bound' THEN COALESCE(cost_nano, 0) ELSE 0 END) AS BIGINT),
    COUNT(CASE WHEN cost_nano IS NULL THEN 1 END),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN COALESCE(baseline_nano, 0) ELSE 0 END) AS BIGINT),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN micros ELSE 0 END) AS BIGINT),
    COUNT(CASE WHEN outcome = 'lost' THEN 1 END)
"""
"""SQL that computes the bucket of `latency_histogram` and then `SUMS` from attempts grouped by `bucket`."""
_FROM_ROWS: Final = f"""
SELECT session, model, use_case, budget_tier, client, project, day, {SUMS_OF_ROWS}
FROM attempts WHERE started_at >= ? AND started_at < ? AND day >= ? AND day <= ?
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608 - only our own names
_FROM_ROLLUPS: Final = (
    f"SELECT session, dim, value, day, {', '.join((*SUMS, *BUCKETS))} FROM rollups WHERE day >= ? AND day <= ?"  # noqa: S608 - only our own names
)
_ANSWERED: Final = SUMS.index("answered")
_NOTHING: Final = [0] * (len(SUMS) + len(BUCKETS))


class Difference(NamedTuple):
    """Rollup that differs from the sums of its attempts."""

    key: Key
    rows: list[int] | None
    """`SUMS` and then the histogram, computed from the attempts; None if there is no attempt."""
    kept: list[int]

    @property
    def day(self) -> int:
        """UTC day of the rollup."""
        return self.key[3]

    def describe(self) -> Iterator[str]:
        """Yield one sentence per difference."""
        rows = self.rows or _NOTHING
        for name, wanted, found in zip(SUMS, rows, self.kept, strict=False):
            if wanted != found:
                in_rows, in_rollups = _amount(name, wanted), _amount(name, found)
                yield f"{_where(self.key)}: {name} is {in_rows} in rows, {in_rollups} in rollups"
        moved = sum(map(int.__ne__, rows[len(SUMS) :], self.kept[len(SUMS) :]))
        if moved:
            timed = sum(self.kept[len(SUMS) :])
            yield (
                f"{_where(self.key)}: {rows[_ANSWERED]} answered attempts in rows, {timed} timed in rollups, "
                f"{moved} of {len(BUCKETS)} latency buckets differ"
            )


def list_days() -> Script[list[int]]:
    """Return the days that can be compared, in order: those whose rows were not pruned."""
    facts, found = yield from end(
        Statement(_FACTS), Statement("SELECT DISTINCT day FROM attempts UNION SELECT DISTINCT day FROM rollups")
    )
    kept_from = _find_first_kept_day(facts)
    return sorted(day for day in (whole(row[0]) for row in found) if day >= kept_from)


def compare(first: int, last: int) -> Script[list[Difference]]:
    """Return where rows and rollups from `first` to `last` disagree. More statements can follow."""
    # The index is by time, not by day. One second more on each side, because times are rounded.
    moments = (DAY_SECONDS * first - 1, DAY_SECONDS * (last + 1) + 1)
    facts, written, added = yield from tell(
        Statement(_FACTS), Statement(_FROM_ROWS, (*moments, first, last)), Statement(_FROM_ROLLUPS, (first, last))
    )
    kept_from = _find_first_kept_day(facts)
    rows = _added_up(written)
    rollups = {_key(row): [whole(value) for value in row[4:]] for row in added}
    found = (
        Difference(key, rows.get(key), rollups.get(key, _NOTHING))
        for key in rows.keys() | rollups.keys()
        if key[3] >= kept_from and rows.get(key) != rollups.get(key)
    )
    return sorted((one for one in found if any(one.describe())), key=lambda one: (one.day, one.key))


def _find_first_kept_day(facts: Rows) -> int:
    return max((whole(value) for _, value in facts), default=_BEFORE_ALL)


def _added_up(groups: Rows) -> dict[Key, list[int]]:
    """Sum first by dimension, which has few values in a session, and then by the sessions of rollups."""
    of_values = defaultdict[tuple[Value, ...], list[int]](_NOTHING.copy)
    for session, model, use_case, tier, client, project, day, bucket, *sums in groups:
        more = [whole(value) for value in sums]
        values = ("", model, use_case, tier, client, project)
        for at in range(len(DIMS)):
            book = of_values[session, client, day, at, values[at]]
            book[: len(SUMS)] = map(add, book, more)
            if more[_ANSWERED]:
                book[len(SUMS) + whole(bucket)] += more[_ANSWERED]
    of_books = defaultdict[Key, list[int]](_NOTHING.copy)
    for (session, client, day, at, value), sums in of_values.items():
        for owner in list_books(text(session), text(client)):
            key = (owner, DIMS[whole(at)], text(value), whole(day))
            of_books[key] = list(map(add, of_books[key], sums))
    return of_books


def _key(row: Row) -> Key:
    return text(row[0]), text(row[1]), text(row[2]), whole(row[3])


def _where(key: Key) -> str:
    session, dim, value, day = key
    whose = f" of session {session}" if session else ""
    return f"{iso_from_day(day)}, {dim} {value}{whose}".replace("all ", "all", 1)


def _amount(name: str, value: int) -> str:
    return f"{usd_from_nano(value):f} USD" if name.endswith("_nano") else str(value)
