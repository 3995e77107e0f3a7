"""Maps a vendor's error answer to one of `providers.errors`: by code first, by words second, by status last.

A 4xx is the caller's mistake only if it is about what the caller gave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from providers import errors
from providers.completion import Prompt, Usage
from providers.transport.error_body import ErrorBody, parse_body, read_error_body
from providers.transport.error_signs import FIELD, Meaning, load_error_signs
from providers.transport.rate_limit_headers import parse_rate_limits, parse_retry_after
from providers.transport.redaction import redact, shorten
from providers.transport.urls import format_url

_OK, _BAD_REQUEST, _SERVER_FAULT = 200, 400, 500
_ERROR_CLASSES: Mapping[Meaning, type[errors.ProviderError]] = {
    "account": errors.AuthenticationError,
    "caller": errors.InvalidRequestError,
    "content_filter": errors.ContentFilterError,
    "context": errors.ContextLengthError,
    "garbled": errors.BrokenAnswerError,
    "key": errors.AuthenticationError,
    "model": errors.ModelNotFoundError,
    "model_quota": errors.ModelQuotaError,
    "overloaded": errors.UnavailableError,
    "parameter": errors.UnsupportedParameterError,
    "quota": errors.QuotaError,
    "rate": errors.RateLimitError,
}
_BY_STATUS: Mapping[int, Meaning] = {
    401: "key",
    402: "quota",
    403: "key",
    404: "model",
    408: "overloaded",
    409: "overloaded",
    410: "model",
    413: "context",
    425: "overloaded",
    429: "rate",
    451: "account",
    498: "overloaded",
    499: "overloaded",
}
_CALLERS_FIELDS = re.compile(r"^(messages|input|prompt|contents)\b")
_MIN_LIMIT_TOKENS = 256
"""A smaller number in a message is not a context window."""
_TRIED_WHEN_BUSY: frozenset[Meaning] = frozenset(("account", "quota", "content_filter", "context"))
"""What a 429 or a 5xx can mean instead."""
_ABOUT_WHAT_IS_SENT: frozenset[Meaning] = frozenset(("model", "key", "caller"))
_WRONG_PATH = re.compile(
    r"(404 )?page not found|not found|cannot post|method not allowed|no route|invalid url", re.IGNORECASE
)
_WRONG_PATH_STATUSES = frozenset((404, 405))
_PROXY_STATUSES = frozenset((403, 404, 405, 410))
_NUMBER = r"(\d[\d,_]*)"
_STATED_LIMIT = (
    re.compile(rf"\[\s*\d+\s*,\s*{_NUMBER}\s*\]"),
    re.compile(rf"model with {_NUMBER}"),
    re.compile(rf"(?:>|<=|<|less than|at most|up to)\s*{_NUMBER}"),
    re.compile(rf"(?:maximum|max|limit|window|allowed)[^0-9]{{0,40}}{_NUMBER}"),
)


class ErrorResponse(Exception):  # noqa: N818 - a vendor's answer; `error_from_response` maps it to an error
    """A vendor's answer that is not a completion, not yet mapped."""

    def __init__(
        self, status: int | None, headers: Mapping[str, str], body: object, usage: Usage | None = None, *, url: str = ""
    ) -> None:
        """`status` is None for an error inside a 200; `body` is parsed, text or bytes; `url` is where it came from."""
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body
        self.usage = usage
        self.url = url


class ConnectionLost(Exception):  # noqa: N818 - an event; `error_from_lost_connection` maps it to an error
    """An answer that did not arrive, not yet mapped."""

    def __init__(self, message: str, *, sent: bool) -> None:
        """`sent` is False if the vendor cannot have received the request."""
        super().__init__(message)
        self.message = message
        self.sent = sent


def error_from_response(
    response: ErrorResponse, *, secret: str | None, prompt: Prompt | None, now: float
) -> errors.ProviderError:
    """Return the error for a vendor's answer, its text redacted; `now` is in seconds since the epoch."""
    parsed = parse_body(response.body)
    body = read_error_body(parsed)
    # The prompt is cut out first: words that the caller wrote must not decide what failed.
    message = redact(body.message, secret=secret, prompt=prompt, max_length=None)
    if response.status is not None and _OK < response.status < _BAD_REQUEST:
        text, error_class = _describe_redirect(response), errors.UnavailableError
    elif body.is_page or _is_wrong_path(response.status, body):
        text, error_class = _describe_page(response, message), _class_of_page(response.status)
    else:
        text, error_class = message, _classify(response.status, body, message.lower())
    error = error_class(
        shorten(text) or _describe_status(response.status),
        status=response.status,
        retry_after=parse_retry_after(response.headers, parsed, now=now),
        usage=response.usage,
    )
    error.limits = parse_rate_limits(response.headers, now=now, retry_after=error.retry_after)
    if isinstance(error, errors.ContextLengthError):
        error.limit_tokens = _stated_limit(message.lower())
    if isinstance(error, errors.UnsupportedParameterError):
        error.parameter = body.parameter or _named_field(message)
    return error


