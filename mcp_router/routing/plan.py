"""Which models may answer a task, in which order, with how many tokens, and why each of the others may not.

One pure function, `plan`. What `explain_route` shows is what `generate` runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from mcp_router.ledger.records import Breaker
from mcp_router.routing import candidates
from mcp_router.routing.candidates import LAST_RESORT
from mcp_router.routing.fit import Candidate, Fit, MisfitKind, NoFit, fit
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import Complexity
from providers.catalog import Model
from providers.completion import Effort

ENOUGH = 2
"""With fewer candidates than this others fill up, so that there is a fallback."""
_TOLD = 4
"""So many of those who might have filled up are told of where not one fits."""

RejectionKind = Literal["unavailable", "retired", "unknown", "breaker_open", "rate_limited"] | MisfitKind
"""`unavailable`: available once the user follows the reason."""
HIGH_RISK = 0.33
"""From here on the next stronger model is asked first: one in ten or twenty of the prompts the risk was fitted on."""
_RISKY = frozenset({"analysis", "code_generation", "expert_tasks"})
"""Where a prompt's size is that of the task; elsewhere it is that of the material, which says nothing of failing."""

_RETIRES_SOON = timedelta(days=30)
_STRONGER: Mapping[Effort, Effort] = {"off": "low", "minimal": "low", "low": "medium", "medium": "high"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A model that may not answer, and why."""

    model: str
    kind: RejectionKind
    reason: str
    wait_seconds: float | None = None
    """How long until it might; None where waiting does not help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Who is asked, in order, and who is not."""

    task: RoutingRequest
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    waiting: tuple[tuple[Candidate, float], ...] = ()
    """Those who could answer if one waited, with the seconds; asked only when nobody else is left."""


def plan(task: RoutingRequest, world: RoutingState) -> Plan:
    """Plan a task. Pure: the same task in the same world gives the same plan.

    Raises:
        UnknownNameError: The pin names a provider or model that nobody has.
    """
    desk = _PlanBuilder(task=task, world=world)
    for model, thinking, why in candidates.list_route(task, world):
        desk.consider(model, thinking, why)
    if desk.is_short:
        desk.fill()
    return Plan(
        task=task,
        candidates=tuple(_ordered(desk.candidates, task, world)),
        rejected=tuple(desk.rejected),
        waiting=tuple(sorted(desk.waiting, key=lambda pair: pair[1])),
    )


@dataclass(kw_only=True, slots=True)
class _PlanBuilder:
    """Collects what becomes of each entry while one plan is made."""

    task: RoutingRequest
    world: RoutingState
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    waiting: list[tuple[Candidate, float]] = field(default_factory=list[tuple[Candidate, float]])
    seen: set[str] = field(default_factory=set[str])

    @property
    def is_short(self) -> bool:
        """Whether there are too few to ask."""
        return len([one for one in self.candidates if not _is_last_resort(one)]) < ENOUGH

    def consider(self, model: Model, thinking: Effort, why: str) -> None:
        if model.id in self.seen:
            return
        self.seen.add(model.id)
        why_not = _closed(model, self.world)
        if why_not is None:
            self._admit(model, thinking, why)
        elif (substitute := self._substitute(model, thinking)) is None:
            self.rejected.append(why_not)
        elif model.id == self.task.pin:
            self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} could be asked"))
        else:
            self.seen.add(substitute.id)
            self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} takes its place"))
            self._admit(substitute, thinking, f"stands in for {model.id}: {why_not.reason}")

    def fill(self) -> None:
        """Add whoever else can be asked until there are enough. One that does not fit was not asked for, and is
        worth a word only where nobody does.
        """
        rejected = len(self.rejected)
        for model, thinking, why in candidates.list_fillers(self.task, self.world):
            if not self.is_short:
                break
            if model.id not in self.seen and _closed(model, self.world) is None:
                self.seen.add(model.id)
                self._admit(model, thinking, why)
        told = 0 if any(not _is_last_resort(one) for one in self.candidates) else _TOLD
        del self.rejected[rejected + told :]

    def _substitute(self, model: Model, wanted: Effort) -> Model | None:
        """Find another host of the same family, or failing that of the same lineage, that can be asked."""
        hosts = (
            host
            for host in self.world.catalog.stand_ins(model)
            if host.id not in self.seen and _closed(host, self.world) is None
        )
        return next((host for host in hosts if not isinstance(self._fit(host, wanted), NoFit)), None)

    def _admit(self, model: Model, wanted: Effort, why: str) -> None:
        fitted = self._fit(model, wanted)
        if isinstance(fitted, NoFit):
            self.rejected.append(Rejection(model=model.id, kind=fitted.kind, reason=fitted.reason))
            return
        provider = self.world.catalog.provider(model.provider)
        candidate = Candidate(model=model, provider=provider, fit=fitted, why=_with_warnings(why, model, self.world))
        held_back = _held_back(model, self.world)
        if held_back is None:
            self.candidates.append(candidate)
        else:
            self.waiting.append((candidate, held_back.wait_seconds or 0.0))
            self.rejected.append(held_back)

    def _fit(self, model: Model, wanted: Effort) -> Fit | NoFit:
        return fit(
            self.world.catalog.provider(model.provider),
            model,
            effort=model.choose_effort(_effort(wanted, self.task.complexity)),
            need=self.task.requirements,
            ceiling_usd=self.task.ceiling_usd,
            now=self.world.now,
            unpriced_ok=model.provider in self.world.unlisted,
        )


def _closed(model: Model, world: RoutingState) -> Rejection | None:
    """Say why a model cannot be asked at all, whatever the task."""
    access = world.access[model.provider]
    if access.reason is not None:
        return Rejection(model=model.id, kind="retired" if access.retired else "unavailable", reason=access.reason)
    if model.retires is not None and model.retires <= world.now.date():
        return Rejection(model=model.id, kind="retired", reason=f"retired on {model.retires}")
    if not model.name:
        reason = f"no model of {model.provider} is known: name one as {model.provider}:MODEL"
        return Rejection(model=model.id, kind="unknown", reason=reason)
    bench = world.benches.get(access.key_scope)
    if bench is None:
        return None
    return Rejection(
        model=model.id, kind="breaker_open", reason=f"its key is benched {_until(bench, world)}: {bench.reason}"
    )


def _held_back(model: Model, world: RoutingState) -> Rejection | None:
    for scope in (f"model:{model.id}", f"provider:{model.provider}"):
        if (bench := world.benches.get(scope)) is not None:
            reason, seconds = (
                f"benched {_until(bench, world)}: {bench.reason}",
                bench.open_until - world.now.timestamp(),
            )
            return Rejection(model=model.id, kind="breaker_open", reason=reason, wait_seconds=seconds)
    if (seconds := world.busy.get(model.id, world.busy.get(model.provider))) is not None:
        reason = f"at its rate limit: free in {seconds:.0f} s"
        return Rejection(model=model.id, kind="rate_limited", reason=reason, wait_seconds=seconds)
    return None


def _until(bench: Breaker, world: RoutingState) -> str:
    return f"for {max(1, round(bench.open_until - world.now.timestamp()))} s more"


def _effort(wanted: Effort, complexity: Complexity) -> Effort:
    if complexity == "simple":
        return "off"
    return _STRONGER.get(wanted, wanted) if complexity == "complex" else wanted


def _ordered(candidates: list[Candidate], task: RoutingRequest, world: RoutingState) -> list[Candidate]:
    """Keep the table's order, or the cheapest first, or the strongest first; the last resort always last."""

    def rank(candidate: Candidate) -> tuple[bool, bool, float, float]:
        cost = float(candidate.fit.estimated_usd or 0)
        chosen = {"simple": cost, "medium": 0.0, "complex": -float(candidate.model.strength)}[task.complexity]
        preference = world.preferences.get(candidate.model.id)
        learned = -preference.weight if preference is not None else 0.0
        preferred = candidate.model.id == task.prefer
        return (not preferred, _is_last_resort(candidate), learned, chosen)

    ordered = sorted(candidates, key=rank)
    return _one_step_up(ordered) if _is_risky(task) else ordered


def _is_risky(task: RoutingRequest) -> bool:
    return task.risk >= HIGH_RISK and task.use_case in _RISKY and task.pin is None and task.prefer is None


def _one_step_up(ordered: list[Candidate]) -> list[Candidate]:
    """Put the next stronger model first: never a weaker one, and never the strongest at once."""
    stronger = [one for one in ordered if one.model.strength > ordered[0].model.strength and not _is_last_resort(one)]
    if not stronger:
        return ordered
    chosen = min(stronger, key=lambda one: one.model.strength)
    told = replace(chosen, why=f"{chosen.why}; one step stronger, since a cheaper model may well fail at this")
    return [told, *(one for one in ordered if one is not chosen)]


def _is_last_resort(candidate: Candidate) -> bool:
    return candidate.model.provider == LAST_RESORT


def _with_warnings(why: str, model: Model, world: RoutingState) -> str:
    if retires_soon(model, world.now.date()):
        why = f"{why}; it retires on {model.retires}"
    preference = world.preferences.get(model.id)
    return why if preference is None else f"{why}; {preference.why}"


def retires_soon(model: Model, today: date) -> bool:
    """Whether a model that still answers is about to be gone."""
    return model.retires is not None and today < model.retires <= today + _RETIRES_SOON
