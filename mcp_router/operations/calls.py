"""Recorded calls, newest first, filtered. Prompts and answers are not among what is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypedDict

from mcp_router.app import App
from mcp_router.ledger.records import Attempt
from mcp_router.money import to_number

_CHUNK = 500
"""Attempts read at a time."""


class CallRow(TypedDict):
    """A recorded call."""

    call_id: str
    started_at: str
    """ISO 8601, UTC."""
    client: str
    use_case: str
    budget_tier: str
    model: str
    """The model that answered, or the last one tried."""
    outcome: str
    error: str | None
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    cost_usd: float | None
    """All attempts together; None if one is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFilter:
    """What a listed call must be; None is no condition."""

    since: float | None = None
    """Seconds since the epoch, inclusive."""
    until: float | None = None
    """Exclusive."""
    model: str | None = None
    """A part of `provider:model`."""
    provider: str | None = None
    use_case: str | None = None
    client: str | None = None
    outcome: str | None = None
    min_cost_usd: Decimal | None = None

    def matches_last(self, last: Attempt) -> bool:
        """Return whether a call passes, as far as its last attempt shows."""
        return (
            (self.model is None or self.model in last.model)
            and self.provider in (None, last.provider)
            and self.use_case in (None, last.use_case)
            and self.client in (None, last.client)
            and self.outcome in (None, last.outcome)
        )


async def list_calls(app: App, wanted: CallFilter, limit: int) -> list[CallRow]:
    """Return the newest calls that pass, newest first, at most `limit`."""
    found: list[CallRow] = []
    async for last in _read_last_attempts(app, wanted):
        attempts = await app.ledger.read_attempts(last.call_id)
        cost = _sum_cost(attempts)
        if wanted.min_cost_usd is None or (cost is not None and cost >= wanted.min_cost_usd):
            found.append(_describe(attempts, cost))
        if len(found) == limit:
            break
    return found


async def _read_last_attempts(app: App, wanted: CallFilter) -> AsyncIterator[Attempt]:
    """Yield the last attempt of each call that can pass, newest first."""
    seen: set[str] = set()
    before = wanted.until
    while chunk := await app.ledger.read_recent(_CHUNK, before):
        for attempt in chunk:
            if wanted.since is not None and attempt.started_at < wanted.since:
                return
            if attempt.call_id not in seen:
                seen.add(attempt.call_id)
                if wanted.matches_last(attempt):
                    yield attempt
        before = chunk[-1].started_at


def _sum_cost(attempts: Sequence[Attempt]) -> Decimal | None:
    costs = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
    return sum(costs, Decimal(0)) if len(costs) == len(attempts) else None


def _describe(attempts: Sequence[Attempt], cost: Decimal | None) -> CallRow:
    last = attempts[-1]
    return {
        "call_id": last.call_id,
        "started_at": datetime.fromtimestamp(attempts[0].started_at, UTC).isoformat(timespec="seconds"),
        "client": last.client,
        "use_case": last.use_case,
        "budget_tier": last.budget_tier,
        "model": last.model,
        "outcome": last.outcome,
        "error": last.error,
        "attempts": len(attempts),
        "input_tokens": last.input_tokens,
        "output_tokens": last.output_tokens,
        "seconds": round(sum(attempt.seconds for attempt in attempts), 3),
        "cost_usd": to_number(cost),
    }
