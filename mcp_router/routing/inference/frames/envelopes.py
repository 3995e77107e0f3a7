"""JSON and YAML documents around a task."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from mcp_router.routing.inference.frames.parts import MAX_DEPTH, Kind, Part, find_kind


def parse_json(text: str) -> list[Part]:
    """Return the parts of a JSON object; nothing if the text is not one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return list(_mapping_parts(cast("Mapping[str, object]", found), 0)) if isinstance(found, dict) else []


def _mapping_parts(found: Mapping[str, object], depth: int) -> Iterator[Part]:
    for name, value in found.items():
        kind = find_kind(name)
        if isinstance(value, str):
            if kind is None and " " not in value.strip():
                continue
            yield Part(kind, value, is_named=True)
        elif isinstance(value, dict) and kind != "surroundings" and depth < MAX_DEPTH:
            yield from _mapping_parts(cast("Mapping[str, object]", value), depth + 1)
        elif isinstance(value, list) and kind != "surroundings":
            yield from _list_parts(cast("Sequence[object]", value), kind, depth)


def _list_parts(values: Sequence[object], kind: Kind | None, depth: int) -> Iterator[Part]:
    turns = [cast("Mapping[str, object]", one) for one in values if isinstance(one, dict)]
    said = [turn for turn in turns if isinstance(turn.get("content"), str)]
    if said:
        users = [turn for turn in said if turn.get("role") == "user"] or said
        yield Part("task", str(users[-1]["content"]), is_named=True)
    elif turns and depth < MAX_DEPTH:
        yield Part(
            "material" if kind is None else kind,
            "\n".join(json.dumps(one, ensure_ascii=False) for one in turns),
            is_named=True,
        )
    elif texts := [str(one) for one in values if isinstance(one, str | int | float)]:
        yield Part("material" if kind is None else kind, ("\n" if kind == "task" else ", ").join(texts), is_named=True)


_YAML_KEY = re.compile(r"([^\W\d][\w .-]{0,30}):(?:[ \t]+(.*))?$")
_YAML_BLOCK = frozenset(("|", ">", "|-", ">-", "|+", ">+"))


def parse_yaml(text: str) -> list[Part]:
    """Read a document of keys and indented values, at least one of them a task; nothing if it is not one."""
    lines = text.split("\n")
    if lines and lines[0].strip() == "---":
        lines = lines[1:]
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if not line.strip() or line.strip() == "---":
            if found:
                found[-1][1].append("")
        elif line[:1] in " \t-":
            if not found:
                return []
            found[-1][1].append(line.strip())
        elif key := _YAML_KEY.match(line):
            value = (key[2] or "").strip().strip("\"'")
            found.append((key[1], [] if value in _YAML_BLOCK or not value else [value]))
        else:
            return []
    kinds: list[Kind | None] = [find_kind(name) for name, _ in found]
    names = [name for name, _ in found]
    if len(found) < 2 or "task" not in kinds or len(set(names)) < len(names):  # noqa: PLR2004 - one key is a label
        return []
    return [
        Part(kind, "\n".join(lines).strip(), is_named=True)
        for kind, (_, lines) in zip(kinds, found, strict=True)
        if kind is not None or any(" " in line for line in lines)
    ]
