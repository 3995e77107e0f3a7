"""Looking after the books: do rows and rollups agree, and dropping rows that nobody needs any more."""

from __future__ import annotations

from collections import defaultdict
from operator import add

from mcp_router.ledger import texts
from mcp_router.ledger.latency import BUCKETS
from mcp_router.ledger.nano import usd
from mcp_router.ledger.periods import DAY_SECONDS, iso
from mcp_router.ledger.rollups import DIMS, SUMS, Key, books
from mcp_router.ledger.statements import Row, Script, Statement, ask, end, tell, text, whole

CHUNK = 1_000
"""Rows dropped in one transaction: a few milliseconds, so that calls under way are not kept waiting."""

_KEPT_FROM = "SELECT value FROM facts WHERE name = 'kept_from_day'"
_KEEP_FROM = (
    "INSERT INTO facts (name, value) VALUES ('kept_from_day', ?) ON CONFLICT (name) DO UPDATE SET "
    "value = CASE WHEN excluded.value > facts.value THEN excluded.value ELSE facts.value END"
)
_DROP = (
    "DELETE FROM attempts WHERE (call_id, number) IN "
    "(SELECT call_id, number FROM attempts WHERE started_at < ? ORDER BY started_at LIMIT ?) RETURNING number"
)
_OF_A_SESSION = "session <> '' AND SUBSTR(session, 1, 7) <> 'client:'"
_FROM_ROWS = """
SELECT session, model, use_case, budget_tier, client, day,
    COUNT(*),
    COUNT(CASE WHEN number = 1 THEN 1 END),
    COUNT(CASE WHEN number = 2 THEN 1 END),
    COUNT(CASE WHEN outcome = 'failed' THEN 1 END),
    COUNT(CASE WHEN outcome = 'answered' THEN 1 END),
    CAST(SUM(COALESCE(input_tokens, 0)) AS BIGINT),
    CAST(SUM(COALESCE(output_tokens, 0)) AS BIGINT),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN COALESCE(output_tokens, 0) ELSE 0 END) AS BIGINT),
    CAST(SUM(COALESCE(cost_nano, 0)) AS BIGINT),
    CAST(SUM(CASE WHEN cost_source = 'bound' THEN COALESCE(cost_nano, 0) ELSE 0 END) AS BIGINT),
    COUNT(CASE WHEN cost_nano IS NULL THEN 1 END),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN COALESCE(baseline_nano, 0) ELSE 0 END) AS BIGINT),
    CAST(SUM(CASE WHEN outcome = 'answered' THEN micros ELSE 0 END) AS BIGINT)
FROM attempts WHERE day >= ? GROUP BY session, model, use_case, budget_tier, client, day
"""
_FROM_ROLLUPS = f"SELECT session, dim, value, day, {' + '.join(BUCKETS)}, {', '.join(SUMS)} FROM rollups WHERE day >= ?"  # noqa: S608 - only our own names
_ANSWERED = SUMS.index("answered")

_Books = dict[Key, list[int]]


def check() -> Script[list[str]]:
    """Where rows and rollups disagree, in words. Days whose rows were dropped have nothing to be compared with."""
    (kept,) = yield from tell(Statement(_KEPT_FROM))
    first = (whole(kept[0][0]) if kept else -(10**9),)
    written, added = yield from end(Statement(_FROM_ROWS, first), Statement(_FROM_ROLLUPS, first))
    from_rows = _added_up(written)
    from_rollups = {_key(row): [whole(value) for value in row[4:]] for row in added}
    nothing = [0] * len(SUMS)
    found: list[str] = []
    for key in sorted(from_rows.keys() | from_rollups.keys()):
        rows, (timed, *rolled) = from_rows.get(key, nothing), from_rollups.get(key, [0, *nothing])
        found.extend(
            f"{_where(key)}: {name} is {_said(at, rows)} in rows, {_said(at, rolled)} in rollups"
            for at, name in enumerate(SUMS)
            if rows[at] != rolled[at]
        )
        if timed != rows[_ANSWERED]:
            found.append(f"{_where(key)}: {rows[_ANSWERED]} answered attempts in rows, {timed} timed in rollups")
    return found


def _added_up(groups: list[Row]) -> _Books:
    sums_of = defaultdict[Key, list[int]](lambda: [0] * len(SUMS))
    for group in groups:
        values = ("", *(text(value) for value in group[1:5]))
        sums = [whole(value) for value in group[6:]]
        for session in books(text(group[0]), values[-1]):
            for dim, value in zip(DIMS, values, strict=True):
                key = (session, dim, value, whole(group[5]))
                sums_of[key] = list(map(add, sums_of[key], sums))
    return sums_of


def _key(row: Row) -> Key:
    return text(row[0]), text(row[1]), text(row[2]), whole(row[3])


def _where(key: Key) -> str:
    session, dim, value, day = key
    whose = f" of session {session}" if session else ""
    return f"{iso(day)}, {dim} {value}{whose}".replace("all ", "all", 1)


def _said(at: int, sums: list[int]) -> str:
    return f"{usd(sums[at]):f} USD" if SUMS[at].endswith("_nano") else str(sums[at])


def keep_from(day: int) -> Script[None]:
    """Rows before a day are about to be dropped: their rollups stand alone from now on, a session's go with them."""
    yield from end(
        Statement(_KEEP_FROM, (day,)),
        Statement(f"DELETE FROM rollups WHERE {_OF_A_SESSION} AND day < ?", (day,)),  # noqa: S608 - only our own names
        texts.drop(day * DAY_SECONDS),
    )


def drop(before: float) -> Script[int]:
    """Drop one chunk of rows from before a moment and say how many there were."""
    return len((yield from ask(_DROP, before, CHUNK)))
