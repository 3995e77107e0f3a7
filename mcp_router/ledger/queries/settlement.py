"""Writing an attempt down: row, rollups, the end of its hold, and whom to leave alone."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.queries import attempts, breakers, holds, outcomes, rollups
from mcp_router.ledger.queries.statements import Script, end, tell
from mcp_router.ledger.records import Attempt, Breaker, OutcomeCounts


def settle(
    hold_id: str | None, attempt: Attempt, benched: Sequence[Breaker], lesson: OutcomeCounts | None = None
) -> Script[None]:
    """All of it or nothing, and once: for a call and number that is there already, only the hold ends. It
    replaces a row that says `lost`.
    """
    attempt = attempts.correct(attempt)
    known = attempt.input_tokens is not None and attempt.output_tokens is not None
    tokens = (attempt.input_tokens or 0) + (attempt.output_tokens or 0) if known else None
    ended = () if hold_id is None else holds.end_hold(hold_id, tokens)
    # The hold goes first: whoever waits for its row then holds no rollup that another is waiting for.
    *_, written = yield from tell(*ended, attempts.insert(attempt))
    if not written:
        (lost,) = yield from tell(attempts.delete_lost(attempt))
        if not lost:
            return
        yield from tell(rollups.subtract_lost(attempts.decode(lost[0])), attempts.insert(attempt))
    until = attempt.started_at + attempt.seconds
    cell = (attempts.clean(attempt.use_case), attempts.clean(attempt.budget_tier), attempts.clean(attempt.complexity))
    taught = (outcomes.count(cell, attempts.clean(attempt.model), attempt.started_at, lesson),) if lesson else ()
    yield from end(rollups.add(attempt), *taught, *breakers.open_breakers(benched, until))
