"""Looking after the books: setting rollups anew, and dropping rows that nobody needs any more."""

from __future__ import annotations

from typing import Final

from mcp_router.ledger.calendar import DAY_SECONDS
from mcp_router.ledger.latency_histogram import BUCKETS
from mcp_router.ledger.queries import texts
from mcp_router.ledger.queries.consistency import Difference, compare
from mcp_router.ledger.queries.rollups import SUMS
from mcp_router.ledger.queries.statements import Script, Statement, ask, end

CHUNK = 1_000
"""Rows dropped in one transaction: a few milliseconds, so that calls under way are not kept waiting."""

_KEEP_FROM: Final = (
    "INSERT INTO facts (name, value) VALUES ('kept_from_day', ?) ON CONFLICT (name) DO UPDATE SET "
    "value = CASE WHEN excluded.value > facts.value THEN excluded.value ELSE facts.value END"
)
_DROP: Final = (
    "DELETE FROM attempts WHERE (call_id, number) IN "
    "(SELECT call_id, number FROM attempts WHERE started_at < ? ORDER BY started_at LIMIT ?) RETURNING number"
)
_OF_A_SESSION: Final = "session <> '' AND SUBSTR(session, 1, 7) <> 'client:'"
_KEPT: Final = (*SUMS, *BUCKETS)
_SET: Final = (
    f"INSERT INTO rollups (session, dim, value, day, {', '.join(_KEPT)}) VALUES ({', '.join('?' * (4 + len(_KEPT)))}) "  # noqa: S608 - only our own names
    f"ON CONFLICT (session, dim, value, day) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _KEPT)}"
)
_UNSET: Final = "DELETE FROM rollups WHERE session = ? AND dim = ? AND value = ? AND day = ?"


def rebuild(day: int) -> Script[list[Difference]]:
    """Set the rollups of one day to what its attempts add up to, and say what they were. Nobody may write a row or a
    rollup meanwhile.
    """
    found = yield from compare(day, day)
    yield from end(
        *(Statement(_UNSET, one.key) if one.rows is None else Statement(_SET, (*one.key, *one.rows)) for one in found)
    )
    return found


def mark_pruned(day: int) -> Script[None]:
    """Rows before a day are about to be dropped: their rollups stand alone from now on, a session's go with them."""
    yield from end(
        Statement(_KEEP_FROM, (day,)),
        Statement(f"DELETE FROM rollups WHERE {_OF_A_SESSION} AND day < ?", (day,)),  # noqa: S608 - only our own names
        texts.drop(day * DAY_SECONDS),
    )


def drop(before: float) -> Script[int]:
    """Drop one chunk of rows from before a moment and say how many there were."""
    return len((yield from ask(_DROP, before, CHUNK)))
