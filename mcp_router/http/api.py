"""The endpoints under `/api/llm`: JSON over HTTP for programs without MCP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mcp_router.app import App
from mcp_router.errors import BadInputError, RouterError
from mcp_router.http.openapi import create_document
from mcp_router.http.responses import Json, error_response, json_response, response_from_error
from mcp_router.http.streaming import CallResponse
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations import costs as cost_reports
from mcp_router.operations import providers as provider_views
from mcp_router.operations import reports as call_lists
from mcp_router.operations import routes as route_views
from mcp_router.operations.argument_coercion import to_boolean
from mcp_router.operations.arguments import (
    CostArguments,
    ExplainArguments,
    GenerateArguments,
    ProviderArguments,
    parse_arguments,
)
from mcp_router.operations.explain import explain_route
from mcp_router.operations.generate import generate
from mcp_router.operations.reports import CallListArguments, DayArguments
from mcp_router.server.callers import caller_from_request
from providers.completion import OnText

View = Callable[[Request], Awaitable[Mapping[str, object]]]
Endpoint = Callable[[Request], Awaitable[Response]]


def create_routes(app: App) -> list[Route]:
    """Return the routes of the JSON API."""

    async def providers(request: Request) -> Mapping[str, object]:
        asked = parse_arguments(ProviderArguments, dict(request.query_params))
        if asked.provider is None:
            return asked.warn_of_ignored(await provider_views.list_providers(app))
        view = await provider_views.show_provider(app, asked.provider, caller=caller_from_request(request))
        return asked.warn_of_ignored(view)

    async def use_cases(request: Request) -> Mapping[str, object]:
        _reject_parameters(request)
        return {**route_views.list_use_cases(app), **route_views.list_budget_tiers(app)}

    async def costs(request: Request) -> Mapping[str, object]:
        asked = parse_arguments(CostArguments, dict(request.query_params))
        return asked.warn_of_ignored(
            await cost_reports.summarize_costs(app, asked, caller=caller_from_request(request))
        )

    async def explain(request: Request) -> Mapping[str, object]:
        asked = parse_arguments(ExplainArguments, await _parse_body(request))
        return asked.warn_of_ignored(await explain_route(app, asked, caller=caller_from_request(request)))

    async def calls(request: Request) -> Mapping[str, object]:
        asked = parse_arguments(CallListArguments, dict(request.query_params))
        return asked.warn_of_ignored(await call_lists.list_calls(app, asked, caller=caller_from_request(request)))

    async def days(request: Request) -> Mapping[str, object]:
        asked = parse_arguments(DayArguments, dict(request.query_params))
        return asked.warn_of_ignored(await call_lists.list_days(app, asked, caller=caller_from_request(request)))

    async def budgets(request: Request) -> Mapping[str, object]:
        _reject_parameters(request)
        return await call_lists.list_budgets(app, caller=caller_from_request(request))

    async def openapi(_request: Request) -> Mapping[str, object]:
        return create_document()

    return [
        Route("/api/llm/providers", to_endpoint(providers), methods=["GET"]),
        Route("/api/llm/use-cases", to_endpoint(use_cases), methods=["GET"]),
        Route("/api/llm/cost-summary", to_endpoint(costs), methods=["GET"]),
        Route("/api/llm/calls", to_endpoint(calls), methods=["GET"]),
        Route("/api/llm/days", to_endpoint(days), methods=["GET"]),
        Route("/api/llm/budgets", to_endpoint(budgets), methods=["GET"]),
        Route("/api/llm/explain", to_endpoint(explain), methods=["POST"]),
        Route("/api/llm/generate", _Generate(app), methods=["POST"]),
        Route("/api/openapi.json", to_endpoint(openapi), methods=["GET"]),
    ]


def to_endpoint(view: View) -> Endpoint:
    """Return an endpoint that answers with a view, or with its error."""

    async def endpoint(request: Request) -> Response:
        try:
            return json_response(await view(request))
        except _UnsupportedMediaTypeError as error:
            return error_response(error.kind, error.cause, 415)
        except (RouterError, LedgerError) as error:
            return response_from_error(error)

    return endpoint


class _Generate:
    """The endpoint for calls. An ASGI application: Starlette's function wrappers would cost every call time."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = await _start_call(self._app, Request(scope, receive))
        await answer(scope, receive, send)


async def _start_call(app: App, request: Request) -> Response:
    try:
        body = await _parse_body(request)
        stream = _parse_flag("stream", body.pop("stream", False))
        arguments = parse_arguments(GenerateArguments, body)
    except _UnsupportedMediaTypeError as error:
        return error_response(error.kind, error.cause, 415)
    except BadInputError as error:
        return response_from_error(error)
    client = caller_from_request(request).name

    async def work(on_text: OnText | None) -> Json:
        return dict(arguments.warn_of_ignored(await generate(app, arguments, client=client, on_text=on_text)))

    return CallResponse(work, stream=stream or _wants_events(request))


def _parse_flag(name: str, given: object) -> bool:
    flag = to_boolean(given)
    if flag is not None and not isinstance(flag, bool):
        raise BadInputError(f"{name}: must be true or false.")
    return bool(flag)


def _wants_events(request: Request) -> bool:
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")]
    return "text/event-stream" in kinds


class _UnsupportedMediaTypeError(BadInputError):
    """The body has another type than JSON."""


async def _parse_body(request: Request) -> dict[str, object]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _UnsupportedMediaTypeError("Send the arguments as JSON, with Content-Type: application/json.")
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError) as exc:
        raise BadInputError("The body is not valid JSON.") from exc
    if not isinstance(body, dict):
        raise BadInputError('The body must be a JSON object, for example {"prompt": "…"}.')
    return {str(name): value for name, value in body.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- it came from JSON


def _reject_parameters(request: Request) -> None:
    if request.query_params:
        raise BadInputError("This endpoint takes no parameters.")
