"""A span for every API request, in the caller's trace if it names one."""

from __future__ import annotations

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SERVER_ERROR = 500
_TRACED_PREFIXES = ("/api/llm/", "/mcp", "/sse", "/messages/")
"""Probes, scrapes and the dashboard's polling are left out."""


class TracingMiddleware:
    """ASGI middleware that makes a span the parent of all spans of its request, also the MCP SDK's."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within a span: https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED_PREFIXES):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        with self._tracer.start_as_current_span(
            f"{method} {path}",
            context=extract(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": path, "url.scheme": scope["scheme"]},
            record_exception=False,
        ) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status: int = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= _SERVER_ERROR:
                        span.set_attribute("error.type", str(status))
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await self._app(scope, receive, sent)
