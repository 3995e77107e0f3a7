"""An object around a JSON schema whose root is not an object, for vendors that accept only objects.

https://developers.openai.com/api/docs/guides/structured-outputs
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast

from providers.transport.payload import to_list, to_mapping

_KEY = "answer"
_DEFINITIONS = ("$defs", "definitions")
_ROOT_COMBINATIONS = {"anyOf", "oneOf", "allOf", "not", "enum", "const", "$ref", "if"}
"""Vendors reject these keywords at the root."""
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL)
_VALUE = re.compile(rf'\s*\{{\s*"{_KEY}"\s*:\s*')


def is_object_schema(schema: Mapping[str, object]) -> bool:
    """Return whether the root of a schema is a plain object."""
    return schema.get("type") == "object" and not _ROOT_COMBINATIONS & set(schema)


def has_root_reference(schema: object) -> bool:
    """Return whether a schema refers to its own root, which a wrapper would move."""
    if isinstance(schema, Mapping | dict):
        node = to_mapping(cast("object", schema))
        return node.get("$ref") == "#" or any(map(has_root_reference, node.values()))
    return any(map(has_root_reference, to_list(schema)))


def wrap_schema(schema: Mapping[str, object]) -> dict[str, object]:
    """Return the schema of an object whose only property satisfies the given schema."""
    inner = {key: value for key, value in schema.items() if key not in {*_DEFINITIONS, "$schema", "$id"}}
    wrapper: dict[str, object] = {
        "type": "object",
        "properties": {_KEY: inner},
        "required": [_KEY],
        "additionalProperties": False,
    }
    return wrapper | {key: schema[key] for key in _DEFINITIONS if key in schema}


def unwrap_answer(text: str) -> str:
    """Return the JSON text of the wrapped value, or the text itself if it is not wrapped."""
    fenced = _FENCE.fullmatch(text)
    body = text if fenced is None else fenced[1]
    start = _VALUE.match(body)
    if start is None:
        return text
    try:
        whole = to_mapping(json.loads(body))
        _, end = json.JSONDecoder().raw_decode(body, start.end())
    except (ValueError, RecursionError):
        return text
    return body[start.end() : end] if set(whole) == {_KEY} else text
