"""Circuit breakers of providers, keys and models, with cooldowns that double."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


class CallBreakers:
    """The breakers of one call: as the ledger had them at its start, and as its own attempts change them."""

    def __init__(self, breakers: Iterable[Breaker] = ()) -> None:
        self._by_scope = {breaker.scope: breaker for breaker in breakers}

    def list_open(self, now: float) -> dict[str, Breaker]:
        """Return the breakers that are open at `now` (seconds since the epoch), by scope."""
        return {scope: one for scope, one in self._by_scope.items() if one.open_until > now}

    def find_open(self, scope: str, now: float) -> Breaker | None:
        """Return the breaker of a scope if it is open at `now`."""
        found = self._by_scope.get(scope)
        return found if found is not None and found.open_until > now else None

    def needs_probe(self, scope: str, now: float) -> bool:
        """Whether a scope's breaker is half-open: its cooldown is over, and one call must probe first."""
        found = self._by_scope.get(scope)
        return found is not None and found.open_until <= now and found.failures >= _THRESHOLDS[_kind(scope)]

    def record_failure(self, error: ProviderError, *, model: str, key_scope: str, now: float) -> Breaker | None:
        """Count a failure of a model (`provider:model`); return the breaker that counts it, or None."""
        scope = find_scope(error, model=model, key_scope=key_scope)
        if scope is None:
            return None
        counted = count_failure(error, scope=scope, before=self._by_scope.get(scope), now=now)
        self._by_scope[scope] = counted
        return counted

    def record_success(self, *, model: str, key_scope: str) -> list[str]:
        """Close the breakers that a model's answer disproves; return their scopes."""
        scopes = (f"provider:{model.partition(':')[0]}", f"model:{model}", key_scope)
        return [scope for scope in scopes if self._by_scope.pop(scope, None) is not None]


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
    kind = _kind(scope)
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


def _kind(scope: str) -> str:
    return scope.partition(":")[0]
