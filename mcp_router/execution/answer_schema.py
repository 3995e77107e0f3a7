"""A caller's JSON Schema, made ready to check answers; one that nothing could be checked against is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import regex
from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY, Schema

from mcp_router.errors import BadInputError
from mcp_router.execution.schema_keywords import (
    bound_validator,
    check_deadline,
    is_bounded_pattern,
    is_plain_pattern,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

_MAX_CHARACTERS = 64_000
_MAX_INLINE_CHARACTERS = 16_000
"""Characters of the longest schema that is checked within the server's own process."""
_MAX_DEPTH = 64
_MAX_RULES_PER_VALUE = 20_000
"""Schemas that apply to one value, each counted as often as references lead to it."""
_SHOWN_CHARACTERS = 60
_SHOWN_MESSAGE = 240

_DATA_KEYWORDS = frozenset({"const", "enum", "default", "example", "examples"})
_MAP_KEYWORDS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_IN_PLACE_KEYWORDS = ("$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas apply to the same value."""
_UNBOUNDED_KEYWORDS = frozenset({"unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"})
"""Keywords that the library follows in loops of its own, which no deadline ends."""
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
    validator: Validator | None
    """None if it can take long, so that only a child process may check with it."""


def compile_schema(document: object) -> AnswerSchema:
    """Make a schema ready, once for all the answers of a call.

    Raises:
        SchemaError: It is malformed, too large, endless, or refers to another document, which is never fetched.
        WorkLimitError: It takes too long.
    """
    schema = parse_document(document)
    nodes = list(_walk_schemas(schema))
    draft = _bounded_draft(_find_draft(schema))
    for error in draft(draft.META_SCHEMA).iter_errors(cast("JsonValue", schema)):
        raise SchemaError(f"response_schema is malformed at {format_path(error)}: {format_message(error)}.")
    for node in nodes:
        _refuse_bad_patterns(node)
    _refuse_bad_references(schema, nodes)
    # The library's own registry would fetch what a $ref names.
    return AnswerSchema(document=schema, validator=draft(schema, registry=EMPTY_REGISTRY))


def is_ordinary(document: object) -> bool:
    """Return whether a schema takes little time to compile, and its checks can be bounded.

    Raises:
        SchemaError: It is not a schema of an acceptable size.
    """
    schema = parse_document(document)
    return len(json.dumps(schema)) <= _MAX_INLINE_CHARACTERS and all(map(_is_ordinary_node, _walk_schemas(schema)))


def _is_ordinary_node(node: dict[str, object]) -> bool:
    pattern, names = node.get("pattern"), node.get("patternProperties")
    return (
        not _UNBOUNDED_KEYWORDS & node.keys()
        and (not isinstance(pattern, str) or is_bounded_pattern(pattern))
        # The library matches names with `re`, which no timeout ends.
        and (not isinstance(names, dict) or all(map(is_plain_pattern, cast("dict[str, object]", names))))
    )


@lru_cache
def _bounded_draft(kind: type[Validator]) -> type[Validator]:
    return bound_validator(kind)


def parse_document(document: object) -> dict[str, object]:
    """Return a copy of a schema.

    Raises:
        SchemaError: It is not a JSON object, or is too large.
    """
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
    """Yield every schema in a schema, but not what only looks like one: data, or a map from names to schemas."""
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
    patterns += cast("dict[str, object]", names) if isinstance(names, dict) else ()
    for pattern in patterns:
        try:
            regex.compile(pattern)
        except regex.error as exc:
            raise SchemaError(f"response_schema has a bad pattern, {shorten(repr(pattern))}: {exc}.") from exc


def _refuse_bad_references(schema: dict[str, object], nodes: list[dict[str, object]]) -> None:
    if any("$id" in node for node in nodes if node is not schema):
        # What it refers to depends on where it stands; the validator will find out.
        return
    references = _References(schema)
    for node in nodes:
        references.count_rules(node)


class _References:
    """The schemas that apply to the same value as each schema of a document."""

    def __init__(self, schema: dict[str, object]) -> None:
        self._resolver = EMPTY_REGISTRY.resolver_with_root(DRAFT202012.create_resource(cast("Schema", schema)))
        self._targets: dict[str, object] = {}
        self._rules: dict[int, int] = {}
        """By the identity of a schema: how many apply to one value, itself included; 0 while they are counted."""

    def count_rules(self, start: dict[str, object]) -> None:
        """Count the schemas that apply to the value of one, each as often as it is reached.

        Raises:
            SchemaError: They are too many or endless, or a reference leads nowhere.
        """
        stack = [start]
        while stack:
            check_deadline()
            node = stack[-1]
            inner = list(self._list_in_place(node))
            if id(node) not in self._rules:
                self._rules[id(node)] = 0
                stack += [one for one in inner if self._is_uncounted(one)]
                continue
            stack.pop()
            if not self._rules[id(node)]:
                total = 1 + sum(self._rules[id(one)] for one in inner)
                if total > _MAX_RULES_PER_VALUE:
                    raise SchemaError(
                        f"response_schema applies more than {_MAX_RULES_PER_VALUE:,} rules to one value by its $refs: "
                        "refer to each schema once."
                    )
                self._rules[id(node)] = total

    def _is_uncounted(self, node: dict[str, object]) -> bool:
        rules = self._rules.get(id(node))
        if rules == 0:
            reference = shorten(repr(node.get("$ref", "#")))
            raise SchemaError(f"response_schema refers to itself without end at $ref {reference}.")
        return rules is None

    def _list_in_place(self, node: dict[str, object]) -> Iterator[dict[str, object]]:
        for keyword in _IN_PLACE_KEYWORDS:
            value = node.get(keyword)
            if keyword == "$ref" and isinstance(value, str):
                value = self._find(value)
            many = cast("list[object]", value) if isinstance(value, list) else [value]
            if keyword == "dependentSchemas" and isinstance(value, dict):
                many = list(cast("dict[str, object]", value).values())
            yield from (cast("dict[str, object]", one) for one in many if isinstance(one, dict))

    def _find(self, reference: str) -> object:
        if reference not in self._targets:
            check_deadline()
            try:
                self._targets[reference] = self._resolver.lookup(reference).contents
            except Unresolvable as exc:
                raise SchemaError(
                    f"response_schema refers to {shorten(repr(reference))}, which is not in it and is never fetched: "
                    'put it under "$defs" and write "#/$defs/…".'
                ) from exc
        return self._targets[reference]


def format_path(error: ValidationError) -> str:
    """Format where in the document an error is, as `$.items[2].name`."""
    steps = (
        "." + step if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in error.absolute_path
    )
    return shorten("$" + "".join(steps), 2 * _SHOWN_CHARACTERS)


def format_message(error: ValidationError) -> str:
    """Format an error on one line, whatever the length of the value."""
    value = repr(error.instance)
    return shorten(error.message.replace(value, shorten(value)), _SHOWN_MESSAGE)


def shorten(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
