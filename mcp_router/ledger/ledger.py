"""What a ledger promises, whichever database keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Protocol

from mcp_router.ledger.records import (
    Attempt,
    Availability,
    Breaker,
    Budget,
    BudgetRefusal,
    BudgetStatus,
    GroupBy,
    Hold,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
    RecordedCall,
    RouteOutcomes,
    Summary,
)
from providers.completion import Limits


class LedgerError(Exception):
    """The ledger could not be read or written; the text says which one and what to do."""


class Ledger(Protocol):
    """One ledger, many processes. Every method is one short transaction; nothing is awaited inside it."""

    async def hold(
        self, hold: Hold, limits: Sequence[Budget], rate: RateLimit | None
    ) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once, or say what stands in the way and claim nothing."""
        ...

    async def settle(
        self,
        hold_id: str | None,
        attempt: Attempt,
        benches: Sequence[Breaker] = (),
        lesson: OutcomeCounts | None = None,
    ) -> bool:
        """Write the attempt, put its cost on the budgets, end its hold and note whom to leave alone: all or nothing,
        once, also when repeated. False: the database is away, the attempt is kept and written when it returns.
        """
        ...

    async def read_availability(self, now: float, counted: Sequence[str] | None = None) -> Availability:
        """Who is benched, how busy each provider was, and what vendors said is left. `counted` are the providers
        whose last minute is wanted, since counting it takes longer the more was asked; None is all of them.
        """
        ...

    async def read_outcomes(self, now: float) -> list[RouteOutcomes]:
        """What was learnt of late of models in cells."""
        ...

    async def forget_outcomes(self) -> int:
        """Unlearn all that, and say of how many models in cells something was known."""
        ...

    async def close_breaker(self, scope: str) -> None:
        """It answered again."""
        ...

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Be the one call that tries again after a bench has ended: for all others it then lasts to `until`.
        False where another call, of any process, is already trying.
        """
        ...

    async def store_vendor_limit(self, scope: str, limits: Limits, now: float) -> None:
        """Share what a vendor's headers said; `scope` is a provider, or a model where the vendor counts by model."""
        ...

    async def increase_budget(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Let so much more be spent than a budget says, in every process, until it resets."""
        ...

    async def read_budgets(self, limits: Sequence[Budget], now: float) -> list[BudgetStatus]:
        """How each budget stands."""
        ...

    async def read_attempts(self, call_id: str) -> list[Attempt]:
        """A call's attempts, first one first; empty where there is no such call."""
        ...

    async def summarize(
        self, *, since: float | None, until: float | None, session: str | None, group_by: GroupBy | None
    ) -> Summary:
        """Totals over a period from rollups: every UTC day that `since` (inclusive) to `until` (exclusive) touches;
        None is no bound.
        """
        ...

    async def summarize_by_day(
        self, *, since: float, session: str | None, group_by: GroupBy
    ) -> dict[str, dict[str, Decimal]]:
        """What each group cost on each UTC day, in dollars by ISO day, from the day of `since` on."""
        ...

    async def read_recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """The latest attempts, newest first; `before` turns the page, `client` leaves out everybody else's."""
        ...

    def read_calls(self, since: float | None, until: float | None) -> AsyncIterator[list[RecordedCall]]:
        """Every recorded call that began in the period, oldest first, a chunk at a time."""
        ...

    async def find_differences(self) -> list[str]:
        """Where rows, rollups and balances disagree, in words; empty when all is well."""
        ...

    async def rebuild_rollups(self) -> list[str]:
        """Set the rollups that disagree with their rows to what those add up to, and say so as `check` does."""
        ...

    async def store_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Keep what a client said and heard up to a call, for users who turned that on."""
        ...

    async def read_text(self, client: str, call_id: str) -> str | None:
        """What was kept of a client's call; None where nothing was, or it is another client's."""
        ...

    async def prune(self, before: float) -> int:
        """Drop the rows and texts of the UTC days that ended by then and say how many rows; rollups stay."""
        ...

    async def aclose(self) -> None:
        """Close the database."""
        ...
