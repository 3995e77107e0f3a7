"""What a plan depends on: the task, and the world it is planned in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from mcp_router.ledger.records import Breaker
from mcp_router.routing.access import Access
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Requirements
from mcp_router.routing.routes import Complexity, RoutingTable, Tier, UseCase


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingRequest:
    """A subtask with nothing left to guess."""

    use_case: UseCase
    complexity: Complexity
    budget_tier: Tier
    inferred: Mapping[str, float] = field(default_factory=dict[str, float])
    """Which of the three the router chose itself, and how sure it was."""
    risk: float = 0.0
    """How likely a cheap model fails where a stronger one would not; 0 where the caller said how complex it is."""
    pin: str | None = None
    """`provider:model` or `provider`, where the caller insists."""
    prefer: str | None = None
    """The model that answered a conversation so far: first, while it can be had."""
    ceiling_usd: Decimal
    requirements: Requirements


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """How well a model did on a cell before."""

    weight: float
    """Above 0 moves it forward, below 0 back."""
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingState:
    """Everything outside the task that a plan depends on."""

    catalog: Catalog
    routes: RoutingTable
    now: datetime
    access: Mapping[str, Access]
    benches: Mapping[str, Breaker] = field(default_factory=dict[str, Breaker])
    """By scope; only those still in force."""
    busy: Mapping[str, float] = field(default_factory=dict[str, float])
    """By provider or model: seconds until one at its rate limit may be asked again."""
    unlisted: frozenset[str] = frozenset()
    """Providers where a model that the catalog does not know may run, at an unknown price."""
    preferences: Mapping[str, Preference] = field(default_factory=dict[str, Preference])
    """By model, where enough is known."""
