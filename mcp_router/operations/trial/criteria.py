"""Criteria of a trial that need no model: the expected answer, and the schema."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from mcp_router.errors import BadInputError
from mcp_router.execution.answer_check import parse_json_answer
from mcp_router.operations.trial.samples import Sample

if TYPE_CHECKING:
    from pydantic import JsonValue

JUDGE = "judge:"
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?%?")
_EDGES = " \t\n\"'`*.!"


def choose_criterion(named: str | None, samples: Sequence[Sample]) -> str:
    """Return the criterion of a trial: the one named, or `exact` or `schema` if every sample has what it needs.

    Raises:
        BadInputError: It is unknown, or a sample lacks what it needs.
    """
    if named is None:
        if all(sample.expected is not None for sample in samples):
            return "exact"
        if all(sample.response_schema is not None for sample in samples):
            return "schema"
        lacking = next(sample.line for sample in samples if sample.expected is None)
        raise BadInputError(f"line {lacking}: no expected answer and not every sample has a schema. Name --criterion.")
    if named == "exact" or (named.startswith(JUDGE) and named != JUDGE):
        needs, has = "expected", [sample.expected is not None for sample in samples]
    elif named == "schema":
        needs, has = "schema", [sample.response_schema is not None for sample in samples]
    else:
        raise BadInputError(f"--criterion {named}: unknown. Use exact, schema or judge:PROVIDER:MODEL.")
    if not all(has):
        line = samples[has.index(False)].line
        raise BadInputError(f"line {line}: {needs} is missing, and --criterion {named} needs it in every sample.")
    return named


def is_expected(answer: str, expected: object) -> bool:
    """Return whether an answer equals the expected one, both normalized; JSON values compare as values."""
    if isinstance(expected, str):
        return normalize(answer) == normalize(expected)
    try:
        return _comparable(parse_json_answer(answer)) == _comparable(json.loads(json.dumps(expected)))
    except ValueError:
        return normalize(answer) == normalize(json.dumps(expected))


def normalize(text: str) -> str:
    """Return a text without what does not change an answer.

    That is case, width of characters, runs of spaces, quotes and a full stop around it, and how a number is written.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)
    if _NUMBER.fullmatch(plain) is None:
        return plain
    percent = plain.endswith("%")
    try:
        number = Decimal(plain.removesuffix("%").replace(",", "")).normalize()
    except InvalidOperation:
        return plain
    return f"{number:f}{'%' if percent else ''}"


def _comparable(value: JsonValue) -> JsonValue:
    match value:
        case bool() | None:
            return f"<{value}>"  # True equals 1 in Python, but not in JSON
        case str():
            return normalize(value)
        case list():
            return [_comparable(one) for one in value]
        case dict():
            return {key: _comparable(one) for key, one in value.items()}
        case _:
            return value
