"""The ledger's three protocols: holds, attempts and reports, whichever database keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from mcp_router.ledger.alert_ledger import AlertLedger
from mcp_router.ledger.alerts import BudgetWatch
from mcp_router.ledger.measurement_ledger import MeasurementLedger
from mcp_router.ledger.records import (
    Attempt,
    Availability,
    Breaker,
    Budget,
    BudgetRefusal,
    BudgetStatus,
    CallConditions,
    GroupBy,
    Hold,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
    RecordedCall,
    RouteOutcomes,
    Summary,
)
from mcp_router.ledger.task_ledger import TaskLedger
from mcp_router.ledger.token_ledger import TokenLedger
from providers.completion import Limits

Settled = Literal["written", "kept", "in_memory"]
"""Where a settled attempt is: in the database, on this machine's disk until the database is back, or in no file yet."""


class LedgerError(Exception):
    """A failure to read or write the ledger; the text names the ledger and how to fix it."""


class LedgerReplacedError(LedgerError):
    """The ledger's file was deleted or replaced while in use; it is open again, perhaps without recent attempts."""


class HoldLedger(Protocol):
    """Money, rate limits and breakers that processes share. Every method is one short transaction."""

    async def hold(
        self, hold: Hold, budgets: Sequence[Budget], rate: RateLimit | None, *, client_rate: RateLimit | None = None
    ) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once, or return why not and claim nothing. `rate` is the provider's."""
        ...

    async def release(self, hold_id: str) -> None:
        """End a hold whose request was never sent."""
        ...

    async def settle(
        self,
        hold_id: str | None,
        attempt: Attempt,
        breakers: Sequence[Breaker] = (),
        counts: OutcomeCounts | None = None,
    ) -> Settled:
        """Record the attempt, charge its cost to the budgets, end its hold and open `breakers`: all or nothing, and
        once, also if repeated.
        """
        ...

    async def read_availability(self, now: float, counted: Sequence[str] | None = None) -> Availability:
        """Return open breakers, requests of the last minute and vendors' rate limits. `counted` names the providers
        whose last minute is needed, or is None for all; counting takes longer for more requests.
        """
        ...

    async def close_breaker(self, scope: str) -> None:
        """Close the breaker of a scope that answered."""
        ...

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Claim the only probe of a half-open breaker, which stays open for other calls until `until`. Return
        False if another call of any process has it.
        """
        ...

    async def store_vendor_limit(self, scope: str, limits: Limits, now: float) -> None:
        """Share a vendor's rate-limit headers; `scope` is a provider, or a model if the vendor counts by model."""
        ...

    async def increase_budget(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Add to a budget in every process until it resets."""
        ...


class AttemptLedger(Protocol):
    """Recorded attempts, their outcomes by route, and stored conversations."""

    async def read_attempts(self, call_id: str) -> list[Attempt]:
        """Return a call's attempts in order; empty if the call is unknown."""
        ...

    async def read_recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """Return the latest attempts, newest first, started before `before`; `client` selects one client's."""
        ...

    async def list_calls(self, filters: CallConditions, limit: int) -> list[list[Attempt]]:
        """Return the attempts of the latest calls that a filter admits, newest call first."""
        ...

    def read_calls(self, since: float | None, until: float | None) -> AsyncIterator[list[RecordedCall]]:
        """Yield the calls that began in a period, oldest first, in chunks."""
        ...

    async def read_outcomes(self, now: float) -> list[RouteOutcomes]:
        """Return recent outcome counts of models by route."""
        ...

    async def count_outcome(self, route: tuple[str, str, str], model: str, counts: OutcomeCounts, now: float) -> None:
        """Add outcome counts to a model in a route: use case, budget tier, complexity."""
        ...

    async def forget_outcomes(self) -> int:
        """Delete all outcome counts; return how many there were."""
        ...

    async def store_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Store a client's conversation up to a call, for users who enabled `store_text`."""
        ...

    async def read_text(self, client: str, call_id: str) -> str | None:
        """Return a client's stored conversation; None if there is none or it is another client's."""
        ...


class ReportLedger(Protocol):
    """Totals, budgets as they stand, and upkeep."""

    async def read_budgets(self, budgets: Sequence[Budget], now: float) -> list[BudgetStatus]:
        """Return each budget's spent and held money."""
        ...

    async def summarize(
        self,
        *,
        since: float | None,
        until: float | None,
        session: str | None,
        group_by: GroupBy | None,
        then_by: GroupBy | None = None,
    ) -> Summary:
        """Return totals from rollups of every UTC day that `since` (inclusive) to `until` (exclusive) touches; None
        is no bound. `then_by` splits the groups further.
        """
        ...

    async def summarize_by_day(
        self, *, since: float, session: str | None, group_by: GroupBy
    ) -> dict[str, dict[str, Decimal]]:
        """Return the cost of each group by ISO day, in USD, from the day of `since` on."""
        ...

    async def find_differences(self) -> list[str]:
        """Return where rows, rollups and budgets disagree; empty if they agree."""
        ...

    async def rebuild_rollups(self) -> list[str]:
        """Recompute rollups that disagree with their rows; return what `find_differences` would."""
        ...

    async def prune(self, before: float) -> int:
        """Delete rows and texts of UTC days that ended by `before`; rollups stay. Return the number of rows."""
        ...


class Ledger(HoldLedger, AttemptLedger, ReportLedger, Protocol):
    """The whole ledger, shared by many processes."""

    @property
    def tasks(self) -> TaskLedger:
        """Tasks: calls that run on in the background."""
        ...

    @property
    def tokens(self) -> TokenLedger:
        """Hashes of clients' tokens."""
        ...

    @property
    def measurements(self) -> MeasurementLedger:
        """Results of trials."""
        ...

    @property
    def alerts(self) -> AlertLedger:
        """Alerts that processes claimed and sent."""
        ...

    def watch(self, watch: BudgetWatch | None) -> None:
        """Report the thresholds that attempts cross from now on; None reports none."""
        ...

    async def maintain(self) -> None:
        """Write attempts that any process kept when the database is back, and record lost ones; run until cancelled."""
        ...

    async def aclose(self) -> None:
        """Close the database. Kept attempts stay for the next process."""
        ...
