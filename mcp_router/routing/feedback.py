"""Moves models forward or back within a cell, by what became of their earlier answers there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.records import OutcomeCounts, RouteOutcomes
from mcp_router.routing.request import Preference, RoutingRequest

FRESH_SECONDS = 30.0
"""What was learnt is read again after so long: a call more or less changes no order."""

ENOUGH = 8
"""With fewer checked answers of a model in a cell, nothing is concluded from them."""
ENOUGH_PINS = 5
_PRIOR_GOOD, _PRIOR = 9.5, 10.0
"""Before anything is known, 19 of 20 checked answers are taken to be good; that weighs as much as ten of them."""
_STEP = 0.1
"""Smaller differences move nobody: the table's order and the prices say more."""

_UNUSABLE = frozenset({"invalid_answer", "empty"})
"""Failures that are the model's own, not its host's or the caller's."""

Cell = tuple[str, str, str]


def counts_for(
    task: RoutingRequest, model: str, *, checked: bool, error: str | None, first: bool
) -> OutcomeCounts | None:
    """Say what an attempt that ended teaches; None for nothing. `checked` is whether its answer had to satisfy a
    schema, `error` the kind of its failure, `first` whether nobody was asked before it.
    """
    lesson = OutcomeCounts(
        kept=int(checked and error is None),
        rejected=int(error in _UNUSABLE),
        pinned=int(first and error is None and task.pin == model),
    )
    return lesson or None


@dataclass(kw_only=True, slots=True)
class Feedback:
    """What was learnt, as every call sees it without asking the database again."""

    ledger: Ledger
    clock: Callable[[], float]
    _read_at: float | None = None
    _cells: Mapping[Cell, Mapping[str, Preference]] | None = None

    async def preferences(self, task: RoutingRequest) -> Mapping[str, Preference]:
        """Say which models did better or worse in a task's cell than the others there."""
        now = self.clock()
        if self._cells is None or self._read_at is None or not 0 <= now - self._read_at < FRESH_SECONDS:
            self._read_at = now
            self._cells = preferences(await self.ledger.read_outcomes(now))
        return self._cells.get((task.use_case, task.budget_tier, task.complexity), {})


def preferences(lessons: Iterable[RouteOutcomes]) -> Mapping[Cell, Mapping[str, Preference]]:
    """Turn counts into an order, cell by cell."""
    cells: dict[Cell, dict[str, OutcomeCounts]] = {}
    for one in lessons:
        cells.setdefault((one.use_case, one.budget_tier, one.complexity), {})[one.model] = one.counts
    return {cell: _of_cell(models) for cell, models in cells.items()}


def _of_cell(models: Mapping[str, OutcomeCounts]) -> dict[str, Preference]:
    pins = sum(lesson.pinned for lesson in models.values())
    found: dict[str, Preference] = {}
    for model, lesson in models.items():
        others = [other for name, other in models.items() if name != model and _is_enough(other)]
        weight = _checked(lesson, others) + _pinned(lesson, pins)
        steps = round(weight / _STEP)
        if steps:
            found[model] = Preference(weight=round(steps * _STEP, 1), why=_why(lesson, forward=steps > 0))
    return found


def _checked(lesson: OutcomeCounts, others: Sequence[OutcomeCounts]) -> float:
    """How much more often its answers are good than the others', both drawn towards what is usual."""
    if not _is_enough(lesson):
        return 0.0
    kept, rejected = sum(other.kept for other in others), sum(other.rejected for other in others)
    usual = (kept + _PRIOR_GOOD) / (kept + rejected + _PRIOR)
    own = (lesson.kept + usual * _PRIOR) / (lesson.kept + lesson.rejected + _PRIOR)
    return own - usual


def _is_enough(lesson: OutcomeCounts) -> bool:
    return lesson.kept + lesson.rejected >= ENOUGH


def _pinned(lesson: OutcomeCounts, pins: int) -> float:
    return lesson.pinned / (pins + _PRIOR) if lesson.pinned >= ENOUGH_PINS else 0.0


def _why(lesson: OutcomeCounts, *, forward: bool) -> str:
    said = f"moved {'forward' if forward else 'back'} by what was learnt here:"
    checked = f"{lesson.kept} of {lesson.kept + lesson.rejected} checked answers were good"
    told = [checked] if _is_enough(lesson) else []
    if lesson.pinned >= ENOUGH_PINS:
        told.append(f"it was pinned {lesson.pinned} times")
    return f"{said} {', '.join(told)}"
