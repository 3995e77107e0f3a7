"""Use cases, budget tiers and routes, for MCP, HTTP and the command line."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.money import to_number
from mcp_router.routing.routes import TIERS, USE_CASES, Tier, UseCase


class UseCaseView(TypedDict):
    """A use case."""

    name: UseCase
    about: str
    default_tier: Tier


class UseCaseList(TypedDict):
    """Every use case."""

    use_cases: list[UseCaseView]


class TierView(TypedDict):
    """A budget tier with the most that one call can cost."""

    name: Tier
    ceiling_usd: float | None


class TierList(TypedDict):
    """Every budget tier."""

    budget_tiers: list[TierView]


class RouteEntryView(TypedDict):
    """A model of a route."""

    model: str
    thinking: str
    note: NotRequired[str]


class RoutesView(TypedDict):
    """The routes of a use case, by tier."""

    use_case: UseCase
    tiers: dict[Tier, list[RouteEntryView]]


def list_use_cases(app: App) -> UseCaseList:
    """List the use cases with their default tiers."""
    rows = app.routes.use_cases
    return {
        "use_cases": [
            {"name": name, "about": rows[name].about, "default_tier": rows[name].default_tier} for name in USE_CASES
        ]
    }


def list_budget_tiers(app: App) -> TierList:
    """List the tiers with their ceilings."""
    return {"budget_tiers": [{"name": tier, "ceiling_usd": to_number(app.routes.ceilings[tier])} for tier in TIERS]}


def describe_routes(app: App, use_case: str) -> RoutesView:
    """Describe the routes of a use case.

    Raises:
        UnknownNameError: No use case has this name.
    """
    name: UseCase | None = next((one for one in USE_CASES if one == use_case), None)
    if name is None:
        raise UnknownNameError("use case", use_case, USE_CASES)
    return {"use_case": name, "tiers": {tier: _describe_route(app, name, tier) for tier in TIERS}}


def _describe_route(app: App, use_case: UseCase, tier: Tier) -> list[RouteEntryView]:
    entries: list[RouteEntryView] = []
    for entry in app.routes.route(use_case, tier):
        view: RouteEntryView = {"model": entry.model, "thinking": entry.thinking}
        if entry.note:
            view["note"] = entry.note
        entries.append(view)
    return entries
