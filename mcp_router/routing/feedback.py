"""Finds the models of a route whose checked answers were clearly worse than the others' there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.records import OutcomeCounts, RouteOutcomes
from mcp_router.routing.request import Preference, RoutingRequest

FRESH_SECONDS = 30.0
"""The counts are read again after so many seconds: one call more changes no order."""

ENOUGH = 8
"""With fewer checked answers of a model on a route, nothing is concluded from them."""
_PRIOR_GOOD, _PRIOR = 9.5, 10.0
"""The prior: 19 of 20 checked answers are good, which weighs as much as ten of them."""
_STEP = 0.1
"""Smaller differences move no model: the route's order and the prices say more."""

_UNUSABLE = frozenset({"invalid_answer", "check_failed", "empty"})
"""Kinds of failure that are the model's own, not its provider's or the caller's."""

RouteKey = tuple[str, str, str]
"""Use case, budget tier and complexity."""


def counts_for(
    task: RoutingRequest, model: str, *, checked: bool, error: str | None, first: bool
) -> OutcomeCounts | None:
    """Return the counts of an attempt that ended; None if it says nothing of the model.

    `checked` is whether its answer had to satisfy a schema or a check, `error` the kind of its failure, `first` whether
    it was the first attempt.
    """
    counts = OutcomeCounts(
        kept=int(checked and error is None),
        rejected=int(error in _UNUSABLE),
        pinned=int(first and error is None and task.pin == model),
    )
    return counts or None


@dataclass(kw_only=True, slots=True)
class Feedback:
    """Preferences from outcome counts, read from the ledger at most every 30 s."""

    ledger: Ledger
    clock: Callable[[], float]
    _read_at: float | None = None
    _routes: Mapping[RouteKey, Mapping[str, Preference]] | None = None

    async def preferences(self, task: RoutingRequest) -> Mapping[str, Preference]:
        """Return the models that did worse than the others on the request's route."""
        now = self.clock()
        if self._routes is None or self._read_at is None or not 0 <= now - self._read_at < FRESH_SECONDS:
            self._read_at = now
            self._routes = compare_outcomes(await self.ledger.read_outcomes(now))
        return self._routes.get((task.use_case, task.budget_tier, task.complexity), {})


def compare_outcomes(outcomes: Iterable[RouteOutcomes]) -> Mapping[RouteKey, Mapping[str, Preference]]:
    """Return the preferences of each route from its outcome counts."""
    routes: dict[RouteKey, dict[str, OutcomeCounts]] = {}
    for one in outcomes:
        routes.setdefault((one.use_case, one.budget_tier, one.complexity), {})[one.model] = one.counts
    return {key: _compare(models) for key, models in routes.items()}


def _compare(models: Mapping[str, OutcomeCounts]) -> dict[str, Preference]:
    found: dict[str, Preference] = {}
    for model, counts in models.items():
        others = [other for name, other in models.items() if name != model and _is_enough(other)]
        steps = round(_lead(counts, others) / _STEP)
        if steps < 0:
            found[model] = Preference(weight=round(steps * _STEP, 1), why=_why(counts))
    return found


def _lead(counts: OutcomeCounts, others: Sequence[OutcomeCounts]) -> float:
    """Return how much larger its share of good answers is than the others', both drawn towards the prior."""
    if not _is_enough(counts):
        return 0.0
    kept, rejected = sum(other.kept for other in others), sum(other.rejected for other in others)
    usual = (kept + _PRIOR_GOOD) / (kept + rejected + _PRIOR)
    own = (counts.kept + usual * _PRIOR) / (counts.kept + counts.rejected + _PRIOR)
    return own - usual


def _is_enough(counts: OutcomeCounts) -> bool:
    return counts.kept + counts.rejected >= ENOUGH


def _why(counts: OutcomeCounts) -> str:
    return f"moved back by feedback: {counts.kept} of {counts.kept + counts.rejected} checked answers were good"
