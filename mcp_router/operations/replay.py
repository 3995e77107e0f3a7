"""What recorded calls would have cost, and which would be refused, under another routing table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NotRequired, TypedDict

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.ledger.calendar import find_period
from mcp_router.ledger.records import TRIAL, Budget, Measurement, RecordedCall
from mcp_router.money import format_usd, to_number
from mcp_router.operations.arguments import Period
from mcp_router.operations.costs import compute_period_bounds
from mcp_router.operations.measured import select_route
from mcp_router.routing.access import Access
from mcp_router.routing.candidates import is_callers_choice
from mcp_router.routing.fit import Candidate, Requirements
from mcp_router.routing.plan import Plan, plan
from mcp_router.routing.prices import compute_cost
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import COMPLEXITIES, TIERS, USE_CASES, Complexity, RoutingTable, Tier, UseCase
from mcp_router.settings import load_routes
from providers.completion import Usage

_MAX_LISTED_REFUSALS = 20


class TallyView(TypedDict):
    """Calls of a route, or of all routes, then and under the other table."""

    calls: int
    unanswered: int
    unknown_cost: int
    replayed: int
    paid_usd: float | None
    would_cost_usd: float | None
    difference_usd: float | None
    refused: int
    refused_paid_usd: float | None
    refused_because: dict[str, int]
    answered_by: dict[str, int]
    would_be_answered_by: dict[str, int]


class RefusedCallView(TypedDict):
    """A recorded call that the other table would refuse."""

    call_id: str
    reason: str


class ReplayReport(TallyView):
    """The result of `replay`."""

    table: str
    period: Period
    cells: dict[str, TallyView]
    """By `use_case.budget_tier`, the most expensive first."""
    refusals: list[RefusedCallView]
    """The first refusals."""
    measured: NotRequired[dict[str, dict[str, str]]]
    """Results of trials by route and model, of the models that would answer."""
    keys_missing: NotRequired[list[str]]
    """Providers of the table without a key: they are replayed as if they had one."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """Sums over the replayed calls of one route."""

    calls: int = 0
    unanswered: int = 0
    """Calls without an answer: no tokens, no price."""
    unknown: int = 0
    """Calls whose cost is unknown, then or under the other table; they are in neither sum."""
    replayed: int = 0
    paid_usd: Decimal = Decimal(0)
    would_cost_usd: Decimal = Decimal(0)
    refused: int = 0
    refused_paid_usd: Decimal = Decimal(0)
    answered_by: Counter[str] = field(default_factory=Counter[str])
    would_be_answered_by: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    """Why calls would be refused, in a word or two."""

    def to_view(self) -> TallyView:
        """Return the sums for display."""
        return {
            "calls": self.calls,
            "unanswered": self.unanswered,
            "unknown_cost": self.unknown,
            "replayed": self.replayed,
            "paid_usd": to_number(self.paid_usd),
            "would_cost_usd": to_number(self.would_cost_usd),
            "difference_usd": to_number(self.would_cost_usd - self.paid_usd),
            "refused": self.refused,
            "refused_paid_usd": to_number(self.refused_paid_usd),
            "refused_because": dict(self.reasons.most_common()),
            "answered_by": dict(self.answered_by.most_common()),
            "would_be_answered_by": dict(self.would_be_answered_by.most_common()),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRefusal:
    """Why the other table, or a budget under it, would refuse a call."""

    kind: str
    reason: str


async def replay(app: App, table: Path, period: Period) -> ReplayReport:
    """Route every recorded call of a period again, and compare with what was paid.

    Raises:
        ConfigError: The table is invalid; the text names the file and the key.
        BadInputError: The period is `session`.
    """
    if period == "session":
        raise BadInputError("period 'session' has no recorded calls. Use today, 7d, 30d, month or all.")
    overrides = load_routes(table)
    routes = app.routes.merge(overrides, file=str(table))
    catalog = await app.current_catalog()
    routes.check(catalog, unlisted=app.unlisted)
    named = {entry.provider for use_case, tier in _list_routes_of(overrides) for entry in routes.route(use_case, tier)}
    state = RoutingState(
        catalog=catalog,
        routes=routes,
        now=datetime.now(UTC),
        access=_assume_keys(app.access(), named),
        unlisted=app.unlisted,
    )
    running = _Replay(
        state=state, limits=app.settings.limits(), per_call_usd=app.settings.configuration.budgets.per_call_usd
    )
    async for chunk in app.ledger.read_calls(*compute_period_bounds(period, datetime.now(UTC))):
        for call in chunk:
            if call.client != TRIAL:
                running.replay(call)
    missing = sorted(name for name in named if not app.access()[name].available)
    report: ReplayReport = {
        "table": str(table),
        "period": period,
        **running.total.to_view(),
        "cells": running.describe_routes(),
        "refusals": running.refusals,
    }
    if measured := running.select_measured(await app.ledger.measurements.read_all()):
        report["measured"] = measured
    if missing:
        report["keys_missing"] = missing
    return report


def _list_routes_of(overrides: Mapping[str, Mapping[str, object]]) -> Iterable[tuple[UseCase, Tier]]:
    return ((use_case, tier) for use_case in USE_CASES for tier in TIERS if tier in overrides.get(use_case, {}))


def _assume_keys(access: Mapping[str, Access], named: Iterable[str]) -> Mapping[str, Access]:
    """Treat the table's providers as available: people try a table before they buy keys."""
    opened = {name: replace(access[name], reason=None) for name in named if not access[name].retired}
    return {**access, **opened}


