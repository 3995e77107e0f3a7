"""The caller of an MCP or HTTP request."""

from __future__ import annotations

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

from mcp_router.operations.caller import LOCAL, SEES_ALL, Caller


def caller_from_request(request: object) -> Caller:
    """Return the client that the request's token names, or `LOCAL` for stdio and for HTTP without tokens."""
    user = request.scope.get("user") if isinstance(request, Request) else None
    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    return Caller(name=user.username, sees_all=SEES_ALL in user.scopes)
