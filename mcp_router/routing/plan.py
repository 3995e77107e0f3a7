"""Which models may answer a request, in which order, with how many tokens, and why each of the others may not.

One pure function, `plan`. What `explain_route` shows is what `generate` runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from mcp_router.ledger.records import Breaker
from mcp_router.routing import candidates
from mcp_router.routing.agreement import POOL, choose_agreement
from mcp_router.routing.fit import Candidate, Fit, MisfitKind, NoFit, fit
from mcp_router.routing.order import order_fillers, order_route
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import Tier
from providers.catalog import DataFacts, Model
from providers.completion import Effort

ENOUGH = 2
"""With fewer candidates than this, fillers are added, so that there is a fallback."""
_MAX_REJECTED_FILLERS = 4
"""Fillers that do not fit are reported up to this number, and only if there is no candidate at all."""

RejectionKind = (
    Literal["unavailable", "retired", "unknown", "breaker_open", "rate_limited", "forbidden", "policy"] | MisfitKind
)
"""`unavailable`: available once the user follows the reason."""

_RETIRES_SOON = timedelta(days=30)
_STRONGER: Mapping[Effort, Effort] = {"off": "low", "minimal": "low", "low": "medium", "medium": "high"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A model that is left out, and why."""

    model: str
    kind: RejectionKind
    reason: str
    wait_seconds: float | None = None
    """Seconds until it becomes available; None if waiting does not help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The candidates in order, and the models left out."""

    task: RoutingRequest
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    waiting: tuple[tuple[Candidate, float], ...] = ()
    """Models that become available after a wait, in seconds; tried only if no candidate is left."""


def plan(request: RoutingRequest, state: RoutingState) -> Plan:
    """Return the plan for a request: in the first of its tiers in which a model fits. Pure.

    Raises:
        UnknownNameError: The pin names a provider or model that does not exist.
    """
    budget = request.smallest_budget_usd
    if budget is not None and budget < request.ceiling_usd:
        within = _plan_in_tiers(replace(request, ceiling_usd=budget), state)
        if within.candidates:
            return within
    return _plan_in_tiers(request, state)


def _plan_in_tiers(request: RoutingRequest, state: RoutingState) -> Plan:
    *lower, last = request.tiers or (request.budget_tier,)
    for tier in lower:
        found = _plan_at(tier, request, state)
        if found.candidates:
            return found
    return _plan_at(last, request, state)


def _plan_at(tier: Tier, request: RoutingRequest, state: RoutingState) -> Plan:
    ceiling_usd = min(request.ceiling_usd, state.routes.ceilings[tier])
    if tier != request.budget_tier:
        reason = f"no model fits {request.budget_tier}, so {tier}"
        request = replace(request, budget_tier=tier, reasons=(*request.reasons, reason))
    if ceiling_usd != request.ceiling_usd:
        request = replace(request, ceiling_usd=ceiling_usd)
    builder = _PlanBuilder(request=request, state=state)
    for model, thinking, why in candidates.list_route(request, state):
        builder.consider(model, thinking, why)
    route = list(builder.candidates)
    if builder.is_short:
        builder.fill()
    fillers = builder.candidates[len(route) :]
    ordered = (*order_route(route, request, state), *order_fillers(fillers, request, state))
    if request.needs_agreement:
        return _plan_agreement(ordered, builder)
    return Plan(
        task=request,
        candidates=ordered,
        rejected=tuple(builder.rejected),
        waiting=tuple(sorted(builder.waiting, key=lambda pair: pair[1])),
    )


def _plan_agreement(ordered: Sequence[Candidate], builder: _PlanBuilder) -> Plan:
    chosen = choose_agreement(ordered, builder.request, builder.state)
    if isinstance(chosen, str):
        missing = Rejection(model="agree", kind="ceiling", reason=chosen)
        return Plan(task=builder.request, candidates=(), rejected=(missing, *builder.rejected))
    return Plan(task=builder.request, candidates=chosen, rejected=tuple(builder.rejected))


