"""Writing an attempt down: row, rollups, the end of its hold, and whom to leave alone."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger import Attempt, Bench, benches, claims, rollups, rows
from mcp_router.ledger.statements import Script, tell


def settle(hold_id: str | None, attempt: Attempt, benched: Sequence[Bench]) -> Script[None]:
    """All of it or nothing, and once: for a call and number that is there already, only the hold ends."""
    attempt = rows.sane(attempt)
    known = attempt.input_tokens is not None and attempt.output_tokens is not None
    tokens = (attempt.input_tokens or 0) + (attempt.output_tokens or 0) if known else None
    ended = () if hold_id is None else claims.ended(hold_id, tokens)
    # The hold goes first: whoever waits for its row then holds no rollup that another is waiting for.
    written = yield from tell(*ended, rows.insert(attempt))
    if not written:
        return
    until = attempt.started_at + attempt.seconds
    yield from tell(*rollups.add(attempt), *benches.note(benched, until))
