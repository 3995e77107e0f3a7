"""The form of an answer in which two models' answers are compared: labels, letters, numbers, short facts, JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from mcp_router.execution.answer_check import parse_json_answer

if TYPE_CHECKING:
    from pydantic import JsonValue

_MAX_CHARACTERS = 400
"""A longer answer is prose: it equals nothing."""
_MAX_READ_CHARACTERS = 20_000
_FINAL = re.compile(
    r"(?:\banswer|\bresult|\bréponse|\bantwort|\brespuesta|答案)\b"
    r"[^\S\n]*(?:is|est|ist|es|是)?[^\S\n]*[:=]?(.{1,400})$",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_WORDS = re.compile(r"[^\W\d_]+(?:[\s-]+[^\W\d_]+)*")
"""Labels and names, in which case says nothing; in a literal it does."""
_MAX_DIGITS = 60
_AROUND = " \t\n\r*_`\"'\u201c\u201d\u2018\u2019\u00ab\u00bb.,;:!?\u3002\uff0c\uff01\uff1f"
"""Quotes and punctuation that can stand around an answer."""


def to_comparable(text: str, *, is_json: bool) -> str | None:
    """Return what an answer says, so that equal answers give equal strings; None for prose and empty answers."""
    text = text[-_MAX_READ_CHARACTERS:].strip()
    if is_json:
        try:
            return json.dumps(_normalize_value(parse_json_answer(text)), sort_keys=True, ensure_ascii=False)
        except (ValueError, RecursionError):
            return None
    final = _find_final(text)
    return None if len(final) > _MAX_CHARACTERS else _normalize(final) or None


def _find_final(text: str) -> str:
    """Return the final answer of a text that works towards it; the whole text if it is short."""
    boxed = _BOXED.findall(text)
    if boxed:
        return boxed[-1]
    lines = [line for line in text.split("\n") if line.strip(_AROUND)]
    last = lines[-1].strip() if lines else ""
    stated = _FINAL.search(last.strip(_AROUND))
    return stated[1] if stated is not None else text


def _normalize(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip(_AROUND)
    if (letter := _LETTER.fullmatch(plain)) is not None:
        return letter[1].lower()
    if _NUMBER.fullmatch(plain) is not None:
        return _normalize_number(plain)
    words = " ".join(plain.split())
    return words.casefold() if _WORDS.fullmatch(words) is not None else words


def _normalize_number(text: str) -> str:
    if len(text) > _MAX_DIGITS:
        return text
    try:
        return format(Decimal(text.replace(",", "")).normalize(), "f")
    except InvalidOperation:
        return text


def _normalize_value(value: JsonValue) -> JsonValue:
    match value:
        case bool() | None:
            return value
        case int() | float():
            return _normalize_number(str(value)) if len(str(value)) <= _MAX_DIGITS else str(value)
        case str():
            return _normalize(value)
        case list():
            return [_normalize_value(one) for one in value]
        case dict():
            return {key: _normalize_value(one) for key, one in value.items()}
