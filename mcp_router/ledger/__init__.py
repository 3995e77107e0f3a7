"""Where attempts are written and money is held: what a ledger promises, whichever database keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from mcp_router.ledger.lessons import CellLesson, Lesson
from mcp_router.ledger.standing import Bench, Learned, RateState, Standing
from mcp_router.ledger.totals import Summary, Totals
from providers.completion import Limits

__all__ = [
    "Attempt",
    "Bench",
    "BudgetRefusal",
    "BudgetState",
    "CellLesson",
    "CostSource",
    "GroupBy",
    "Hold",
    "Learned",
    "Ledger",
    "LedgerError",
    "Lesson",
    "Limit",
    "Outcome",
    "Rate",
    "RateRefusal",
    "RateState",
    "Recorded",
    "Standing",
    "Summary",
    "Totals",
]

Outcome = Literal["answered", "failed", "cancelled"]
CostSource = Literal["reported", "priced", "bound", "unknown"]
"""Who says what it cost: the vendor, our price list, nobody but it was at most this much, or nobody at all."""

GroupBy = Literal["provider", "model", "use_case", "budget_tier", "client", "day"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One request to one model: one row."""

    call_id: str
    number: int
    """1 for a call's first attempt."""
    session: str
    """The run of the server it belongs to."""
    client: str
    use_case: str
    budget_tier: str
    complexity: str
    inferred: str
    """Which of the three the router chose itself, comma-separated; empty for none."""
    model: str
    """`provider:name`."""
    why: str
    """Why this model stood here in the plan."""
    started_at: float
    """Seconds since the epoch, UTC."""
    seconds: float
    outcome: Outcome
    error: str | None = None
    """The kind of failure, one word; None when it answered."""
    detail: str | None = None
    """What the provider said, redacted; never the prompt, never a key."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    searches: int | None = None
    cost_usd: Decimal | None = None
    """None where nobody knows; with `bound` it is the most it can have been."""
    cost_source: CostSource = "unknown"
    baseline_usd: Decimal | None = None
    """What the same tokens would have cost at the baseline model; only for an attempt that answered."""
    baseline: str = ""

    @property
    def provider(self) -> str:
        """The part of `model` before the colon."""
        return self.model.partition(":")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A budget: the most that may be spent in a period, by one client or by all."""

    name: str
    """How people name it, say `daily` or `alice monthly`."""
    period: Literal["day", "month"]
    limit_usd: Decimal
    """0 means nothing may be spent."""
    client: str | None = None
    """None: everybody together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """What one provider may be asked a minute; None is no limit."""

    provider: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Money and rate claimed for one attempt before it is sent. A lease: it expires by itself."""

    id: str
    call_id: str
    client: str
    model: str
    amount_usd: Decimal
    """The most the attempt can cost."""
    tokens: int
    """The most it can count against tokens per minute."""
    now: float
    expires_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRefusal:
    """A hold that a budget did not admit."""

    limit: Limit
    wanted_usd: Decimal
    """What was to be held."""
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float

    @property
    def left_usd(self) -> Decimal:
        """What would still fit."""
        return max(Decimal(0), self.limit.limit_usd - self.spent_usd - self.held_usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class RateRefusal:
    """A hold that came too early; `wait_seconds` says how long until it would be admitted."""

    provider: str
    wait_seconds: float
    """Infinite where no waiting helps: one call is more than the limit itself."""
    what: str
    """Say `30 requests a minute`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetState:
    """A budget as it stands now."""

    limit: Limit
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One call as it was: what is needed to ask what it would have cost elsewhere."""

    call_id: str
    started_at: float
    client: str
    use_case: str
    budget_tier: str
    complexity: str
    model: str
    """Who answered, or was asked last."""
    why: str
    """Why that model stood in the plan."""
    outcome: Outcome
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    searches: int | None
    cost_usd: Decimal | None
    """All its attempts together; None where one of them is unknown."""


class LedgerError(Exception):
    """The ledger could not be read or written; the text says which one and what to do."""


class Ledger(Protocol):
    """One ledger, many processes. Every method is one short transaction; nothing is awaited inside it."""

    async def hold(self, hold: Hold, limits: Sequence[Limit], rate: Rate | None) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once, or say what stands in the way and claim nothing."""
        ...

    async def settle(
        self, hold_id: str | None, attempt: Attempt, benches: Sequence[Bench] = (), lesson: Lesson | None = None
    ) -> bool:
        """Write the attempt, put its cost on the budgets, end its hold and note whom to leave alone: all or nothing,
        once, also when repeated. False: the database is away, the attempt is kept and written when it returns.
        """
        ...

    async def standing(self, now: float, counted: Sequence[str] | None = None) -> Standing:
        """Who is benched, how busy each provider was, and what vendors said is left. `counted` are the providers
        whose last minute is wanted, since counting it takes longer the more was asked; None is all of them.
        """
        ...

    async def lessons(self, now: float) -> list[CellLesson]:
        """What was learnt of late of models in cells."""
        ...

    async def forget(self) -> int:
        """Unlearn all that, and say of how many models in cells something was known."""
        ...

    async def clear_bench(self, scope: str) -> None:
        """It answered again."""
        ...

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Be the one call that tries again after a bench has ended: for all others it then lasts to `until`.
        False where another call, of any process, is already trying.
        """
        ...

    async def learn(self, scope: str, limits: Limits, now: float) -> None:
        """Share what a vendor's headers said; `scope` is a provider, or a model where the vendor counts by model."""
        ...

    async def allow(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Let so much more be spent than a budget says, in every process, until it resets."""
        ...

    async def budgets(self, limits: Sequence[Limit], now: float) -> list[BudgetState]:
        """How each budget stands."""
        ...

    async def attempts(self, call_id: str) -> list[Attempt]:
        """A call's attempts, first one first; empty where there is no such call."""
        ...

    async def summary(
        self, *, since: float | None, until: float | None, session: str | None, group_by: GroupBy | None
    ) -> Summary:
        """Totals over a period from rollups: every UTC day that `since` (inclusive) to `until` (exclusive) touches;
        None is no bound.
        """
        ...

    async def daily(self, *, since: float, session: str | None, group_by: GroupBy) -> dict[str, dict[str, Decimal]]:
        """What each group cost on each UTC day, in dollars by ISO day, from the day of `since` on."""
        ...

    async def recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """The latest attempts, newest first; `before` turns the page, `client` leaves out everybody else's."""
        ...

    def cells(self, since: float | None, until: float | None) -> AsyncIterator[list[Recorded]]:
        """Every recorded call that began in the period, oldest first, a chunk at a time."""
        ...

    async def check(self) -> list[str]:
        """Where rows, rollups and balances disagree, in words; empty when all is well."""
        ...

    async def rebuild(self) -> list[str]:
        """Set the rollups that disagree with their rows to what those add up to, and say so as `check` does."""
        ...

    async def keep_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Keep what a client said and heard up to a call, for users who turned that on."""
        ...

    async def text(self, client: str, call_id: str) -> str | None:
        """What was kept of a client's call; None where nothing was, or it is another client's."""
        ...

    async def prune(self, before: float) -> int:
        """Drop the rows and texts of the UTC days that ended by then and say how many rows; rollups stay."""
        ...

    async def aclose(self) -> None:
        """Close the database."""
        ...
