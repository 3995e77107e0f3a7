"""Budget increases that the user of this server approved or declined."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal

import anyio

from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.records import Budget

_MAX_OPEN_QUESTIONS = 256


class BudgetIncrease:
    """The questions that were asked and their answers. A yes is kept in the ledger and widens the budget for all its
    users until it resets. A no is kept in this process until then.
    """

    def __init__(self, ledger: Ledger, budgets: Callable[[], Sequence[Budget]], clock: Callable[[], float]) -> None:
        """`budgets` returns those configured; `clock` returns seconds since the epoch."""
        self._ledger = ledger
        self._budgets = budgets
        self._clock = clock
        self._declined_until: dict[str, float] = {}
        self._open: OrderedDict[str, str] = OrderedDict()
        self.answers = 0
        """How many answers were recorded."""
        self.asking = anyio.Lock()
        """Held during a question to the user, so calls that reach a budget together share it."""

    def can_ask(self, budget: str) -> bool:
        """Whether the user can be asked: not about a budget of 0, nor again after a no."""
        increasable = any(one.name == budget and one.limit_usd > 0 for one in self._budgets())
        return increasable and self._declined_until.get(budget, 0.0) <= self._clock()

    def ask(self, budget: str) -> str:
        """Return the key of a new question about a budget. It cannot be guessed, so an answer proves the question."""
        key = f"over_budget:{secrets.token_urlsafe(16)}"
        self._open[key] = budget
        if len(self._open) > _MAX_OPEN_QUESTIONS:
            self._open.popitem(last=False)
        return key

    def take_question(self, key: str, budget: str) -> bool:
        """Return whether a question about this budget is open under the key, and close it."""
        if self._open.get(key) != budget:
            return False
        del self._open[key]
        return True

    async def record_answer(self, budget: str, extra_usd: Decimal, until: float) -> None:
        """Record an answer: an amount in USD that adds to earlier ones, or 0 for a no until that time."""
        if extra_usd > 0:
            await self._ledger.increase_budget(budget, extra_usd, until, self._clock())
        else:
            self._declined_until[budget] = until
        self.answers += 1
