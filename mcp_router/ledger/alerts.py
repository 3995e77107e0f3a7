"""Alerts about budgets: which thresholds are watched, and one that was crossed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mcp_router.ledger.records import Budget


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetAlert:
    """A threshold of a budget that was crossed in a period. One process in all has it."""

    budget: Budget
    """With its increase, if the user allowed one."""
    threshold: float
    """Part of the limit, for example 0.8."""
    spent_usd: Decimal
    period_day: int
    """First UTC day of the period."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetWatch:
    """Budgets to watch when an attempt is settled."""

    budgets: Sequence[Budget]
    thresholds: Sequence[float]
    on_alerts: Callable[[Sequence[BudgetAlert]], None]
    """Called after the transaction, with the thresholds that this process is to report. It must not block."""
