"""Reads JSON with comments and commas at the end, and remembers where everything stood."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null")
_MAX_DEPTH = 200
_STRINGS = json.JSONDecoder(strict=False)


class JsoncError(ValueError):
    """Text that is no JSON object; says in which line."""

    def __init__(self, text: str, position: int, what: str) -> None:
        """`what` says what is wrong at this position."""
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}: {what}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A value and where it stands."""

    start: int
    end: int
    value: object
    members: dict[str, Member] | None = None
    """By key; None where it is no object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A key and its value in an object."""

    start: int
    value: Node
    comma: int | None = None
    """Where the comma behind it stands."""
    comma_before: int | None = None


def parse_jsonc(text: str) -> Node | None:
    """Read an object; None where there is nothing but blanks and comments.

    Raises:
        JsoncError: It is something else.
    """
    start = _skip_blanks(text, 0)
    if start == len(text):
        return None
    if text[start] != "{":
        raise JsoncError(text, start, "an object was expected")
    node = _parse_value(text, start, 0)
    end = _skip_blanks(text, node.end)
    if end != len(text):
        raise JsoncError(text, end, "there is something behind the end")
    return node


def _parse_value(text: str, start: int, depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise JsoncError(text, start, "it is nested too deeply")
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
            raise JsoncError(text, at, 'a name in double quotes or "}" was expected')
        key, colon = _parse_string(text, at)
        colon = _skip_blanks(text, colon)
        if text[colon : colon + 1] != ":":
            raise JsoncError(text, colon, 'a ":" was expected')
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
    """Where the next member starts, or the closing bracket stands."""
    if comma is not None:
        return _skip_blanks(text, comma + 1)
    if text[after : after + 1] != closing:
        raise JsoncError(text, after, f'a "," or "{closing}" was expected')
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
        raise JsoncError(text, start, "a value was expected")
    try:
        return Node(start=start, end=found.end(), value=json.loads(found.group()))
    except json.JSONDecodeError as exc:
        raise JsoncError(text, start, f"{found.group()} is no number") from exc


def _skip_blanks(text: str, start: int) -> int:
    """Behind blanks and comments."""
    found = _BLANK.match(text, start)
    end = found.end() if found else start
    if text.startswith("/*", end):
        raise JsoncError(text, end, "the comment has no end")
    return end
