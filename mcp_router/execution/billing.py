"""The bill of an attempt: the vendor's counts if they can be true, otherwise the most that it can cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from mcp_router.ledger.records import CostSource
from mcp_router.money import format_usd
from mcp_router.routing.fit import Candidate, Fit
from mcp_router.routing.prices import compute_cost
from providers.completion import Usage

_MAX_MULTIPLE = 10
"""A vendor that counts more than this many times the tokens that were held has miscounted."""
_SPARE_TOKENS = 1_000_000
_MAX_SEARCHES = 1_000
_MAX_COST_MULTIPLE = 100
_SPARE_USD = Decimal(10)
_MAX_SHOWN_USD = Decimal(10**15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What is booked for an attempt."""

    usage: Usage | None
    """None if the vendor counted nothing, or what cannot be true."""
    cost_usd: Decimal | None
    source: CostSource
    warning: str | None = None


def compute_bill(candidate: Candidate, usage: Usage | None, *, text: str, maybe_billed: bool, at: datetime) -> Bill:
    """Return the bill of an attempt that ended at `at`.

    Args:
        candidate: The model, and what was held for it.
        usage: What the vendor counted, if anything.
        text: The answer; empty if there is none.
        maybe_billed: Whether an attempt without a count may have cost something.
        at: The moment at which it completed.
    """
    fit = candidate.fit
    if usage is None:
        doubt = "reported no usable token counts" if text else None
        return (
            _bill_at_bound(candidate, doubt) if maybe_billed else Bill(usage=None, cost_usd=Decimal(0), source="priced")
        )
    doubt = _find_doubt(usage, fit, text)
    if doubt is not None:
        return _bill_at_bound(candidate, f"reported {doubt}")
    usage = _clamp(usage)
    thinking = fit.effort != "off"
    cost, source = compute_cost(candidate.provider, candidate.model, usage, at=at, thinking=thinking)
    return Bill(usage=usage, cost_usd=cost, source=source)


def _bill_at_bound(candidate: Candidate, doubt: str | None) -> Bill:
    worst = candidate.fit.worst_usd
    if worst is None:
        return Bill(usage=None, cost_usd=None, source="unknown")
    warning = (
        f"{candidate.model.id} {doubt}: booked at the most it can cost, {format_usd(worst)}"
        if doubt and worst
        else None
    )
    return Bill(usage=None, cost_usd=worst, source="bound", warning=warning)


def _find_doubt(usage: Usage, fit: Fit, text: str) -> str | None:
    """Return what in a count cannot be true, or None."""
    for name, count, held in (
        ("input", usage.input_tokens, fit.max_input_tokens),
        ("output", usage.output_tokens, fit.max_output_tokens),
    ):
        if count < 0 or (text and count == 0) or count > held * _MAX_MULTIPLE + _SPARE_TOKENS:
            return f"{count:,} {name} tokens"
    if not 0 <= usage.searches <= _MAX_SEARCHES:
        return f"{usage.searches:,} searches"
    cost, worst = usage.reported_cost_usd, fit.worst_usd or Decimal(0)
    if cost is not None and not 0 <= cost <= worst * _MAX_COST_MULTIPLE + _SPARE_USD:
        return f"a cost of {format_usd(min(cost, _MAX_SHOWN_USD))}"
    return None


def _clamp(usage: Usage) -> Usage:
    """Return the usage with no part larger than its whole."""
    return replace(
        usage,
        cache_read_tokens=max(0, min(usage.cache_read_tokens, usage.input_tokens)),
        cache_write_tokens=max(0, min(usage.cache_write_tokens, usage.input_tokens)),
        reasoning_tokens=max(0, min(usage.reasoning_tokens, usage.output_tokens)),
    )
