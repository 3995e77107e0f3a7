"""Conversion of arguments from the forms in which hosts send them to the forms that the tools declare."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import cast

from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.text import replace_surrogates, strip_controls

Json = dict[str, object]

_MAX_DEPTH = 256
_MAX_INTEGER_BITS = 1024  # beyond it no float and no vendor can hold the number
_MAX_NAME_CHARS = 40
_MAX_NUMBER_CHARS = 40
_MIN_PART_CHARS = 4
_MIN_SIMILARITY = 0.8
_BLANK = ("", "null")
"""Values of a name or path that mean: left out."""
_SYNONYMS: Mapping[str, str] = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "json_schema": "response_schema",
    "response_format": "response_schema",
    "output_schema": "response_schema",
    "system_prompt": "system",
    "system_message": "system",
    "provider": "model",
    "path": "files",
    "paths": "files",
    "output_file": "save_to",
    "output_path": "save_to",
    "name": "provider",
    "level": "complexity",
    "task_type": "use_case",
}
"""Names that other routers and agents use for an argument of ours."""


def coerce_arguments(given: object, known: Collection[str], *, tool: str) -> tuple[Json, tuple[str, ...]]:
    """Return the arguments in their declared forms, and the names of those that the tool ignores.

    Raises:
        BadInputError: The arguments are not an object, or a value is nested too deeply or is no JSON value.
        UnknownNameError: An unknown argument resembles a known one.
    """
    arguments = _parse_object(given)
    taken: Json = {}
    ignored: list[str] = []
    for name, value in arguments.items():
        if value is None:
            continue
        if name not in known:
            if (meant := _find_resembling(name, known)) is not None:
                raise _to_unknown_name(name, meant, tool=tool)
            ignored.append(strip_controls(replace_surrogates(name))[:_MAX_NAME_CHARS])
            continue
        repaired = _repair(value, name, depth=0)
        converted = _CONVERSIONS[name](repaired) if name in _CONVERSIONS else repaired
        if converted is not None:
            taken[name] = converted
    return _drop_empty_alternative(taken), tuple(ignored)


def _parse_object(given: object) -> Mapping[str, object]:
    if given is None:
        return {}
    value = _parse_json(given, dict)
    if not isinstance(value, dict):
        raise BadInputError("arguments: must be a JSON object.")
    return cast("Json", value)


def _to_unknown_name(name: str, meant: str, *, tool: str) -> UnknownNameError:
    shown = strip_controls(replace_surrogates(name))[:_MAX_NAME_CHARS]
    return UnknownNameError(f"argument of {tool}", shown, (), hint=f"Use {meant}.")


def _find_resembling(name: str, known: Collection[str]) -> str | None:
    """Return the known argument that an unknown name is a spelling, a part, an extension or a synonym of."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[: 2 * _MAX_NAME_CHARS]).lower().replace("-", "_")
    if snake in known:
        return snake
    if (synonym := _SYNONYMS.get(snake)) in known:
        return synonym
    if len(snake) < _MIN_PART_CHARS:
        return None
    for one in known:
        if one.startswith(snake) or one.endswith(f"_{snake}") or snake.startswith(f"{one}_"):
            return one
    return next(iter(get_close_matches(snake, known, n=1, cutoff=_MIN_SIMILARITY)), None)


def _repair(value: object, name: str, *, depth: int) -> object:
    """Replace lone surrogates in every text; reject what JSON cannot hold."""
    if depth > _MAX_DEPTH:
        raise BadInputError(f"{name}: nested deeper than {_MAX_DEPTH} levels.")
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        raise BadInputError(f"{name}: contains an integer of more than {_MAX_INTEGER_BITS} bits.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInputError(f"{name}: contains a number that is not finite.")
    if isinstance(value, dict):
        pairs = cast("Json", value)
        return {replace_surrogates(key): _repair(one, name, depth=depth + 1) for key, one in pairs.items()}
    if isinstance(value, list):
        return [_repair(one, name, depth=depth + 1) for one in cast("list[object]", value)]
    return value


def _parse_json(value: object, kind: type | tuple[type, ...]) -> object:
    """Return the list or object that a string spells in JSON, or the value itself."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, kind) else value


def _to_texts(value: object) -> object:
    """Return a list of texts. A string that is no JSON list of strings is a list of one: paths can begin with `[`."""
    if not isinstance(value, str):
        return value
    if value.strip() in _BLANK:
        return None
    parsed = _parse_json(value, list)
    texts = cast("list[object]", parsed) if isinstance(parsed, list) else []
    return texts if texts and all(isinstance(one, str) for one in texts) else [value]


def _to_messages(value: object) -> object:
    """Return a list of messages; a text alone is one message of the user."""
    parsed = _parse_json(value, (list, dict))
    if isinstance(parsed, str) and parsed.strip() in _BLANK:
        return None
    items = cast("list[object]", parsed) if isinstance(parsed, list) else [parsed]
    return [_to_message(_parse_json(item, dict)) for item in items]


def _to_message(item: object) -> object:
    return {"role": "user", "content": item} if isinstance(item, str) else item


def _to_schema(value: object) -> object:
    if isinstance(value, str) and value.strip() in _BLANK:
        return None
    return _repair(_parse_json(value, dict), "response_schema", depth=0)


def to_boolean(value: object) -> object:
    """Return the boolean that a string spells; None if it is blank; any other value as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    return None if text in _BLANK else {"true": True, "false": False}.get(text, value)


def _to_number(value: object) -> object:
    """Return the number that a string spells, for example `0.2` or `$0.01`."""
    if isinstance(value, bool):
        return str(value)  # pydantic would take it for 0 or 1
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("$")
    if text.lower() in _BLANK:
        return None
    return _parse_number(text) if len(text) <= _MAX_NUMBER_CHARS else value


def _parse_number(text: str) -> object:
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def _to_name(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in _BLANK:
        return None
    return value.strip() if isinstance(value, str) else value


def _to_choice(value: object) -> object:
    """Return a name of an enum as it is declared: `Code Generation` is `code_generation`."""
    name = _to_name(value)
    return re.sub(r"[\s-]+", "_", name.lower()) if isinstance(name, str) else name


def _drop_empty_alternative(taken: Json) -> Json:
    """Leave out an empty `prompt` or `messages` if the other one is given: hosts fill in every field."""
    if taken.get("messages") == [] and "prompt" in taken:
        return {name: value for name, value in taken.items() if name != "messages"}
    prompt = taken.get("prompt")
    if taken.get("messages") and isinstance(prompt, str) and not prompt.strip():
        return {name: value for name, value in taken.items() if name != "prompt"}
    return taken


_CONVERSIONS: Mapping[str, Callable[[object], object]] = {
    "files": _to_texts,
    "messages": _to_messages,
    "response_schema": _to_schema,
    "per_file": to_boolean,
    "resume": to_boolean,
    "overwrite": to_boolean,
    "stream": to_boolean,
    "max_output_tokens": _to_number,
    "max_cost_usd": _to_number,
    "temperature": _to_number,
    "limit": _to_number,
    "before": _to_number,
    "use_case": _to_choice,
    "complexity": _to_choice,
    "budget_tier": _to_choice,
    "period": _to_choice,
    "group_by": _to_choice,
    "model": _to_name,
    "provider": _to_name,
    "save_to": _to_name,
    "conversation_id": _to_name,
    "call_id": _to_name,
}
