"""Circuit breakers of providers, keys and models, with cooldowns that double."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_router.ledger.records import Breaker
from providers.errors import ProviderError, RateLimitError

FORGOTTEN_AFTER = 600.0
"""Seconds after a cooldown until its failures no longer count."""

PROBE_LEASE = 30.0
"""Seconds that a breaker stays open for other calls while one call probes the provider."""
_THRESHOLDS: Mapping[str, int] = {"provider": 3, "key": 1, "model": 1}
"""Consecutive failures until a breaker opens: a provider can stumble, a wrong key stays wrong."""
_MIN_COOLDOWN_S: Mapping[str, float] = {"provider": 30.0, "key": 300.0, "model": 600.0}
_MAX_COOLDOWN_S = 3_600.0
_RATE_LIMIT_MIN_COOLDOWN_S = 10.0
_RATE_LIMIT_MAX_COOLDOWN_S = 300.0
_MAX_REQUESTED_COOLDOWN_S = 86_400.0
"""A longer Retry-After is cut to a day: it can be a mistake."""


def find_scope(error: ProviderError, *, model: str, key_scope: str) -> str | None:
    """Return the scope of the breaker that counts a failure, or None."""
    match error.breaker_scope:
        case "provider":
            return f"provider:{model.partition(':')[0]}"
        case "key":
            return key_scope
        case "model":
            return f"model:{model}"
        case None:
            return None


def count_failure(error: ProviderError, *, scope: str, before: Breaker | None, now: float) -> Breaker:
    """Return a breaker after one more failure at `now` (seconds since the epoch).

    Retry-After is a floor, up to a day, and the longer of two cooldowns wins. Below its threshold a
    breaker counts but stays closed: `open_until` is then now.
    """
    remembered = before is not None and now - before.open_until < FORGOTTEN_AFTER
    failures = 1 + (before.failures if before is not None and remembered else 0)
    kind = scope.partition(":")[0]
    over = failures - _THRESHOLDS[kind]
    cooldown = 0.0
    if over >= 0:
        first, longest = _MIN_COOLDOWN_S[kind], _MAX_COOLDOWN_S
        if isinstance(error, RateLimitError):
            first, longest = _RATE_LIMIT_MIN_COOLDOWN_S, _RATE_LIMIT_MAX_COOLDOWN_S
        cooldown = min(longest, first * 2.0**over)
    until = now + max(cooldown, min(_MAX_REQUESTED_COOLDOWN_S, error.retry_after or 0.0))
    if before is not None:
        until = max(until, before.open_until)
    return Breaker(scope=scope, open_until=until, reason=error.kind, failures=failures)


def needs_probe(breaker: Breaker, now: float) -> bool:
    """Whether a breaker is half-open: its cooldown is over, and one call must probe first."""
    kind = breaker.scope.partition(":")[0]
    return breaker.open_until <= now and breaker.failures >= _THRESHOLDS[kind]
