"""Which models may answer a task, in which order, with how many tokens, and why each of the others may not.

One pure function, `plan`. What `explain_route` shows is what `generate` runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from mcp_router.errors import UnknownNameError
from mcp_router.fit import Candidate, Fit, Misfit, NoFit, fit
from mcp_router.ledger import Bench
from mcp_router.routes import TIERS, Complexity, Entry
from mcp_router.tasks import Task, World
from providers.catalog import Model, Provider
from providers.completion import Effort

ENOUGH = 2
"""With fewer candidates than this, models from the use case's other tiers fill up, so that there is a fallback."""

RejectionKind = Literal["closed", "retired", "unknown", "benched", "busy"] | Misfit
"""`closed`: it could be asked if the user did what the reason says."""
HIGH_RISK = 0.36
"""From here on the next stronger model is asked first: one in ten or twenty of the prompts the risk was fitted on."""
_RISKY = frozenset({"analysis", "code_generation", "expert_tasks"})
"""Where a prompt's size is that of the task; elsewhere it is that of the material, which says nothing of failing."""

_PINNED, _ASKED_FOR = "pinned by the caller", "was asked for"

_RETIRES_SOON = timedelta(days=30)
_LAST_RESORT = "embedded"
_FOUND = 3
"""So many of the models that are found on this machine, the largest first, stand for all of them."""
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

    task: Task
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    waiting: tuple[tuple[Candidate, float], ...] = ()
    """Those who could answer if one waited, with the seconds; asked only when nobody else is left."""


def plan(task: Task, world: World) -> Plan:
    """Plan a task. Pure: the same task in the same world gives the same plan.

    Raises:
        UnknownNameError: The pin names a provider or model that nobody has.
    """
    desk = _Desk(task=task, world=world)
    for entry, why in _entries(task, world):
        desk.consider(entry, why)
    if len([c for c in desk.candidates if c.model.provider != _LAST_RESORT]) < ENOUGH:
        for entry, why in _neighbours(task, world):
            desk.consider_neighbour(entry, why)
    return Plan(
        task=task,
        candidates=tuple(_ordered(desk.candidates, task, world)),
        rejected=tuple(desk.rejected),
        waiting=tuple(sorted(desk.waiting, key=lambda pair: pair[1])),
    )


@dataclass(kw_only=True, slots=True)
class _Desk:
    """Collects what becomes of each entry while one plan is made."""

    task: Task
    world: World
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    waiting: list[tuple[Candidate, float]] = field(default_factory=list[tuple[Candidate, float]])
    seen: set[str] = field(default_factory=set[str])

    def consider(self, entry: Entry, why: str) -> None:
        for model in _models(entry, self.world):
            if model.id in self.seen:
                continue
            self.seen.add(model.id)
            why_not = _closed(model, self.world)
            if why_not is None:
                self._admit(model, entry.thinking, why)
            elif (substitute := self._substitute(model, entry.thinking)) is None:
                self.rejected.append(why_not)
            elif model.id == self.task.pin:
                self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} could be asked"))
            else:
                self.seen.add(substitute.id)
                self.rejected.append(replace(why_not, reason=f"{why_not.reason}; {substitute.id} takes its place"))
                self._admit(substitute, entry.thinking, f"stands in for {model.id}: {why_not.reason}")

    def consider_neighbour(self, entry: Entry, why: str) -> None:
        """Like `consider`, but a model that does not fit is not worth a word: it was not asked for."""
        for model in _models(entry, self.world):
            if model.id not in self.seen and _closed(model, self.world) is None:
                self.seen.add(model.id)
                rejected = len(self.rejected)
                self._admit(model, entry.thinking, why)
                del self.rejected[rejected:]

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
            effort=model.effort_for(_effort(wanted, self.task.complexity)),
            need=self.task.need,
            ceiling_usd=self.task.ceiling_usd,
            now=self.world.now,
            unpriced_ok=model.provider in self.world.unlisted,
        )


def _entries(task: Task, world: World) -> Iterator[tuple[Entry, str]]:
    if task.pin is None:
        if task.prefer is not None:
            yield _as_in_tables(task, world, task.prefer), "answered this conversation so far"
        for entry in world.routes.cell(task.use_case, task.budget_tier):
            yield entry, f"{task.use_case} at {task.budget_tier}"
        return
    provider_name, _, model_name = task.pin.partition(":")
    provider = world.catalog.provider(provider_name)
    if model_name:
        yield _as_in_tables(task, world, task.pin), _PINNED
        return
    named = [entry for entry in _nearest(task, world) if entry.model.partition(":")[0] == provider_name]
    for entry in named or _usable(provider) or [Entry(model=provider_name)]:
        yield entry, f"{provider_name} {_ASKED_FOR}"


