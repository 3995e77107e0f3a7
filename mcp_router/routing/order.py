"""In which order the candidates of a route are tried."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mcp_router.routing.fit import Candidate
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.tiers import HIGH_RISK, RISKY_USE_CASES
from providers.completion import Usage

STEP_CONFIDENCE = 0.6
"""Confidence from which an inferred `complex` puts the next stronger model first."""
_MAX_SHARE_OF_BASELINE = Decimal("0.5")
"""The most that the first candidate of an inferred plan costs, as a share of the baseline for the same tokens."""


def order_route(route: list[Candidate], request: RoutingRequest, state: RoutingState) -> list[Candidate]:
    """Order the candidates that a route named or that the caller pinned.

    The route's order stands. A stated complexity reorders it, feedback moves a worse model behind the others, and
    what was inferred may put the next stronger model first. A route of the user's own keeps its order.
    """
    if request.pin is None and not state.routes.is_shipped(request.use_case, request.budget_tier):
        return route
    ordered = sorted(_by_stated_complexity(route, request), key=lambda one: _penalty(one, state))
    if request.prefer is not None and ordered and any(one.model.id == request.prefer for one in ordered):
        return sorted(ordered, key=lambda one: one.model.id != request.prefer)
    if request.pin is not None:
        return ordered
    if request.follows_difficulty:
        return _within_baseline(ordered, request, state)
    return _one_step_up(ordered) if _is_worth_a_step(request) else ordered


def order_fillers(fillers: list[Candidate], request: RoutingRequest, state: RoutingState) -> list[Candidate]:
    """Order the candidates that fill up a route, which come after it."""
    return _within_baseline(fillers, request, state) if request.follows_difficulty else fillers


def _by_stated_complexity(route: list[Candidate], request: RoutingRequest) -> list[Candidate]:
    if "complexity" in request.inferred or request.complexity == "medium":
        return route
    if request.complexity == "simple":
        return sorted(route, key=lambda one: one.fit.estimated_usd or Decimal(0))
    return sorted(route, key=lambda one: -one.model.strength)


def _penalty(candidate: Candidate, state: RoutingState) -> float:
    preference = state.preferences.get(candidate.model.id)
    return 0.0 if preference is None else max(0.0, -preference.weight)


def _is_worth_a_step(request: RoutingRequest) -> bool:
    """Return whether an inference says that the first model of the route may be too weak."""
    confidence = request.inferred.get("complexity")
    if confidence is None or request.use_case not in RISKY_USE_CASES:
        return False
    return request.risk >= HIGH_RISK or (request.complexity == "complex" and confidence >= STEP_CONFIDENCE)


def _one_step_up(ordered: list[Candidate]) -> list[Candidate]:
    """Put the next stronger model first: never a weaker one, and never the strongest at once."""
    stronger = [one for one in ordered if one.model.strength > ordered[0].model.strength]
    if not stronger:
        return ordered
    chosen = min(stronger, key=lambda one: one.model.strength)
    explained = replace(chosen, why=f"{chosen.why}; one step stronger, since a cheaper model may well fail at this")
    return [explained, *(one for one in ordered if one is not chosen)]


def _within_baseline(ordered: list[Candidate], request: RoutingRequest, state: RoutingState) -> list[Candidate]:
    """Put the first model that costs at most half of the baseline first; keep the order if there is none."""
    chosen = next((one for one in ordered if _is_within_baseline(one, request, state)), None)
    if chosen is None or chosen is ordered[0]:
        return ordered
    explained = replace(chosen, why=f"{chosen.why}; costs at most half of the baseline")
    return [explained, *(one for one in ordered if one is not chosen)]


def estimate_tokens(candidate: Candidate, request: RoutingRequest) -> Usage:
    """Return the tokens that a candidate's estimated cost is made of."""
    typical, asked = request.requirements.typical_usage, request.requirements.max_output_tokens
    hidden = typical.hidden_tokens if candidate.fit.effort != "off" else 0
    output = min(candidate.fit.max_output_tokens, (asked or typical.output_tokens) + hidden)
    return Usage(input_tokens=request.requirements.input_tokens, output_tokens=output)


def _is_within_baseline(candidate: Candidate, request: RoutingRequest, state: RoutingState) -> bool:
    if state.baseline is None:
        return True
    usd = state.baseline.cost_usd(estimate_tokens(candidate, request), state.now)
    estimated = candidate.fit.estimated_usd
    if not usd:
        return True
    return estimated is not None and estimated <= usd * _MAX_SHARE_OF_BASELINE
