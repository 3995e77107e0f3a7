"""Failures of one attempt, with the policy for each as attributes.

ProviderError
├── UnavailableError           5xx, 529, connection refused, a web page: nothing was billed
│   └── BrokenAnswerError      cut, malformed, or no finish reason: may have been billed
├── CapacityError              no capacity in the flex class: nothing was billed
├── RateLimitError             too many requests or tokens a minute
├── QuotaError                 the account has no money or quota left
│   └── ModelQuotaError        the quota of this model alone is used up
├── AuthenticationError        the key, its account, region or plan is refused
├── ModelNotFoundError         the provider does not serve this model to this key
├── ContextLengthError         the prompt does not fit this model's window
├── ContentFilterError         the model or its vendor refused the prompt or the answer
├── EmptyAnswerError           finished without text
├── UnsupportedParameterError  the model refuses a field that the router chose
└── InvalidRequestError        the caller's mistake
    └── UnexplainedRequestError   a 4xx of unknown meaning: perhaps the caller's mistake
"""

from __future__ import annotations

from typing import ClassVar, Literal

from providers.completion import Limits, Usage

BreakerScope = Literal["provider", "key", "model"]
"""What a failure is counted against."""

Fallback = Literal["any", "other_provider", "larger_window", "other_lineage", "stronger", "nowhere"]
"""Which candidates can still answer after a failure; `stronger` asks the stronger ones first."""


class ProviderError(Exception):
    """One failed attempt. The text is for the caller: redacted, one line, at most 300 characters.

    Attributes carry the policy, so the router never compares classes or reads messages.
    """

    kind: ClassVar[str] = "failed"
    """One word for ledger, metrics and error texts."""
    fallback: ClassVar[Fallback] = "any"
    breaker_scope: ClassVar[BreakerScope | None] = None
    """None: the failure opens no breaker."""
    retryable: ClassVar[bool] = False
    """The same model may answer the same prompt later."""
    maybe_billed: ClassVar[bool] = False
    """The vendor may bill although no usable answer arrived."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`retry_after` is in seconds; `usage` is what the vendor says it billed all the same."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.usage = usage
        self.limits = limits


class UnavailableError(ProviderError):
    """The provider is down, overloaded or out of reach."""

    kind = "unavailable"
    breaker_scope = "provider"
    retryable = True


class CapacityError(ProviderError):
    """The vendor has no capacity in the flex class now. Nothing is billed, and the standard class can answer."""

    kind = "no_flex_capacity"


class BrokenAnswerError(UnavailableError):
    """An answer began or was on its way, and did not end as an answer ends."""

    kind = "broken_answer"
    maybe_billed = True


class RateLimitError(ProviderError):
    """Too many requests or tokens; `retry_after` is the vendor's wait, if it named one."""

    kind = "rate_limit"
    breaker_scope = "model"
    retryable = True


class QuotaError(ProviderError):
    """The account has no money or quota left."""

    kind = "quota"
    fallback = "other_provider"
    breaker_scope = "key"


class ModelQuotaError(QuotaError):
    """The quota of one model is used up; the key still works for others."""

    fallback = "any"
    breaker_scope = "model"


class AuthenticationError(ProviderError):
    """The key is missing, wrong, or refused for its account, region or plan."""

    kind = "authentication"
    fallback = "other_provider"
    breaker_scope = "key"


class ModelNotFoundError(ProviderError):
    """The provider does not serve this model, at least not to this key."""

    kind = "model_not_found"
    breaker_scope = "model"


class ContextLengthError(ProviderError):
    """The prompt is longer than the model's window."""

    kind = "context_length"
    fallback = "larger_window"
    limit_tokens: int | None = None
    """The window as the vendor stated it, in tokens."""


class ContentFilterError(ProviderError):
    """The model or its vendor refused the prompt or the answer."""

    kind = "content_filter"
    fallback = "other_lineage"


class EmptyAnswerError(ProviderError):
    """The model ended properly without text, or spent all its tokens on thinking."""

    kind = "empty"
    fallback = "stronger"


class UnsupportedParameterError(ProviderError):
    """The model refuses a field or a value that the router chose."""

    kind = "unsupported_parameter"
    parameter: str | None = None
    """The field, if the vendor named it."""


class InvalidRequestError(ProviderError):
    """The caller's request is wrong, for every model."""

    kind = "invalid_request"
    fallback = "nowhere"


class UnexplainedRequestError(InvalidRequestError):
    """A vendor's 4xx of unknown meaning; the caller is blamed once a second provider refuses too."""

    fallback = "other_provider"
