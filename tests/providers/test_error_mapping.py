"""What vendors' error answers mean: the class, where the call falls back, and which breaker counts it."""

import json
from typing import Any

import pytest

from providers import errors
from providers.completion import Message, Prompt
from providers.transport.error_mapping import ErrorResponse, error_from_response
from providers.transport.redaction import redact

NOW = 1_795_000_000.0
Body = dict[str, Any] | list[Any] | str
Case = tuple[int | None, Body, type[errors.ProviderError]]


def openai_shaped(message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def anthropic_shaped(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}


def google_shaped(code: int, status: str, message: str, *details: dict[str, Any]) -> list[Any]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def upstream(raw: object, message: str = "Provider returned error", code: int = 400) -> dict[str, Any]:
    """OpenRouter's envelope around what its upstream said."""
    raw = raw if isinstance(raw, str) else json.dumps(raw)
    return {"error": {"code": code, "message": message, "metadata": {"raw": raw, "provider_name": "Acme"}}}


def quota_of(*ids: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": one} for one in ids]}


ACCOUNT: tuple[Case, ...] = (
    (400, openai_shaped("Your organization has been disabled."), errors.AuthenticationError),
    (403, openai_shaped("Country, region, or territory not supported"), errors.AuthenticationError),
    (
        400,
        google_shaped(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        errors.AuthenticationError,
    ),
    (400, google_shaped(400, "INVALID_ARGUMENT", "API key expired."), errors.AuthenticationError),
    (400, {"error": "Incorrect API key provided: xa***. You can find yours at console"}, errors.AuthenticationError),
    (403, openai_shaped("Your account has been suspended for a violation of our terms"), errors.AuthenticationError),
    (400, {"error": {"code": "1002", "message": "Authorization Token invalid"}}, errors.AuthenticationError),
    (400, "bad request: no credentials in the request\n", errors.AuthenticationError),
    (400, openai_shaped("Please upgrade your plan to use this API."), errors.AuthenticationError),
    (401, {}, errors.AuthenticationError),
    (403, {}, errors.AuthenticationError),
)
QUOTA: tuple[Case, ...] = (
    (400, anthropic_shaped("Your credit balance is too low. Please purchase credits."), errors.QuotaError),
    (400, anthropic_shaped("You have reached your specified API usage limits."), errors.QuotaError),
    (403, openai_shaped("You have run out of credits or need a licence"), errors.QuotaError),
    (400, openai_shaped("Access denied, your account is not in good standing", "Arrearage"), errors.QuotaError),
    (403, openai_shaped("You have exceeded your monthly included credits for inference"), errors.QuotaError),
    (
        400,
        {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}},
        errors.QuotaError,
    ),
    (429, openai_shaped("quota exceeded", "quota_exceeded"), errors.QuotaError),
    (429, openai_shaped("Insufficient balance, please recharge"), errors.QuotaError),
    (500, openai_shaped("insufficient balance"), errors.QuotaError),
    (None, openai_shaped("You exceeded your current quota", "insufficient_quota"), errors.QuotaError),
    (402, "", errors.QuotaError),
)
MODEL_QUOTA: tuple[Case, ...] = (
    (
        429,
        google_shaped(429, "RESOURCE_EXHAUSTED", "Quota.", quota_of("RequestsPerDayPerProjectPerModel-FreeTier")),
        errors.ModelQuotaError,
    ),
    (403, openai_shaped("The free tier is used up.", "AllocationQuota.FreeTierOnly"), errors.ModelQuotaError),
)
MODEL: tuple[Case, ...] = (
    (400, openai_shaped("Model Not Exist"), errors.ModelNotFoundError),
    (400, openai_shaped("whatever", "model_not_supported", "model"), errors.ModelNotFoundError),
    (
        403,
        openai_shaped("Project `p` does not have access to model `gpt-6`", "model_not_found"),
        errors.ModelNotFoundError,
    ),
    (403, openai_shaped("Blocked.", "model_permission_blocked_project"), errors.ModelNotFoundError),
    (400, openai_shaped("The model `x` requires terms acceptance", "model_terms_required"), errors.ModelNotFoundError),
    (
        400,
        openai_shaped("The requested model 'x' is not supported by any provider you have enabled."),
        errors.ModelNotFoundError,
    ),
    (400, {"error": {"code": 400, "message": "x/y is not a valid model ID"}}, errors.ModelNotFoundError),
    (404, {"error": {"code": 404, "message": "No endpoints found for x/y."}}, errors.ModelNotFoundError),
    (400, openai_shaped("The model x has been deprecated"), errors.ModelNotFoundError),
    (403, openai_shaped("Your plan does not include the model x"), errors.ModelNotFoundError),
    (410, {}, errors.ModelNotFoundError),
)
CONTEXT: tuple[Case, ...] = (
    (
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
        errors.ContextLengthError,
    ),
    (
        400,
        openai_shaped("prompt token count of 135402 exceeds the limit of 131072", "model_max_prompt_tokens_exceeded"),
        errors.ContextLengthError,
    ),
    (400, openai_shaped("Invalid request: Your request exceeded model token limit: 131072"), errors.ContextLengthError),
    (
        400,
        openai_shaped("Range of input length should be [1, 131072]", "invalid_parameter_error"),
        errors.ContextLengthError,
    ),
    (
        413,
        openai_shaped(
            "Request too large for model `x` on tokens per minute (TPM): Limit 131072, Requested 200000",
            "rate_limit_exceeded",
        ),
        errors.ContextLengthError,
    ),
    (400, anthropic_shaped("prompt is too long: 200001 tokens > 131072 maximum"), errors.ContextLengthError),
    (422, openai_shaped("inputs tokens + max_new_tokens must be <= 131072. Given: 140000"), errors.ContextLengthError),
    (
        400,
        upstream({"message": "Prompt contains 150000 tokens, too large for model with 131072 maximum context length"}),
        errors.ContextLengthError,
    ),
    (500, openai_shaped("the input is too long: at most 131,072 tokens"), errors.ContextLengthError),
    (None, openai_shaped("maximum context length is 131072 tokens"), errors.ContextLengthError),
)
FILTER: tuple[Case, ...] = (
    (400, anthropic_shaped("Output blocked by content filtering policy"), errors.ContentFilterError),
    (400, openai_shaped("Content Exists Risk"), errors.ContentFilterError),
    (
        400,
        openai_shaped("Your prompt was flagged as violating our usage policy", "invalid_prompt"),
        errors.ContentFilterError,
    ),
    (403, {"code": "permission-denied", "error": "Content violates usage guidelines."}, errors.ContentFilterError),
    (400, openai_shaped("The request was rejected because it was considered high risk"), errors.ContentFilterError),
    (400, openai_shaped("Rejected by our safety system."), errors.ContentFilterError),
    (400, upstream("The response was filtered by the content management policy"), errors.ContentFilterError),
    (403, {"error": {"code": 403, "message": "x", "metadata": {"reasons": ["violence"]}}}, errors.ContentFilterError),
    (
        400,
        {"error": {"message": "m", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        errors.ContentFilterError,
    ),
)
PARAMETER: tuple[Case, ...] = (
    (
        400,
        openai_shaped("Unsupported parameter: 'max_tokens'", "unsupported_parameter", "max_tokens"),
        errors.UnsupportedParameterError,
    ),
    (
        400,
        openai_shaped("Invalid max_tokens value, the valid range of max_tokens is [1, 512]"),
        errors.UnsupportedParameterError,
    ),
    (
        400,
        anthropic_shaped("max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens"),
        errors.UnsupportedParameterError,
    ),
    (
        400,
        openai_shaped("invalid temperature: only 1 is allowed for this model", None, "temperature"),
        errors.UnsupportedParameterError,
    ),
    (400, openai_shaped("This model does not support image input"), errors.UnsupportedParameterError),
    (
        400,
        openai_shaped("Invalid schema for response_format 'answer'", None, "response_format"),
        errors.UnsupportedParameterError,
    ),
    (
        400,
        google_shaped(400, "INVALID_ARGUMENT", "Thinking budget is not supported: generationConfig.thinkingConfig"),
        errors.UnsupportedParameterError,
    ),
    (400, anthropic_shaped("cache_control: Extra inputs are not permitted"), errors.UnsupportedParameterError),
    (
        422,
        {"detail": [{"loc": ["body", "x"], "msg": "reasoning_effort is not permitted", "type": "extra"}]},
        errors.UnsupportedParameterError,
    ),
    (
        400,
        upstream(openai_shaped("Expected a value >= 16", "integer_below_min_value")),
        errors.UnsupportedParameterError,
    ),
)
BUSY: tuple[Case, ...] = (
    (
        429,
        openai_shaped(
            "Rate limit reached on tokens per minute: Limit 8000, Used 7500. Upgrade at /settings/billing",
            "rate_limit_exceeded",
        ),
        errors.RateLimitError,
    ),
    (
        429,
        google_shaped(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, check your plan and billing",
            quota_of("RequestsPerMinute"),
        ),
        errors.RateLimitError,
    ),
    (
        429,
        openai_shaped("Allocated quota exceeded, please increase your quota limit.", "Throttling.AllocationQuota"),
        errors.RateLimitError,
    ),
    (429, upstream("x is temporarily rate-limited upstream. Please retry.", code=429), errors.RateLimitError),
    (403, {"message": "You have exceeded a secondary rate limit."}, errors.RateLimitError),
    (
        429,
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
        errors.RateLimitError,
    ),
    (None, {"error": {"code": 502, "message": "Upstream failed"}}, errors.UnavailableError),
    (503, openai_shaped("The model is currently not available, it is overloaded"), errors.UnavailableError),
    (400, openai_shaped("The engine is overloaded, try again later"), errors.UnavailableError),
    (400, openai_shaped("Failed to call a function.", "tool_use_failed"), errors.BrokenAnswerError),
)
CALLER: tuple[Case, ...] = (
    (400, anthropic_shaped("Could not process image"), errors.InvalidRequestError),
    (400, openai_shaped("The image data you provided is invalid", "invalid_base64"), errors.InvalidRequestError),
    (400, anthropic_shaped("messages: text content blocks must be non-empty"), errors.InvalidRequestError),
    (
        400,
        openai_shaped("Invalid type for 'messages[0].content'", None, "messages[0].content"),
        errors.InvalidRequestError,
    ),
    (400, anthropic_shaped("The PDF specified is password protected."), errors.InvalidRequestError),
)
UNEXPLAINED: tuple[Case, ...] = (
    (400, openai_shaped("Unknown field."), errors.UnexplainedRequestError),
    (400, "Bad Request\n", errors.UnexplainedRequestError),
    (422, {"detail": [{"loc": ["body"], "msg": "Extra", "type": "x"}]}, errors.UnexplainedRequestError),
    (418, {}, errors.UnexplainedRequestError),
)
PAGES: tuple[Case, ...] = (
    (200, "<!doctype html><html><title>New API</title></html>", errors.UnavailableError),
    (404, "<html><head><title>404 Not Found</title></head></html>", errors.UnavailableError),
    (403, "<!-- edge --><html><title>Just a moment...</title></html>", errors.UnavailableError),
    (502, "<html><body>Bad gateway</body></html>", errors.UnavailableError),
    (404, "404 page not found\n", errors.UnavailableError),
)


def mapped(status: int | None, body: Body, *, prompt: Prompt | None = None, **headers: str) -> errors.ProviderError:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = ErrorResponse(status, named, content, url="http://127.0.0.1:9/v1/chat/completions")
    return error_from_response(response, secret=None, prompt=prompt, now=NOW)


def test_every_error_answer_has_its_class() -> None:
    groups = (ACCOUNT, QUOTA, MODEL_QUOTA, MODEL, CONTEXT, FILTER, PARAMETER, BUSY, CALLER, UNEXPLAINED, PAGES)
    found = [(status, body, wanted, type(mapped(status, body))) for group in groups for status, body, wanted in group]

    assert [case for case in found if case[2] is not case[3]] == []


def test_stated_window_is_read_from_every_context_error() -> None:
    limits = {getattr(mapped(status, body), "limit_tokens", None) for status, body, _ in CONTEXT}

    assert limits == {131072}


def test_policy_follows_from_the_class() -> None:
    policy = {
        errors.AuthenticationError: ("other_provider", "key"),
        errors.QuotaError: ("other_provider", "key"),
        errors.ModelQuotaError: ("any", "model"),
        errors.ModelNotFoundError: ("any", "model"),
        errors.ContextLengthError: ("larger_window", None),
        errors.ContentFilterError: ("other_lineage", None),
        errors.UnsupportedParameterError: ("any", None),
        errors.UnexplainedRequestError: ("other_provider", None),
        errors.InvalidRequestError: ("nowhere", None),
        errors.RateLimitError: ("any", "model"),
        errors.UnavailableError: ("any", "provider"),
    }

    assert {kind: (kind.fallback, kind.breaker_scope) for kind in policy} == policy


def test_nested_reason_replaces_an_empty_message() -> None:
    assert str(mapped(429, upstream("x is rate-limited upstream.", code=429))) == "Acme: x is rate-limited upstream."


@pytest.mark.parametrize(("status", "page", "_class"), PAGES[:3])
def test_web_page_is_named_with_its_address(status: int, page: str, _class: object) -> None:
    text = str(mapped(status, page))

    assert "a web page (" in text
    assert "from http://127.0.0.1:9/v1/chat/completions: check base_url" in text


def test_words_of_the_prompt_do_not_decide_the_class() -> None:
    words = "My account was suspended: invalid api key, credit balance too low, what now?"
    prompt = Prompt(messages=(Message(role="user", content=words),), max_output_tokens=10)

    error = mapped(400, openai_shaped(f"Cannot read: {words}"), prompt=prompt)

    assert type(error) is errors.UnexplainedRequestError


def test_retry_after_wins_over_a_longer_reset() -> None:
    limit = openai_shaped("Slow down.", "rate_limit_exceeded")
    reset = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1h"}

    error = mapped(429, limit, retry_after="2", **reset)

    assert error.retry_after == 2
    assert error.limits is not None
    assert error.limits.requests_reset_seconds == 2


@pytest.mark.parametrize("value", [str(int(NOW) + 3), str((int(NOW) + 3) * 1000), "3", "3s"])
def test_retry_after_is_seconds_or_a_moment(value: str) -> None:
    assert mapped(429, {}, retry_after=value).retry_after == 3


def test_key_is_redacted_in_every_spelling() -> None:
    key = "sk-test-4f9c1b7d2e8a6035"
    spellings = (
        " ".join(key),
        "\u200b".join(key),
        "".join(f"%{ord(letter):02X}" for letter in key),
        "".join(f"&#{ord(letter)};" for letter in key),
        "".join(f"\\u{ord(letter):04x}" for letter in key),
        "".join(chr(ord(letter) + 0xFEE0) for letter in key),
        key[::-1],
        key.upper(),
        f"{key[:10]}\n{key[10:]}",
    )
    shown = {spelling: redact(f"Bad key {spelling} given", secret=key) for spelling in spellings}

    assert {spelling: text for spelling, text in shown.items() if text != "Bad key [...] given"} == {}
