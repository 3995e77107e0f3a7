"""What a provider can hand back instead of an answer.

ProviderError
├── UnavailableError        5xx, 529, connection refused: nothing was billed
│   └── BrokenAnswerError   cut, malformed, or no finish reason: may have been billed
├── RateLimitError          429: too many requests or tokens a minute
├── QuotaError              402, or a 429 that means the money is gone
├── AuthenticationError     401, 403: the key is wrong
├── ModelNotFoundError      404, 410: the model or the service is gone
├── ContextLengthError      the prompt does not fit this model's window
├── ContentFilterError      the model or its vendor refused
├── EmptyAnswerError        finished, but said nothing
└── InvalidRequestError     400, 422: the caller's mistake
"""

from __future__ import annotations

from typing import ClassVar, Literal

from providers.completion import Limits, Usage

Bench = Literal["provider", "key", "model", "nothing"]
"""Whom a failure is held against."""


class ProviderError(Exception):
    """One attempt failed. The text is for the one who called: redacted, one line, at most 300 characters.

    Class attributes carry the policy, so the router never compares classes or reads messages.
    """

    kind: ClassVar[str] = "failed"
    """One word for ledger, metrics and error texts."""
    bench: ClassVar[Bench] = "nothing"
    retryable: ClassVar[bool] = False
    """The same model may yet answer the same prompt."""
    fatal: ClassVar[bool] = False
    """No other model would answer it."""
    maybe_billed: ClassVar[bool] = False
    """The vendor may bill although nothing usable came back."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`retry_after` is in seconds; `usage` is what was billed all the same, where the vendor said it."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.usage = usage
        self.limits = limits


class UnavailableError(ProviderError):
    """The provider is down, overloaded or out of reach."""

    kind = "unavailable"
    bench = "provider"
    retryable = True


class BrokenAnswerError(UnavailableError):
    """The answer began or was on its way, and did not end as an answer ends."""

    kind = "broken_answer"
    maybe_billed = True


class RateLimitError(ProviderError):
    """Too many requests or tokens; `retry_after` says when to come back, where the vendor told."""

    kind = "rate_limit"
    bench = "model"
    retryable = True


class QuotaError(ProviderError):
    """The account has no money or quota left."""

    kind = "quota"
    bench = "key"


class AuthenticationError(ProviderError):
    """The key is missing, wrong or not allowed."""

    kind = "authentication"
    bench = "key"


class ModelNotFoundError(ProviderError):
    """The provider does not serve this model, or no longer."""

    kind = "model_not_found"
    bench = "model"


class ContextLengthError(ProviderError):
    """The prompt is longer than the model's window; a larger window may take it."""

    kind = "context_length"


class ContentFilterError(ProviderError):
    """The model or its vendor refused to answer; another lineage may answer."""

    kind = "content_filter"


class EmptyAnswerError(ProviderError):
    """The model ended properly and said nothing, or spent all its tokens on thinking."""

    kind = "empty"


class InvalidRequestError(ProviderError):
    """The request itself is wrong; it falls back nowhere."""

    kind = "invalid_request"
    fatal = True
