"""The model that savings are measured against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from mcp_router.routing.prices import compute_cost
from providers.catalog import Model, Provider
from providers.completion import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The model that savings are measured against."""

    provider: Provider
    model: Model

    def cost_usd(self, usage: Usage, at: datetime) -> Decimal | None:
        """Return what the same tokens cost at the baseline in US dollars, without searches; None if unknown."""
        plain = replace(usage, reported_cost_usd=None, cache_read_tokens=0, cache_write_tokens=0, searches=0)
        return compute_cost(self.provider, self.model, plain, at=at, thinking=False)[0]
