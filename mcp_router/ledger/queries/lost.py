"""Expired holds: their process ended, so the attempt is recorded at its upper bound."""

from __future__ import annotations

from typing import Final

from mcp_router.ledger.queries import attempts, rollups
from mcp_router.ledger.queries.statements import Row, Rows, Script, Statement, ask, end, real, tell, text, whole
from mcp_router.ledger.records import Attempt
from mcp_router.money import usd_from_nano

_EXPIRED: Final = "FROM holds WHERE expires_at <= ? AND task_id = ''"
_TAKE: Final = (
    f"DELETE {_EXPIRED} RETURNING call_id, number, session, client, use_case, budget_tier, complexity, inferred, "
    "model, why, made_at, is_priced, amount_nano, project, branch, host"
)
_DETAIL: Final = "its process ended before the answer was recorded; it was billed this much at most"


def take(now: float) -> Statement:
    """Return the statement that ends expired holds and yields the rows for `record`."""
    return Statement(_TAKE, (now,))


def record(taken: Rows) -> Script[None]:
    """Record each expired hold as a lost attempt, unless the attempt is recorded. More statements can follow."""
    found = [_to_attempt(row) for row in taken]
    inserted = yield from tell(*map(attempts.insert, found))
    new = [attempt for attempt, rows in zip(found, inserted, strict=True) if rows]
    if new:
        yield from tell(*map(rollups.add, new))


def has_expired(now: float) -> Script[bool]:
    """Return whether any hold has expired."""
    return bool((yield from ask(f"SELECT 1 {_EXPIRED} LIMIT 1", now)))


def settle_expired(now: float) -> Script[int]:
    """Record every expired hold; return how many there were."""
    (taken,) = yield from tell(take(now))
    yield from record(taken)
    yield from end()
    return len(taken)


def _to_attempt(row: Row) -> Attempt:
    return Attempt(
        call_id=text(row[0]),
        number=whole(row[1]),
        session=text(row[2]),
        client=text(row[3]),
        use_case=text(row[4]),
        budget_tier=text(row[5]),
        complexity=text(row[6]),
        inferred=text(row[7]),
        model=text(row[8]),
        why=text(row[9]),
        started_at=real(row[10]),
        seconds=0.0,
        outcome="lost",
        error="lost",
        detail=_DETAIL,
        cost_usd=usd_from_nano(whole(row[12])) if whole(row[11]) else None,
        cost_source="bound" if whole(row[11]) else "unknown",
        project=text(row[13]),
        branch=text(row[14]),
        host=text(row[15]),
    )
