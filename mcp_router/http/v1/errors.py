"""Errors in the shapes of OpenAI's and Anthropic's APIs, with statuses that SDKs retry only if it helps.

https://developers.openai.com/api/docs/guides/error-codes and https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from mcp_router.errors import (
    AllCandidatesFailedError,
    BadInputError,
    BudgetExceededError,
    CallTimeoutError,
    ClientRateError,
    ForbiddenModelError,
    NoCandidateError,
    RouterError,
    UnknownNameError,
)
from mcp_router.http.responses import LEDGER_RETRY_AFTER_S, Json, error_response, json_response, note_error
from mcp_router.http.v1.fields import FieldError
from mcp_router.ledger.ledger import LedgerError
from mcp_router.logs import note_failure

PREFIX = "/v1/"
_MESSAGES = "/v1/messages"
_NO_RETRY = {"x-should-retry": "false"}
_CALLERS_FAILURES = {
    "context_length": "context_length_exceeded",
    "content_filter": "content_filter",
    "invalid_request": None,
}
"""Failures of every attempt that the request itself causes, with OpenAI's word."""
_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiError:
    """A failure as both APIs can say it."""

    status: int
    message: str
    code: str | None = None
    """OpenAI's word for it."""
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    call_id: str | None = None

    def to_openai(self) -> Json:
        """Return the body in OpenAI's shape."""
        kind = _OPENAI_TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")  # noqa: PLR2004 - HTTP
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def to_anthropic(self) -> Json:
        """Return the body in Anthropic's shape."""
        kind = _ANTHROPIC_TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")  # noqa: PLR2004 - HTTP
        return {"type": "error", "error": {"type": kind, "message": self.message}, "request_id": self.call_id}


def classify_error(error: RouterError | LedgerError) -> ApiError:
    """Return a failed call as an API error, and note its cause for the log."""
    note_error(error)
    if isinstance(error, LedgerError):
        return ApiError(status=503, message=str(error), code="ledger", headers=_wait(LEDGER_RETRY_AFTER_S))
    status, code, headers = _classify(error)
    param = error.param if isinstance(error, FieldError) else "model" if status == 404 else None  # noqa: PLR2004 - HTTP
    headers = {**headers, **({"x-router-call-id": error.call_id} if error.call_id else {})}
    return ApiError(status=status, message=str(error), code=code, param=param, headers=headers, call_id=error.call_id)


def openai_response(error: ApiError) -> Response:
    """Return an error response for a client of OpenAI's API."""
    return json_response(error.to_openai(), error.status, error.headers)


def anthropic_response(error: ApiError) -> Response:
    """Return an error response for a client of Anthropic's API; a budget is a 403, which Claude Code does not retry."""
    error = error if error.status != 402 else ApiError(  # noqa: PLR2004 - HTTP
        status=403, message=error.message, headers=error.headers, call_id=error.call_id
    )  # fmt: skip
    return json_response(error.to_anthropic(), error.status, error.headers)


def response_for(
    scope: Scope, kind: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error response in the shape that the path's clients parse."""
    path: str = scope["path"]
    if not path.startswith(PREFIX):
        return error_response(kind, message, status, headers)
    note_failure(kind, message)
    error = ApiError(
        status=status,
        message=message,
        code="invalid_api_key" if kind == "unauthorized" else kind,
        headers=headers or {},
    )
    return anthropic_response(error) if is_anthropic(scope) else openai_response(error)


def is_anthropic(scope: Scope) -> bool:
    """Return whether a request under `/v1` is one of Anthropic's API."""
    path: str = scope["path"]
    return path == _MESSAGES or path.startswith(f"{_MESSAGES}/") or "anthropic-version" in Headers(scope=scope)


def _classify(error: RouterError) -> tuple[int, str | None, Mapping[str, str]]:  # noqa: C901, PLR0911 - one return per kind
    match error:
        case FieldError():
            return error.status, error.code, {}
        case UnknownNameError() if error.what in ("model", "provider"):
            return 404, "model_not_found", {}
        case BadInputError():
            return 400, error.kind, {}
        case BudgetExceededError():
            return 402, "insufficient_quota", _NO_RETRY
        case AllCandidatesFailedError() if error.failure in _CALLERS_FAILURES:
            return 400, _CALLERS_FAILURES[error.failure], {}
        case ClientRateError():
            return 429, "rate_limit_exceeded", _NO_RETRY if error.retry_after is None else _wait(error.retry_after)
        case ForbiddenModelError():
            return 403, error.kind, _NO_RETRY
        case NoCandidateError():
            return 503, error.kind, _NO_RETRY if error.retry_after is None else _wait(error.retry_after)
        case CallTimeoutError():
            return 504, error.kind, _NO_RETRY
        case AllCandidatesFailedError():
            return 502, error.kind, {}
        case _:
            return 500, error.kind, {}


def _wait(seconds: float) -> Mapping[str, str]:
    return {"retry-after": str(max(1, math.ceil(seconds)))}
