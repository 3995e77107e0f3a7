"""Record types of the ledger: what is written, held, refused and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Outcome = Literal["answered", "failed", "cancelled", "lost"]
"""`lost`: its process ended before the attempt was recorded; its cost is the bound that was held."""
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
class Budget:
    """A budget: the most that may be spent in a period, by one client or by all."""

    name: str
    """How people name it, say `daily` or `alice monthly`."""
    period: Literal["day", "month"]
    limit_usd: Decimal
    """0 means nothing may be spent."""
    client: str | None = None
    """None: everybody together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimit:
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
    is_priced: bool = True
    """False if the model has no price: the attempt's cost is then unknown, not 0."""
    number: int = 1
    """The attempt's number in its call; with the fields below, what is recorded if the attempt is lost."""
    session: str = ""
    use_case: str = ""
    budget_tier: str = ""
    complexity: str = ""
    inferred: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRefusal:
    """A hold that a budget did not admit."""

    budget: Budget
    wanted_usd: Decimal
    """What was to be held."""
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float

    @property
    def left_usd(self) -> Decimal:
        """What would still fit."""
        return max(Decimal(0), self.budget.limit_usd - self.spent_usd - self.held_usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class RateRefusal:
    """A hold that came too early; `wait_seconds` says how long until it would be admitted."""

    provider: str
    wait_seconds: float
    """Infinite where no waiting helps: one call is more than the limit itself."""
    what: str
    """Say `30 requests a minute`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetStatus:
    """A budget as it stands now."""

    budget: Budget
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedCall:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker:
    """A provider, key or model that is left alone for a while. Its scope says which:
    `provider:groq`, `key:groq:<fingerprint>` or `model:groq:openai/gpt-oss-20b`.
    """

    scope: str
    open_until: float
    """Seconds since the epoch; a later `until` always wins over an earlier one."""
    reason: str
    failures: int = 0
    """How often in a row; the cooldown grows with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateUsage:
    """A provider's last minute."""

    provider: str
    requests: int
    tokens: int
    oldest_at: float
    """When the first of them was asked: a minute later there is room for another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorRateLimit:
    """What a vendor's headers said is left, until its reset; None where they were silent or that time has come."""

    scope: str
    """A provider, or `provider:name` where the vendor counts by model."""
    noted_at: float
    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset_at: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Availability:
    """How everybody stands at one moment: all that a plan asks of the ledger."""

    breakers: tuple[Breaker, ...] = ()
    """Who is being left alone, and who was of late (its `failures` still count)."""
    rate_usage: tuple[RateUsage, ...] = ()
    """What each provider was asked in the last minute."""
    vendor_limits: tuple[VendorRateLimit, ...] = ()
    """What vendors' headers said and still holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeCounts:
    """What attempts taught of a model in a cell."""

    kept: int = 0
    """Answers that were checked and found good."""
    rejected: int = 0
    """Answers that were checked and would not do, so that somebody was asked again."""
    pinned: int = 0
    """Answers by a model that the caller insisted on."""

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.kept or self.rejected or self.pinned)


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteOutcomes:
    """What was learnt of one model in one cell of late."""

    use_case: str
    budget_tier: str
    complexity: str
    model: str
    counts: OutcomeCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over attempts."""

    calls: int
    attempts: int
    failed_attempts: int
    fallback_calls: int
    """Calls that needed more than one attempt."""
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    """Everything spent, failed attempts included; `uncertain_usd` of it are upper bounds."""
    uncertain_usd: Decimal
    lost_attempts: int
    """Attempts whose process ended before they were recorded, at their bound; also in `failed_attempts`."""
    unpriced_attempts: int
    """Attempts whose cost nobody knows: not in `cost_usd`."""
    baseline_usd: Decimal
    seconds: float
    """Time spent in attempts that answered."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    answered_attempts: int = 0
    answered_output_tokens: int = 0
    """What the answered attempts wrote, in `seconds`."""
    latencies: tuple[int, ...] = ()
    """Answered attempts by bucket of `latency.bucket_of`."""

    @property
    def tokens_per_second(self) -> float | None:
        """How fast answers were written; None where nothing answered."""
        return self.answered_output_tokens / self.seconds if self.seconds > 0 else None

    @property
    def latency_mean_ms(self) -> float | None:
        """Mean time of an attempt that answered."""
        return 1000 * self.seconds / self.answered_attempts if self.answered_attempts else None

    @property
    def saved_usd(self) -> Decimal:
        """The baseline's cost less everything spent."""
        return self.baseline_usd - self.cost_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Totals of a period, and of its groups."""

    total: Totals
    groups: dict[str, Totals]
