"""Conversions between callers and the authenticated users of the MCP SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request

from mcp_router.operations.caller import LOCAL, Caller

_SEES_ALL_SCOPE = "sees_all"


def caller_from_request(request: object) -> Caller:
    """Return the caller that a request authenticated as; `LOCAL` if it is no HTTP request or has no user."""
    user = request.scope.get("user") if isinstance(request, Request) else None
    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    return Caller(name=user.username, sees_all=_SEES_ALL_SCOPE in user.scopes)


def client_from_scope(scope: Mapping[str, Any]) -> str | None:
    """Return the name of the client whose token an ASGI request has, or None without one."""
    user = scope.get("user")
    return user.username if isinstance(user, AuthenticatedUser) else None


def to_user(caller: Caller) -> AuthenticatedUser:
    """Return the SDK's user for a caller, so that the SDK binds sessions to their client."""
    scopes = [_SEES_ALL_SCOPE] if caller.sees_all else []
    return AuthenticatedUser(AccessToken(token="", client_id=caller.name, scopes=scopes))
