"""Tables and amounts as the command line prints them."""

from __future__ import annotations

from math import floor, log10

from rich.table import Column, Table


def create_table(*columns: str, style: str = "") -> Table:
    """Create a table that truncates nothing: only the last column, which holds words, wraps."""
    *whole, words = columns
    return Table(*(Column(name, no_wrap=True) for name in whole), Column(words, overflow="fold"), box=None, style=style)


def create_figures_table(name: str, *columns: str) -> Table:
    """Create a table that truncates nothing: only the first column, which holds names, wraps."""
    return Table(Column(name, overflow="fold"), *(Column(each, no_wrap=True) for each in columns), box=None)


def format_usd(amount: float | None) -> str:
    """Format an amount to a millionth of a dollar."""
    return "unknown" if amount is None else f"${amount:.6f}"


def format_amount(amount: float | None) -> str:
    """Format an amount for people: cents from 1 USD on, and else two significant digits, for example `$0.0079`."""
    if amount is None:
        return "unknown"
    if amount == 0 or abs(amount) >= 1:
        return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"
    digits = 1 - floor(log10(abs(amount)))
    return f"{'-' if amount < 0 else ''}${abs(amount):.{max(2, digits)}f}"


def format_count(value: float | None) -> str:
    """Format a figure without decimals; a missing one is a dash."""
    return "-" if value is None else f"{value:.0f}"


def format_share(value: float | None) -> str:
    """Format a share of 1 as a percentage; a missing one is a dash."""
    return "-" if value is None else f"{value:.1%}"
