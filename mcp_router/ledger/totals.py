"""Sums over attempts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over attempts."""

    calls: int
    attempts: int
    failed_attempts: int
    fallback_calls: int
    """Calls that needed more than one attempt."""
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    """Everything spent, failed attempts included; `uncertain_usd` of it are upper bounds."""
    uncertain_usd: Decimal
    unpriced_attempts: int
    """Attempts whose cost nobody knows: not in `cost_usd`."""
    baseline_usd: Decimal
    seconds: float
    """Time spent in attempts that answered."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    answered_attempts: int = 0
    answered_output_tokens: int = 0
    """What the answered attempts wrote, in `seconds`."""
    latencies: tuple[int, ...] = ()
    """Answered attempts by bucket of `latency.bucket_of`."""

    @property
    def tokens_per_second(self) -> float | None:
        """How fast answers were written; None where nothing answered."""
        return self.answered_output_tokens / self.seconds if self.seconds > 0 else None

    @property
    def latency_mean_ms(self) -> float | None:
        """Mean time of an attempt that answered."""
        return 1000 * self.seconds / self.answered_attempts if self.answered_attempts else None

    @property
    def saved_usd(self) -> Decimal:
        """The baseline's cost less everything spent."""
        return self.baseline_usd - self.cost_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Totals of a period, and of its groups."""

    total: Totals
    groups: dict[str, Totals]
