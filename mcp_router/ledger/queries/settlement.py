"""Settlement of an attempt: row, rollups, end of its hold, outcome counts and breakers."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.alerts import BudgetAlert, BudgetWatch
from mcp_router.ledger.queries import alerts, attempts, breakers, holds, outcomes, rollups
from mcp_router.ledger.queries.statements import Script, end, tell
from mcp_router.ledger.records import Attempt, Breaker, OutcomeCounts


def settle(
    hold_id: str | None,
    attempt: Attempt,
    opened: Sequence[Breaker],
    counts: OutcomeCounts | None,
    watch: BudgetWatch | None,
) -> Script[list[BudgetAlert]]:
    """Write everything once and return the alerts to report.

    If the attempt is already recorded, only its hold ends. A recorded attempt replaces its
    `lost` row.
    """
    attempt = attempts.correct(attempt)
    known = attempt.input_tokens is not None and attempt.output_tokens is not None
    tokens = (attempt.input_tokens or 0) + (attempt.output_tokens or 0) if known else None
    ended = () if hold_id is None else holds.end_hold(hold_id, tokens)
    # The hold ends first: a transaction that waits for its row has locked no rollup, so there is no deadlock.
    *_, written = yield from tell(*ended, attempts.insert(attempt))
    if not written:
        (lost,) = yield from tell(attempts.delete_lost(attempt))
        if not lost:
            return []
        yield from tell(rollups.subtract_lost(attempts.decode(lost[0])), attempts.insert(attempt))
    until = attempt.started_at + attempt.seconds
    cell = (attempts.clean(attempt.use_case), attempts.clean(attempt.budget_tier), attempts.clean(attempt.complexity))
    taught = (outcomes.count(cell, attempts.clean(attempt.model), attempt.started_at, counts),) if counts else ()
    rest = (rollups.add(attempt), *taught, *breakers.open_breakers(opened, until))
    if watch is None or not attempt.cost_usd:
        yield from end(*rest)
        return []
    yield from tell(*rest)
    return (yield from alerts.claim(watch, attempt))
