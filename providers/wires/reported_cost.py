"""Cost in US dollars, as far as a vendor reports it in the answer."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from providers.catalog import Provider
from providers.transport.payload import Json, get_path, to_amount, to_count, to_list, to_mapping

_TICKS_PER_USD = 10_000_000_000
"""https://docs.x.ai/developers/pricing"""
_NANO_CREDITS_PER_USD = 100_000_000_000
"""A credit is a cent. https://docs.github.com/en/copilot/reference/copilot-billing/models-and-pricing"""


def parse_reported_cost(provider: Provider, answer: Json) -> Decimal | None:
    """Return the cost in US dollars, or None if this vendor reports none."""
    usage = to_mapping(answer.get("usage"))
    match provider.reported_cost:
        case "none":
            return None
        case "usage_cost":
            return _add_own_key_cost(usage)
        case "usage_cost_total":
            return to_amount(get_path(usage, "cost", "total_cost"))
        case "usd_ticks":
            ticks = to_amount(usage.get("cost_in_usd_ticks"))
            return None if ticks is None else ticks / _TICKS_PER_USD
        case "copilot":
            return _sum_credits(to_mapping(answer.get("copilot_usage") or usage.get("copilot_usage")))
        case _:
            assert_never(provider.reported_cost)


def _add_own_key_cost(usage: Json) -> Decimal | None:
    """Return OpenRouter's cost; with the user's own key it is a fee, and the upstream vendor bills the rest.

    https://openrouter.ai/docs/use-cases/usage-accounting
    """
    cost, upstream = to_amount(usage.get("cost")), to_amount(get_path(usage, "cost_details", "upstream_inference_cost"))
    is_own_key = usage.get("is_byok") is True or (usage.get("is_byok") is None and not cost and upstream)
    if not is_own_key:
        return cost
    return None if upstream is None else upstream + (cost or 0)


def _sum_credits(usage: Json) -> Decimal | None:
    # Each kind of token has a price per batch of tokens.
    total = Decimal(0)
    details = [to_mapping(detail) for detail in to_list(usage.get("token_details"))]
    for detail in details:
        price, size = to_amount(detail.get("cost_per_batch")), to_amount(detail.get("batch_size"))
        tokens = to_count(detail.get("token_count"))
        if price is None or not size or tokens is None:
            return None
        total += price * tokens / size
    return total / _NANO_CREDITS_PER_USD if details else None
