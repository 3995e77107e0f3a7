"""Types of one `generate`: the request, the call while it runs, and the results of an attempt."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from mcp_router.execution.breaker import CallBreakers
from mcp_router.ledger.origin import CURRENT_ORIGIN, Origin
from mcp_router.ledger.records import Attempt, Breaker, BudgetRefusal, RateRefusal
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan, Rejection
from mcp_router.routing.policy import Policy
from mcp_router.routing.request import RoutingRequest
from providers.completion import Completion, Message, NativeOptions, OnText, ToolOffer, Usage
from providers.errors import ProviderError


class RejectedError(ProviderError):
    """An answer came back whole, but will not do."""

    def __init__(
        self, message: str, *, usage: Usage | None, feedback: str | None = None, broken: tuple[str, ...] = ()
    ) -> None:
        """`feedback` goes to the model with the re-ask; None if it is not asked again.
        `broken` is which of the caller's rules: words of the caller, for the caller, written down nowhere.
        """
        super().__init__(message, usage=usage)
        self.feedback = feedback
        self.broken = broken


class CheckFailedError(RejectedError):
    """The user's check did not pass on the answer."""

    kind = "check_failed"
    fallback = "stronger"

    def __init__(self, message: str, *, usage: Usage | None, feedback: str, output: str) -> None:
        """`output` is what the command printed last: for the caller, written down nowhere."""
        super().__init__(message, usage=usage, feedback=feedback)
        self.output = output


Validator = Callable[[Completion], Awaitable[Completion | RejectedError]]
"""Gives an answer back as the caller shall have it, or says what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequest:
    """A task and the words that go with it."""

    task: RoutingRequest
    messages: tuple[Message, ...]
    system: str | None = None
    temperature: float | None = None
    response_schema: Mapping[str, object] | None = None
    shared_prefix: bool = False
    offer: ToolOffer | None = None
    """The caller's tools. Their calls go back to the caller: the router runs none."""
    native: NativeOptions | None = None
    client: str = "local"
    origin: Origin = field(default_factory=CURRENT_ORIGIN.get)
    policy: Policy = field(default_factory=Policy)
    """The policy that it was planned under."""
    call_id: str | None = None
    """Given where one tool call makes many; made otherwise."""
    earlier_attempts: int = 0
    """Attempts of the same call by a process that ended: this one goes on counting."""
    validate: Validator | None = None
    check: str | None = None
    """What proves an answer besides the schema: the name of a check."""
    validation_s: float = 0.0
    """Seconds that the validator can take: a hold lasts that much longer."""
    on_text: OnText | None = None
    is_committed: Callable[[], bool] | None = None
    """Whether the caller has text of the current attempt that it cannot take back: then no other model can answer."""
    ignores_breakers: bool = False
    """Whether open circuit breakers reject no model: `doctor` wants to know whether a key works now."""


def new_call_id() -> str:
    """Return a new call id: 10 hexadecimal digits."""
    return secrets.token_hex(5)


@dataclass(kw_only=True, slots=True)
class Call:
    """One `generate` while it runs."""

    request: CallRequest
    id: str
    breakers: CallBreakers = field(default_factory=CallBreakers)
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    warnings: list[str] = field(default_factory=list[str])
    deadline: float
    """On the event loop's clock."""
    is_undecided: bool = False
    """Whether answers are being compared: none of them is the call's answer yet."""

    @property
    def next_number(self) -> int:
        """Return the number of the next attempt, from 1."""
        return self.request.earlier_attempts + len(self.attempts) + 1

    @property
    def spent_usd(self) -> Decimal:
        """Return the cost so far in USD, with upper bounds for unknown costs."""
        return sum((attempt.cost_usd or Decimal(0) for attempt in self.attempts), Decimal(0))


SkipReason = BudgetRefusal | RateRefusal | Rejection
"""Why a candidate of the plan was passed over without being asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An attempt that will do."""

    completion: Completion
    attempt: Attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """An attempt that will not."""

    error: ProviderError
    attempt: Attempt
    opened: Breaker | None
    completion: Completion | None = None
    """What the model said, where it answered but the answer was no good."""
    feedback: str | None = None
    """What to tell it so that it may do better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What the caller gets: an answer, and all that was tried for it."""

    call_id: str
    plan: Plan
    completion: Completion
    candidate: Candidate
    attempts: tuple[Attempt, ...]
    warnings: tuple[str, ...]
    proof: str | None = None
    """What proved the answer, besides a schema; None if nothing was asked to."""

    @property
    def cost_usd(self) -> Decimal | None:
        """Everything the call cost, failed attempts included; None where any of it is unknown."""
        return sum_costs_usd(self.attempts)

    @property
    def fallbacks(self) -> int:
        """How many attempts failed first."""
        return sum(attempt.outcome != "answered" for attempt in self.attempts)

    @property
    def escalations(self) -> int:
        """How many of them answered, but not well enough."""
        return sum(attempt.outcome == "failed" and attempt.finish_reason is not None for attempt in self.attempts)

    @property
    def saved_usd(self) -> Decimal | None:
        """The baseline's cost for the same tokens, less everything spent; None where either is unknown."""
        baseline = self.attempts[-1].baseline_usd
        return None if baseline is None or self.cost_usd is None else baseline - self.cost_usd


def sum_costs_usd(attempts: Iterable[Attempt]) -> Decimal | None:
    """Add up what attempts cost; None where any of it is unknown."""
    costs = [attempt.cost_usd for attempt in attempts]
    return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))
