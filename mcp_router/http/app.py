"""The whole site as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from mcp_router.app import App
from mcp_router.execution import tracing
from mcp_router.http import api, dashboard
from mcp_router.http.admission import Admission, Limits
from mcp_router.http.auth import Tokens
from mcp_router.http.health import Health
from mcp_router.http.metrics import Metrics
from mcp_router.http.request_guard import Address, Doors
from mcp_router.http.responses import refusal
from mcp_router.http.sse import Legacy
from mcp_router.server import create_server

HEALTH = "/health"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The application, and what ends its requests when it is to stop."""

    application: ASGIApp
    admission: Admission
    legacy: Legacy


def create_site(app: App, address: Address, *, tokens: Tokens, limits: Limits, sse: bool) -> Site:
    """Assemble MCP, the endpoints, health, metrics and the dashboard behind one door."""
    server = create_server(app)
    # Stateless: any replica can answer any request, so that nothing is lost with one.
    manager = StreamableHTTPSessionManager(
        server, stateless=True, security_settings=address.security, max_request_body_size=limits.body_bytes
    )

    @asynccontextmanager
    async def lifespan(_site: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield

    routes: list[BaseRoute] = [
        Route(HEALTH, Health(app).__call__, methods=["GET"]),
        Route("/metrics", Metrics(app).__call__, methods=["GET"]),
        Route("/mcp", StreamableHTTPASGIApp(manager)),
        Route("/mcp/", StreamableHTTPASGIApp(manager)),  # many clients' users write it so
        *api.routes(app),
        *dashboard.routes(app),
    ]
    transport = SseServerTransport("/messages/", address.security, limits.body_bytes)
    legacy = Legacy(transport, server)
    if sse:
        routes += [Route("/sse", legacy, methods=["GET"]), Mount("/messages/", transport.handle_post_message)]
    site = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _not_here, Exception: _broken}
    )
    # A redirect would name the address as it is seen from here, not from before a proxy.
    site.router.redirect_slashes = False
    public = dashboard.PUBLIC | {HEALTH}
    admission = Admission(_traced(site, app), limits=limits, free=frozenset({HEALTH}))
    doors = Doors(admission, address=address, tokens=tokens, public=public, probed=frozenset({HEALTH}))
    return Site(application=doors, admission=admission, legacy=legacy)


def _traced(site: ASGIApp, app: App) -> ASGIApp:
    if (tracer := tracing.tracer(app.settings.environ)) is None:
        return site
    from mcp_router.http.traces import Traces  # noqa: PLC0415 - only who asks for traces needs it

    return Traces(site, tracer)


async def _not_here(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: ("not_found", "There is nothing here."), 405: ("not_allowed", "This method is not for here.")}
    kind, message = words.get(status, ("failed", "This cannot be answered."))
    return refusal(kind, message, status, error.headers if isinstance(error, HTTPException) else None)


async def _broken(_request: Request, _error: Exception) -> Response:
    return refusal("internal", "Something broke here; the log says what.", 500)
