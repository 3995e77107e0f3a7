"""Providers and their models, for MCP, HTTP and the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NotRequired, TypedDict

from mcp_router.app import App
from mcp_router.ledger.records import Breaker
from mcp_router.money import price_to_number
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.operations.costs import LatencyView, choose_rollup, describe_latency
from mcp_router.operations.model_aliases import canonical_provider
from mcp_router.routing.plan import retires_soon
from mcp_router.routing.prices import find_token_prices
from mcp_router.routing.request import RoutingState
from providers.catalog import Model, Provider

_MAX_LISTED_MODELS = 12
_DETAILS_S = 7 * 86_400
"""The last seconds whose latency is reported."""

Status = Literal["active", "degraded", "inactive", "retired"]


class StatusView(TypedDict):
    """Whether a provider is available, and what to do if it is not."""

    name: str
    status: Status
    reason: NotRequired[str]


class ProviderView(StatusView):
    """A provider in the list of all."""

    models: list[str]
    """The strongest models without their provider; empty if the provider is unavailable."""
    more_models: NotRequired[int]
    """How many are not listed."""


class ProviderList(TypedDict):
    """The answer of `list_providers` without a name."""

    providers: list[ProviderView]


class ModelView(TypedDict):
    """A model with its window in tokens and its prices in USD per million tokens."""

    model: str
    family: str
    context_window: int | None
    max_output: int | None
    input_mtok: float | None
    output_mtok: float | None
    cache_read_mtok: float | None
    features: list[str]
    checked: str | None
    """The day on which the price was checked."""
    source: str
    retires: NotRequired[str]
    warning: NotRequired[str]
    note: NotRequired[str]


class QuotaView(TypedDict):
    """What a vendor's headers say is left until they reset."""

    scope: str
    requests: int | None
    tokens: int | None


