"""Amounts of money: whole nano-dollars in the ledger, so that sums are exact, and their display."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

NANOS_PER_USD = Decimal(10**9)
MAX_COST_NANO = 9 * 10**15
"""Nine million dollars: more than one attempt can cost, and a thousand such sums still fit 64 bits."""


def nano_from_cost(cost_usd: Decimal) -> int:
    """Return a cost in nano-dollars, rounded to the nearest.

    Raises:
        ValueError: It is negative, not a number or above `MAX_COST_NANO`.
    """
    return _check_bounds((_check_finite(cost_usd) * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN), cost_usd)


def nano_from_hold(amount_usd: Decimal) -> int:
    """Return a held amount in nano-dollars, rounded up: a hold is never smaller than the cost it covers.

    Raises:
        ValueError: It is negative, not a number or above `MAX_COST_NANO`.
    """
    return _check_bounds((_check_finite(amount_usd) * NANOS_PER_USD).to_integral_value(ROUND_CEILING), amount_usd)


def nano_from_limit(limit_usd: Decimal) -> int:
    """Return a spending limit in nano-dollars, rounded down. A limit below 0 admits nothing, as 0 does.

    Raises:
        ValueError: It is not a number.
    """
    return int((_check_finite(limit_usd) * NANOS_PER_USD).to_integral_value(ROUND_FLOOR))


def valid_cost_or_none(cost_usd: Decimal | None) -> Decimal | None:
    """Return the cost, or None if it is negative, not a number or above `MAX_COST_NANO`."""
    if cost_usd is None or not cost_usd.is_finite():
        return None
    return cost_usd if 0 <= cost_usd * NANOS_PER_USD <= MAX_COST_NANO else None


def usd_from_nano(nano: int) -> Decimal:
    """Return nano-dollars as USD."""
    return Decimal(nano) / NANOS_PER_USD


def format_usd(amount: Decimal | None) -> str:
    """Return an amount as text for people."""
    if amount is None:
        return "unknown"
    text = f"{amount:.9f}".rstrip("0").rstrip(".")
    return f"{text or '0'} USD"


def to_number(amount: Decimal | None) -> float | None:
    """Return an amount as a JSON number with nine decimals, the ledger's precision; None stays None."""
    return None if amount is None else round(float(amount), 9)


def price_to_number(price: Decimal | None) -> float | None:
    """Return a price per million tokens as a JSON number; None stays None."""
    return None if price is None else float(price)


def _check_finite(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount of money")
    return amount


def _check_bounds(nano: Decimal, amount: Decimal) -> int:
    if not 0 <= nano <= MAX_COST_NANO:
        raise ValueError(
            f"{amount} USD cannot be an attempt's cost: it must be between 0 and {MAX_COST_NANO // 10**9:,}"
        )
    return int(nano)
