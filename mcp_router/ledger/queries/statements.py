"""What a transaction says to a database, whichever it is: statements out, rows in, no I/O of its own.

A script is a generator, so that the same one runs in SQLite's worker thread and on PostgreSQL's async driver.
SQL here is what both understand; a parameter is written `?`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple, TypeVar

Value = str | int | float | None
Row = tuple[Value, ...]
Mode = Literal["read", "write", "exclusive", "still"]
"""`read` sees one moment; `exclusive` admits one such transaction at a time, on all machines; while a `still` one runs,
nobody writes an attempt or a rollup.
"""


class Statement(NamedTuple):
    """One SQL statement and its parameters."""

    sql: str
    values: Sequence[Value] = ()


T = TypeVar("T")
Rows = list[Row]
Script = Generator[Sequence[Statement], Sequence[Rows], T]
"""Yields statements to be run in order, is sent the rows of each, returns what the transaction found."""


class Last(tuple[Statement, ...]):
    """The last statements of a script: a database may end the transaction in one breath with them."""

    __slots__ = ()


def ask(sql: str, *values: Value) -> Script[Rows]:
    """Run one statement, the script's last, and get its rows."""
    (rows,) = yield from end(Statement(sql, values))
    return rows


def tell(*statements: Statement | None) -> Script[Sequence[Rows]]:
    """Run several statements in one go and get the rows of each; more may follow. For None there are none."""
    rows = iter((yield tuple(each for each in statements if each is not None)))
    return [[] if each is None else next(rows) for each in statements]


def end(*statements: Statement | None) -> Script[Sequence[Rows]]:
    """Run the script's last statements in one go and get the rows of each."""
    rows = iter((yield Last(each for each in statements if each is not None)))
    return [[] if each is None else next(rows) for each in statements]


def text(value: Value) -> str:
    """A column that is text and never null."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, read {value!r}")
    return value


def whole(value: Value) -> int:
    """A column that is a whole number and never null."""
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, read {value!r}")
    return value


def real(value: Value) -> float:
    """A column that is a number and never null."""
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, read {value!r}")
    return float(value)


def text_or_none(value: Value) -> str | None:
    """A column that is text or null."""
    return None if value is None else text(value)


def whole_or_none(value: Value) -> int | None:
    """A column that is a whole number or null."""
    return None if value is None else whole(value)


def real_or_none(value: Value) -> float | None:
    """A column that is a number or null."""
    return None if value is None else real(value)
