"""Scripts: transactions as generators that yield statements and receive rows, without I/O.

The same script runs in SQLite's thread and on PostgreSQL's async driver. The SQL is the part that both support, with
`?` for a parameter.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple, TypeVar

Value = str | int | float | None
Row = tuple[Value, ...]
Mode = Literal["read", "write", "exclusive", "still"]
"""`read` reads one snapshot. `exclusive` admits one such transaction at a time, on all machines. `still` blocks all
writes of attempts and rollups.
"""


class Statement(NamedTuple):
    """One SQL statement and its parameters."""

    sql: str
    values: Sequence[Value] = ()


T = TypeVar("T")
Rows = list[Row]
Script = Generator[Sequence[Statement], Sequence[Rows], T]
"""Generator that yields statements to run in order, receives the rows of each, and returns a result."""


class Last(tuple[Statement, ...]):
    """Last statements of a script, which a database can send together with COMMIT."""

    __slots__ = ()


def ask(sql: str, *values: Value) -> Script[Rows]:
    """Run one statement, the script's last, and return its rows."""
    (rows,) = yield from end(Statement(sql, values))
    return rows


def tell(*statements: Statement | None) -> Script[Sequence[Rows]]:
    """Run several statements in one round trip and return the rows of each; none for None. More can follow."""
    rows = iter((yield tuple(each for each in statements if each is not None)))
    return [[] if each is None else next(rows) for each in statements]


def end(*statements: Statement | None) -> Script[Sequence[Rows]]:
    """Run the script's last statements in one round trip and return the rows of each; none for None."""
    rows = iter((yield Last(each for each in statements if each is not None)))
    return [[] if each is None else next(rows) for each in statements]


def text(value: Value) -> str:
    """Return the value of a text column that is never null."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, read {value!r}")
    return value


def whole(value: Value) -> int:
    """Return the value of an integer column that is never null."""
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, read {value!r}")
    return value


def real(value: Value) -> float:
    """Return the value of a number column that is never null."""
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, read {value!r}")
    return float(value)


def text_or_none(value: Value) -> str | None:
    """Return the value of a text column, or None."""
    return None if value is None else text(value)


def whole_or_none(value: Value) -> int | None:
    """Return the value of an integer column, or None."""
    return None if value is None else whole(value)


def real_or_none(value: Value) -> float | None:
    """Return the value of a number column, or None."""
    return None if value is None else real(value)
