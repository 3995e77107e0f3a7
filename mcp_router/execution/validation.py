"""Checks an answer against the caller's JSON Schema, and cleans it of what a reader would not see."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from jsonschema.exceptions import (
    ValidationError,
    best_match,  # pyright: ignore[reportUnknownVariableType]  # its stubs say nothing
)
from pydantic import JsonValue
from referencing.exceptions import Unresolvable

from mcp_router.execution.answer_schema import AnswerSchema, SchemaError, format_message, format_path, shorten
from mcp_router.execution.call import RejectedError, Validator
from mcp_router.text import strip_controls
from providers.completion import Completion

_MAX_PROBLEMS = 3
_MAX_ERRORS_READ = 50
"""Problems after which no more are looked for: an answer may have thousands of the same."""
_MAX_STARTS = 200
"""Places in a prose answer where JSON is looked for."""


class InvalidAnswerError(RejectedError):
    """The answer does not satisfy the schema."""

    kind = "invalid_answer"
    fallback = "stronger"


class UnusableSchemaError(RejectedError):
    """The schema turned out to be one that no answer can be checked against."""

    kind = "bad_schema"
    fallback = "nowhere"


class TruncatedError(RejectedError):
    """The answer was cut at the tokens it was given, which the caller did not ask for."""

    kind = "truncated"
    fallback = "stronger"


@dataclass(frozen=True, kw_only=True, slots=True)
class Violations:
    """Why an answer was not accepted: one line each, for the model that is asked again."""

    lines: tuple[str, ...]
    broken: tuple[str, ...]
    """Where in the schema the rules stand that it broke: without a word of the answer."""

    def __str__(self) -> str:
        return "\n".join(self.lines)


def build_validator(schema: AnswerSchema | None, *, may_be_cut: bool) -> Validator:
    """Build the judge of one call. `may_be_cut` is True where the caller limited the output itself."""

    def judged(completion: Completion) -> Completion | RejectedError:
        if schema is not None:
            return _validate_schema_answer(completion, schema)
        if completion.finish_reason == "length" and not may_be_cut:
            return TruncatedError("the answer was cut at its token limit", usage=completion.usage)
        text = strip_controls(completion.text)
        return completion if text == completion.text else replace(completion, text=text)

    return judged


def _validate_schema_answer(completion: Completion, schema: AnswerSchema) -> Completion | RejectedError:
    try:
        found = check_answer(completion.text, schema)
    except SchemaError as exc:
        return UnusableSchemaError(str(exc), usage=completion.usage)
    if isinstance(found, str):
        return replace(completion, text=found)
    if completion.finish_reason == "length":
        # Asked again it would be cut again, after the caller had paid for what was said so far once more.
        return InvalidAnswerError("the answer was cut at its token limit, within its JSON", usage=completion.usage)
    # What the answer said stays out of the message, which goes into the ledger.
    count = len(found.lines)
    message = f"the answer does not satisfy response_schema ({count} problem{'s' * (count > 1)})"
    return InvalidAnswerError(message, usage=completion.usage, feedback=format_feedback(found), broken=found.broken)


def check_answer(answer: str, schema: AnswerSchema) -> str | Violations:
    """The answer's JSON, compact, clean and without what stood around it; or what is wrong with it.

    Raises:
        SchemaError: The schema itself turns out to be unusable.
    """
    try:
        value = _clean_value(parse_json_answer(answer))
        errors = list(islice(schema.validator.iter_errors(value), _MAX_ERRORS_READ))
    except ValueError as exc:
        return Violations(lines=(f"The answer is not JSON: {exc}.",), broken=("it is no JSON",))
    except RecursionError:
        return Violations(lines=("The answer is nested too deeply: make it flatter.",), broken=("nested too deeply",))
    except Unresolvable as exc:
        raise SchemaError(f"response_schema refers to {shorten(repr(exc.ref))}, which is not in it.") from exc
    except TimeoutError as exc:
        raise SchemaError("A pattern in response_schema takes too long: write it without nested repeats.") from exc
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
    """Cleaned before it is checked: what was checked is what the caller gets."""
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
        within = _find_longest_json(body)
        if within is None:
            raise ValueError(_explain_error(exc, body)) from exc
        return within[0]


def _find_longest_json(text: str) -> tuple[JsonValue] | None:
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


def format_feedback(problems: Violations) -> str:
    """What a model is told whose answer was not accepted."""
    return (
        f"That answer was not accepted:\n{problems}\nAnswer again with the whole corrected JSON value and nothing else."
    )
