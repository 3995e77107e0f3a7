"""Who is considered for a task, and in which order: its cell, the tiers beside it, then whoever can be asked."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_router.errors import UnknownNameError
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import TIERS, RouteEntry
from providers.catalog import Model, Provider
from providers.completion import Effort

LAST_RESORT = "embedded"
"""Who is asked when nobody else can be."""
_FOUND = 3
"""So many of the models that are found on this machine, the largest first, stand for all of them."""
_REACH = 25
"""How much weaker than the model that a cell would have asked another may be to take its place."""
_PINNED, _ASKED_FOR = "pinned by the caller", "was asked for"

Listed = Iterator[tuple[Model, Effort, str]]
"""Models, each with how much it may think and why it is considered."""


def list_route(task: RoutingRequest, world: RoutingState) -> Listed:
    """List who the task's cell names, or whom the caller insists on.

    Raises:
        UnknownNameError: A name is nobody's.
    """
    if task.pin is None:
        if task.prefer is not None:
            before = _as_in_tables(task, world, task.prefer)
            yield find_model(before, world), before.thinking, "answered this conversation so far"
        why = f"{task.use_case} at {task.budget_tier}"
        for entry in world.routes.route(task.use_case, task.budget_tier):
            for model, thinking in _spelled_out(entry, task, world):
                yield model, thinking, why
        return
    pinned = _as_in_tables(task, world, task.pin)
    why = _PINNED if pinned.name else f"{pinned.provider} {_ASKED_FOR}"
    for model, thinking in _spelled_out(pinned, task, world):
        yield model, thinking, why


def list_fillers(task: RoutingRequest, world: RoutingState) -> Listed:
    """List who else may be asked where the cell gives too few: from the use case's other tiers, the nearest first,
    then from any provider that can be asked, those first that come closest in strength to what the cell would have
    asked; and last those that are much weaker. Of a provider that is pinned, its other models.
    """
    if task.pin is not None:
        if ":" not in task.pin:
            why = f"{task.pin} {_ASKED_FOR}: few of its models are in the tables of {task.use_case}"
            for model in _usable(world.catalog.provider(task.pin)):
                yield model, "off", why
        return
    cell = world.routes.route(task.use_case, task.budget_tier)
    aim = next((strength for entry in cell if (strength := find_model(entry, world).strength)), 0)
    much_weaker: list[tuple[Model, Effort, str]] = []
    for where, found in (("another tier", _inside(task, world)), ("outside the table", _outside(task, world, aim))):
        why = f"from {where} of {task.use_case}: too few of this cell's models can be asked"
        for model, thinking in found:
            if model.strength < aim - _REACH:
                much_weaker.append((model, thinking, why))
            else:
                yield model, thinking, why
    yield from much_weaker


_Found = Iterator[tuple[Model, Effort]]


def _inside(task: RoutingRequest, world: RoutingState) -> _Found:
    opened = {name for name, access in world.access.items() if access.available}
    for entry in _nearest(task, world):
        if entry.provider in opened:
            yield from _spelled_out(entry, task, world)


def _outside(task: RoutingRequest, world: RoutingState, aim: int) -> _Found:
    thinking = world.routes.route(task.use_case, task.budget_tier)[0].thinking
    for model in sorted(_anybody(world), key=lambda model: abs(model.strength - aim)):
        yield model, thinking


def find_model(entry: RouteEntry, world: RoutingState) -> Model:
    """Look up what an entry names; a nameless model where nobody knows what its provider serves.

    Raises:
        UnknownNameError: The entry names a provider or model that nobody has.
    """
    if entry.name is None:
        return Model(provider=world.catalog.provider(entry.provider).name, name="")
    try:
        return world.catalog.model(entry.model)
    except UnknownNameError:
        provider = world.catalog.provider(entry.provider)
        if provider.price is None and provider.name not in world.unlisted:
            raise
        return Model(provider=provider.name, name=entry.name)


def is_callers_choice(why: str) -> bool:
    """Whether a model stood in a plan because the caller named it, or its provider, and not by the table."""
    return why.startswith(_PINNED) or _ASKED_FOR in why


def _spelled_out(entry: RouteEntry, task: RoutingRequest, world: RoutingState) -> list[tuple[Model, Effort]]:
    """Say which models a provider alone means: those that the tables ask for this use case, or all it has."""
    if entry.name is not None:
        return [(find_model(entry, world), entry.thinking)]
    in_tables = [one for one in _nearest(task, world) if one.provider == entry.provider and one.name is not None]
    if in_tables:
        return [(find_model(one, world), one.thinking) for one in in_tables]
    usable = _usable(world.catalog.provider(entry.provider))
    return [(model, entry.thinking) for model in usable or [find_model(entry, world)]]


def _usable(provider: Provider) -> list[Model]:
    """A provider's models, the strongest first."""
    models = [model for model in provider.models if _is_usable(model)]
    if provider.servers:
        return models[:_FOUND]
    return sorted(models, key=lambda model: -model.strength)


def _anybody(world: RoutingState) -> Iterator[Model]:
    for name, access in world.access.items():
        provider = world.catalog.providers[name] if access.available else None
        if provider is not None and name != LAST_RESORT and not provider.servers:
            yield from filter(_lasts, _usable(provider))


def _lasts(model: Model) -> bool:
    return not model.preview and model.retires is None


def _is_usable(model: Model) -> bool:
    return not model.deprecated and not model.only_by_name


def _as_in_tables(task: RoutingRequest, world: RoutingState, name: str) -> RouteEntry:
    """Let a model that is named think as much as the tables let it."""
    return next((entry for entry in _nearest(task, world) if entry.model == name), RouteEntry(model=name))


def _nearest(task: RoutingRequest, world: RoutingState) -> Iterator[RouteEntry]:
    """All entries of a use case: its own tier's, then those of the tiers beside it, the cheaper side first."""
    own = TIERS.index(task.budget_tier)
    for tier in sorted(TIERS, key=lambda tier: abs(TIERS.index(tier) - own)):
        yield from world.routes.route(task.use_case, tier)
