"""Rate limits in force, and when one is close enough to share with other processes."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_router.ledger.records import Availability, RateLimit, RateUsage, VendorRateLimit
from providers.completion import Limits

_WINDOW = 60.0
_SCARCE = 0.5
"""The part of a vendor's rate limit from which what is left is shared with all processes."""


def find_rate_limited(standing: Availability, rates: Mapping[str, RateLimit], now: float) -> Mapping[str, float]:
    """Name who may not be asked now, by provider or model, with the seconds until they may.

    Whether what is left of a tokens limit is enough for one call is only known when its hold is made.
    """
    waits = {
        state.provider: max(0.0, state.oldest_at + _WINDOW - now)
        for state in standing.rate_usage
        if (rate := rates.get(state.provider)) is not None and _reached(state, rate)
    }
    for word in standing.vendor_limits:
        if (resets_at := _used_up(word)) is not None:
            waits[word.scope] = max(waits.get(word.scope, 0.0), resets_at - now)
    return waits


def is_scarce(limits: Limits) -> bool:
    """Whether a vendor's rate limit has come so close that others must know."""
    return any(
        left is not None and (limit is None or left <= limit * _SCARCE)
        for left, limit in (
            (limits.requests_left, limits.requests_limit),
            (limits.tokens_left, limits.tokens_limit),
        )
    )


def _reached(state: RateUsage, rate: RateLimit) -> bool:
    requests, tokens = rate.requests_per_minute, rate.tokens_per_minute
    return (requests is not None and state.requests >= requests) or (tokens is not None and state.tokens >= tokens)


def _used_up(word: VendorRateLimit) -> float | None:
    resets = [
        at
        for left, at in ((word.requests_left, word.requests_reset_at), (word.tokens_left, word.tokens_reset_at))
        if left == 0 and at is not None
    ]
    return max(resets, default=None)
