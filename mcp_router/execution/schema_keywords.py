"""JSON Schema keywords bounded in time, for schemas and answers that are made to take forever."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

import regex
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]  # its stubs say nothing

if TYPE_CHECKING:
    from pydantic import JsonValue

_Keyword = Callable[[Validator, object, object, dict[str, object]], Iterator[ValidationError] | None]
_PLAIN_PATTERN = regex.compile(r"(?!.*\)[*+?{])(?!.*\{\d*,?\d{4})(?:[^*+{]*[*+{]){0,2}[^*+{]*", regex.DOTALL)
"""No group is repeated, no repeat is counted beyond 999, and at most two are repeated at all."""
_MAX_PATTERN_CHARACTERS = 1_000
_NO_DEADLINE = float("inf")
_deadline: ContextVar[float] = ContextVar("deadline", default=_NO_DEADLINE)
"""On the clock of `time.perf_counter`."""


class WorkLimitError(Exception):
    """A check that takes longer than it was given."""


@contextmanager
def limit_work(seconds: float) -> Generator[None]:
    """Bound what is checked within; `WorkLimitError` ends it at the next keyword."""
    token = _deadline.set(time.perf_counter() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def check_deadline() -> None:
    """Raise once the time given by `limit_work` is over.

    Raises:
        WorkLimitError: It is.
    """
    if time.perf_counter() > _deadline.get():
        raise WorkLimitError


def bound_validator(kind: type[Validator]) -> type[Validator]:
    """Return a draft's validator with every keyword bounded."""
    library = cast("Mapping[str, _Keyword]", kind.VALIDATORS)
    keywords: dict[str, _Keyword] = {
        **library,
        "pattern": _check_pattern,
        "uniqueItems": _check_unique_items,
        "multipleOf": _tolerate_overflow(library["multipleOf"]),
    }
    return cast("type[Validator]", extend(kind, {name: _bound(keyword) for name, keyword in keywords.items()}))


def is_plain_pattern(pattern: str) -> bool:
    """Return whether a pattern compiles and matches in little time whatever it is matched with."""
    return len(pattern) <= _MAX_PATTERN_CHARACTERS and _PLAIN_PATTERN.fullmatch(pattern) is not None


def is_bounded_pattern(pattern: str) -> bool:
    """Return whether a pattern compiles in little time; matching it has a time limit."""
    counted = regex.findall(r"\{\d*,?\d*\}", pattern)
    return len(pattern) <= _MAX_PATTERN_CHARACTERS and len(counted) <= 2 and all(len(each) <= 9 for each in counted)  # noqa: PLR2004


def _bound(keyword: _Keyword) -> _Keyword:
    def bounded(
        validator: Validator, value: object, instance: object, schema: dict[str, object]
    ) -> Iterator[ValidationError] | None:
        check_deadline()
        return keyword(validator, value, instance, schema)

    return bounded


def _check_pattern(_v: Validator, pattern: object, instance: object, _: object) -> Iterator[ValidationError]:
    """Check as the library does, within the time that is left."""
    if not isinstance(instance, str):
        return
    left = _deadline.get() - time.perf_counter()
    try:
        found = regex.search(str(pattern), instance, timeout=None if left == _NO_DEADLINE else max(left, 0.001))
    except TimeoutError as exc:
        raise WorkLimitError from exc
    if not found:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _check_unique_items(_v: Validator, unique: object, instance: object, _: object) -> Iterator[ValidationError]:
    """Check by hashes, where the library compares every item with every other."""
    if not unique or not isinstance(instance, list):
        return
    seen: set[object] = set()
    for item in cast("list[JsonValue]", instance):
        check_deadline()
        key = _to_hashable(item)
        if key in seen:
            yield ValidationError(f"{instance!r} has non-unique elements")
            return
        seen.add(key)


def _to_hashable(value: JsonValue) -> object:
    """Return something equal and hashable; in JSON, 1 equals 1.0 but not true."""
    match value:
        case bool():
            return (bool, value)
        case list():
            return (list, tuple(map(_to_hashable, value)))
        case dict():
            return (dict, frozenset((key, _to_hashable(inner)) for key, inner in value.items()))
        case _:
            return value


def _tolerate_overflow(keyword: _Keyword) -> _Keyword:
    def check(
        validator: Validator, value: object, instance: object, schema: dict[str, object]
    ) -> Iterator[ValidationError]:
        try:
            yield from keyword(validator, value, instance, schema) or ()
        except (OverflowError, ZeroDivisionError):  # the library divides floats
            yield ValidationError(f"{instance!r} is not a multiple of {value}")

    return check
