"""Reads a TOML table key by key, and says which key is wrong and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar, cast

T = TypeVar("T")


class RowError(ValueError):
    """A row cannot be used; the text names the place, the key and what it may be."""


class Table:
    """One table that is being read; it remembers what was asked for, so that the rest can be refused."""

    def __init__(self, where: str, values: object) -> None:
        """`where` is how people name the table, say `providers.groq`."""
        if not isinstance(values, Mapping):
            raise RowError(f"{where}: it must be a table, not {values!r}.")
        self.where = where
        self._values = cast("Mapping[str, object]", values)  # TOML has no other keys
        self._asked: list[str] = []

    def keys(self) -> tuple[str, ...]:
        """The keys that are there."""
        return tuple(self._values)

    def has(self, *keys: str) -> bool:
        """Whether any of these keys is there."""
        return any(key in self._values for key in keys)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it must be there."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise self.wrong(key, value, "a string")
        return value

    def maybe_text(self, key: str) -> str | None:
        """A string, or nothing."""
        return self.text(key) if self.has(key) else self._nothing(key)

    def word(self, key: str, allowed: tuple[T, ...], default: T | None = None) -> T:
        """One of a closed set; without a default it must be there."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        return self._one_of(key, value, allowed)

    def maybe_word(self, key: str, allowed: tuple[T, ...]) -> T | None:
        """One of a closed set, or nothing."""
        return self.word(key, allowed) if self.has(key) else self._nothing(key)

    def words(self, key: str, allowed: tuple[T, ...]) -> tuple[T, ...]:
        """Some of a closed set."""
        return tuple(self._one_of(key, value, allowed) for value in self._list(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(key)
        if not all(isinstance(value, str) and value for value in values):
            raise self.wrong(key, list(values), "a list of strings")
        return tuple(str(value) for value in values)

    def flag(self, key: str) -> bool:
        """True or false; false where it is not said."""
        value = self._take(key)
        if not isinstance(value, bool | None):
            raise self.wrong(key, value, "true or false")
        return bool(value)

    def count(self, key: str) -> int | None:
        """A whole number from 0 up, or nothing."""
        value = self._take(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.wrong(key, value, "a whole number from 0 up")
        return value

    def number(self, key: str) -> Decimal | None:
        """A number from 0 up, or nothing."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            found = _decimal(value)
            if found is not None:
                return found
        raise self.wrong(key, value, "a number from 0 up")

    def needed_number(self, key: str) -> Decimal:
        """A number from 0 up that must be there."""
        found = self.number(key)
        if found is None:
            raise self.wrong(key, None, "a number from 0 up")
        return found

    def day(self, key: str) -> date | None:
        """A date, or nothing."""
        value = self._take(key)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.wrong(key, value, "a date such as 2026-11-23")
        return value

    def days(self, key: str) -> tuple[date, ...]:
        """A list of dates."""
        values = self._list(key)
        found = tuple(value for value in values if isinstance(value, date))
        if len(found) != len(values):
            raise self.wrong(key, list(values), "a list of dates such as 2026-11-23")
        return found

    def numbers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers."""
        values = self._list(key) if self.has(key) else self._nothing(key) or default
        found = tuple(value for value in values if isinstance(value, int))
        if len(found) != len(values):
            raise self.wrong(key, list(values), "a list of whole numbers")
        return found

    def table(self, key: str) -> Table | None:
        """A table inside this one, or nothing."""
        value = self._take(key)
        return None if value is None else Table(f"{self.where}.{key}", value)

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables."""
        return tuple(Table(f"{self.where}.{key}[{n}]", value) for n, value in enumerate(self._list(key)))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A list of pairs of strings."""
        found: list[tuple[str, str]] = []
        for value in self._list(key):
            match value:
                case [str() as first, str() as second] | (str() as first, str() as second):
                    found.append((first, second))
                case _:
                    raise self.wrong(key, value, 'a list of pairs such as ["01:00", "04:00"]')
        return tuple(found)

    def mapping(self, key: str) -> dict[str, str]:
        """A table of strings."""
        inner = self.table(key)
        return {} if inner is None else {name: inner.text(name) for name in inner.keys()}  # noqa: SIM118 -- a Table is no dict

    def finish(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            RowError: A key is there that means nothing.
        """
        for key in self._values:
            if key not in self._asked:
                raise RowError(f"{self.where}: there is no key {key!r}. The keys here are: {', '.join(self._asked)}.")

    def wrong(self, key: str, value: object, wanted: str) -> RowError:
        """The error that says what a key may be."""
        if value is None:
            return RowError(f"{self.where}: {key} is missing: {wanted}.")
        return RowError(f"{self.where}: {key} must be {wanted}, not {value!r}.")

    def _take(self, key: str) -> object:
        self._asked.append(key)
        return self._values.get(key)

    def _nothing(self, key: str) -> None:
        self._asked.append(key)

    def _list(self, key: str) -> tuple[object, ...]:
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self.wrong(key, value, "a list")
        return tuple(cast("list[object]", value))  # TOML lists hold anything

    def _one_of(self, key: str, value: object, allowed: tuple[T, ...]) -> T:
        for known in allowed:
            if known == value:
                return known
        raise self.wrong(key, value, f"one of {', '.join(str(known) for known in allowed)}")


def _decimal(value: float | Decimal) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None
