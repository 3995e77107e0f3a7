"""A request id for every HTTP response and log line, the cause of each refusal, and an access log on request."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_router.http import request_metrics
from mcp_router.logs import CURRENT, RECORD, RequestRecord, note_failure
from mcp_router.server.callers import client_from_scope

_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""Incoming ids that are taken: without spaces and line breaks, which would forge log lines."""
_FIRST_ERROR, _SERVER_ERROR = 400, 500
_NO_RESPONSE = 499
"""Status in log and metrics if the client disconnected before a response."""
_ID_BYTES = 8
_HEALTH = "/health"
"""Logs its reason itself, once and not at every probe."""

_refusals = logging.getLogger("mcp_router.refusals")
_access = logging.getLogger("mcp_router.access")


class RequestLog:
    """ASGI middleware around all others."""

    def __init__(self, app: ASGIApp, *, access_log: bool) -> None:
        self._app = app
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, count it, and log its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(id=_choose_id(Headers(scope=scope)))
        scope[RECORD] = record
        status, began = _NO_RESPONSE, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", record.id.encode())]
            await send(message)

        token = CURRENT.set(record)
        request_metrics.begin()
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            status = _SERVER_ERROR
            note_failure("internal", "an exception of the server; see the log line with the stack")
            raise
        finally:
            self._log(scope, record, status, time.perf_counter() - began)
            CURRENT.reset(token)

    def _log(self, scope: Scope, record: RequestRecord, status: int, seconds: float) -> None:
        route = _find_route(scope)
        if status >= _FIRST_ERROR and record.kind is None and route != _HEALTH:
            if status == _NO_RESPONSE:
                note_failure("disconnected", "the client disconnected before the response")
            else:
                note_failure("http", f"answered with status {status}")
        request_metrics.end(method=scope["method"], route=route, status=status)
        common = {
            "client": client_from_scope(scope),
            "method": scope["method"],
            "path": route,
            "status": status,
            "seconds": round(seconds, 4),
        }
        if record.kind is not None:
            failed = {"kind": record.kind, "cause": record.cause, "call_id": record.call_id}
            level = logging.INFO if record.kind == "disconnected" else logging.WARNING
            _refusals.log(level, "%s: %s", record.kind, record.cause, extra=common | failed)
        if self._access_log:
            _access.warning("%s %s %d", scope["method"], route, status, extra=common)


def _choose_id(headers: Headers) -> str:
    """Return the id that the caller or a proxy gave, if it is safe, or a new one."""
    given = headers.get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(_ID_BYTES)


def _find_route(scope: Scope) -> str:
    """Return the route's pattern, never a path as the caller wrote it: it can be anything."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else "other"
