"""Record types of the ledger: attempts, holds, refusals, breakers and rate limits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Outcome = Literal["answered", "failed", "cancelled", "lost"]
"""`lost`: the process ended before the attempt was recorded. Its cost is the amount of its hold."""
CostSource = Literal["reported", "priced", "bound", "unknown"]
"""Source of a cost: the vendor, the price list, the upper bound of the hold, or none."""

TRIAL = "trial"
"""Client of a trial's attempts. The baseline of such an attempt is its own cost, so trials change no savings."""

GroupBy = Literal["provider", "model", "use_case", "budget_tier", "client", "day", "project", "branch", "host"]


COMPARED = "compared"
"""How `why` begins for an attempt whose answer is compared with another's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One request to one model; one row of the ledger."""

    call_id: str
    number: int
    """1 for a call's first attempt."""
    session: str
    """Run of the server."""
    client: str
    use_case: str
    budget_tier: str
    complexity: str
    inferred: str
    """Those of the three fields above that the router inferred, comma-separated; empty for none."""
    model: str
    """`provider:name`."""
    why: str
    """Reason for the model's place in the plan."""
    started_at: float
    """Seconds since the epoch, UTC."""
    seconds: float
    outcome: Outcome
    error: str | None = None
    """Kind of failure, one word; None if the model answered."""
    detail: str | None = None
    """The provider's error message, redacted: without prompts and keys."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    searches: int | None = None
    cost_usd: Decimal | None = None
    """None if unknown; with `bound` it is the upper bound."""
    cost_source: CostSource = "unknown"
    baseline_usd: Decimal | None = None
    """Cost of the same tokens at the baseline model; only for an answered attempt."""
    baseline: str = ""
    project: str = ""
    """This and the fields below are those of the call's `Origin`."""
    branch: str = ""
    host: str = ""

    @property
    def provider(self) -> str:
        """Provider: the part of `model` before the colon."""
        return self.model.partition(":")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Spending limit per day or month, of one client, of one project or of all together."""

    name: str
    """Name for people, for example `daily` or `alice monthly`."""
    period: Literal["day", "month"]
    limit_usd: Decimal
    """0 allows no spending."""
    client: str | None = None
    """None: all clients together."""
    project: str | None = None
    """None: all projects together."""

    def applies_to(self, client: str, project: str) -> bool:
        """Return whether a call of this client in this project counts against the budget."""
        return self.client in (None, client) and self.project in (None, project)


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimit:
    """Requests and tokens per minute of one provider or client; None is no limit."""

    provider: str
    """For a client `client:NAME`. Of a client, calls are counted, not attempts."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallConditions:
    """Which past calls are listed, by their last attempt; None admits all."""

    since: float | None = None
    """Seconds since the epoch, inclusive."""
    until: float | None = None
    """Exclusive."""
    client: str | None = None
    model: str | None = None
    """`provider:name`, or a provider."""
    use_case: str | None = None
    budget_tier: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientToken:
    """A client's token, as its hash."""

    sha256: str
    client: str
    made_at: float
    """Seconds since the epoch."""
    revoked_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Result of a model's newest trial on a route."""

    use_case: str
    budget_tier: str
    model: str
    criterion: str
    passed: int
    total: int
    measured_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Money and rate reserved for one attempt before it is sent. A hold is a lease: it expires by itself."""

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
    """Number of the attempt in its call. This and the fields below are recorded if the attempt is lost."""
    session: str = ""
    use_case: str = ""
    budget_tier: str = ""
    complexity: str = ""
    inferred: str = ""
    why: str = ""
    project: str = ""
    branch: str = ""
    host: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRefusal:
    """Refusal of a hold by a budget."""

    budget: Budget
    wanted_usd: Decimal
    """Amount of the refused hold."""
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float

    @property
    def left_usd(self) -> Decimal:
        """Amount that the budget still admits."""
        return max(Decimal(0), self.budget.limit_usd - self.spent_usd - self.held_usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class RateRefusal:
    """Refusal of a hold by a rate limit. After `wait_seconds` it can be admitted."""

    provider: str
    wait_seconds: float
    """Infinite if one call exceeds the limit itself."""
    what: str
    """The limit, for example `30 requests a minute`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetStatus:
    """Current state of a budget."""

    budget: Budget
    spent_usd: Decimal
    held_usd: Decimal
    resets_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedCall:
    """Recorded call with the fields needed to compute its cost at other models."""

    call_id: str
    started_at: float
    client: str
    use_case: str
    budget_tier: str
    complexity: str
    model: str
    """Model that answered, or else the last one tried."""
    why: str
    """Reason for the model's place in the plan."""
    outcome: Outcome
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    searches: int | None
    cost_usd: Decimal | None
    """Cost of all its attempts; None if one of them is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker:
    """Breaker of a provider, key or model. Its scope is one of
    `provider:groq`, `key:groq:<fingerprint>` or `model:groq:openai/gpt-oss-20b`.
    """

    scope: str
    open_until: float
    """Seconds since the epoch. A later time replaces an earlier one."""
    reason: str
    failures: int = 0
    """Consecutive failures. The cooldown grows with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateUsage:
    """Requests and tokens of a provider in the last minute."""

    provider: str
    requests: int
    tokens: int
    oldest_at: float
    """Time of the oldest request, which stops counting 60 s later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorRateLimit:
    """Rate limit in a vendor's headers, until its reset; None if it was not sent or has been reset."""

    scope: str
    """A provider, or `provider:name` if the vendor counts by model."""
    noted_at: float
    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset_at: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Availability:
    """Availability of all providers at one time: everything that a plan reads from the ledger."""

    breakers: tuple[Breaker, ...] = ()
    """Open breakers, and recently open ones, whose `failures` still count."""
    rate_usage: tuple[RateUsage, ...] = ()
    """Requests and tokens of each provider in the last minute."""
    vendor_limits: tuple[VendorRateLimit, ...] = ()
    """Vendors' rate limits that have not been reset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeCounts:
    """Outcome counts of a model in a route."""

    kept: int = 0
    """Answers that the validator accepted."""
    rejected: int = 0
    """Answers that the validator did not accept, which led to another attempt."""
    pinned: int = 0
    """Answers by a model that the caller named."""

    def __bool__(self) -> bool:
        """Return whether any count is above 0."""
        return bool(self.kept or self.rejected or self.pinned)


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteOutcomes:
    """Recent outcome counts of one model in one route."""

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
    """Cost of all attempts, including failed ones. `uncertain_usd` of it are upper bounds."""
    uncertain_usd: Decimal
    lost_attempts: int
    """Attempts whose process ended before they were recorded; also in `failed_attempts`."""
    unpriced_attempts: int
    """Attempts of unknown cost, which are not in `cost_usd`."""
    baseline_usd: Decimal
    seconds: float
    """Duration of the answered attempts."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    answered_attempts: int = 0
    answered_output_tokens: int = 0
    """Output tokens of the answered attempts."""
    latencies: tuple[int, ...] = ()
    """Answered attempts by bucket of `latency_histogram`."""

    @property
    def tokens_per_second(self) -> float | None:
        """Output speed of answered attempts; None if there are none."""
        return self.answered_output_tokens / self.seconds if self.seconds > 0 else None

    @property
    def latency_mean_ms(self) -> float | None:
        """Mean duration of an answered attempt; None if there are none."""
        return 1000 * self.seconds / self.answered_attempts if self.answered_attempts else None

    @property
    def saved_usd(self) -> Decimal:
        """Baseline cost minus the cost of all attempts."""
        return self.baseline_usd - self.cost_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Totals of a period and of its groups."""

    total: Totals
    groups: dict[str, Totals]