@dataclass(kw_only=True, slots=True)
class _Replay:
    """A running replay; calls come oldest first."""

    state: RoutingState
    limits: tuple[Budget, ...]
    per_call_usd: Decimal | None
    total: Tally = field(default_factory=Tally)
    routes: dict[str, Tally] = field(default_factory=dict[str, Tally])
    refusals: list[RefusedCallView] = field(default_factory=list[RefusedCallView])
    spent: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    """Nano-dollars spent in this replay, by budget and first day of its period."""

    def replay(self, call: RecordedCall) -> None:
        """Route one call again."""
        tallies = (self.total, self.routes.setdefault(f"{call.use_case}.{call.budget_tier}", Tally()))
        outcome = self._route_call(call)
        for tally in tallies:
            _count_call(tally, call, outcome)
        if isinstance(outcome, ReplayRefusal):
            if len(self.refusals) < _MAX_LISTED_REFUSALS:
                self.refusals.append({"call_id": call.call_id, "reason": outcome.reason})
        elif outcome is not None and outcome[1] is not None:
            for key in self._list_budget_keys(call):
                self.spent[key] += int(outcome[1].scaleb(9))

    def describe_routes(self) -> dict[str, TallyView]:
        """Describe every route, the most expensive first."""
        ordered = sorted(self.routes.items(), key=lambda item: -item[1].paid_usd)
        return {name: tally.to_view() for name, tally in ordered}

    def select_measured(self, measured: Sequence[Measurement]) -> dict[str, dict[str, str]]:
        """Return the results of trials by route, of the models that would answer there."""
        found: dict[str, dict[str, str]] = {}
        for name, tally in self.routes.items():
            results = select_route(measured, *name.split("."))
            known = {model: results[model] for model in tally.would_be_answered_by if model in results}
            if known:
                found[name] = known
        return found

    def _route_call(self, call: RecordedCall) -> tuple[str, Decimal | None] | ReplayRefusal | None:
        """Return the model that would answer with its cost, or a refusal; None if the call had no answer."""
        usage = _usage_from_call(call)
        if usage is None:
            return None
        if is_callers_choice(call.why):
            return call.model, call.cost_usd
        at = datetime.fromtimestamp(call.started_at, UTC)
        planned = plan(_task_from_call(call, usage, self.state.routes, self.per_call_usd), replace(self.state, now=at))
        refused: ReplayRefusal | None = None
        for candidate in planned.candidates:
            refusal = _check_length(candidate, usage) or self._check_budgets(call, candidate)
            if refusal is None:
                return candidate.model.id, _compute_cost(call, candidate, usage, at)
            refused = refused or refusal
        return refused or _refusal_from_plan(planned)

    def _check_budgets(self, call: RecordedCall, candidate: Candidate) -> ReplayRefusal | None:
        worst = candidate.fit.worst_usd or Decimal(0)
        for limit, key in zip(self._list_limits(call), self._list_budget_keys(call), strict=True):
            spent = Decimal(self.spent[key]).scaleb(-9)
            if worst and spent + worst > limit.limit_usd:
                amounts = f"{format_usd(spent)} of {format_usd(limit.limit_usd)} spent, up to {format_usd(worst)} more"
                reason = f"the {limit.name} budget: {amounts}"
                return ReplayRefusal(kind=f"{limit.name} budget", reason=reason)
        return None

    def _list_limits(self, call: RecordedCall) -> list[Budget]:
        # Recorded calls are read without their project, so its budgets cannot be replayed.
        return [limit for limit in self.limits if limit.project is None and limit.client in (None, call.client)]

    def _list_budget_keys(self, call: RecordedCall) -> list[tuple[str, int]]:
        return [(limit.name, find_period(limit.period, call.started_at)[0]) for limit in self._list_limits(call)]


