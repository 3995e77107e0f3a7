"""Parser of JSON with comments and trailing commas that records positions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null")
_MAX_DEPTH = 200
_STRINGS = json.JSONDecoder(strict=False)


class JsoncError(ValueError):
    """Text that is not a JSON object, with line and column."""

    def __init__(self, text: str, position: int, what: str) -> None:
        """Create the error; `what` describes what is wrong at this position."""
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}: {what}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A value with its position."""

    start: int
    end: int
    value: object
    members: dict[str, Member] | None = None
    """By key; None if the value is not an object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A key and its value in an object."""

    start: int
    value: Node
    comma: int | None = None
    """Position of the comma after it."""
    comma_before: int | None = None


def parse_jsonc(text: str) -> Node | None:
    """Parse an object; return None if there are only blanks and comments.

    Raises:
        JsoncError: The text is anything else.
    """
    start = _skip_blanks(text, 0)
    if start == len(text):
        return None
    if text[start] != "{":
        raise JsoncError(text, start, "expected an object")
    node = _parse_value(text, start, 0)
    end = _skip_blanks(text, node.end)
    if end != len(text):
        raise JsoncError(text, end, "unexpected text after the end")
    return node


def _parse_value(text: str, start: int, depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise JsoncError(text, start, f"nested deeper than {_MAX_DEPTH} levels")
    match text[start : start + 1]:
        case "{":
            return _parse_object(text, start, depth)
        case "[":
            return _parse_array(text, start, depth)
        case '"':
            value, end = _parse_string(text, start)
            return Node(start=start, end=end, value=value)
        case _:
            return _parse_scalar(text, start)


def _parse_object(text: str, start: int, depth: int) -> Node:
    members: dict[str, Member] = {}
    before: int | None = None
    at = _skip_blanks(text, start + 1)
    while text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise JsoncError(text, at, 'expected a name in double quotes or "}"')
        key, colon = _parse_string(text, at)
        colon = _skip_blanks(text, colon)
        if text[colon : colon + 1] != ":":
            raise JsoncError(text, colon, 'expected ":"')
        node = _parse_value(text, _skip_blanks(text, colon + 1), depth + 1)
        after = _skip_blanks(text, node.end)
        comma = after if text[after : after + 1] == "," else None
        members[key] = Member(start=at, value=node, comma=comma, comma_before=before)
        at, before = _find_next(text, after, comma, "}"), comma
    value = {key: member.value.value for key, member in members.items()}
    return Node(start=start, end=at + 1, value=value, members=members)


def _parse_array(text: str, start: int, depth: int) -> Node:
    items: list[object] = []
    at = _skip_blanks(text, start + 1)
    while text[at : at + 1] != "]":
        node = _parse_value(text, at, depth + 1)
        items.append(node.value)
        after = _skip_blanks(text, node.end)
        at = _find_next(text, after, after if text[after : after + 1] == "," else None, "]")
    return Node(start=start, end=at + 1, value=items)


def _find_next(text: str, after: int, comma: int | None, closing: str) -> int:
    """Return where the next member or the closing bracket is."""
    if comma is not None:
        return _skip_blanks(text, comma + 1)
    if text[after : after + 1] != closing:
        raise JsoncError(text, after, f'expected "," or "{closing}"')
    return after


def _parse_string(text: str, start: int) -> tuple[str, int]:
    try:
        value, end = _STRINGS.raw_decode(text, start)
    except json.JSONDecodeError as exc:
        raise JsoncError(text, exc.pos, exc.msg.lower()) from exc
    return str(value), end


def _parse_scalar(text: str, start: int) -> Node:
    found = _SCALAR.match(text, start)
    if found is None:
        raise JsoncError(text, start, "expected a value")
    try:
        return Node(start=start, end=found.end(), value=json.loads(found.group()))
    except json.JSONDecodeError as exc:
        raise JsoncError(text, start, f"{found.group()} is not a number") from exc


def _skip_blanks(text: str, start: int) -> int:
    """Return the position after blanks and comments."""
    found = _BLANK.match(text, start)
    end = found.end() if found else start
    if text.startswith("/*", end):
        raise JsoncError(text, end, "unterminated comment")
    return end
