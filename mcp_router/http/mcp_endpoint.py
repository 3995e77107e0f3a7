"""`/mcp`: sessions for hosts of the handshake revisions, and single requests, which any replica can answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from mcp.server.lowlevel import Server
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from mcp_router.http.responses import error_response
from mcp_router.server.subscriptions import CAN_SUBSCRIBE

_MAX_SESSIONS = 1_000
_NOT_FOUND, _UNAVAILABLE = 404, 503


class McpEndpoint:
    """ASGI application. A session lets a host cancel calls, answer questions and subscribe. A request of a session that
    this process does not have, for example of another replica, is answered as a single request.
    """

    def __init__(
        self, server: Server[Any], security: TransportSecuritySettings, *, max_body_bytes: int, sessions: bool = True
    ) -> None:
        """Without `sessions`, for example with several workers, every request is a single one."""
        self._has_sessions = sessions
        self._sessions = StreamableHTTPSessionManager(
            server, security_settings=security, max_request_body_size=max_body_bytes, max_sessions=_MAX_SESSIONS
        )
        self._single = StreamableHTTPSessionManager(
            server, stateless=True, security_settings=security, max_request_body_size=max_body_bytes
        )

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Serve as long as the context is open."""
        async with self._sessions.run(), self._single.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        session = headers.get(MCP_SESSION_ID_HEADER) if self._has_sessions else None
        if scope["method"] != "POST":
            if session is None:
                refused = error_response("not_allowed", "Without a session, only POST.", 405, {"Allow": "POST"})
                await refused(scope, receive, send)
            else:
                await self._sessions.handle_request(scope, receive, send)
            return
        body = await _read_body(receive)
        version = headers.get("mcp-protocol-version")
        is_handshake = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
        message = _parse_message(body) if is_handshake else {}
        if (
            is_handshake
            and (session is not None or (self._has_sessions and message.get("method") == "initialize"))
            and await self._answer_in_session(scope, receive, send, body=body, message=message)
        ):
            return
        CAN_SUBSCRIBE.set(not is_handshake)
        await self._single.handle_request(scope, _replay(body, receive), send)

    async def _answer_in_session(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, message: dict[str, object]
    ) -> bool:
        """Answer in a session, or return False with nothing sent if it is unknown or no more can be opened."""
        is_refused = is_complete = False

        async def send_unless_refused(part: Message) -> None:
            nonlocal is_refused, is_complete
            if part["type"] == "http.response.start":
                is_refused = part["status"] in (_NOT_FOUND, _UNAVAILABLE)
            if not is_refused:
                await send(part)
                is_complete = part["type"] == "http.response.body" and not part.get("more_body", False)

        await self._sessions.handle_request(scope, _replay(body, receive), send_unless_refused)
        if not is_refused and not is_complete and "id" in message and "method" in message:
            await self._cancel(scope, message["id"])
        return not is_refused

    async def _cancel(self, scope: Scope, request_id: object) -> None:
        """Cancel a call whose client disconnected: its answer could not be fetched later."""
        params = {"requestId": request_id, "reason": "the client disconnected"}
        body = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode()
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["content-length"] = str(len(body))

        async def disconnect() -> Message:
            return {"type": "http.disconnect"}

        async def discard(_part: Message) -> None:
            return

        await self._sessions.handle_request({**scope, "headers": headers.raw}, _replay(body, disconnect), discard)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while (part := await receive())["type"] == "http.request":
        body += part.get("body", b"")
        if not part.get("more_body", False):
            break
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _parse_message(body: bytes) -> dict[str, object]:
    """Return the message in a body; an empty one if there is none, which the SDK then rejects."""
    try:
        message: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", message) if isinstance(message, dict) else {}
