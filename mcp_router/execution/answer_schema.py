"""Makes a caller's JSON Schema ready to check answers, and refuses one that nothing could be checked against."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import regex
from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import SchemaError as InvalidSchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]  # its stubs say nothing
from pydantic import JsonValue
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY, Schema

from mcp_router.errors import BadInputError

_MAX_CHARACTERS = 64_000
_MAX_DEPTH = 64
_MAX_HOPS = 64
_MAX_NAME_REPEATS = 2
_PATTERN_TIMEOUT_S = 0.2
_SHOWN_CHARACTERS = 60
_SHOWN_MESSAGE = 240

_DATA_KEYWORDS = frozenset({"const", "enum", "default", "example", "examples"})
_MAP_KEYWORDS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS: dict[str, type[Validator]] = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    _DEFAULT_DRAFT: Draft202012Validator,
}
_EXAMPLE = '{"type":"object","properties":{…},"required":[…]}'


class SchemaError(BadInputError):
    """A response schema that no answer can be checked against; the text says where and why."""

    kind = "bad_schema"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSchema:
    """A JSON Schema made ready to check answers."""

    document: Mapping[str, object]
    validator: Validator


def compile_schema(document: object) -> AnswerSchema:
    """Make a schema ready, once for all the answers of a call.

    Raises:
        SchemaError: It is malformed, too large, or refers to another document, which is never fetched.
    """
    schema = _parse_document(document)
    nodes = list(_walk_schemas(schema))
    kind = _find_draft(schema)
    try:
        kind.check_schema(schema)
    except InvalidSchemaError as exc:
        raise SchemaError(f"response_schema is malformed at {format_path(exc)}: {format_message(exc)}.") from exc
    for node in nodes:
        _refuse_bad_patterns(node)
    _refuse_unknown_references(schema, nodes)
    with_timeout = cast("type[Validator]", extend(kind, {"pattern": _check_pattern}))
    # The library's own registry would fetch what a $ref names.
    return AnswerSchema(document=schema, validator=with_timeout(schema, registry=EMPTY_REGISTRY))


def _parse_document(document: object) -> dict[str, object]:
    if not isinstance(document, Mapping):
        raise SchemaError(f"response_schema must be a JSON object such as {_EXAMPLE}, not {shorten(repr(document))}.")
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False)
        text.encode()  # half a character, which JSON can write and no vendor takes
    except (TypeError, ValueError, RecursionError) as exc:
        raise SchemaError(f"response_schema is not JSON: {shorten(str(exc))}.") from exc
    if len(text) > _MAX_CHARACTERS:
        raise SchemaError(f"response_schema has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are taken.")
    return json.loads(text)


def _find_draft(schema: Mapping[str, object]) -> type[Validator]:
    named = schema.get("$schema", _DEFAULT_DRAFT)
    known = _DRAFTS.get(named.removesuffix("#")) if isinstance(named, str) else None
    if known is None:
        raise SchemaError(
            f"Unknown $schema in response_schema: {shorten(repr(named))}. There are: {', '.join(_DRAFTS)}."
        )
    return known


def _walk_schemas(document: dict[str, object]) -> Iterator[dict[str, object]]:
    """Every schema in a schema, but not what only looks like one: data, or a map from names to schemas."""
    waiting: list[tuple[int, object, bool]] = [(0, document, False)]
    while waiting:
        depth, node, is_map = waiting.pop()
        if depth > _MAX_DEPTH:
            raise SchemaError(f"response_schema is nested deeper than {_MAX_DEPTH} levels: make it flatter.")
        if isinstance(node, list):
            waiting += [(depth + 1, one, False) for one in cast("list[object]", node)]
        elif isinstance(node, dict):
            inner = cast("dict[str, object]", node)  # it came from JSON
            if not is_map:
                yield inner
            waiting += [
                (depth + 1, one, not is_map and key in _MAP_KEYWORDS)
                for key, one in inner.items()
                if is_map or key not in _DATA_KEYWORDS
            ]


def _refuse_bad_patterns(node: dict[str, object]) -> None:
    patterns = [one] if isinstance(one := node.get("pattern"), str) else []
    names = node.get("patternProperties")
    for name in cast("dict[str, object]", names) if isinstance(names, dict) else ():
        # The library matches names with `re`, which no timeout stops.
        if regex.search(r"\)[*+{]", name) or len(regex.findall(r"[*+{]", name)) > _MAX_NAME_REPEATS:
            raise SchemaError(f"patternProperties {shorten(repr(name))} repeats too much: write a simpler pattern.")
        patterns.append(name)
    for pattern in patterns:
        try:
            regex.compile(pattern)
        except regex.error as exc:
            raise SchemaError(f"response_schema has a bad pattern, {shorten(repr(pattern))}: {exc}.") from exc


def _refuse_unknown_references(schema: dict[str, object], nodes: list[dict[str, object]]) -> None:
    if any("$id" in node for node in nodes if node is not schema):
        # What it refers to depends on where it stands; the validator will find out.
        return
    resource = DRAFT202012.create_resource(cast("Schema", schema))
    resolver = EMPTY_REGISTRY.resolver_with_root(resource)
    for node in nodes:
        target: Schema = cast("Schema", node)
        for hop in range(_MAX_HOPS + 1):
            reference = None if isinstance(target, bool) else target.get("$ref")
            if not isinstance(reference, str):
                break
            if hop == _MAX_HOPS:
                raise SchemaError(f"response_schema refers to itself without end at $ref {shorten(repr(reference))}.")
            try:
                target = resolver.lookup(reference).contents
            except Unresolvable as exc:
                raise SchemaError(
                    f"response_schema refers to {shorten(repr(reference))}, which is not in it and is never fetched: "
                    'put it under "$defs" and write "#/$defs/…".'
                ) from exc


def _check_pattern(validator: Validator, pattern: str, instance: JsonValue, _: object) -> Iterator[ValidationError]:
    """As the library's own, but one that backtracks without end is stopped: `TimeoutError`."""
    if validator.is_type(instance, "string") and not regex.search(pattern, str(instance), timeout=_PATTERN_TIMEOUT_S):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def format_path(error: ValidationError | InvalidSchemaError) -> str:
    """Where in the document it is, as `$.items[2].name`."""
    steps = (
        "." + step if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in error.absolute_path
    )
    return shorten("$" + "".join(steps), 2 * _SHOWN_CHARACTERS)


def format_message(error: ValidationError | InvalidSchemaError) -> str:
    """What is wrong with it, on one line, whatever the length of the value it is wrong with."""
    value = repr(error.instance)
    return shorten(error.message.replace(value, shorten(value)), _SHOWN_MESSAGE)


def shorten(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
