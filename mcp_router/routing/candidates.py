"""Which models are considered for a request: those of its route, those of the tiers beside it, then any available."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_router.errors import UnknownNameError
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import TIERS, RouteEntry
from providers.catalog import Model, Provider
from providers.completion import Effort

EMBEDDED = "embedded"
"""The model inside the process: it answers where it is named, or if no provider is configured."""
_MAX_LOCAL_MODELS = 3
"""So many of the models that a local server has, the largest first, stand for all of them."""
_MAX_STRENGTH_GAP = 25
"""How much weaker than the route's first model another may be to take its place."""
_PINNED, _ASKED_FOR = "pinned by the caller", "was asked for"

Listed = Iterator[tuple[Model, Effort, str]]
"""Models, each with how much it may think and why it is considered."""


def list_route(request: RoutingRequest, state: RoutingState) -> Listed:
    """List the models that the request's route names, or those that the caller pins.

    Raises:
        UnknownNameError: A provider or model does not exist.
    """
    if request.pin is None:
        if request.prefer is not None and state.routes.is_shipped(request.use_case, request.budget_tier):
            before = _entry_for(request, state, request.prefer)
            yield find_model(before, state), before.thinking, "answered this conversation so far"
        why = f"{request.use_case} at {request.budget_tier}"
        for entry in state.routes.route(request.use_case, request.budget_tier):
            for model, thinking in _expand(entry, request, state):
                yield model, thinking, why
        return
    pinned = _entry_for(request, state, request.pin)
    why = _PINNED if pinned.name else f"{pinned.provider} {_ASKED_FOR}"
    for model, thinking in _expand(pinned, request, state):
        yield model, thinking, why


def list_fillers(request: RoutingRequest, state: RoutingState) -> Listed:
    """List the models that fill up a route with too few candidates.

    First those of the use case's other tiers, the nearest tier first, then any available model, the closest in
    strength to the route's first one before others, and last those that are much weaker. For a pinned provider its
    other models. The embedded model only if no provider is configured.
    """
    if request.pin is not None:
        if ":" not in request.pin:
            why = f"{request.pin} {_ASKED_FOR}: few of its models are in the routes of {request.use_case}"
            for model in _usable(state.catalog.provider(request.pin)):
                yield model, "off", why
        return
    route = state.routes.route(request.use_case, request.budget_tier)
    aim = next((strength for entry in route if (strength := find_model(entry, state).strength)), 0)
    much_weaker: list[tuple[Model, Effort, str]] = []
    for where, found in (
        ("another tier", _inside(request, state)),
        ("outside the table", _outside(request, state, aim)),
    ):
        why = f"from {where} of {request.use_case}: too few models of this route are available"
        for model, thinking in found:
            if model.strength < aim - _MAX_STRENGTH_GAP:
                much_weaker.append((model, thinking, why))
            else:
                yield model, thinking, why
    yield from much_weaker
    if _is_unconfigured(state):
        for model in state.catalog.provider(EMBEDDED).models:
            yield model, "off", "no provider is configured"


_Found = Iterator[tuple[Model, Effort]]


def _is_unconfigured(state: RoutingState) -> bool:
    others = [access for name, access in state.access.items() if name != EMBEDDED]
    return EMBEDDED in state.access and not any(access.available or access.configured for access in others)


def _inside(request: RoutingRequest, state: RoutingState) -> _Found:
    available = {name for name, access in state.access.items() if access.available and name != EMBEDDED}
    for entry in _nearest(request, state):
        if entry.provider in available:
            yield from _expand(entry, request, state)


def _outside(request: RoutingRequest, state: RoutingState, aim: int) -> _Found:
    thinking = state.routes.route(request.use_case, request.budget_tier)[0].thinking
    for model in sorted(_available(state), key=lambda model: abs(model.strength - aim)):
        yield model, thinking


def find_model(entry: RouteEntry, state: RoutingState) -> Model:
    """Return the model that an entry names; one without a name if its provider's models are unknown.

    Raises:
        UnknownNameError: The provider or model does not exist.
    """
    if entry.name is None:
        return Model(provider=state.catalog.provider(entry.provider).name, name="")
    try:
        return state.catalog.model(entry.model)
    except UnknownNameError:
        provider = state.catalog.provider(entry.provider)
        if provider.price is None and provider.name not in state.unlisted:
            raise
        return state.catalog.model_or_unlisted(entry.model)


def is_callers_choice(why: str) -> bool:
    """Return whether the caller named a candidate or its provider; otherwise the routes did."""
    return why.startswith(_PINNED) or _ASKED_FOR in why


def _expand(entry: RouteEntry, request: RoutingRequest, state: RoutingState) -> list[tuple[Model, Effort]]:
    """Return the models of an entry; a provider alone means those that the routes name, or all it has."""
    if entry.name is not None:
        return [(find_model(entry, state), entry.thinking)]
    in_routes = [one for one in _nearest(request, state) if one.provider == entry.provider and one.name is not None]
    if in_routes:
        return [(find_model(one, state), one.thinking) for one in in_routes]
    usable = _usable(state.catalog.provider(entry.provider))
    return [(model, entry.thinking) for model in usable or [find_model(entry, state)]]


def _usable(provider: Provider) -> list[Model]:
    """Return a provider's models, the strongest first."""
    models = [model for model in provider.models if _is_usable(model)]
    if provider.servers:
        return models[:_MAX_LOCAL_MODELS]
    return sorted(models, key=lambda model: -model.strength)


def _available(state: RoutingState) -> Iterator[Model]:
    for name, access in state.access.items():
        provider = state.catalog.providers[name] if access.available else None
        if provider is not None and name != EMBEDDED and not provider.servers:
            yield from filter(_lasts, _usable(provider))


def _lasts(model: Model) -> bool:
    return not model.preview and model.retires is None


def _is_usable(model: Model) -> bool:
    return not model.deprecated and not model.only_by_name


def _entry_for(request: RoutingRequest, state: RoutingState, name: str) -> RouteEntry:
    """Return the route's entry for a model, so that it thinks as much as there; a plain entry if none names it."""
    return next((entry for entry in _nearest(request, state) if entry.model == name), RouteEntry(model=name))


def _nearest(request: RoutingRequest, state: RoutingState) -> Iterator[RouteEntry]:
    """Yield all entries of a use case: of its own tier, then of the tiers beside it, the cheaper side first."""
    own = TIERS.index(request.budget_tier)
    for tier in sorted(TIERS, key=lambda tier: abs(TIERS.index(tier) - own)):
        yield from state.routes.route(request.use_case, tier)
