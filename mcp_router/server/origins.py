"""Attribution of MCP calls: from the host's roots and the start folder, or from an HTTP request."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from mcp_router.ledger.origin import CURRENT_ORIGIN, Origin
from mcp_router.operations.origins import find_origin
from mcp_router.server.callers import client_from_scope
from mcp_router.settings import Settings
from mcp_router.settings.projects import clean_name
from mcp_router.settings.start_folder import find_start_folder

PROJECT_HEADER = "x-router-project"
_MAX_WAIT_S = 1.0
"""For a host that does not answer about its roots."""
_FRESH_S = 60.0
"""How long a host's answer counts: the user can open another folder."""

Context = ServerRequestContext[Any, Any]


class OriginFinder:
    """Finds the origin of MCP calls. It asks a host for its roots at most once a minute."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """Take a function that returns the settings of the moment."""
        self._read_settings = settings
        self._roots: WeakKeyDictionary[object, tuple[float, Path | None]] = WeakKeyDictionary()

    @property
    def _settings(self) -> Settings:
        return self._read_settings()

    async def attribute(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Set the origin of a tool call before it runs."""
        if ctx.method == "tools/call":
            CURRENT_ORIGIN.set(await self.find(ctx))
        return await call_next(ctx)

    async def find(self, ctx: Context) -> Origin:
        """Return the origin of a call: over HTTP what its client may state, else the folder the user works in."""
        params = ctx.session.client_params
        host = "" if params is None else params.client_info.name
        request: object = ctx.request
        if isinstance(request, Request):
            return find_http_origin(request.scope, self._settings, host=host or "http")
        folder = self._find_claude_folder() or await self._find_root(ctx) or self._settings.working_folder
        configured = self._settings.configuration.projects
        return await find_origin(folder, host=host or "unknown", configured=configured)

    def _find_claude_folder(self) -> Path | None:
        environ = self._settings.environ
        folder = find_start_folder(environ, self._settings.working_folder)
        return folder if environ.get("CLAUDE_PROJECT_DIR", "").strip() == str(folder) else None

    async def _find_root(self, ctx: Context) -> Path | None:
        """Return the host's first root that is a folder of this machine; None if it has none or does not answer."""
        capabilities = ctx.session.client_capabilities
        if capabilities is None or capabilities.roots is None:
            return None
        at, root = self._roots.get(ctx.session, (-_FRESH_S, None))
        if time.monotonic() - at < _FRESH_S:
            return root
        try:
            with anyio.move_on_after(_MAX_WAIT_S), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # roots are deprecated, and hosts still have them
                listed = await ctx.session.list_roots()  # pyright: ignore[reportDeprecated] -- as above
                root = _find_folder([str(one.uri) for one in listed.roots])
        except MCPError:  # refused, or a connection on which the server cannot ask
            root = None
        self._roots[ctx.session] = (time.monotonic(), root)
        return root


def find_http_origin(scope: Mapping[str, Any], settings: Settings, *, host: str = "http") -> Origin:
    """Return the origin of an HTTP request. Its project counts only from clients with `project_header = true`."""
    client = settings.configuration.clients.get(client_from_scope(scope) or "")
    project = ""
    if client is not None and client.project_header:
        named = (value for name, value in scope["headers"] if name == PROJECT_HEADER.encode())
        project = clean_name(next(named, b"").decode("utf-8", "replace"))
    return Origin(project=project, host=clean_name(host))


def _find_folder(uris: list[str]) -> Path | None:
    for uri in uris:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path.lstrip("/") if os.name == "nt" else parts.path))
        if (
            parts.scheme == "file"
            and parts.netloc in {"", "localhost"}
            and path.is_absolute()
            and "\0" not in str(path)
        ):
            return path
    return None
