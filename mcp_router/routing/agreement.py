"""The plan of `check = agree`: two cheap models of different lineage, and a stronger one that decides if they differ.

All three are fitted into the ceiling together, so that the decision is paid for before the first request is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from mcp_router.ledger.records import COMPARED
from mcp_router.money import format_usd
from mcp_router.routing.fit import Candidate, Fit, NoFit, fit
from mcp_router.routing.request import RoutingRequest, RoutingState
from providers.catalog import Model

POOL = 24
"""Candidates that a plan collects so that three of them can agree."""
COMPARED_MODELS = 2
_MAX_BACKUPS = 2
"""Further models that can decide, if the first of these fails."""
_SHARE = Decimal(4)
"""Each of the compared models gets at most this fraction of the ceiling."""
_MAX_STRENGTH_GAP = 15
"""How much weaker than the plan's first model a compared model may be."""


def choose_agreement(
    candidates: Sequence[Candidate], request: RoutingRequest, state: RoutingState
) -> tuple[Candidate, ...] | str:
    """Return the two compared models, the one that decides and its backups; or why there are none.

    The first of the two is the first candidate that fits a quarter of the ceiling.
    """
    ceiling_usd = request.ceiling_usd
    floor = candidates[0].model.strength - _MAX_STRENGTH_GAP if candidates else 0
    fitting = _refit(candidates, request, state, ceiling_usd / _SHARE)
    for first, second in _pairs([one for one in fitting if one.model.strength >= floor]):
        left = ceiling_usd - sum((one.fit.worst_usd or Decimal(0) for one in (first, second)), Decimal(0))
        bar = max(first.model.strength, second.model.strength)
        stronger = sorted(
            (one for one in _refit(candidates, request, state, left) if one.model.strength > bar),
            key=lambda one: -one.model.strength,
        )
        if stronger:
            deciders = (replace(one, why="decides if the two differ") for one in stronger[: 1 + _MAX_BACKUPS])
            return _compared(first, second.model), _compared(second, first.model), *deciders
    return (
        "needs two models of different lineage and a stronger one that together fit the ceiling of "
        f"{format_usd(ceiling_usd)}, and has {len(candidates)} models there"
    )


def is_kin(one: Model, other: Model) -> bool:
    """Whether two models are of one lineage, or of one provider if a lineage is unknown."""
    known = one.lineage and other.lineage
    return one.lineage == other.lineage if known else one.provider == other.provider


def _compared(candidate: Candidate, other: Model) -> Candidate:
    return replace(candidate, why=f"{COMPARED} with {other.id}")


def _pairs(cheap: Sequence[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """Yield pairs of different lineage: the plan's order for the first, the cheapest for the second."""
    by_cost = sorted(cheap, key=lambda one: one.fit.estimated_usd or Decimal(0))
    for first in cheap:
        for second in by_cost:
            if not is_kin(first.model, second.model):
                yield first, second


def _refit(
    candidates: Sequence[Candidate], task: RoutingRequest, state: RoutingState, ceiling_usd: Decimal
) -> list[Candidate]:
    found: list[Candidate] = []
    for one in candidates:
        fitted: Fit | NoFit = fit(
            one.provider,
            one.model,
            effort=one.fit.effort,
            need=task.requirements,
            ceiling_usd=ceiling_usd,
            now=state.now,
        )
        if isinstance(fitted, Fit):
            found.append(replace(one, fit=fitted))
    return found
