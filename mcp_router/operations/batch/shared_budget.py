"""The cost limit of a batch, divided among its concurrent calls."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import anyio

from mcp_router.errors import BudgetExceededError
from mcp_router.money import format_usd

_MAX_COST_MULTIPLE = 10
"""Times the most expensive call so far: enough for one more of the kind if its whole ceiling is not available."""


@dataclass(kw_only=True, slots=True)
class Allotment:
    """Money for one call."""

    usd: Decimal
    ended_before: int
    """Calls that had ended when it was allotted."""
    spent_usd: Decimal | None = None
    """The cost of the call once it has ended; None counts as all of it."""


class SharedBudget:
    """The most that the calls of a batch can spend together."""

    def __init__(self, most_usd: Decimal | None, spent_usd: Decimal = Decimal(0)) -> None:
        """`most_usd` is the caller's limit, or None if each call has only its own; `spent_usd` is spent of it."""
        self._limit_usd = most_usd
        self._spent_usd = spent_usd
        self._allotted_usd = Decimal(0)
        self._max_cost_usd = Decimal(0)
        self._in_flight = 0
        self._ended = 0
        self._call_ended = anyio.Event()

    async def wait_until_available(self, wanted_usd: Decimal, *, alone: bool = False) -> None:
        """Wait until `allot` has what one call wants; `alone` waits for all that is left.

        Raises:
            BudgetExceededError: Nothing is left, and no call in flight can leave something.
        """
        while self._available_usd(wanted_usd, alone=alone) is None:
            await self._call_ended.wait()

    @contextmanager
    def allot(self, wanted_usd: Decimal, *, alone: bool = False) -> Generator[Allotment]:
        """Allot what `wait_until_available` waited for; nothing can be awaited in between."""
        granted = Allotment(usd=self._available_usd(wanted_usd, alone=alone) or Decimal(0), ended_before=self._ended)
        self._allotted_usd += granted.usd
        self._in_flight += 1
        try:
            yield granted
        finally:
            cost = granted.usd if granted.spent_usd is None else granted.spent_usd
            self._allotted_usd -= granted.usd
            self._in_flight -= 1
            self._ended += 1
            self._spent_usd += cost
            self._max_cost_usd = max(self._max_cost_usd, cost)
            self._call_ended.set()
            self._call_ended = anyio.Event()

    async def wait_for_another_end(self, since: Allotment) -> bool:
        """Wait until a call ends that was in flight beside `since`, which frees what was held for it.

        Return whether there was one.
        """
        if self._ended > since.ended_before + 1:
            return True
        if not self._in_flight:
            return False
        await self._call_ended.wait()
        return True

    def _available_usd(self, wanted: Decimal, *, alone: bool) -> Decimal | None:
        if self._limit_usd is None:
            return wanted
        left = self._limit_usd - self._spent_usd - self._allotted_usd
        modest = min(wanted, self._max_cost_usd * _MAX_COST_MULTIPLE)
        if not alone and left >= wanted:
            return wanted
        if not alone and 0 < modest <= left:
            return modest
        if self._in_flight:
            return None
        if left <= 0:
            raise BudgetExceededError(f"max_cost_usd of {format_usd(self._limit_usd)} is spent")
        return min(left, wanted)
