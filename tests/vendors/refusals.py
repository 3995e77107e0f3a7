"""How each vendor says no: its statuses, codes and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_OPENAI_SHAPED_QUOTA = "insufficient_quota"
_TOO_LONG = "This model's maximum context length is 131072 tokens. Please reduce the length of the messages."


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that is no completion; status 200 is a failure inside a success."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def named(vendor: str, kind: str, *, status: int | None = None, body: object = None) -> Refusal:
    """What this vendor sends for a kind of failure, or for a bare status."""
    if body is not None:
        return Refusal(status=status or 500, body=body)
    if kind:
        own = OWN.get((vendor, kind))
        if own is not None:
            return own
        status, message, word = COMMON[kind]
        return Refusal(status=status, body=shaped(vendor, status, message, word))
    status = status or 500
    message, word = BY_STATUS.get(status, ("Something went wrong.", "server_error"))
    return Refusal(status=status, body=shaped(vendor, status, message, word))


def shaped(vendor: str, status: int, message: str, word: str) -> object:
    """An error body as this vendor writes them."""
    match vendor:
        case "claude":
            error = {"type": _ANTHROPIC.get(status, word), "message": message}
            return {"type": "error", "error": error, "request_id": "req_1"}
        case "gemini":
            return [{"error": {"code": status, "message": message, "status": _GOOGLE.get(status, "UNKNOWN")}}]
        case "mistral":
            return {"object": "error", "message": message, "type": word, "code": "1000", "param": None}
        case "openrouter":
            return {"error": {"code": status, "message": message, "metadata": {}}}
        case "huggingface" if status >= 500:
            return {"error": message}
        case _:
            return {"error": {"message": message, "type": word, "param": None, "code": word}}


COMMON: dict[str, tuple[int, str, str]] = {
    "auth": (401, "Incorrect API key provided.", "invalid_api_key"),
    "forbidden": (403, "This key may not use this model.", "permission_denied"),
    "quota": (402, "Insufficient Balance", "billing_error"),
    "rate_limit": (429, "Rate limit reached, slow down.", "rate_limit_exceeded"),
    "overloaded": (503, "The engine is currently overloaded.", "server_is_overloaded"),
    "server": (500, "Internal error.", "server_error"),
    "bad_gateway": (502, "Bad gateway.", "server_error"),
    "too_slow": (504, "Gateway timeout.", "server_error"),
    "model_gone": (404, "The model does not exist or you do not have access to it.", "model_not_found"),
    "gone": (410, "This service has been retired.", "gone"),
    "context": (400, _TOO_LONG, "context_length_exceeded"),
    "filter": (400, "The request was rejected.", "content_filter"),
    "invalid": (400, "Unknown field.", "invalid_request_error"),
}
BY_STATUS = {status: (message, word) for status, message, word in COMMON.values()} | {
    400: ("Unknown field.", "invalid_request_error"),
    529: ("Overloaded", "overloaded_error"),
}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def _of_google(status: int, message: str, *details: object) -> Refusal:
    error = {"code": status, "message": message, "status": _GOOGLE[status], "details": list(details)}
    return Refusal(status=status, body=[{"error": error}])


def _plain(status: int, message: str, word: str, code: str | None = None) -> Refusal:
    return Refusal(status=status, body={"error": {"message": message, "type": word, "code": code or word}})


OWN: dict[tuple[str, str], Refusal] = {
    ("openai", "quota"): _plain(429, "You exceeded your current quota.", _OPENAI_SHAPED_QUOTA),
    ("qwen", "quota"): Refusal(status=403, body={"error": {"code": "Arrearage", "message": "Access denied, arrears."}}),
    ("kimi", "quota"): _plain(429, "Your account is suspended.", "exceeded_current_quota_error"),
    ("kimi", "rate_limit"): _plain(429, "Max RPM reached.", "rate_limit_reached_error"),
    ("glm", "quota"): Refusal(status=429, body={"error": {"code": "1113", "message": "Insufficient balance."}}),
    ("glm", "rate_limit"): Refusal(status=429, body={"error": {"code": "1302", "message": "High concurrency."}}),
    ("glm", "overloaded"): Refusal(status=429, body={"error": {"code": "1305", "message": "Too many requests now."}}),
    ("glm", "filter"): Refusal(status=400, body={"error": {"code": "1301", "message": "Sensitive content."}}),
    ("qwen", "filter"): _plain(400, "Inappropriate content.", "data_inspection_failed"),
    ("openrouter", "filter"): Refusal(
        status=403,
        body={"error": {"code": 403, "message": "Moderated", "metadata": {"reasons": ["x"], "flagged_input": "..."}}},
    ),
    ("openrouter", "model_gone"): Refusal(
        status=400, body={"error": {"code": 400, "message": "foo/bar is not a valid model ID"}}
    ),
    ("openrouter", "overloaded"): Refusal(status=529, body={"error": {"code": 529, "message": "Overloaded"}}),
    ("openrouter", "failed_200"): Refusal(status=200, body={"error": {"code": 502, "message": "Upstream failed"}}),
    ("openrouter", "limited_200"): Refusal(status=200, body={"error": {"code": 429, "message": "Upstream is busy"}}),
    ("perplexity", "failed_200"): Refusal(
        status=200, body={"status": "failed", "error": {"code": "server_error", "message": "It failed"}}
    ),
    ("claude", "overloaded"): Refusal(
        status=529, body={"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    ),
    ("claude", "filter"): Refusal(
        status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no", "code": "1301"}}
    ),
    ("claude", "context"): Refusal(
        status=400,
        body={
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 1000001 tokens > 1000000"},
        },
    ),
    ("gemini", "auth"): _of_google(400, "API key not valid.", {"reason": "API_KEY_INVALID"}),
    ("gemini", "rate_limit"): _of_google(
        429, "Quota exceeded.", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "14s"}
    ),
    ("gemini", "quota"): _of_google(
        429,
        "Quota exceeded.",
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
        },
    ),
    ("gemini", "context"): _of_google(400, "The input token count (2000000) exceeds the maximum."),
    ("gemini", "filter"): _plain(400, "Blocked.", "content_filter"),
    ("groq", "model_gone"): _plain(400, "It has been decommissioned.", "invalid_request", "model_decommissioned"),
    ("groq", "overloaded"): _plain(498, "Flex capacity exhausted.", "capacity_exceeded"),
    ("groq", "garbled"): _plain(400, "Failed to call a function.", "invalid_request", "tool_use_failed"),
    ("mistral", "model_gone"): Refusal(
        status=400, body={"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}
    ),
    ("mistral", "context"): Refusal(
        status=400, body={"object": "error", "message": "Prompt contains 200000 tokens, too large for model with 32768"}
    ),
    ("mistral", "invalid"): Refusal(status=422, body={"detail": [{"loc": ["body"], "msg": "Extra", "type": "x"}]}),
    ("mistral", "filter"): Refusal(
        status=400, body={"object": "error", "message": "Refused", "type": "content_filter", "code": "content_filter"}
    ),
    ("huggingface", "overloaded"): Refusal(status=503, body="<html>Service Unavailable</html>"),
    ("local", "context"): Refusal(
        status=400,
        body={"error": {"code": 400, "message": "the request exceeds it", "type": "exceed_context_size_error"}},
    ),
    ("copilot", "invalid"): Refusal(status=400, body="Bad Request\n"),
}
