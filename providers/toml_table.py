"""A TOML table read key by key, with errors that name the key and its valid values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar, cast

T = TypeVar("T")


class RowError(ValueError):
    """A row is invalid; the text names the table, the key and its valid values."""


class Table:
    """A table being read; it records the keys read, so that `reject_unknown_keys` finds the rest."""

    def __init__(self, where: str, values: object) -> None:
        """`where` is the table's name in errors, for example `providers.groq`."""
        if not isinstance(values, Mapping):
            raise RowError(f"{where} = {values!r}: must be a table.")
        self.where = where
        self._values = cast("Mapping[str, object]", values)  # every TOML key is a string
        self._read: list[str] = []

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the table."""
        return tuple(self._values)

    def has(self, *keys: str) -> bool:
        """Return whether the table has any of these keys."""
        return any(key in self._values for key in keys)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default the key is required."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise self.error(key, value, "a string")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None if the key is missing."""
        return self.text(key) if self.has(key) else self._take_absent(key)

    def word(self, key: str, allowed: tuple[T, ...], default: T | None = None) -> T:
        """Return one of the allowed values; without a default the key is required."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        return self._one_of(key, value, allowed)

    def optional_word(self, key: str, allowed: tuple[T, ...]) -> T | None:
        """Return one of the allowed values, or None if the key is missing."""
        return self.word(key, allowed) if self.has(key) else self._take_absent(key)

    def words(self, key: str, allowed: tuple[T, ...]) -> tuple[T, ...]:
        """Return a list of allowed values."""
        return tuple(self._one_of(key, value, allowed) for value in self._list(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._list(key)
        if not all(isinstance(value, str) and value for value in values):
            raise self.error(key, list(values), "a list of strings")
        return tuple(str(value) for value in values)

    def flag(self, key: str) -> bool:
        """Return a boolean; False if the key is missing."""
        value = self._take(key)
        if not isinstance(value, bool | None):
            raise self.error(key, value, "true or false")
        return bool(value)

    def count(self, key: str) -> int | None:
        """Return a whole number from 0, or None if the key is missing."""
        value = self._take(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.error(key, value, "a whole number, at least 0")
        return value

    def number(self, key: str) -> Decimal | None:
        """Return a number from 0, or None if the key is missing."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            found = _to_decimal(value)
            if found is not None:
                return found
        raise self.error(key, value, "a number, at least 0")

    def required_number(self, key: str) -> Decimal:
        """Return a number from 0; the key is required."""
        found = self.number(key)
        if found is None:
            raise self.error(key, None, "a number, at least 0")
        return found

    def day(self, key: str) -> date | None:
        """Return a date, or None if the key is missing."""
        value = self._take(key)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.error(key, value, "a date such as 2026-11-23")
        return value

    def days(self, key: str) -> tuple[date, ...]:
        """Return a list of dates."""
        values = self._list(key)
        found = tuple(value for value in values if isinstance(value, date))
        if len(found) != len(values):
            raise self.error(key, list(values), "a list of dates such as 2026-11-23")
        return found

    def numbers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        values = self._list(key) if self.has(key) else self._take_absent(key) or default
        found = tuple(value for value in values if isinstance(value, int))
        if len(found) != len(values):
            raise self.error(key, list(values), "a list of whole numbers")
        return found

    def table(self, key: str) -> Table | None:
        """Return a table in this one, or None if the key is missing."""
        value = self._take(key)
        return None if value is None else Table(f"{self.where}.{key}", value)

    def tables(self, key: str) -> tuple[Table, ...]:
        """Return a list of tables."""
        return tuple(Table(f"{self.where}.{key}[{n}]", value) for n, value in enumerate(self._list(key)))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return a list of pairs of strings."""
        found: list[tuple[str, str]] = []
        for value in self._list(key):
            match value:
                case [str() as first, str() as second] | (str() as first, str() as second):
                    found.append((first, second))
                case _:
                    raise self.error(key, value, 'a list of pairs such as ["01:00", "04:00"]')
        return tuple(found)

    def mapping(self, key: str) -> dict[str, str]:
        """Return a table of strings."""
        inner = self.table(key)
        return {} if inner is None else {name: inner.text(name) for name in inner.keys()}  # noqa: SIM118 -- a Table is not a dict

    def reject_unknown_keys(self) -> None:
        """Reject keys that were not read.

        Raises:
            RowError: A key is unknown.
        """
        for key in self._values:
            if key not in self._read:
                raise RowError(f"{self.where}.{key} is unknown. Known keys: {', '.join(self._read)}.")

    def error(self, key: str, value: object, wanted: str) -> RowError:
        """Return the error for a missing or invalid value."""
        if value is None:
            return RowError(f"{self.where}.{key} is missing: set {wanted}.")
        return RowError(f"{self.where}.{key} = {value!r}: must be {wanted}.")

    def _take(self, key: str) -> object:
        self._read.append(key)
        return self._values.get(key)

    def _take_absent(self, key: str) -> None:
        self._read.append(key)

    def _list(self, key: str) -> tuple[object, ...]:
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self.error(key, value, "a list")
        return tuple(cast("list[object]", value))  # a TOML list can hold any values

    def _one_of(self, key: str, value: object, allowed: tuple[T, ...]) -> T:
        for known in allowed:
            if known == value:
                return known
        raise self.error(key, value, f"one of {', '.join(str(known) for known in allowed)}")


def _to_decimal(value: float | Decimal) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None
