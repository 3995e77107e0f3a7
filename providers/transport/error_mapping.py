"""Which error a vendor's answer is: its status, headers and body to one of `providers.errors`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from providers import errors
from providers.completion import Prompt, Usage
from providers.transport.payload import parse_json, to_count, to_list, to_mapping, to_text
from providers.transport.rate_limit_headers import parse_rate_limits, parse_retry_after
from providers.transport.redaction import redact

_CONTEXT = {
    "context_length_exceeded",
    "model_context_window_exceeded",
    "exceed_context_size_error",
    "request_too_large",
    "string_above_max_length",
    "1261",
}
_CONTEXT_TEXTS = (
    # Several vendors tell it in words only.
    "maximum context length",
    "reduce the length of the messages",
    "input token count",
    "prompt is too long",
    "context window",
    "context length",
    "range of input length",
    "too large for model with",
)
_REFUSED = {
    "content_filter",
    "content_policy_violation",
    "data_inspection_failed",
    "datainspectionfailed",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "1301",
}
_MONEY = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "exceeded_current_quota_error",
    "billing_error",
    "arrearage",
    *("1113", "1308", "1309", "1310", "1311"),
    *(str(code) for code in range(1313, 1322)),
}
_BAD_KEY = {"api_key_invalid", "invalid_api_key"}
_KEY = {"authentication_error", "permission_error", "permission_denied"}
_KEY_TEXTS = ("personal access tokens are not supported",)
_MODEL = {"model_not_found", "model_decommissioned", "model_not_exist", "invalid_model", "1211", "not_found_error"}
_MODEL_TEXTS = ("is not a valid model id",)
_OVERLOADED = {"overloaded_error", "server_is_overloaded", "engine_overloaded_error", "1305"}
_RATE = {
    "rate_limit_exceeded",
    "rate_limit_reached_error",
    "rate_limit_error",
    "throttling.ratequota",
    "throttling.allocationquota",
    "resource_exhausted",
    "1302",
}
_GARBLED = {"tool_use_failed", "json_validate_failed"}
"""The model's own answer did not fit; asking again may."""
_CLIENT_FAULT, _TOO_LARGE, _SERVER_FAULT = 400, 413, 500
_BUSY = {408, 409, 425, 498, 499}


class ErrorResponse(Exception):  # noqa: N818 - it is what the vendor did; `refusal` finds the error's name
    """A vendor's answer that is no completion, before it is named."""

    def __init__(
        self, status: int | None, headers: Mapping[str, str], body: object, usage: Usage | None = None
    ) -> None:
        """`status` is None where the failure came inside a 200; `body` may be parsed, text or bytes."""
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body
        self.usage = usage


class ConnectionLost(Exception):  # noqa: N818 - it is what happened to the connection; `loss` finds the error's name
    """The answer did not arrive, before that is named."""

    def __init__(self, message: str, *, sent: bool) -> None:
        """`sent` is False where the vendor cannot have seen the request."""
        super().__init__(message)
        self.message = message
        self.sent = sent


_MEANINGS: tuple[tuple[type[errors.ProviderError], set[int], set[str], tuple[str, ...]], ...] = (
    (errors.QuotaError, {402}, _MONEY, ()),
    (errors.AuthenticationError, {401, 403}, _KEY, ()),
    (errors.ModelNotFoundError, {404, 410}, _MODEL, _MODEL_TEXTS),
    (errors.RateLimitError, {429}, _RATE, ()),
)
"""What is left once the codes that win over any status are dealt with."""


def error_from_response(
    refused: ErrorResponse, *, secret: str | None, prompt: Prompt | None, now: float
) -> errors.ProviderError:
    """The error that a vendor's refusal is, with its text redacted; `now` is seconds since 1970."""
    body = _read(refused.body)
    words = {word.lower() for word in _codes(body)}
    said = _message(body)
    named = _named(refused.status, words, said.lower(), body)
    fallback = "the vendor reported a failure" if refused.status is None else f"HTTP {refused.status}"
    return named(
        redact(said, secret=secret, prompt=prompt) or fallback,
        status=refused.status,
        retry_after=parse_retry_after(refused.headers, body, now=now),
        usage=refused.usage,
        limits=parse_rate_limits(refused.headers, now=now),
    )


