"""Checks an answer against the caller's JSON Schema, and cleans it of what a reader would not see."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import cast

from jsonschema.exceptions import (
    ValidationError,
    best_match,  # pyright: ignore[reportUnknownVariableType]  # its stubs say nothing
)
from pydantic import JsonValue
from referencing.exceptions import Unresolvable

from mcp_router.execution.answer_schema import AnswerSchema, SchemaError, message_of, path_of, short
from mcp_router.text import cleaned

_MAX_PROBLEMS = 3
_LOOKED_AT = 50
"""Problems after which no more are looked for: an answer may have thousands of the same."""
_MAX_STARTS = 200
"""Places in a prose answer where JSON is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problems:
    """Why an answer was not accepted: one line each, for the model that is asked again."""

    lines: tuple[str, ...]
    broken: tuple[str, ...]
    """Where in the schema the rules stand that it broke: without a word of the answer."""

    def __str__(self) -> str:
        return "\n".join(self.lines)


def check(answer: str, schema: AnswerSchema) -> str | Problems:
    """The answer's JSON, compact, cleaned and without what stood around it; or what is wrong with it.

    Raises:
        SchemaError: The schema itself turns out to be unusable.
    """
    try:
        value = _cleaned_value(parse_json_answer(answer))
        errors = list(islice(schema.validator.iter_errors(value), _LOOKED_AT))
    except ValueError as exc:
        return Problems(lines=(f"The answer is not JSON: {exc}.",), broken=("it is no JSON",))
    except RecursionError:
        return Problems(lines=("The answer is nested too deeply: make it flatter.",), broken=("nested too deeply",))
    except Unresolvable as exc:
        raise SchemaError(f"response_schema refers to {short(repr(exc.ref))}, which is not in it.") from exc
    except TimeoutError as exc:
        raise SchemaError("A pattern in response_schema takes too long: write it without nested repeats.") from exc
    if errors:
        return _problems(errors)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _problems(errors: list[ValidationError]) -> Problems:
    # best_match looks into anyOf and oneOf for the alternative that came closest.
    plainest = [cast("ValidationError", best_match([error])) for error in errors]
    lines = list(dict.fromkeys(f"{path_of(error)}: {message_of(error)}" for error in plainest))
    more = ["… and more of the kind."] if len(lines) > _MAX_PROBLEMS else []
    rules = dict.fromkeys(short(".".join(map(str, error.absolute_schema_path))) for error in plainest)
    return Problems(lines=tuple(lines[:_MAX_PROBLEMS] + more), broken=tuple(rules)[:_MAX_PROBLEMS])


def _cleaned_value(value: JsonValue) -> JsonValue:
    """Cleaned before it is checked: what was checked is what the caller gets."""
    match value:
        case str():
            return cleaned(value)
        case list():
            return [_cleaned_value(one) for one in value]
        case dict():
            return {cleaned(key): _cleaned_value(one) for key, one in value.items()}
        case _:
            return value


def parse_json_answer(text: str) -> JsonValue:
    """The JSON of an answer: plain, fenced, or the longest piece of it within prose.

    Raises:
        ValueError: There is none; says why.
    """
    plain = text.strip().removeprefix("\ufeff")
    fence = re.match(r"(`{3,}|~{3,})[^\n`]*\n", plain)
    body = plain[fence.end() :].removesuffix(fence[1]).strip() if fence else plain
    try:
        return _JSON.decode(body)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    except ValueError as exc:
        within = _longest_within(body)
        if within is None:
            raise ValueError(_why_not(exc, body)) from exc
        return within[0]


def _longest_within(text: str) -> tuple[JsonValue] | None:
    best: tuple[JsonValue] | None = None
    longest = at = 0
    for _ in range(_MAX_STARTS):
        start = _START.search(text, at)
        if start is None:
            break
        try:
            value, at = _JSON.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
            continue
        if at - start.start() > longest:
            best, longest = (value,), at - start.start()
    return best


_START = re.compile(r"[{\[]")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"{short(text)} is too large a number")
    return number


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON value")


_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def _why_not(exc: ValueError, text: str) -> str:
    if not text:
        return "it is empty"
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at line {exc.lineno} column {exc.colno}"
    return short(str(exc))


def asked_again(problems: Problems) -> str:
    """What a model is told whose answer was not accepted."""
    return (
        f"That answer was not accepted:\n{problems}\nAnswer again with the whole corrected JSON value and nothing else."
    )