def _usable(provider: Provider) -> list[Entry]:
    """A provider's models, the strongest first."""
    models = [model for model in provider.models if not model.deprecated and not model.only_by_name]
    return [Entry(model=model.id) for model in sorted(models, key=lambda model: -model.strength)]


def _as_in_tables(task: Task, world: World, name: str) -> Entry:
    """Let a pinned model think as much as the tables let it."""
    return next((entry for entry in _nearest(task, world) if entry.model == name), Entry(model=name))


def _neighbours(task: Task, world: World) -> Iterator[tuple[Entry, str]]:
    if task.pin is not None:
        if ":" not in task.pin:
            for entry in _usable(world.catalog.provider(task.pin)):
                yield entry, f"{task.pin} {_ASKED_FOR}: few of its models are in the tables of {task.use_case}"
        return
    own = {entry.model for entry in world.routes.cell(task.use_case, task.budget_tier)}
    for entry in _nearest(task, world):
        if entry.model not in own and entry.model != _LAST_RESORT:
            yield entry, f"from another tier of {task.use_case}: too few of this cell's models can be asked"


def _nearest(task: Task, world: World) -> Iterator[Entry]:
    """All entries of a use case: its own tier's, then those of the tiers beside it, the cheaper side first."""
    own = TIERS.index(task.budget_tier)
    for tier in sorted(TIERS, key=lambda tier: abs(TIERS.index(tier) - own)):
        yield from world.routes.cell(task.use_case, tier)


def _models(entry: Entry, world: World) -> Iterable[Model]:
    provider_name, _, model_name = entry.model.partition(":")
    provider = world.catalog.provider(provider_name)
    if not model_name:
        models = provider.models[:_FOUND] if provider.servers else provider.models
        return models or (Model(provider=provider_name, name=""),)
    try:
        return (world.catalog.model(entry.model),)
    except UnknownNameError:
        if provider.price is None and provider_name not in world.unlisted:
            raise
        return (Model(provider=provider_name, name=model_name),)


def _closed(model: Model, world: World) -> Rejection | None:
    """Say why a model cannot be asked at all, whatever the task."""
    access = world.access[model.provider]
    if access.reason is not None:
        return Rejection(model=model.id, kind="retired" if access.retired else "closed", reason=access.reason)
    if model.retires is not None and model.retires <= world.now.date():
        return Rejection(model=model.id, kind="retired", reason=f"retired on {model.retires}")
    if not model.name:
        reason = f"no model of {model.provider} is known: name one as {model.provider}:MODEL"
        return Rejection(model=model.id, kind="unknown", reason=reason)
    bench = world.benches.get(access.key_scope)
    if bench is None:
        return None
    return Rejection(
        model=model.id, kind="benched", reason=f"its key is benched {_until(bench, world)}: {bench.reason}"
    )


def _held_back(model: Model, world: World) -> Rejection | None:
    for scope in (f"model:{model.id}", f"provider:{model.provider}"):
        if (bench := world.benches.get(scope)) is not None:
            reason, seconds = f"benched {_until(bench, world)}: {bench.reason}", bench.until - world.now.timestamp()
            return Rejection(model=model.id, kind="benched", reason=reason, wait_seconds=seconds)
    if (seconds := world.busy.get(model.id, world.busy.get(model.provider))) is not None:
        reason = f"at its rate limit: free in {seconds:.0f} s"
        return Rejection(model=model.id, kind="busy", reason=reason, wait_seconds=seconds)
    return None


def _until(bench: Bench, world: World) -> str:
    return f"for {max(1, round(bench.until - world.now.timestamp()))} s more"


def _effort(wanted: Effort, complexity: Complexity) -> Effort:
    if complexity == "simple":
        return "off"
    return _STRONGER.get(wanted, wanted) if complexity == "complex" else wanted


def _ordered(candidates: list[Candidate], task: Task, world: World) -> list[Candidate]:
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


def _is_risky(task: Task) -> bool:
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
    return candidate.model.provider == _LAST_RESORT


def _with_warnings(why: str, model: Model, world: World) -> str:
    if retires_soon(model, world.now.date()):
        why = f"{why}; it retires on {model.retires}"
    preference = world.preferences.get(model.id)
    return why if preference is None else f"{why}; {preference.why}"


def is_callers_choice(why: str) -> bool:
    """Whether a model stood in a plan because the caller named it, or its provider, and not by the table."""
    return why.startswith(_PINNED) or _ASKED_FOR in why


def retires_soon(model: Model, today: date) -> bool:
    """Whether a model that still answers is about to be gone."""
    return model.retires is not None and today < model.retires <= today + _RETIRES_SOON
