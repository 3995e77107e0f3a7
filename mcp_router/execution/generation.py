"""What a call gave: the answer, what was tried for it, what it cost and saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from mcp_router.ledger.records import Attempt
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan
from providers.completion import Completion


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What the caller gets: an answer, and all that was tried for it."""

    call_id: str
    plan: Plan
    completion: Completion
    candidate: Candidate
    attempts: tuple[Attempt, ...]
    warnings: tuple[str, ...]

    @property
    def cost_usd(self) -> Decimal | None:
        """Everything the call cost, failed attempts included; None where any of it is unknown."""
        return total_usd(self.attempts)

    @property
    def fallbacks(self) -> int:
        """How many attempts failed first."""
        return len(self.attempts) - 1

    @property
    def escalations(self) -> int:
        """How many of them answered, but not well enough."""
        return sum(attempt.outcome == "failed" and attempt.finish_reason is not None for attempt in self.attempts)

    @property
    def saved_usd(self) -> Decimal | None:
        """The baseline's cost for the same tokens, less everything spent; None where either is unknown."""
        baseline = self.attempts[-1].baseline_usd
        return None if baseline is None or self.cost_usd is None else baseline - self.cost_usd


def total_usd(attempts: Iterable[Attempt]) -> Decimal | None:
    """Add up what attempts cost; None where any of it is unknown."""
    costs = [attempt.cost_usd for attempt in attempts]
    return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))