def error_from_lost_connection(lost: ConnectionLost) -> errors.ProviderError:
    """The error that a broken connection is."""
    return errors.BrokenAnswerError(lost.message) if lost.sent else errors.UnavailableError(lost.message)


def _named(status: int | None, words: set[str], said: str, body: object) -> type[errors.ProviderError]:
    by_code = _by_code(words, said, body)
    if by_code is not None:
        return by_code
    if status is None:
        return _by_status(to_count(to_mapping(to_mapping(body).get("error")).get("code")), words, said) or (
            errors.BrokenAnswerError
        )
    return _by_status(status, words, said) or errors.UnavailableError


def _by_code(words: set[str], said: str, body: object) -> type[errors.ProviderError] | None:
    certain: tuple[tuple[type[errors.ProviderError], bool], ...] = (
        (errors.ContextLengthError, bool(words & _CONTEXT)),
        (errors.ContentFilterError, bool(words & _REFUSED) or _moderated(body)),
        (errors.QuotaError, bool(words & _MONEY) or _spent_for_the_day(body)),
        (errors.AuthenticationError, bool(words & _BAD_KEY) or any(phrase in said for phrase in _KEY_TEXTS)),
        (errors.UnavailableError, bool(words & _OVERLOADED)),
        (errors.BrokenAnswerError, bool(words & _GARBLED)),
    )
    return next((named for named, found in certain if found), None)


def _by_status(status: int | None, words: set[str], said: str) -> type[errors.ProviderError] | None:
    for named, statuses, codes, phrases in _MEANINGS:
        if status in statuses or words & codes or any(phrase in said for phrase in phrases):
            return named
    if status is None:
        return None
    if status in _BUSY or status >= _SERVER_FAULT or status < _CLIENT_FAULT:
        return errors.UnavailableError
    if status != _TOO_LARGE and not any(phrase in said for phrase in _CONTEXT_TEXTS):
        return errors.InvalidRequestError
    return errors.ContextLengthError


def _moderated(body: object) -> bool:
    # https://openrouter.ai/docs/api-reference/errors: a 403 that is about the prompt names its reasons.
    metadata = to_mapping(to_mapping(to_mapping(body).get("error")).get("metadata"))
    return "flagged_input" in metadata or bool(to_list(metadata.get("reasons")))


def _spent_for_the_day(body: object) -> bool:
    for detail in _details(body):
        for violation in to_list(detail.get("violations")):
            if "PerDay" in to_text(to_mapping(violation).get("quotaId")):
                return True
    return False


def _read(body: object) -> object:
    if isinstance(body, str | bytes):
        try:
            body = parse_json(body)
        except ValueError:
            return body if isinstance(body, str) else body.decode(errors="replace")
    entries = to_list(body)
    # Gemini's OpenAI-compatible endpoint wraps its error in an array.
    return entries[0] if entries else body


def _details(body: object) -> Iterator[Mapping[str, object]]:
    for detail in to_list(to_mapping(to_mapping(body).get("error")).get("details")):
        yield to_mapping(detail)


def _codes(body: object) -> Iterator[str]:
    outer = to_mapping(body)
    inner = to_mapping(outer.get("error"))
    innermost = to_mapping(inner.get("innererror"))
    for source in (outer, inner, innermost):
        for name in ("code", "type", "status", "error_type", "reason"):
            value = source.get(name)
            if isinstance(value, str | int):
                yield str(value)
    for detail in _details(body):
        yield to_text(detail.get("reason"))


def _message(body: object) -> str:
    if isinstance(body, str):
        return body
    outer = to_mapping(body)
    error = outer.get("error")
    said = to_text(error) or to_text(to_mapping(error).get("message")) or to_text(outer.get("message"))
    if said:
        return said
    # Mistral's 422 lists what is wrong with which field.
    wrongs = to_list(outer.get("detail"))
    return "; ".join(to_text(to_mapping(wrong).get("msg")) for wrong in wrongs) or to_text(outer.get("detail"))
