"""The routing tables, providers, calls and costs as MCP resources."""

from __future__ import annotations

from importlib.resources import files
from typing import get_args

import mcp_types as types

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.ledger.records import GroupBy
from mcp_router.operations import costs, providers, routes
from mcp_router.operations.arguments import CostArguments, Period, parse_arguments
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.routing.routes import COMPLEXITIES, TIERS, USE_CASES
from mcp_router.server.tools import COSTS_VIEW
from mcp_router.text import to_compact_json

_JSON = "application/json"
APP_MIME_TYPE = "text/html;profile=mcp-app"
"""Media type of a page of an MCP App: https://modelcontextprotocol.io/specification/draft/extensions/apps"""
APPS_EXTENSION = "io.modelcontextprotocol/ui"
_STATIC_TTL_MS = 3_600_000
_LIVE_TTL_MS = 5_000

RESOURCES = (
    types.Resource(uri="router://use-cases", name="use-cases", mime_type=_JSON, description="The eight use cases"),
    types.Resource(uri="router://budget-tiers", name="budget-tiers", mime_type=_JSON, description="Tiers and ceilings"),
    types.Resource(
        uri="router://providers",
        name="providers",
        mime_type=_JSON,
        description="Providers and whether they are available",
    ),
    types.Resource(uri="router://models", name="models", mime_type=_JSON, description="Every model, with its prices"),
    types.Resource(uri=COSTS_VIEW, name="costs-view", mime_type=APP_MIME_TYPE, description="Draws cost_summary"),
)
TEMPLATES = (
    types.ResourceTemplate(
        uri_template="router://routes/{use_case}",
        name="routes",
        mime_type=_JSON,
        description="Models of a use case, by tier",
    ),
    types.ResourceTemplate(
        uri_template="router://calls/{call_id}",
        name="calls",
        mime_type=_JSON,
        description="Every attempt of a call",
    ),
    types.ResourceTemplate(
        uri_template="router://costs/{period}",
        name="costs",
        mime_type=_JSON,
        description="Costs and savings of a period",
    ),
)

_NAMES = tuple(str(resource.uri) for resource in RESOURCES) + tuple(one.uri_template for one in TEMPLATES)


async def read_resource(app: App, uri: str, *, caller: Caller = LOCAL) -> types.ReadResourceResult:
    """Read a resource, limited to what the caller can see.

    Raises:
        UnknownNameError: There is no such resource.
    """
    if uri == COSTS_VIEW:
        return _read_costs_view()
    kind, _, name = uri.removeprefix("router://").partition("/")
    if not uri.startswith("router://"):
        raise UnknownNameError("resource", uri, _NAMES)
    ttl_ms = _LIVE_TTL_MS
    match kind, name:
        case "use-cases", "":
            view, ttl_ms = routes.list_use_cases(app), _STATIC_TTL_MS
        case "budget-tiers", "":
            view, ttl_ms = routes.list_budget_tiers(app), _STATIC_TTL_MS
        case "models", "":
            view = await providers.list_models(app)
        case "providers", "":
            view = await providers.list_providers(app)
        case "routes", _ if name:
            view, ttl_ms = routes.describe_routes(app, name), _STATIC_TTL_MS
        case "calls", _ if name:
            from mcp_router.operations import explain  # noqa: PLC0415 -- a start need not wait for what it brings

            view = await explain.explain_call(app, name, caller=caller)
        case "costs", _ if name:
            view = await costs.summarize_costs(app, parse_arguments(CostArguments, {"period": name}), caller=caller)
        case _:
            raise UnknownNameError("resource", uri, _NAMES)
    return types.ReadResourceResult(
        contents=[types.TextResourceContents(uri=uri, mime_type=_JSON, text=to_compact_json(view))],
        ttl_ms=ttl_ms,
        cache_scope="private",
    )


def _read_costs_view() -> types.ReadResourceResult:
    page = (files("mcp_router.server") / "costs_view.html").read_text("utf-8")
    # It fetches nothing, so it declares no `csp`, and hosts allow it no connections.
    contents = types.TextResourceContents(
        uri=COSTS_VIEW, mime_type=APP_MIME_TYPE, text=page, _meta={"ui": {"prefersBorder": True}}
    )
    return types.ReadResourceResult(contents=[contents], ttl_ms=_STATIC_TTL_MS, cache_scope="public")


async def complete_argument(
    app: App, params: types.CompleteRequestParams, *, caller: Caller = LOCAL
) -> types.Completion:
    """Complete the value of an argument of a template or a prompt."""
    values = _COMPLETIONS.get(params.argument.name, ())
    if params.argument.name == "model":
        values = _list_model_names(app)
    elif params.argument.name == "call_id":
        attempts = await app.ledger.read_recent(_MAX_COMPLETION_VALUES, client=None if caller.sees_all else caller.name)
        values = tuple(dict.fromkeys(attempt.call_id for attempt in attempts))
    begun = params.argument.value.lower()
    # Prefix matches come before other matches.
    matching = [value for value in values if value.lower().startswith(begun)]
    matching += [value for value in values if begun in value.lower() and value not in matching]
    shown = matching[:_MAX_COMPLETION_VALUES]
    return types.Completion(values=shown, total=len(matching), has_more=len(matching) > len(shown))


def _list_model_names(app: App) -> tuple[str, ...]:
    """Return available providers and models first, then the others."""
    access = app.access()
    names = (*access, *(model.id for model in app.catalog.models()))
    return tuple(sorted(names, key=lambda name: not access[name.partition(":")[0]].available))


_MAX_COMPLETION_VALUES = 100
"""The protocol's limit."""
_COMPLETIONS: dict[str, tuple[str, ...]] = {
    "use_case": USE_CASES,
    "budget_tier": TIERS,
    "complexity": COMPLEXITIES,
    "period": get_args(Period),
    "group_by": get_args(GroupBy),
}