class LimitsView(TypedDict):
    """Rate limits of a provider, and how much of them is used."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    requests_last_minute: NotRequired[int]
    tokens_last_minute: NotRequired[int]
    left: list[QuotaView]


class BreakerView(TypedDict):
    """A circuit breaker with failures."""

    scope: str
    failures: int
    reason: str
    open_s: int
    """Seconds of cooldown left; 0 if a probe can be sent."""


class ProviderDetails(StatusView):
    """One provider in full."""

    title: str
    docs: str
    key: list[str]
    limits: LimitsView
    breaker: list[BreakerView]
    latency_ms: LatencyView | None
    models: list[ModelView]


class ProviderDetailsList(TypedDict):
    """The answer of `list_providers` with a name: a list of one."""

    providers: list[ProviderDetails]


class ModelList(TypedDict):
    """Every model."""

    models: list[ModelView]


async def list_providers(app: App) -> ProviderList:
    """List every provider with its status, and the strongest models of the available ones."""
    state, _ = await app.router.read_state()
    return {"providers": [_describe_provider(provider, state) for provider in state.catalog.providers.values()]}


async def show_provider(app: App, name: str, *, caller: Caller = LOCAL) -> ProviderDetailsList:
    """Describe one provider in full, as far as the caller can see it.

    Raises:
        UnknownNameError: No provider has this name.
    """
    state, _ = await app.router.read_state()
    provider = state.catalog.provider(canonical_provider(name, state.catalog.providers))
    return {"providers": [await _describe_details(app, provider, state, caller)]}


def _describe_provider(provider: Provider, state: RoutingState) -> ProviderView:
    status = _describe_status(provider, state)
    available = status["status"] in ("active", "degraded")
    models = _list_current_models(provider, state) if available else []
    view: ProviderView = {**status, "models": [model.name for model in models[:_MAX_LISTED_MODELS]]}
    if len(models) > _MAX_LISTED_MODELS:
        view["more_models"] = len(models) - _MAX_LISTED_MODELS
    return view


def _describe_status(provider: Provider, state: RoutingState) -> StatusView:
    access = state.access[provider.name]
    if access.reason is not None:
        return {
            "name": provider.name,
            "status": "retired" if access.retired else "inactive",
            "reason": access.reason,
        }
    if (trouble := describe_trouble(provider, state)) is not None:
        return {"name": provider.name, "status": "degraded", "reason": trouble}
    return {"name": provider.name, "status": "active"}


def describe_trouble(provider: Provider, state: RoutingState) -> str | None:
    """Return why an available provider is degraded, or None."""
    scopes = _list_scopes(provider, state)
    breakers = [breaker for scope, breaker in state.breakers.items() if scope in scopes]
    breakers += [breaker for scope, breaker in state.breakers.items() if scope.startswith(f"model:{provider.name}:")]
    if breakers:
        return _describe_breaker(breakers[0], state.now.timestamp())
    if provider.name in state.busy:
        return "at its rate limit for this minute"
    return None


def _describe_breaker(breaker: Breaker, now: float) -> str:
    seconds = max(1, round(breaker.open_until - now))
    model = f" of {breaker.scope.partition(':')[2]}" if breaker.scope.startswith("model:") else ""
    failures = "a failure" if breaker.failures == 1 else f"{breaker.failures} failures"
    return f"circuit breaker{model} open for {seconds} s after {failures} ({breaker.reason})"


def _list_scopes(provider: Provider, state: RoutingState) -> tuple[str, str]:
    return f"provider:{provider.name}", state.access[provider.name].key_scope


def _format_scope(breaker: Breaker) -> str:
    """Format a breaker's scope without the key's fingerprint."""
    kind, _, name = breaker.scope.partition(":")
    return f"key:{name.partition(':')[0]}" if kind == "key" else breaker.scope


def _list_current_models(provider: Provider, state: RoutingState) -> list[Model]:
    """Return the models that are not retired, the strongest first."""
    today = state.now.date()
    current = [model for model in provider.models if model.retires is None or model.retires > today]
    return sorted(current, key=lambda model: -model.strength)


async def _describe_details(app: App, provider: Provider, state: RoutingState, caller: Caller) -> ProviderDetails:
    now = state.now.timestamp()
    rollup = choose_rollup(app, "7d", caller)
    summary = await app.ledger.summarize(since=now - _DETAILS_S, until=None, session=rollup, group_by="provider")
    totals = summary.groups.get(provider.name)
    standing = await app.ledger.read_availability(now)
    scopes = _list_scopes(provider, state)
    return {
        **_describe_status(provider, state),
        "title": provider.title,
        "docs": provider.docs_url,
        "key": list(provider.key_env),
        "limits": await _describe_limits(app, provider, now, caller),
        "breaker": [
            {
                "scope": _format_scope(breaker),
                "failures": breaker.failures,
                "reason": breaker.reason,
                "open_s": max(0, round(breaker.open_until - now)),
            }
            for breaker in standing.breakers
            if breaker.scope in scopes or breaker.scope.startswith(f"model:{provider.name}:")
        ],
        "latency_ms": describe_latency(totals) if totals else None,
        "models": [describe_model(provider, model, state.now) for model in provider.models],
    }


async def _describe_limits(app: App, provider: Provider, now: float, caller: Caller) -> LimitsView:
    rate = app.rates.get(provider.name)
    standing = await app.ledger.read_availability(now)
    used = next((usage for usage in standing.rate_usage if usage.provider == provider.name), None)
    view: LimitsView = {
        "requests_per_minute": rate.requests_per_minute if rate else None,
        "tokens_per_minute": rate.tokens_per_minute if rate else None,
        "left": [
            {"scope": limit.scope, "requests": limit.requests_left, "tokens": limit.tokens_left}
            for limit in standing.vendor_limits
            if limit.scope == provider.name or limit.scope.startswith(f"{provider.name}:")
        ],
    }
    if caller.sees_all:
        view["requests_last_minute"] = used.requests if used else 0
        view["tokens_last_minute"] = used.tokens if used else 0
    return view


def describe_model(provider: Provider, model: Model, now: datetime) -> ModelView:
    """Describe a model with its prices at a moment."""
    price = find_token_prices(provider, model, now, 0)
    view: ModelView = {
        "model": model.id,
        "family": model.family,
        "context_window": model.context_window,
        "max_output": model.max_output,
        "input_mtok": price_to_number(price.input_mtok) if price else None,
        "output_mtok": price_to_number(price.output_mtok) if price else None,
        "cache_read_mtok": price_to_number(price.cache_read_mtok) if price else None,
        "features": sorted(model.features),
        "checked": str(model.checked) if model.checked else None,
        "source": model.source,
    }
    if model.retires is not None:
        view["retires"] = str(model.retires)
        if retires_soon(model, now.date()):
            view["warning"] = f"retires on {model.retires}"
    if model.note:
        view["note"] = model.note
    return view


async def list_models(app: App) -> ModelList:
    """List every model with its prices, those of local servers included."""
    now, catalog = datetime.now(UTC), await app.current_catalog()
    return {"models": [describe_model(catalog.provider(model.provider), model, now) for model in catalog.models()]}