def error_from_lost_connection(lost: ConnectionLost) -> errors.ProviderError:
    """Return the error for a broken connection."""
    return errors.BrokenAnswerError(lost.message) if lost.sent else errors.UnavailableError(lost.message)


def _classify(status: int | None, body: ErrorBody, message: str) -> type[errors.ProviderError]:
    if status is None:
        status = body.status
    meaning = _meaning_of_code(body) or _meaning_of_words(status, body, message) or _meaning_of_general_code(body)
    if meaning is None and status is not None:
        meaning = _BY_STATUS.get(status)
    if meaning is not None:
        return _ERROR_CLASSES[meaning]
    if status is None:
        return errors.BrokenAnswerError
    is_client_fault = _BAD_REQUEST <= status < _SERVER_FAULT
    return errors.UnexplainedRequestError if is_client_fault else errors.UnavailableError


def _meaning_of_code(body: ErrorBody) -> Meaning | None:
    if body.is_moderated:
        return "content_filter"
    if body.quota_ids:
        return _meaning_of_quota(body.quota_ids)
    return next((meaning for meaning, codes in load_error_signs().codes.items() if body.codes & codes), None)


def _meaning_of_quota(quota_ids: tuple[str, ...]) -> Meaning:
    daily = [quota for quota in quota_ids if "PerDay" in quota]
    if not daily:
        return "rate"
    return "model_quota" if all("PerModel" in quota for quota in daily) else "quota"


def _meaning_of_words(status: int | None, body: ErrorBody, message: str) -> Meaning | None:
    if body.parameter == "model":
        return "model"
    is_busy = status is not None and (status >= _SERVER_FAULT or _BY_STATUS.get(status) in {"rate", "overloaded"})
    # Google says "exceeded your current quota" of any limit.
    tried = _TRIED_WHEN_BUSY - ({"quota"} if "resource_exhausted" in body.codes else set())
    names_field = FIELD.search(message) is not None
    for meaning, pattern in load_error_signs().words.items():
        if (is_busy and meaning not in tried) or not pattern.search(message):
            continue
        if meaning == "context" and "per minute" in message and "too large" not in message:
            return "rate"  # one that is too large alone gains nothing by waiting
        if meaning == "context" and "output tokens" in message and "input" not in message:
            continue
        return "parameter" if names_field and meaning in _ABOUT_WHAT_IS_SENT else meaning
    return None if is_busy else _meaning_of_parameter(body.parameter, names_field=names_field)


def _meaning_of_parameter(parameter: str | None, *, names_field: bool) -> Meaning | None:
    if parameter is not None:
        return "caller" if _CALLERS_FIELDS.match(parameter) else "parameter"
    return "parameter" if names_field else None


def _meaning_of_general_code(body: ErrorBody) -> Meaning | None:
    return next((meaning for meaning, codes in load_error_signs().general_codes.items() if body.codes & codes), None)


def _is_wrong_path(status: int | None, body: ErrorBody) -> bool:
    """Whether a server, not a vendor's API, says that nothing is served at the address."""
    return status in _WRONG_PATH_STATUSES and not body.codes and _WRONG_PATH.match(body.message.strip()) is not None


def _class_of_page(status: int | None) -> type[errors.ProviderError]:
    meaning = _BY_STATUS.get(status or 0)
    # A proxy or a gateway refuses with 403 and 404; the vendor's API would have answered in JSON.
    return errors.UnavailableError if meaning is None or status in _PROXY_STATUSES else _ERROR_CLASSES[meaning]


def _describe_redirect(response: ErrorResponse) -> str:
    target = format_url(response.headers.get("location", ""))
    return f"HTTP {response.status}: a redirect to {target or 'another address'} was not followed: check base_url"


def _describe_page(response: ErrorResponse, title: str) -> str:
    status = "" if response.status is None else f"HTTP {response.status}: "
    origin = f" from {response.url}" if response.url else ""
    named = f" ({title})" if title else ""
    advice = "" if response.status is not None and response.status >= _SERVER_FAULT else ": check base_url"
    return f"{status}a web page{named} instead of JSON{origin}{advice}"


def _describe_status(status: int | None) -> str:
    return "the vendor reported a failure without a message" if status is None else f"HTTP {status} without a message"


def _named_field(message: str) -> str | None:
    found = FIELD.search(message)
    return None if found is None else next(filter(None, found.groups()), None)


def _stated_limit(message: str) -> int | None:
    """Return the window that a message states, in tokens."""
    for pattern in _STATED_LIMIT:
        for found in pattern.finditer(message):
            number = int(re.sub(r"[,_]", "", found[1]))
            if number >= _MIN_LIMIT_TOKENS:
                return number
    return None
