"""Accessors for vendors' JSON that do not trust its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

Json = Mapping[str, object]


def parse_json(content: str | bytes) -> object:
    """Return the parsed JSON; numbers with a fraction stay exact, since some are money.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(content, parse_float=Decimal)


def to_mapping(value: object) -> Json:
    """Return an object, or an empty one in place of anything else."""
    return cast("Json", value) if isinstance(value, dict | Mapping) else {}


def to_list(value: object) -> list[object]:
    """Return an array, or an empty one in place of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def to_text(value: object) -> str:
    """Return a string, or an empty one in place of anything else."""
    return value if isinstance(value, str) else ""


_MAX_COUNT = 10**15
"""A count beyond this is as wrong as this one, and would take a huge integer."""


def to_count(value: object) -> int | None:
    """Return a number of tokens, or None if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    number = Decimal(value)
    return int(min(number, _MAX_COUNT)) if number.is_finite() and number >= 0 else None


def to_amount(value: object) -> Decimal | None:
    """Return an amount, or None if there is none; a negative one counts as none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def get_path(value: object, *path: str | int) -> object:
    """Return what is under a path of names and positions, or None."""
    for step in path:
        if isinstance(step, int):
            entries = to_list(value)
            value = entries[step] if step < len(entries) else None
        else:
            value = to_mapping(value).get(step)
    return value


def deduplicate(values: list[str]) -> tuple[str, ...]:
    """Return each value once, in order, without empty ones."""
    return tuple(dict.fromkeys(value for value in values if value))