def _usage_from_call(call: RecordedCall) -> Usage | None:
    if call.outcome != "answered" or call.input_tokens is None or call.output_tokens is None:
        return None
    return Usage(
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cache_read_tokens=call.cache_read_tokens or 0,
        cache_write_tokens=call.cache_write_tokens or 0,
        reasoning_tokens=call.reasoning_tokens or 0,
        searches=call.searches or 0,
    )


def _task_from_call(
    call: RecordedCall, usage: Usage, routes: RoutingTable, per_call_usd: Decimal | None
) -> RoutingRequest:
    """Rebuild the request from the ledger, which keeps no text."""
    use_case: UseCase = next(name for name in USE_CASES if name == call.use_case)
    tier: Tier = next(name for name in TIERS if name == call.budget_tier)
    complexity: Complexity = next(name for name in COMPLEXITIES if name == call.complexity)
    ceiling = routes.ceilings[tier]
    return RoutingRequest(
        use_case=use_case,
        complexity=complexity,
        budget_tier=tier,
        ceiling_usd=ceiling if per_call_usd is None else min(ceiling, per_call_usd),
        requirements=Requirements(
            input_tokens=usage.input_tokens,
            typical_usage=routes.use_cases[use_case].typical_usage,
            max_output_tokens=max(1, usage.output_tokens - usage.reasoning_tokens),
            features=frozenset({"web_search"} if use_case == "web_research" else ()),
        ),
    )


def _check_length(candidate: Candidate, usage: Usage) -> ReplayRefusal | None:
    visible, most = usage.output_tokens - usage.reasoning_tokens, candidate.fit.max_output_tokens
    if visible <= most:
        return None
    return ReplayRefusal(kind="cut", reason=f"{candidate.model.id}: cuts an answer of {visible} tokens at {most}")


def _compute_cost(call: RecordedCall, candidate: Candidate, usage: Usage, at: datetime) -> Decimal | None:
    if candidate.model.id == call.model:
        if call.attempts == 1:
            return call.cost_usd  # the recorded cost includes what the vendor itself reported
    else:
        usage = replace(usage, cache_read_tokens=0, cache_write_tokens=0)  # the cache of another vendor is cold
    thinking = candidate.fit.effort != "off"
    return compute_cost(candidate.provider, candidate.model, usage, at=at, thinking=thinking)[0]


def _refusal_from_plan(planned: Plan) -> ReplayRefusal:
    for rejection in planned.rejected:
        return ReplayRefusal(kind=rejection.kind, reason=f"{rejection.model}: {rejection.reason}")
    return ReplayRefusal(kind="unavailable", reason="no model of the table is available")


def _count_call(tally: Tally, call: RecordedCall, outcome: tuple[str, Decimal | None] | ReplayRefusal | None) -> None:
    tally.calls += 1
    if outcome is None:
        tally.unanswered += 1
        return
    tally.answered_by[call.model] += 1
    if isinstance(outcome, ReplayRefusal):
        tally.refused += 1
        tally.refused_paid_usd += call.cost_usd or Decimal(0)
        tally.reasons[outcome.kind] += 1
        return
    model, cost = outcome
    tally.would_be_answered_by[model] += 1
    if cost is None or call.cost_usd is None:
        tally.unknown += 1
        return
    tally.replayed += 1
    tally.paid_usd += call.cost_usd
    tally.would_cost_usd += cost
