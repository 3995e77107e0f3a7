"""How amounts are written: for people, and as numbers in an answer."""

from __future__ import annotations

from decimal import Decimal


def usd(amount: Decimal | None) -> str:
    """Write an amount as people read it."""
    if amount is None:
        return "unknown"
    text = f"{amount:.9f}".rstrip("0").rstrip(".")
    return f"{text or '0'} USD"


def number(amount: Decimal | None) -> float | None:
    """Give an amount to an answer: nine digits, which is the ledger's own grain; unknown stays None."""
    return None if amount is None else round(float(amount), 9)


def plain(price: Decimal | None) -> float | None:
    """Give a price per million tokens to an answer."""
    return None if price is None else float(price)
