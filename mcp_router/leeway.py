"""Remembers what a person said when a budget did not admit a call: how much more may be spent, or no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import anyio

from mcp_router.ledger import Limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """What was said of one budget."""

    extra_usd: Decimal
    """0 means no."""
    until: float
    """When the budget resets; the word then counts no more."""


class Leeway:
    """The budgets of one process, with what a person allowed beyond them. Nothing of it is configuration: it ends
    with the process, or when the budget resets.
    """

    def __init__(self, limits: Sequence[Limit], clock: Callable[[], float]) -> None:
        """`limits` are the budgets as configured; `clock` says seconds since the epoch."""
        self._limits = tuple(limits)
        self._clock = clock
        self._words: dict[str, Word] = {}
        self.said = 0
        """How often somebody answered."""
        self.asking = anyio.Lock()
        """Held while a person is being asked: for all calls that come up against a budget together, once."""

    def limits(self) -> tuple[Limit, ...]:
        """Every budget as it stands now."""
        return tuple(
            replace(limit, limit_usd=limit.limit_usd + word.extra_usd) if (word := self._word(limit.name)) else limit
            for limit in self._limits
        )

    def may_ask(self, name: str) -> bool:
        """Whether it makes sense to ask: not where nothing may be spent at all, nor after a no."""
        word = self._word(name)
        allows = any(limit.name == name and limit.limit_usd > 0 for limit in self._limits)
        return allows and (word is None or word.extra_usd > 0)

    def note(self, name: str, extra_usd: Decimal, until: float) -> None:
        """Remember an answer; a yes adds to an earlier one."""
        before = self._word(name)
        self._words[name] = Word(extra_usd=extra_usd + (before.extra_usd if before else 0), until=until)
        self.said += 1

    def _word(self, name: str) -> Word | None:
        word = self._words.get(name)
        return word if word is not None and word.until > self._clock() else None
