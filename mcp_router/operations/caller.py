"""Who is asking: whoever started the server, or a client by its token."""

from __future__ import annotations

from dataclasses import dataclass

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

SEES_ALL = "sees_all"
"""The scope of a client that may see what others spend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whose call it is, and how much of the ledger is theirs to see."""

    name: str
    """The `client` in ledger and budgets."""
    sees_all: bool


LOCAL = Caller(name="local", sees_all=True)
"""Whoever started the server: stdio, and HTTP where no tokens are configured."""


def caller_of(request: object) -> Caller:
    """Say who sent a request; None is no HTTP request at all."""
    user = request.scope.get("user") if isinstance(request, Request) else None
    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    return Caller(name=user.username, sees_all=SEES_ALL in user.scopes)
