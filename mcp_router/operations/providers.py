"""What can be asked: providers, models and the routing tables, as JSON for MCP, HTTP and the command line alike."""

from __future__ import annotations

from datetime import UTC, datetime

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.ledger.records import Breaker
from mcp_router.money import price_to_number, to_number
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.operations.costs import choose_rollup, describe_latency
from mcp_router.operations.model_aliases import canonical_provider
from mcp_router.routing.plan import retires_soon
from mcp_router.routing.prices import find_token_prices
from mcp_router.routing.request import RoutingState
from mcp_router.routing.routes import TIERS, USE_CASES, UseCase
from providers.catalog import Model, Provider

Json = dict[str, object]


async def list_providers(app: App, name: str | None = None, *, caller: Caller = LOCAL) -> Json:
    """Say who can be asked; with a name, everything about that one that is the caller's to see.

    Raises:
        UnknownNameError: Nobody has that name.
    """
    world, _ = await app.router.read_state()
    if name is not None:
        provider = world.catalog.provider(canonical_provider(name, world.catalog.providers))
        return {
            "providers": [_describe_status(provider, world) | await _describe_details(app, provider, world, caller)]
        }
    return {
        "providers": [
            _describe_status(provider, world)
            | {"models": [model.name for model in _list_current_models(provider, world)]}
            for provider in world.catalog.providers.values()
        ]
    }


def _describe_status(provider: Provider, world: RoutingState) -> Json:
    access = world.access[provider.name]
    if access.retired:
        return {"name": provider.name, "status": "retired", "reason": access.reason}
    if access.reason is not None:
        return {"name": provider.name, "status": "inactive", "reason": access.reason}
    if (trouble := _describe_trouble(provider, world)) is not None:
        return {"name": provider.name, "status": "degraded", "reason": trouble}
    return {"name": provider.name, "status": "active"}


def _describe_trouble(provider: Provider, world: RoutingState) -> str | None:
    scopes = _list_scopes(provider, world)
    benches = [bench for scope, bench in world.benches.items() if scope in scopes]
    benches += [bench for scope, bench in world.benches.items() if scope.startswith(f"model:{provider.name}:")]
    if benches:
        bench = benches[0]
        seconds = max(1, round(bench.open_until - world.now.timestamp()))
        what = bench.scope.partition(":")[2] if bench.scope.startswith("model:") else provider.name
        failures = "a failure" if bench.failures == 1 else f"{bench.failures} failures"
        return f"{what} is left alone for {seconds} s more after {failures} ({bench.reason})"
    if provider.name in world.busy:
        return "at its rate limit for this minute"
    return None


def _list_scopes(provider: Provider, world: RoutingState) -> tuple[str, str]:
    return f"provider:{provider.name}", world.access[provider.name].key_scope


def _format_scope(bench: Breaker) -> str:
    """Say whom a bench is held against, without the key's mark."""
    kind, _, name = bench.scope.partition(":")
    return f"key:{name.partition(':')[0]}" if kind == "key" else bench.scope


def _compute_cooldown_s(bench: Breaker, now: float) -> int:
    """Seconds until it may be asked again; 0 where it may, though its failures still count."""
    return max(0, round(bench.open_until - now))


def _list_current_models(provider: Provider, world: RoutingState) -> list[Model]:
    today = world.now.date()
    return [model for model in provider.models if model.retires is None or model.retires > today]


async def _describe_details(app: App, provider: Provider, world: RoutingState, caller: Caller) -> Json:
    now = world.now.timestamp()
    rate = app.rates.get(provider.name)
    standing = await app.ledger.read_availability(now)
    used = next((state for state in standing.rate_usage if state.provider == provider.name), None)
    asked = {
        "requests_last_minute": used.requests if used else 0,
        "tokens_last_minute": used.tokens if used else 0,
    }
    book = choose_rollup(app, "7d", caller)
    summary = await app.ledger.summarize(since=now - 7 * 86_400, until=None, session=book, group_by="provider")
    totals = summary.groups.get(provider.name)
    return {
        "title": provider.title,
        "docs": provider.docs_url,
        "key": list(provider.key_env),
        "limits": {
            "requests_per_minute": rate.requests_per_minute if rate else None,
            "tokens_per_minute": rate.tokens_per_minute if rate else None,
            **(asked if caller.sees_all else {}),
            "left": [
                {"scope": word.scope, "requests": word.requests_left, "tokens": word.tokens_left}
                for word in standing.vendor_limits
                if word.scope == provider.name or word.scope.startswith(f"{provider.name}:")
            ],
        },
        "breaker": [
            {
                "scope": _format_scope(bench),
                "failures": bench.failures,
                "reason": bench.reason,
                "open_s": _compute_cooldown_s(bench, now),
            }
            for bench in standing.breakers
            if bench.scope in _list_scopes(provider, world) or bench.scope.startswith(f"model:{provider.name}:")
        ],
        "latency_ms": describe_latency(totals) if totals else None,
        "models": [describe_model(provider, model, world.now) for model in provider.models],
    }


def describe_model(provider: Provider, model: Model, now: datetime) -> Json:
    """Describe a model: prices in US dollars per million tokens, window in tokens."""
    price = find_token_prices(provider, model, now, 0)
    view: Json = {
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


def list_use_cases(app: App) -> Json:
    """List the use cases, what they are about and where they go."""
    rows = app.routes.use_cases
    return {
        "use_cases": [
            {"name": name, "about": rows[name].about, "default_tier": rows[name].default_tier} for name in USE_CASES
        ]
    }


def list_budget_tiers(app: App) -> Json:
    """List the tiers and their ceilings."""
    return {"budget_tiers": [{"name": tier, "ceiling_usd": to_number(app.routes.ceilings[tier])} for tier in TIERS]}


async def list_models(app: App) -> Json:
    """List every model with its prices, also those that local servers serve at the moment."""
    now, catalog = datetime.now(UTC), await app.current_catalog()
    return {
        "models": [describe_model(catalog.provider(model.provider), model, now) for model in catalog.models()],
    }


def describe_route(app: App, use_case: str) -> Json:
    """Show a use case's row of the routing table.

    Raises:
        UnknownNameError: There is no such use case.
    """
    name: UseCase | None = next((one for one in USE_CASES if one == use_case), None)
    if name is None:
        raise UnknownNameError("use case", use_case, USE_CASES)
    return {
        "use_case": name,
        "tiers": {
            tier: [
                {"model": entry.model, "thinking": entry.thinking} | ({"note": entry.note} if entry.note else {})
                for entry in app.routes.route(name, tier)
            ]
            for tier in TIERS
        },
    }
