"""Upkeep: recomputing rollups and pruning rows."""

from __future__ import annotations

from typing import Final

from mcp_router.ledger.calendar import DAY_SECONDS
from mcp_router.ledger.latency_histogram import BUCKETS
from mcp_router.ledger.queries import texts
from mcp_router.ledger.queries.consistency import Difference, compare
from mcp_router.ledger.queries.rollups import SUMS
from mcp_router.ledger.queries.statements import Script, Statement, ask, end

CHUNK = 1_000
"""Rows deleted in one transaction: a few milliseconds, so calls in flight do not wait."""

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
    """Set the rollups of one day to the sums of its attempts; return the differences. The transaction must block writes
    of rows and rollups (`still`).
    """
    found = yield from compare(day, day)
    yield from end(
        *(Statement(_UNSET, one.key) if one.rows is None else Statement(_SET, (*one.key, *one.rows)) for one in found)
    )
    return found


def mark_pruned(day: int) -> Script[None]:
    """Record that rows before `day` will be deleted, and delete their texts and the rollups of sessions."""
    yield from end(
        Statement(_KEEP_FROM, (day,)),
        Statement(f"DELETE FROM rollups WHERE {_OF_A_SESSION} AND day < ?", (day,)),  # noqa: S608 - only our own names
        texts.drop(day * DAY_SECONDS),
    )


def drop(before: float) -> Script[int]:
    """Delete one chunk of rows from before a time; return how many there were."""
    return len((yield from ask(_DROP, before, CHUNK)))
