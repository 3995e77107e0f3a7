"""What a plan depends on: the request, and the state it is planned in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from mcp_router.ledger.records import Breaker
from mcp_router.routing.access import Access
from mcp_router.routing.baseline import Baseline
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Requirements
from mcp_router.routing.policy import Policy
from mcp_router.routing.routes import Complexity, RoutingTable, Tier, UseCase
from providers.catalog import DataFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingRequest:
    """A subtask with nothing left to infer."""

    use_case: UseCase
    complexity: Complexity
    budget_tier: Tier
    inferred: Mapping[str, float] = field(default_factory=dict[str, float])
    """Which of the three the router chose itself, with its confidence."""
    risk: float = 0.0
    """How likely a cheap model fails where a stronger one does not; 0 if the caller stated the complexity."""
    pin: str | None = None
    """`provider:model` or `provider`, if the caller insists."""
    prefer: str | None = None
    """The model that answered the conversation so far: first, while it is available."""
    tiers: tuple[Tier, ...] = ()
    """Tiers to try in this order until a model fits; empty if only `budget_tier` counts."""
    reasons: tuple[str, ...] = ()
    """What was read, and why this use case, complexity and tier."""
    client: str = "local"
    client_models: tuple[str, ...] | None = None
    """Patterns of the models that the client can use; None for all."""
    smallest_budget_usd: Decimal | None = None
    """The smallest budget that holds for the call: models above it are planned only if no model is within it."""
    ceiling_usd: Decimal
    """The most that the call may cost, in US dollars; with several tiers that of the last one."""
    requirements: Requirements
    can_wait: bool = False
    """Whether the answer can take minutes: then requests ask for the vendor's flex class if the model has one."""
    needs_agreement: bool = False
    """Whether two models must give the answer alike, or a stronger one decides."""

    @property
    def follows_difficulty(self) -> bool:
        """Whether the tier follows an inferred use case and its difficulty."""
        return "use_case" in self.inferred and "budget_tier" in self.inferred


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """How a model's checked answers on a route compare with the others'."""

    weight: float
    """Below 0: worse than the others, which moves it behind them."""
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingState:
    """Everything outside the request that a plan depends on."""

    catalog: Catalog
    routes: RoutingTable
    now: datetime
    access: Mapping[str, Access]
    breakers: Mapping[str, Breaker] = field(default_factory=dict[str, Breaker])
    """By scope; only those that are open."""
    busy: Mapping[str, float] = field(default_factory=dict[str, float])
    """By provider or model: seconds until a rate limit admits the next request."""
    unlisted: frozenset[str] = frozenset()
    """Providers where a model that the catalog does not know may run, at an unknown price."""
    baseline: Baseline | None = None
    """What an inferred plan must undercut; None in a replay."""
    policy: Policy = field(default_factory=Policy)
    facts: Mapping[str, DataFacts] = field(default_factory=dict[str, DataFacts])
    """What is known of a provider's use of prompts, by provider; nothing of those that are not in it."""
    preferences: Mapping[str, Preference] = field(default_factory=dict[str, Preference])
    """By model, if enough is known."""
