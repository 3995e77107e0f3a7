"""How everybody stands at one moment: who is benched, how busy providers were, what vendors said is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A provider, key or model that is left alone for a while. Its scope says which:
    `provider:groq`, `key:groq:<fingerprint>` or `model:groq:openai/gpt-oss-20b`.
    """

    scope: str
    until: float
    """Seconds since the epoch; a later `until` always wins over an earlier one."""
    reason: str
    failures: int = 0
    """How often in a row; the cooldown grows with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateState:
    """A provider's last minute."""

    provider: str
    requests: int
    tokens: int
    oldest_at: float
    """When the first of them was asked: a minute later there is room for another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """What a vendor's headers said is left, until its reset; None where they were silent or that time has come."""

    scope: str
    """A provider, or `provider:name` where the vendor counts by model."""
    noted_at: float
    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset_at: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How everybody stands at one moment: all that a plan asks of the ledger."""

    benches: tuple[Bench, ...] = ()
    """Who is being left alone, and who was of late (its `failures` still count)."""
    rates: tuple[RateState, ...] = ()
    """What each provider was asked in the last minute."""
    learned: tuple[Learned, ...] = ()
    """What vendors' headers said and still holds."""
