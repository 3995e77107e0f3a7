"""What a vendor sent, taken apart without trusting its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

Json = Mapping[str, object]


def parse_json(content: str | bytes) -> object:
    """The JSON in it; numbers with a fraction stay exact, because some of them are money.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(content, parse_float=Decimal)


def to_mapping(value: object) -> Json:
    """The object, or an empty one where something else came."""
    return cast("Json", value) if isinstance(value, dict | Mapping) else {}


def to_list(value: object) -> list[object]:
    """The array, or an empty one where something else came."""
    return cast("list[object]", value) if isinstance(value, list) else []


def to_text(value: object) -> str:
    """The string, or an empty one where something else came."""
    return value if isinstance(value, str) else ""


_MAX_COUNT = 10**15
"""A count beyond this is as wrong as this one, and would take a huge integer."""


def to_count(value: object) -> int | None:
    """A number of tokens, or None where none was told."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    number = Decimal(value)
    return int(min(number, _MAX_COUNT)) if number.is_finite() and number >= 0 else None


def to_amount(value: object) -> Decimal | None:
    """An amount, or None where none was told; a negative one is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def get_path(value: object, *path: str | int) -> object:
    """What lies under a path of names and positions, or None."""
    for step in path:
        if isinstance(step, int):
            entries = to_list(value)
            value = entries[step] if step < len(entries) else None
        else:
            value = to_mapping(value).get(step)
    return value


def deduplicate(values: list[str]) -> tuple[str, ...]:
    """Each once, in order, without empty ones."""
    return tuple(dict.fromkeys(value for value in values if value))