@dataclass(kw_only=True, slots=True)
class _PlanBuilder:
    """Candidates and rejections of a plan in the making."""

    request: RoutingRequest
    state: RoutingState
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    waiting: list[tuple[Candidate, float]] = field(default_factory=list[tuple[Candidate, float]])
    seen: set[str] = field(default_factory=set[str])

    @property
    def is_short(self) -> bool:
        """Whether there are too few candidates."""
        return len(self.candidates) < (POOL if self.request.needs_agreement else ENOUGH)

    def consider(self, model: Model, thinking: Effort, why: str) -> None:
        if model.id in self.seen:
            return
        self.seen.add(model.id)
        why_not = self._closed(model)
        if why_not is None:
            self._admit(model, thinking, why)
        elif (substitute := self._substitute(model, thinking)) is None:
            self.rejected.append(why_not)
        elif model.id == self.request.pin:
            self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} could be asked"))
        else:
            self.seen.add(substitute.id)
            self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} takes its place"))
            self._admit(substitute, thinking, f"stands in for {model.id}: {why_not.reason}")

    def _closed(self, model: Model) -> Rejection | None:
        """Return why a model cannot be asked for this client; None if it can."""
        if not is_allowed(model.id, self.request.client_models):
            reason = f"not in clients.{self.request.client}.models"
            return Rejection(model=model.id, kind="forbidden", reason=reason)
        violation = self.state.policy.find_violation(self.state.facts.get(model.provider, DataFacts()))
        if violation is not None:
            return Rejection(model=model.id, kind="policy", reason=violation)
        return _closed(model, self.state)

    def fill(self) -> None:
        """Add fillers until there are enough candidates. Those that do not fit are reported only if none does."""
        rejected = len(self.rejected)
        for model, thinking, why in candidates.list_fillers(self.request, self.state):
            if not self.is_short:
                break
            if model.id not in self.seen and self._closed(model) is None:
                self.seen.add(model.id)
                self._admit(model, thinking, why)
        reported = 0 if self.candidates else _MAX_REJECTED_FILLERS
        del self.rejected[rejected + reported :]

    def _substitute(self, model: Model, wanted: Effort) -> Model | None:
        """Return another provider's model of the same family, else of the same lineage, that is available and fits."""
        hosts = (
            host
            for host in self.state.catalog.stand_ins(model)
            if host.id not in self.seen and self._closed(host) is None
        )
        return next((host for host in hosts if not isinstance(self._fit(host, wanted), NoFit)), None)

    def _admit(self, model: Model, wanted: Effort, why: str) -> None:
        fitted = self._fit(model, wanted)
        if isinstance(fitted, NoFit):
            self.rejected.append(Rejection(model=model.id, kind=fitted.kind, reason=fitted.reason))
            return
        provider = self.state.catalog.provider(model.provider)
        candidate = Candidate(model=model, provider=provider, fit=fitted, why=_with_warnings(why, model, self.state))
        held_back = _held_back(model, self.state)
        if held_back is None:
            self.candidates.append(candidate)
        else:
            self.waiting.append((candidate, held_back.wait_seconds or 0.0))
            self.rejected.append(held_back)

    def _fit(self, model: Model, wanted: Effort) -> Fit | NoFit:
        return fit(
            self.state.catalog.provider(model.provider),
            model,
            effort=model.choose_effort(_effort(wanted, self.request)),
            need=self.request.requirements,
            ceiling_usd=self.request.ceiling_usd,
            now=self.state.now,
            unpriced_ok=model.provider in self.state.unlisted,
            flex=self.request.can_wait,
        )


def is_allowed(model: str, patterns: Sequence[str] | None) -> bool:
    """Return whether a client's `models` admit a model; a provider alone admits all of its models."""
    return patterns is None or any(
        fnmatchcase(model, pattern) or model.partition(":")[0] == pattern for pattern in patterns
    )


def _closed(model: Model, state: RoutingState) -> Rejection | None:
    """Return why a model is unavailable for any request; None if it is available."""
    access = state.access[model.provider]
    if access.reason is not None:
        return Rejection(model=model.id, kind="retired" if access.retired else "unavailable", reason=access.reason)
    if model.retires is not None and model.retires <= state.now.date():
        return Rejection(model=model.id, kind="retired", reason=f"retired on {model.retires}")
    if not model.name:
        reason = f"no model of {model.provider} is known: name one as {model.provider}:MODEL"
        return Rejection(model=model.id, kind="unknown", reason=reason)
    breaker = state.breakers.get(access.key_scope)
    if breaker is None:
        return None
    return Rejection(
        model=model.id,
        kind="breaker_open",
        reason=f"the breaker of its key is open {_until(breaker, state)}: {breaker.reason}",
    )


def _held_back(model: Model, state: RoutingState) -> Rejection | None:
    for scope in (f"model:{model.id}", f"provider:{model.provider}"):
        if (breaker := state.breakers.get(scope)) is not None:
            reason = f"its breaker is open {_until(breaker, state)}: {breaker.reason}"
            seconds = breaker.open_until - state.now.timestamp()
            return Rejection(model=model.id, kind="breaker_open", reason=reason, wait_seconds=seconds)
    if (seconds := state.busy.get(model.id, state.busy.get(model.provider))) is not None:
        reason = f"at its rate limit: free in {seconds:.0f} s"
        return Rejection(model=model.id, kind="rate_limited", reason=reason, wait_seconds=seconds)
    return None


def _until(breaker: Breaker, state: RoutingState) -> str:
    return f"for {max(1, round(breaker.open_until - state.now.timestamp()))} s more"


def _effort(wanted: Effort, request: RoutingRequest) -> Effort:
    """Return how much a model may think: what the route says, unless the caller stated another complexity."""
    if "complexity" in request.inferred or request.complexity == "medium":
        return wanted
    return "off" if request.complexity == "simple" else _STRONGER.get(wanted, wanted)


def _with_warnings(why: str, model: Model, state: RoutingState) -> str:
    if retires_soon(model, state.now.date()):
        why = f"{why}; it retires on {model.retires}"
    preference = state.preferences.get(model.id)
    return why if preference is None else f"{why}; {preference.why}"


def retires_soon(model: Model, today: date) -> bool:
    """Return whether a model that still answers retires within 30 days."""
    return model.retires is not None and today < model.retires <= today + _RETIRES_SOON
