"""HTTP responses: JSON, and errors with their status."""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.responses import Response

from mcp_router.errors import (
    AllCandidatesFailedError,
    BadInputError,
    BudgetExceededError,
    CallTimeoutError,
    ClientRateError,
    ForbiddenModelError,
    NoCandidateError,
    RouterError,
)
from mcp_router.ledger.ledger import LedgerError
from mcp_router.logs import note_failure
from mcp_router.text import to_compact_json

Json = dict[str, object]

_STATUS: tuple[tuple[type[RouterError], int], ...] = (
    (BadInputError, 400),
    (BudgetExceededError, 402),
    (ForbiddenModelError, 403),
    (ClientRateError, 429),
    (AllCandidatesFailedError, 502),
    (NoCandidateError, 503),
    (CallTimeoutError, 504),
)
TOO_MANY_REQUESTS = 429
LEDGER_RETRY_AFTER_S = 5


def json_response(view: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response that no cache keeps."""
    return Response(
        to_compact_json(view),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def error_response(kind: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response in the shape that all errors have, and note its cause for the log."""
    note_failure(kind, message)
    return json_response({"error": {"kind": kind, "message": message}}, status, headers)


def response_from_error(error: RouterError | LedgerError) -> Response:
    """Return the response for a failed call."""
    status, headers = _status(error)
    return json_response(view_from_error(error), status, headers)


def view_from_error(error: RouterError | LedgerError) -> Json:
    """Return a failure as JSON, and note its cause for the log."""
    note_error(error)
    if isinstance(error, LedgerError):
        return {"error": {"kind": "ledger", "message": str(error)}}
    error_fields: Json = {"kind": error.kind, "message": str(error)}
    if error.call_id is not None:
        error_fields["call_id"] = error.call_id
    return {"error": error_fields}


def note_error(error: RouterError | LedgerError) -> None:
    """Note the cause of a failure for the log."""
    if isinstance(error, LedgerError):
        note_failure("ledger", str(error))
    else:
        note_failure(error.kind, error.cause, call_id=error.call_id)


def _status(error: RouterError | LedgerError) -> tuple[int, Mapping[str, str]]:
    if isinstance(error, LedgerError):
        return 503, {"Retry-After": str(LEDGER_RETRY_AFTER_S)}
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if error.retry_after is None:
        return status, {}
    waiting = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return (TOO_MANY_REQUESTS if status == 503 else status), waiting  # noqa: PLR2004 - a wait ends it
