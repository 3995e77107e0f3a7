"""Checks of answers against a JSON Schema, bounded in time within this process or run in a child process."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from jsonschema.exceptions import (
    ValidationError,
    best_match,  # pyright: ignore[reportUnknownVariableType]  # its stubs say nothing
)
from jsonschema.protocols import Validator
from referencing.exceptions import Unresolvable

from mcp_router.execution.answer_schema import SchemaError, compile_schema, format_message, format_path, shorten
from mcp_router.execution.schema_keywords import check_deadline
from mcp_router.text import strip_controls

if TYPE_CHECKING:
    from pydantic import JsonValue

_MAX_PROBLEMS = 3
_MAX_ERRORS_READ = 50
"""Errors that are read: an answer can have thousands of the same."""
_MAX_STARTS = 200
"""Places in a prose answer where JSON is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violations:
    """Why an answer was not accepted: one line each, for the re-ask."""

    lines: tuple[str, ...]
    broken: tuple[str, ...]
    """The broken rules' places in the schema, without a word of the answer."""

    def __str__(self) -> str:
        return "\n".join(self.lines)


class CheckResult(TypedDict):
    """What a child process found."""

    kind: Literal["text", "violations", "schema_error"]
    lines: list[str]
    broken: list[str]


def check_isolated(data: bytes) -> bytes:
    """Compile a schema and check an answer against it, if there is one; the work of a child process."""
    schema, answer = cast("tuple[object, str | None]", json.loads(data))
    try:
        validator = compile_schema(schema).validator
        found = "" if answer is None or validator is None else check_answer(answer, validator)
    except SchemaError as exc:
        return _dump({"kind": "schema_error", "lines": [str(exc)], "broken": []})
    if isinstance(found, str):
        return _dump({"kind": "text", "lines": [found], "broken": []})
    return _dump({"kind": "violations", "lines": list(found.lines), "broken": list(found.broken)})


def _dump(found: CheckResult) -> bytes:
    return json.dumps(found).encode()


def check_answer(answer: str, validator: Validator) -> str | Violations:
    """Return the answer's JSON, compact, clean and without what stood around it; or what is wrong with it.

    Raises:
        SchemaError: The schema itself turns out to be unusable.
        WorkLimitError: It takes too long.
    """
    try:
        value = _clean_value(parse_json_answer(answer))
        errors = list(islice(validator.iter_errors(value), _MAX_ERRORS_READ))
    except ValueError as exc:
        return Violations(lines=(f"The answer is not JSON: {exc}.",), broken=("it is no JSON",))
    except RecursionError:
        return Violations(lines=("The answer is nested too deeply: make it flatter.",), broken=("nested too deeply",))
    except Unresolvable as exc:
        raise SchemaError(f"response_schema refers to {shorten(repr(exc.ref))}, which is not in it.") from exc
    if errors:
        return _to_violations(errors)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _to_violations(errors: list[ValidationError]) -> Violations:
    # best_match looks into anyOf and oneOf for the alternative that came closest.
    plainest = [cast("ValidationError", best_match([error])) for error in errors]
    lines = list(dict.fromkeys(f"{format_path(error)}: {format_message(error)}" for error in plainest))
    more = ["… and more of the kind."] if len(lines) > _MAX_PROBLEMS else []
    rules = dict.fromkeys(shorten(".".join(map(str, error.absolute_schema_path))) for error in plainest)
    return Violations(lines=tuple(lines[:_MAX_PROBLEMS] + more), broken=tuple(rules)[:_MAX_PROBLEMS])


def _clean_value(value: JsonValue) -> JsonValue:
    """Clean a value before it is checked: what was checked is what the caller gets."""
    match value:
        case str():
            return strip_controls(value)
        case list():
            return [_clean_value(one) for one in value]
        case dict():
            return {strip_controls(key): _clean_value(one) for key, one in value.items()}
        case _:
            return value


def parse_json_answer(text: str) -> JsonValue:
    """Return the JSON of an answer: plain, fenced, or the longest piece of it within prose.

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
        within = _find_longest_json(body)
        if within is None:
            raise ValueError(_explain_error(exc, body)) from exc
        return within[0]


def _find_longest_json(text: str) -> tuple[JsonValue] | None:
    best: tuple[JsonValue] | None = None
    longest = at = 0
    for _ in range(_MAX_STARTS):
        check_deadline()
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


def _parse_finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"{shorten(text)} is too large a number")
    return number


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON value")


_JSON = json.JSONDecoder(parse_float=_parse_finite, parse_constant=_refuse_constant)


def _explain_error(exc: ValueError, text: str) -> str:
    if not text:
        return "it is empty"
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at line {exc.lineno} column {exc.colno}"
    return shorten(str(exc))
