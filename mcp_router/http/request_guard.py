"""Checks of every request: its host, its origin and its token."""

from __future__ import annotations

from dataclasses import dataclass

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http.auth import TokenStore, is_loopback
from mcp_router.http.v1.errors import PREFIX, response_for
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.server.callers import to_user
from mcp_router.server.origins import find_http_origin

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SECURITY = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """The address of the server, and the other names under which it can be reached."""

    host: str
    port: int
    allowed_hosts: tuple[str, ...] = ()
    """Other names of the server, for example behind a proxy."""

    @property
    def security(self) -> TransportSecuritySettings:
        """The SDK's protection against DNS rebinding, for this address."""
        own = [f"[{self.host}]" if ":" in self.host else self.host, *_LOOPBACK] if is_loopback(self.host) else []
        names = [*own, *self.allowed_hosts]
        return TransportSecuritySettings(
            # On an open address a name is checked only where names are given; its tokens keep strangers out anyway.
            enable_dns_rebinding_protection=bool(names),
            allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
            allowed_origins=[
                form for name in names for scheme in ("http", "https") for form in _with_any_port(f"{scheme}://{name}")
            ],
        )


def _with_any_port(origin: str) -> tuple[str, str]:
    return origin, f"{origin}:*"


class RequestGuard:
    """ASGI middleware that checks host, origin and token, and adds security headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: Address,
        tokens: TokenStore,
        public: frozenset[str],
        probed: frozenset[str] = frozenset(),
    ) -> None:
        """`public` are the paths that need no token; `probed` those that balancers ask by bare address."""
        self._app = app
        self._rebinding = TransportSecurityMiddleware(address.security)
        self._tokens = tokens
        self._public = public
        self._probed = probed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer why it is rejected."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _SECURITY if pair[0] not in said)]
            await send(message)

        refused = await self._reject(Request(scope))
        CURRENT_ORIGIN.set(find_http_origin(scope, self._tokens.settings))
        await (refused or self._app)(scope, receive, sent)

    async def _reject(self, request: Request) -> Response | None:
        # Not `request.url`: that is put together with the Host that the client claims.
        path: str = request.scope["path"]
        if path in self._probed:
            return None
        if (refused := await self._rebinding.validate_request(request)) is not None:
            what = "Host" if refused.status_code == 421 else "Origin"  # noqa: PLR2004 - the SDK's answer to a wrong host
            return response_for(request.scope, "forbidden", f"This {what} is not allowed.", refused.status_code)
        if _is_foreign_origin(request) and not self._rebinding.settings.enable_dns_rebinding_protection:
            return response_for(request.scope, "forbidden", "This Origin is not allowed.", 403)
        return None if path in self._public else await self._authenticate(request)

    async def _authenticate(self, request: Request) -> Response | None:
        """Set the request's user by its token, or return why it is rejected; without clients there is no user."""
        await self._tokens.refresh()
        if not self._tokens:
            return None
        api_key = request.headers.get("x-api-key") if request.scope["path"].startswith(PREFIX) else None
        caller = await self._tokens.find_caller(request.headers.get("authorization"), api_key=api_key)
        if caller is None:
            given = 'error="invalid_token", ' if "authorization" in request.headers else ""
            return response_for(
                request.scope,
                "unauthorized",
                "A client's token is required: Authorization: Bearer TOKEN.",
                401,
                {"WWW-Authenticate": f'Bearer {given}realm="mcp-llm-router"'},
            )
        request.scope["user"] = to_user(caller)
        return None


def _is_foreign_origin(request: Request) -> bool:
    """Return whether a page of another site sent the request."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")
