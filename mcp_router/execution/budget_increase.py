"""What a person says when a budget does not admit a call: how much more may be spent, or no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import anyio

from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.records import Budget


class BudgetIncrease:
    """Hears the person: a yes goes to the ledger and widens the budget for everybody on it until it resets; a no is
    remembered here until then, and ends with the process.
    """

    def __init__(self, ledger: Ledger, limits: Sequence[Budget], clock: Callable[[], float]) -> None:
        """`limits` are the budgets as configured; `clock` says seconds since the epoch."""
        self._ledger = ledger
        self._askable = frozenset(limit.name for limit in limits if limit.limit_usd > 0)
        self._clock = clock
        self._refused_until: dict[str, float] = {}
        self.answers = 0
        """How often somebody answered."""
        self.asking = anyio.Lock()
        """Held while a person is being asked: for all calls that come up against a budget together, once."""

    def can_ask(self, name: str) -> bool:
        """Whether it makes sense to ask: not where nothing may be spent at all, nor after a no."""
        return name in self._askable and self._refused_until.get(name, 0.0) <= self._clock()

    async def record_answer(self, name: str, extra_usd: Decimal, until: float) -> None:
        """Remember an answer, 0 being a no; a yes adds to an earlier one."""
        if extra_usd > 0:
            await self._ledger.increase_budget(name, extra_usd, until, self._clock())
        else:
            self._refused_until[name] = until
        self.answers += 1
