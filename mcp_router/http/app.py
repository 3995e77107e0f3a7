"""The ASGI application: all routes behind the request guard and admission control."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mcp.server.sse import SseServerTransport
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from mcp_router.app import App
from mcp_router.execution import tracing
from mcp_router.http import api, dashboard
from mcp_router.http.admission import AdmissionControl, AdmissionLimits
from mcp_router.http.auth import TokenStore
from mcp_router.http.compression import CompressionMiddleware
from mcp_router.http.health import Health
from mcp_router.http.mcp_endpoint import McpEndpoint
from mcp_router.http.metrics import Metrics
from mcp_router.http.request_guard import Address, RequestGuard
from mcp_router.http.request_log import RequestLog
from mcp_router.http.sse import SseEndpoint
from mcp_router.http.v1 import routes as v1
from mcp_router.http.v1.errors import response_for
from mcp_router.server import create_server

HEALTH = "/health"


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpApp:
    """The application, and the parts that end its requests when it stops."""

    asgi: ASGIApp
    admission: AdmissionControl
    sse: SseEndpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpOptions:
    """What `serve` was asked for beside the address."""

    sse: bool = False
    """Whether the older transport is served too."""
    access_log: bool = False
    sessions: bool = True
    """Whether MCP sessions are kept; with several workers each request is answered for itself."""


def create_http_app(
    app: App, address: Address, *, tokens: TokenStore, limits: AdmissionLimits, options: HttpOptions
) -> HttpApp:
    """Assemble MCP, the endpoints, health, metrics and the dashboard behind one request guard."""
    server = create_server(app)
    endpoint = McpEndpoint(server, address.security, max_body_bytes=limits.body_bytes, sessions=options.sessions)

    @asynccontextmanager
    async def lifespan(_site: Starlette) -> AsyncGenerator[None]:
        async with endpoint.run():
            yield

    routes: list[BaseRoute] = [
        Route(HEALTH, Health(app).__call__, methods=["GET"]),
        Route("/metrics", Metrics(app).__call__, methods=["GET"]),
        Route("/mcp", endpoint),
        Route("/mcp/", endpoint),  # many clients' users write it so
        *api.create_routes(app),
        *v1.create_routes(app),
        *dashboard.create_routes(app),
    ]
    transport = SseServerTransport("/messages/", address.security, limits.body_bytes)
    sse_endpoint = SseEndpoint(transport, server)
    if options.sse:
        routes += [Route("/sse", sse_endpoint, methods=["GET"]), Mount("/messages/", transport.handle_post_message)]
    site = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _handle_http_error, Exception: _handle_crash},
    )
    # A redirect would name the address as it is seen from here, not from before a proxy.
    site.router.redirect_slashes = False
    public = dashboard.PUBLIC | {HEALTH}
    admission = AdmissionControl(
        CompressionMiddleware(_add_tracing(site, app)), limits=limits, free=frozenset({HEALTH})
    )
    guard = RequestGuard(admission, address=address, tokens=tokens, public=public, probed=frozenset({HEALTH}))
    logged = RequestLog(guard, access_log=options.access_log)
    return HttpApp(asgi=logged, admission=admission, sse=sse_endpoint)


def _add_tracing(site: ASGIApp, app: App) -> ASGIApp:
    if (tracer := tracing.create_tracer(app.settings.environ)) is None:
        return site
    from mcp_router.http.tracing import TracingMiddleware  # noqa: PLC0415 - only who asks for traces needs it

    return TracingMiddleware(site, tracer)


async def _handle_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: ("not_found", "Not found."), 405: ("not_allowed", "Method not allowed.")}
    kind, message = words.get(status, ("failed", "The request failed."))
    return response_for(
        request.scope, kind, message, status, error.headers if isinstance(error, HTTPException) else None
    )


async def _handle_crash(request: Request, _error: Exception) -> Response:
    return response_for(request.scope, "internal", "Internal server error. See the server log.", 500)
