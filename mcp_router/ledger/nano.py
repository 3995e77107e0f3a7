"""Money as the ledger keeps it: whole nano-dollars, so that sums are exact."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

NANOS = Decimal(10**9)
MOST = 9 * 10**15
"""Nine million dollars: more than one attempt can cost, and a thousand such sums still fit 64 bits."""


def cost_nano(cost_usd: Decimal) -> int:
    """What was paid, to the nearest nano-dollar.

    Raises:
        ValueError: It is negative, not a number or absurdly large.
    """
    return _bounded((_finite(cost_usd) * NANOS).to_integral_value(ROUND_HALF_EVEN), cost_usd)


def claim_nano(amount_usd: Decimal) -> int:
    """What is claimed, rounded up: a claim is never smaller than the cost it must cover.

    Raises:
        ValueError: It is negative, not a number or absurdly large.
    """
    return _bounded((_finite(amount_usd) * NANOS).to_integral_value(ROUND_CEILING), amount_usd)


def limit_nano(limit_usd: Decimal) -> int:
    """What may be spent, rounded down; below zero nothing may be, as at zero.

    Raises:
        ValueError: It is not a number.
    """
    return int((_finite(limit_usd) * NANOS).to_integral_value(ROUND_FLOOR))


def possible(cost_usd: Decimal | None) -> Decimal | None:
    """The cost, or None where it is negative, not a number or absurdly large."""
    return cost_usd if cost_usd is not None and cost_usd.is_finite() and 0 <= cost_usd * NANOS <= MOST else None


def usd(nano: int) -> Decimal:
    """Nano-dollars as people write them."""
    return Decimal(nano) / NANOS


def _finite(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount of money")
    return amount


def _bounded(nano: Decimal, amount: Decimal) -> int:
    if not 0 <= nano <= MOST:
        raise ValueError(f"{amount} USD cannot be an attempt's cost: it must be between 0 and {MOST // 10**9:,}")
    return int(nano)
