"""Who is being left alone, for all processes on the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.calendar import MAX_CLOCK_SKEW_S
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Row, Rows, Script, Statement, ask, real, text, whole
from mcp_router.ledger.records import Breaker

REMEMBERED_SECONDS = 3_600.0
"""After so long a quiet time, earlier failures count no more."""

_LATER = "CASE WHEN excluded.open_until > breakers.open_until THEN excluded.{0} ELSE breakers.{0} END"
_NOTE = (
    "INSERT INTO breakers (scope, open_until, reason, failures, noted_at) VALUES (?, ?, ?, ?, ?) "  # noqa: S608 - only our own names
    f"ON CONFLICT (scope) DO UPDATE SET reason = {_LATER.format('reason')}, "
    "failures = CASE WHEN excluded.failures > breakers.failures THEN excluded.failures ELSE breakers.failures END, "
    f"noted_at = {_LATER.format('noted_at')}, open_until = {_LATER.format('open_until')}"
)
_OF_LATE = "SELECT scope, open_until, reason, failures, noted_at FROM breakers WHERE open_until > ? ORDER BY scope"


def open_breakers(benches: Sequence[Breaker], now: float) -> tuple[Statement, ...]:
    """Leave these alone; a later `until` wins, the larger number of failures stays."""
    ordered = sorted(benches, key=lambda bench: bench.scope)  # one order everywhere: no two writers wait in a ring
    return tuple(
        Statement(_NOTE, (clean(bench.scope), float(bench.open_until), clean(bench.reason), bench.failures, now))
        for bench in ordered
    )


def select_recent(now: float) -> Statement:
    """Ask who is being left alone, and who was of late."""
    return Statement(_OF_LATE, (now - REMEMBERED_SECONDS,))


def parse_breakers(rows: Rows, now: float) -> tuple[Breaker, ...]:
    """Read what `of_late` found."""
    return tuple(_bench(row, now) for row in rows)


def claim_probe(scope: str, now: float, until: float) -> Script[bool]:
    """Prolong a bench that has ended; only one of those who try finds it ended."""
    rows = yield from ask(
        "UPDATE breakers SET open_until = ?, noted_at = ? WHERE scope = ? AND open_until <= ? RETURNING scope",
        float(until),
        now,
        clean(scope),
        now,
    )
    return bool(rows)


def close(scope: str) -> Script[None]:
    """It answered again."""
    yield from ask("DELETE FROM breakers WHERE scope = ?", clean(scope))


def _bench(row: Row, now: float) -> Breaker:
    until, noted_at = real(row[1]), real(row[4])
    if noted_at > now + MAX_CLOCK_SKEW_S:  # the clock jumped back: it lasts as long as it was meant to, from now
        until = now + until - noted_at
    return Breaker(scope=text(row[0]), open_until=until, reason=text(row[2]), failures=whole(row[3]))
