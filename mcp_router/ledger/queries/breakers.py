"""Breakers that all processes on the ledger share."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.calendar import MAX_CLOCK_SKEW_S
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Row, Rows, Script, Statement, ask, real, text, whole
from mcp_router.ledger.records import Breaker

REMEMBERED_SECONDS = 3_600.0
"""Time after which earlier failures no longer count."""

_LATER = "CASE WHEN excluded.open_until > breakers.open_until THEN excluded.{0} ELSE breakers.{0} END"
_NOTE = (
    "INSERT INTO breakers (scope, open_until, reason, failures, noted_at) VALUES (?, ?, ?, ?, ?) "  # noqa: S608 - only our own names
    f"ON CONFLICT (scope) DO UPDATE SET reason = {_LATER.format('reason')}, "
    "failures = CASE WHEN excluded.failures > breakers.failures THEN excluded.failures ELSE breakers.failures END, "
    f"noted_at = {_LATER.format('noted_at')}, open_until = {_LATER.format('open_until')}"
)
_OF_LATE = "SELECT scope, open_until, reason, failures, noted_at FROM breakers WHERE open_until > ? ORDER BY scope"


def open_breakers(opened: Sequence[Breaker], now: float) -> tuple[Statement, ...]:
    """Return the statements that open breakers. The later end and the larger number of failures are stored."""
    ordered = sorted(opened, key=lambda breaker: breaker.scope)  # one order for all writers prevents deadlocks
    return tuple(
        Statement(_NOTE, (clean(each.scope), float(each.open_until), clean(each.reason), each.failures, now))
        for each in ordered
    )


def select_recent(now: float) -> Statement:
    """Return the query for open and recently open breakers."""
    return Statement(_OF_LATE, (now - REMEMBERED_SECONDS,))


def parse_breakers(rows: Rows, now: float) -> tuple[Breaker, ...]:
    """Return the breakers in the rows of `select_recent`."""
    return tuple(_breaker(row, now) for row in rows)


def claim_probe(scope: str, now: float, until: float) -> Script[bool]:
    """Extend a breaker whose cooldown has ended; return True for the first caller only."""
    rows = yield from ask(
        "UPDATE breakers SET open_until = ?, noted_at = ? WHERE scope = ? AND open_until <= ? RETURNING scope",
        float(until),
        now,
        clean(scope),
        now,
    )
    return bool(rows)


def close(scope: str) -> Script[None]:
    """Close the breaker of a scope."""
    yield from ask("DELETE FROM breakers WHERE scope = ?", clean(scope))


def _breaker(row: Row, now: float) -> Breaker:
    until, noted_at = real(row[1]), real(row[4])
    if noted_at > now + MAX_CLOCK_SKEW_S:  # the clock jumped back: the cooldown starts now
        until = now + until - noted_at
    return Breaker(scope=text(row[0]), open_until=until, reason=text(row[2]), failures=whole(row[3]))
