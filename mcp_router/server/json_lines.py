"""Lines of JSON-RPC over stdio: each becomes a message, or the errors that answer it."""

from __future__ import annotations

import json
import re
from typing import cast

import mcp_types as types
from pydantic import ValidationError

from mcp_router.text import replace_surrogates

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_NUMBER_DIGITS = 400
_MAX_DEPTH = 900  # below Python's recursion limit, which a deeper message would reach further in
_LEXEME = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[{}\[\]:,]|[^\s{}\[\]:,"]++', re.DOTALL)


def parse_line(line: bytes) -> types.JSONRPCMessage | tuple[types.JSONRPCError, ...]:
    """Return the message on a line, or the errors to answer it with; nothing for a blank line."""
    content = line.removeprefix(_BYTE_ORDER_MARK).strip()
    if not content:
        return ()
    try:
        message = types.jsonrpc_message_adapter.validate_json(content, by_name=False)
    except ValidationError:
        return _parse_leniently(content.decode("utf-8", "replace").strip("\ufeff\0 \t\r"))
    if isinstance(message, types.JSONRPCNotification) and b'"id"' in content:
        return _parse_leniently(content.decode("utf-8", "replace"))
    return message


def reject_long_line(head: bytes, max_bytes: int) -> types.JSONRPCError:
    """Return the answer to a line of more than `max_bytes`, of which only the beginning is known."""
    text = head.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
    return _to_error(types.INVALID_REQUEST, f"message is longer than {max_bytes:,} bytes", _find_id(text))


def _parse_leniently(text: str) -> types.JSONRPCMessage | tuple[types.JSONRPCError, ...]:
    """Parse what JSON allows and pydantic does not: half of a surrogate pair, deep nesting, long numbers."""
    try:
        value = _replace_surrogates(json.loads(text, parse_int=_parse_integer), depth=0)
    except (ValueError, RecursionError) as exc:
        return (_to_error(types.PARSE_ERROR, f"not JSON that this server can read: {exc}", _find_id(text)),)
    if isinstance(value, list):
        members = cast("list[object]", value)
        ids = [one for one in map(_get_id, members) if one is not None]
        problem = "batches are not supported: send one message a line"
        return tuple(_to_error(types.INVALID_REQUEST, problem, one) for one in ids or [None])
    return _to_message(value)


def _to_message(value: object) -> types.JSONRPCMessage | tuple[types.JSONRPCError, ...]:
    try:
        message = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return (_to_error(types.INVALID_REQUEST, _find_problem(value), _get_id(value)),)
    if isinstance(message, types.JSONRPCNotification) and isinstance(value, dict) and "id" in value:
        return (_to_error(types.INVALID_REQUEST, "id must be a string or an integer", None),)
    return message


def _find_problem(value: object) -> str:
    if not isinstance(value, dict):
        return "a message must be a JSON object"
    fields = cast("dict[str, object]", value)
    if fields.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if "method" not in fields:
        return "method is missing"
    if not isinstance(fields["method"], str):
        return "method must be a string"
    return "params must be an object" if "params" in fields else "id must be a string or an integer"


def _to_error(code: int, problem: str, request_id: types.RequestId | None) -> types.JSONRPCError:
    name = "Parse error" if code == types.PARSE_ERROR else "Invalid Request"
    return types.JSONRPCError(
        jsonrpc="2.0", id=request_id, error=types.ErrorData(code=code, message=f"{name}: {problem}.")
    )


def _get_id(value: object) -> types.RequestId | None:
    """Return the id of a request; None for a response, whose id is the server's own."""
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    found = None if "result" in fields or "error" in fields else fields.get("id")
    return found if isinstance(found, str) or (isinstance(found, int) and not isinstance(found, bool)) else None


def _find_id(text: str) -> types.RequestId | None:
    """Return the `id` of an object that cannot be parsed whole, or None if it has no valid one."""
    depth, key, after_colon = 0, "", False
    for match in _LEXEME.finditer(text):
        lexeme = match[0]
        if lexeme in "{[":
            depth += 1
        elif lexeme in "}]":
            depth -= 1
        elif depth == 1 and lexeme == ":":
            after_colon = True
            continue
        elif depth == 1 and lexeme != ",":
            if after_colon and key == '"id"':
                return _parse_id(lexeme)
            key = lexeme
        after_colon = False
    return None


def _parse_id(lexeme: str) -> types.RequestId | None:
    try:
        return _get_id({"id": _replace_surrogates(json.loads(lexeme, parse_int=_parse_integer), depth=0)})
    except ValueError:
        return None


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_NUMBER_DIGITS else float("inf")


def _replace_surrogates(value: object, *, depth: int) -> object:
    """Return a JSON value whose texts have U+FFFD in place of each half of a cut surrogate pair.

    Raises:
        ValueError: The value is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return {
            str(_replace_surrogates(key, depth=depth + 1)): _replace_surrogates(one, depth=depth + 1)
            for key, one in pairs.items()
        }
    if isinstance(value, list):
        return [_replace_surrogates(one, depth=depth + 1) for one in cast("list[object]", value)]
    return value
