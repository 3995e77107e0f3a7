"""The dashboard: one page with its scripts, styles and data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_router.app import App
from mcp_router.http.api import to_endpoint
from mcp_router.http.dashboard.figures import create_views

_JS, _CSS, _HTML = "text/javascript", "text/css", "text/html"
_FILES = {
    "/": ("page.html", _HTML),
    "/dashboard/app.css": ("app.css", _CSS),
    "/dashboard/app.js": ("app.js", _JS),
    "/dashboard/address.js": ("address.js", _JS),
    "/dashboard/export.js": ("export.js", _JS),
    "/dashboard/server.js": ("server.js", _JS),
    "/dashboard/words.js": ("words.js", _JS),
    "/dashboard/overview.js": ("overview.js", _JS),
    "/dashboard/groups.js": ("groups.js", _JS),
    "/dashboard/chart.js": ("chart.js", _JS),
    "/dashboard/calls.js": ("calls.js", _JS),
    "/dashboard/tasks.js": ("tasks.js", _JS),
    "/dashboard/trial.js": ("trial.js", _JS),
    "/dashboard/uplot.js": ("vendor/uPlot.iife.min.js", _JS),
    "/dashboard/uplot.css": ("vendor/uPlot.min.css", _CSS),
}

PUBLIC = frozenset(_FILES)
"""Paths without a token: they contain no data, and a browser sends no token for them."""


def create_routes(app: App) -> list[Route]:
    """Return the routes of the page and its data. Files that only a build adds can be missing."""
    there = {path: file for path, file in _FILES.items() if (files(__name__) / file[0]).is_file()}
    pages = [Route(path, _File.read(*file).answer, methods=["GET"]) for path, file in there.items()]
    views = create_views(app)
    return pages + [Route(f"/api/dashboard/{name}", to_endpoint(view), methods=["GET"]) for name, view in views.items()]


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, name: str, media_type: str) -> _File:
        content = (files(__name__) / name).read_bytes()
        return cls(content=content, media_type=media_type, etag=f'"{hashlib.sha256(content).hexdigest()[:16]}"')

    async def answer(self, request: Request) -> Response:
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)
