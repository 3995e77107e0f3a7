"""Compression of the dashboard's files and figures, and of metrics."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_COMPRESSED = ("/dashboard/", "/api/dashboard/", "/api/llm/calls", "/api/llm/days", "/metrics")
"""Answers of models are left out: they come piece by piece."""


class CompressionMiddleware:
    """ASGI middleware that compresses large responses without a model's answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, minimum_size=1_000, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope.get("path", "")
        compressed = scope["type"] == "http" and (path == "/" or path.startswith(_COMPRESSED))
        await (self._compressed if compressed else self._app)(scope, receive, send)
