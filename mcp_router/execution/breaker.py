"""Leaves a failing provider, key or model alone for a while, longer each time."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_router.ledger.records import Breaker
from providers.errors import ProviderError, RateLimitError

FORGOTTEN_AFTER = 600.0
"""Seconds after a bench has ended until its failures no longer count."""

PROBE_LEASE = 30.0
"""Seconds that a provider stays benched for everybody else while one call tries it again."""
_PATIENCE: Mapping[str, int] = {"provider": 3, "key": 1, "model": 1}
"""Failures in a row until somebody is benched: a provider may stumble, a wrong key stays wrong."""
_FIRST: Mapping[str, float] = {"provider": 30.0, "key": 300.0, "model": 600.0}
_LONGEST = 3_600.0
_RATE_LIMIT_FIRST = 10.0
_RATE_LIMIT_LONGEST = 300.0
_LONGEST_ASKED = 86_400.0
"""A vendor that wants to be left alone for longer is asked again after a day: what it said may be a mistake."""


def scope_of(error: ProviderError, *, model: str, key_scope: str) -> str | None:
    """Name whom a failure is held against; None for nobody."""
    match error.breaker_scope:
        case "provider":
            return f"provider:{model.partition(':')[0]}"
        case "key":
            return key_scope
        case "model":
            return f"model:{model}"
        case None:
            return None


def after(error: ProviderError, *, scope: str, before: Breaker | None, now: float) -> Breaker:
    """Say how a bench stands after one more failure at `now` (seconds since the epoch).

    Retry-After is a floor, up to a day, and the longer of two cooldowns wins. Below its patience a scope is remembered
    but not benched: `until` is then now.
    """
    remembered = before is not None and now - before.open_until < FORGOTTEN_AFTER
    failures = 1 + (before.failures if before is not None and remembered else 0)
    kind = scope.partition(":")[0]
    over = failures - _PATIENCE[kind]
    cooldown = 0.0
    if over >= 0:
        first, longest = _FIRST[kind], _LONGEST
        if isinstance(error, RateLimitError):
            first, longest = _RATE_LIMIT_FIRST, _RATE_LIMIT_LONGEST
        cooldown = min(longest, first * 2.0**over)
    until = now + max(cooldown, min(_LONGEST_ASKED, error.retry_after or 0.0))
    if before is not None:
        until = max(until, before.open_until)
    return Breaker(scope=scope, open_until=until, reason=error.kind, failures=failures)


def on_probation(bench: Breaker, now: float) -> bool:
    """Whether a bench has ended, but only one probe may go before all may."""
    kind = bench.scope.partition(":")[0]
    return bench.open_until <= now and bench.failures >= _PATIENCE[kind]
