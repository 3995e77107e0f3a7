"""The design's four endpoints: plain JSON over HTTP for callers that speak no MCP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mcp_router.app import App
from mcp_router.errors import BadInputError, RouterError
from mcp_router.http.openapi import document
from mcp_router.http.responses import Json, error_reply, refusal, reply
from mcp_router.http.streaming import CallReply
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations import costs as cost_reports
from mcp_router.operations import providers as provider_views
from mcp_router.operations.arguments import (
    CostArguments,
    ExplainArguments,
    GenerateArguments,
    ProviderArguments,
    checked,
)
from mcp_router.operations.explain import explanation
from mcp_router.operations.generate import generate
from mcp_router.server.request_caller import caller_from_request
from providers.completion import OnText

View = Callable[[Request], Awaitable[Json]]
Endpoint = Callable[[Request], Awaitable[Response]]


def routes(app: App) -> list[Route]:
    """Publish an app's calls and figures."""

    async def providers(request: Request) -> Json:
        asked = checked(ProviderArguments, dict(request.query_params))
        return await provider_views.providers(app, asked.provider, caller=caller_from_request(request))

    async def use_cases(request: Request) -> Json:
        _nothing_asked(request)
        return provider_views.use_cases(app) | provider_views.budget_tiers(app)

    async def costs(request: Request) -> Json:
        asked = checked(CostArguments, dict(request.query_params))
        return await cost_reports.costs(app, asked, caller=caller_from_request(request))

    async def explain(request: Request) -> Json:
        asked = checked(ExplainArguments, await _body(request))
        return await explanation(app, asked, caller=caller_from_request(request))

    async def openapi(_request: Request) -> Json:
        return document()

    return [
        Route("/api/llm/providers", answered(providers), methods=["GET"]),
        Route("/api/llm/use-cases", answered(use_cases), methods=["GET"]),
        Route("/api/llm/cost-summary", answered(costs), methods=["GET"]),
        Route("/api/llm/explain", answered(explain), methods=["POST"]),
        Route("/api/llm/generate", _Generate(app), methods=["POST"]),
        Route("/api/openapi.json", answered(openapi), methods=["GET"]),
    ]


def answered(view: View) -> Endpoint:
    """Answer with a view, or with why there is none."""

    async def endpoint(request: Request) -> Response:
        try:
            return reply(await view(request))
        except _WrongTypeError as error:
            return refusal(error.kind, str(error), 415)
        except (RouterError, LedgerError) as error:
            return error_reply(error)

    return endpoint


class _Generate:
    """Answers a call. An application of its own: what is wrapped around a plain endpoint would cost every call."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = await _begun(self._app, Request(scope, receive))
        await answer(scope, receive, send)


async def _begun(app: App, request: Request) -> Response:
    try:
        body = await _body(request)
        stream = _flag("stream", body.pop("stream", False))
        arguments = checked(GenerateArguments, body)
    except _WrongTypeError as error:
        return refusal(error.kind, str(error), 415)
    except BadInputError as error:
        return error_reply(error)
    client = caller_from_request(request).name

    async def work(on_text: OnText | None) -> Json:
        return await generate(app, arguments, client=client, on_text=on_text)

    return CallReply(work, stream=stream or _wants_events(request))


def _flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise BadInputError(f"{name}: it is true or false.")
    return given


def _wants_events(request: Request) -> bool:
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")]
    return "text/event-stream" in kinds


class _WrongTypeError(BadInputError):
    """The body is of a type that is not taken."""


async def _body(request: Request) -> dict[str, object]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _WrongTypeError("Send the arguments as JSON, with Content-Type: application/json.")
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError) as exc:
        raise BadInputError("The body is not JSON.") from exc
    if not isinstance(body, dict):
        raise BadInputError('The body must be a JSON object, say {"prompt": "…"}.')
    return {str(name): value for name, value in body.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- it came from JSON


def _nothing_asked(request: Request) -> None:
    if request.query_params:
        raise BadInputError("This takes no parameters.")
