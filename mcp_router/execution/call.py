"""What travels through one `generate`: what is asked, the call while it runs, and how an attempt may end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from mcp_router.ledger.records import Attempt, Bench, BudgetRefusal, RateRefusal
from mcp_router.routing.plan import Rejection
from mcp_router.routing.request import RoutingRequest
from providers.completion import Completion, Message, OnText, Usage
from providers.errors import ProviderError


class RejectedError(ProviderError):
    """An answer came back whole, but will not do."""

    def __init__(
        self, message: str, *, usage: Usage | None, again: str | None = None, broken: tuple[str, ...] = ()
    ) -> None:
        """`again` is what the model is told so that it may do better; None where it is not asked again.
        `broken` is which of the caller's rules: words of the caller, for the caller, written down nowhere.
        """
        super().__init__(message, usage=usage)
        self.again = again
        self.broken = broken


Judge = Callable[[Completion], Completion | RejectedError]
"""Gives an answer back as the caller shall have it, or says what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A task and the words that go with it."""

    task: RoutingRequest
    messages: tuple[Message, ...]
    system: str | None = None
    temperature: float | None = None
    response_schema: Mapping[str, object] | None = None
    shared_prefix: bool = False
    client: str = "local"
    call_id: str | None = None
    """Given where one tool call makes many; made otherwise."""
    judge: Judge | None = None
    on_text: OnText | None = None


def new_call_id() -> str:
    """Make an id that is short to read and nobody else's."""
    return secrets.token_hex(5)


@dataclass(kw_only=True, slots=True)
class Call:
    """One `generate` while it runs."""

    ask: Ask
    id: str
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    warnings: list[str] = field(default_factory=list[str])
    deadline: float
    """On the event loop's clock."""

    @property
    def spent_usd(self) -> Decimal:
        """What it has cost so far, upper bounds where nobody knows better."""
        return sum((attempt.cost_usd or Decimal(0) for attempt in self.attempts), Decimal(0))


Refusal = BudgetRefusal | RateRefusal | Rejection
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
    bench: Bench | None
    said: Completion | None = None
    """What the model said, where it answered but the answer was no good."""
    again: str | None = None
    """What to tell it so that it may do better."""
