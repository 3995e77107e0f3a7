"""Changes of single members of a JSON file that keep every other character: comments, order and spacing.

Editors' settings hold comments and trailing commas, which `json` rejects and a rewrite would lose.
"""

from __future__ import annotations

import json

from mcp_router.operations.install.jsonc_parser import JsoncError, Node, parse_jsonc

__all__ = ["JsoncError", "Node", "parse_jsonc", "remove_member", "set_member"]


def set_member(text: str, path: tuple[str, ...], value: object) -> str:
    """Return the text with this member at that path; missing objects on the way are created.

    Raises:
        JsoncError: The text, or something on the way, is not a JSON object.
    """
    root = parse_jsonc(text)
    if root is None:
        return f"{text}{_detect_newline(text) if text.strip() else ''}{_dump(_nest(path, value), '', '  ', chr(10))}\n"
    node = root
    for depth, key in enumerate(path):
        if node.members is None:
            raise JsoncError(text, node.start, f"{'.'.join(path[:depth]) or 'the file'} is not an object")
        member = node.members.get(key)
        if member is None:
            return _insert(text, root, node, key, _nest(path[depth + 1 :], value))
        node = member.value
    indent = _indent_at(text, node.start)
    return (
        text[: node.start] + _dump(value, indent, _detect_indent(text, root), _detect_newline(text)) + text[node.end :]
    )


def remove_member(text: str, path: tuple[str, ...]) -> str:
    """Return the text without the member at this path, if there is one.

    Raises:
        JsoncError: The text is not a JSON object.
    """
    node = parse_jsonc(text)
    for key in path[:-1]:
        member = node.members.get(key) if node and node.members is not None else None
        node = member.value if member else None
    member = node.members.get(path[-1]) if node and node.members is not None else None
    if member is None:
        return text
    start, end = member.start, member.value.end
    if member.comma is not None:
        end = member.comma + 1
    elif member.comma_before is not None:
        text = text[: member.comma_before] + text[member.comma_before + 1 :]
        start, end = start - 1, end - 1
    return _cut_span(text, start, end)


def _cut_span(text: str, start: int, end: int) -> str:
    """Cut a span, and its line if nothing else is on it."""
    line_start = text.rfind("\n", 0, start) + 1
    alone_before = not text[line_start:start].strip(" \t")
    rest = text[end:]
    alone_after = rest.lstrip(" \t").startswith(("\n", "\r\n")) or not rest.strip()
    if alone_before and alone_after:
        kept = text[:line_start].rstrip("\r\n")
        return kept + rest.lstrip(" \t")
    return text[:start] + rest


def _insert(text: str, root: Node, node: Node, key: str, value: object) -> str:
    """Insert a member after the last one and the comments that follow it."""
    newline, unit = _detect_newline(text), _detect_indent(text, root)
    members = list((node.members or {}).values())
    last = max(members, key=lambda member: member.start, default=None)
    own_line = last is not None and not text[text.rfind("\n", 0, last.start) + 1 : last.start].strip()
    outer = _indent_at(text, node.start)
    indent = _indent_at(text, last.start) if last is not None and own_line else outer + unit
    written = f"{newline}{indent}{json.dumps(key)}: {_dump(value, indent, unit, newline)}"
    closing = node.end - 1
    tail = len(text[:closing].rstrip())
    # A line comment belongs to what precedes it: the brace must not end up inside it.
    after = text[tail:closing] if "\n" in text[tail:closing] else f"{newline}{outer}"
    if last is None:
        return text[:tail] + written + after + text[closing:]
    if last.comma is not None:
        return text[:tail] + written + "," + after + text[closing:]
    at = last.value.end
    return text[:at] + "," + text[at:tail] + written + after + text[closing:]


def _nest(path: tuple[str, ...], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _dump(value: object, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _detect_newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _detect_indent(text: str, root: Node) -> str:
    """Return the indentation of one level: that of the first member."""
    first = next(iter((root.members or {}).values()), None)
    return (_indent_at(text, first.start) if first else "") or "  "


def _indent_at(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]
