"""Writing an attempt down: row, rollups, the end of its hold, and whom to leave alone."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger import Attempt, Bench, Lesson, benches, claims, lessons, rollups, rows
from mcp_router.ledger.statements import Script, end, tell


def settle(
    hold_id: str | None, attempt: Attempt, benched: Sequence[Bench], lesson: Lesson | None = None
) -> Script[None]:
    """All of it or nothing, and once: for a call and number that is there already, only the hold ends."""
    attempt = rows.sane(attempt)
    known = attempt.input_tokens is not None and attempt.output_tokens is not None
    tokens = (attempt.input_tokens or 0) + (attempt.output_tokens or 0) if known else None
    ended = () if hold_id is None else claims.ended(hold_id, tokens)
    # The hold goes first: whoever waits for its row then holds no rollup that another is waiting for.
    *_, written = yield from tell(*ended, rows.insert(attempt))
    if not written:
        return
    until = attempt.started_at + attempt.seconds
    cell = (rows.clean(attempt.use_case), rows.clean(attempt.budget_tier), rows.clean(attempt.complexity))
    taught = (lessons.count(cell, rows.clean(attempt.model), attempt.started_at, lesson),) if lesson else ()
    yield from end(rollups.add(attempt), *taught, *benches.note(benched, until))
