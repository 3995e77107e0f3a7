"""What a call says besides its words: the answer's schema, the kinds of its files, the size of its answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import cast

Hints = dict[str, float]
"""By label, what to add to its score."""

_SURE, _LIKELY, _MAYBE = 3.0, 1.5, 0.8
_FEW_TOKENS, _SHORT_TOKENS = 16, 80
_MAX_LABELS_SHOWN = 40
_MAX_DEPTH = 3

_FIELDS: Mapping[str, frozenset[str]] = {
    "code_generation": frozenset(("code", "patch", "diff", "sql", "script", "regex", "function", "test", "tests")),
    "analysis": frozenset(("steps", "proof", "calculation", "equation", "sum", "working")),
    "summarization": frozenset(("summary", "tldr", "abstract", "key_points", "highlights", "bullets", "headline")),
}
"""Fields that say what an answer is."""
_CODE_SUFFIXES = frozenset(
    [
        ".py",
        ".js",
        ".ts",
        ".tsx",
        ".jsx",
        ".go",
        ".rs",
        ".java",
        ".kt",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".cs",
        ".rb",
        ".php",
        ".swift",
        ".scala",
        ".sh",
        ".ps1",
        ".sql",
        ".html",
        ".css",
        ".vue",
        ".svelte",
        ".lua",
        ".r",
        ".jl",
        ".ex",
        ".exs",
        ".clj",
        ".hs",
        ".ml",
        ".toml",
        ".yaml",
        ".yml",
        ".tf",
        ".dockerfile",
        ".gradle",
        ".cmake",
        ".ipynb",
        ".proto",
    ]
)
_TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".xlsx", ".xls", ".parquet", ".ods"))
_PROSE_SUFFIXES = frozenset((".pdf", ".docx", ".doc", ".odt", ".rtf", ".eml", ".msg", ".vtt", ".srt", ".epub"))


def hints_from(
    *,
    schema: Mapping[str, object] | None = None,
    file_names: Iterable[str] = (),
    max_output_tokens: int | None = None,
) -> Hints:
    """Return what the shape of a call adds to the score of each label."""
    found: Hints = {}
    if schema is not None:
        _add(found, _of_schema(schema))
    _add(found, _of_files(file_names))
    if max_output_tokens is not None and max_output_tokens <= _FEW_TOKENS:
        _add(found, {"classification": _MAYBE, "simple": _LIKELY, "code_generation": -_MAYBE, "summarization": -_MAYBE})
    elif max_output_tokens is not None and max_output_tokens <= _SHORT_TOKENS:
        _add(found, {"simple": _MAYBE})
    return found


def _add(to: Hints, more: Mapping[str, float]) -> None:
    for label, score in more.items():
        to[label] = to.get(label, 0.0) + score


def _of_schema(schema: Mapping[str, object]) -> Hints:
    if _is_choice(schema):
        return {"classification": _SURE, "code_generation": -_LIKELY}
    fields = _fields(schema)
    names = {name.lower() for name in fields}
    named = next((label for label, known in _FIELDS.items() if names & known), None)
    if named is not None:
        return {named: _LIKELY}
    if fields and any(_is_choice(field) for field in fields.values()) and len(fields) <= 3:  # noqa: PLR2004 - a label, why, how sure
        return {"classification": _LIKELY}
    if len(fields) >= 2:  # noqa: PLR2004 - one field says nothing
        return {"summarization": _SURE, "code_generation": -_LIKELY, "conversation": -_MAYBE}
    return {}


def _is_choice(schema: Mapping[str, object], depth: int = 0) -> bool:
    """Return whether an answer picks from what the schema lists: one label, a truth value, or a list of such."""
    if depth > _MAX_DEPTH:
        return False
    if isinstance(choices := schema.get("enum"), list):
        return len(cast("list[object]", choices)) <= _MAX_LABELS_SHOWN
    if schema.get("type") == "boolean" or "const" in schema:
        return True
    if isinstance(items := schema.get("items"), dict):
        return _is_choice(cast("Mapping[str, object]", items), depth + 1)
    fields = _fields(schema)
    return bool(fields) and all(_is_choice(field, depth + 1) for field in fields.values())


def _fields(schema: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    found = schema.get("properties")
    if not isinstance(found, dict):
        return {}
    fields = cast("dict[str, object]", found)
    return {name: cast("Mapping[str, object]", field) for name, field in fields.items() if isinstance(field, dict)}


def _of_files(names: Iterable[str]) -> Hints:
    kinds = [PurePath(name).suffix.lower() for name in names]
    kinds = [kind for kind in kinds if kind]
    if not kinds:
        return {}
    shares = {
        "code_generation": sum(kind in _CODE_SUFFIXES for kind in kinds),
        "analysis": sum(kind in _TABLE_SUFFIXES for kind in kinds),
        "summarization": sum(kind in _PROSE_SUFFIXES for kind in kinds),
    }
    return {label: _MAYBE * share / len(kinds) for label, share in shares.items() if share}


def describe_schema(schema: Mapping[str, object]) -> str:
    """Return in a few words what a schema asks for."""
    if _is_choice(schema):
        return "a choice"
    names = list(_fields(schema))
    return f"fields {', '.join(json.dumps(name) for name in names[:5])}" if names else "no fields"
