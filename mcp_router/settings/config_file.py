"""Reading a TOML file: text in any encoding that editors write, and errors that name the file, the line and the key."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from mcp_router.errors import ConfigError

T = TypeVar("T", bound=BaseModel)

_ENCODINGS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAX_SHOWN_CHARACTERS = 80
_EXPECTED = {
    "greater_than_equal": "must be at least {}",
    "greater_than": "must be greater than {}",
    "less_than_equal": "must be at most {}",
    "less_than": "must be less than {}",
    "literal_error": "must be {}",
    "string_pattern_mismatch": "must match {}",
    "finite_number": "must be a finite number",
    "too_short": "must not be empty",
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "bool": "must be true or false",
    "string": "must be a text in quotes",
    "tuple": "must be a list: [...]",
    "list": "must be a list: [...]",
    "dict": "must be a table",
    "model": "must be a table",
}
"""By the beginning of pydantic's name for a problem; {} is its limit."""
_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]\]?")
_ASSIGNMENT = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")
_POSITION = re.compile(r" \(at line (\d+), column \d+\)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigFile:
    """A TOML file, parsed, with its text to find lines in."""

    path: Path
    text: str
    table: Mapping[str, object]

    def locate(self, *keys: str) -> str:
        """Return where a key is, for the beginning of an error: `config.toml, line 3: budgets.daily_usd`."""
        line = find_line(self.text, keys)
        where = f"{self.path}, line {line}" if line is not None else str(self.path)
        return f"{where}: {'.'.join(keys)}" if keys else where


def read_config_file(path: Path) -> ConfigFile:
    """Read a TOML file in UTF-8, or in the encoding that its byte order mark names.

    Raises:
        ConfigError: It is missing, not readable or not TOML.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(f"{path} does not exist. Create it, or name another file.", path=path) from exc
    except IsADirectoryError as exc:
        raise ConfigError(f"{path} is a folder. Name a file.", path=path) from exc
    except OSError as exc:
        reason = (exc.strerror or "input/output error").lower()
        raise ConfigError(
            f"{path} cannot be read: {reason}. Change its permissions, or name another.", path=path
        ) from exc
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeError as exc:
        raise ConfigError(f"{path} is not text in UTF-8. Save it as UTF-8.", path=path) from exc
    try:
        return ConfigFile(path=path, text=text, table=tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise _syntax_error(path, str(exc)) from exc
    except RecursionError as exc:
        raise ConfigError(f"{path} is nested too deeply. Write tables with headers.", path=path) from exc


def _syntax_error(path: Path, message: str) -> ConfigError:
    position = _POSITION.search(message)
    line = int(position[1]) if position else None
    what = message.removesuffix(position[0]) if position else message.removesuffix(" (at end of document)")
    where = f"{path}, line {line}" if line is not None else f"{path}, last line"
    return ConfigError(f"{where}: not valid TOML: {what[:1].lower()}{what[1:]}.", path=path, line=line)


def find_line(text: str, keys: Sequence[str]) -> int | None:
    """Return the line of a key, counted from 1; of the table it is in if the key itself is not in the text."""
    wanted = list(keys)
    best: tuple[int, int] | None = None
    header: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = _HEADER.match(line)
        if found is not None:
            header = _split_key(found[1])
            here = header
        elif (found := _ASSIGNMENT.match(line)) is not None:
            here = [*header, *_split_key(found[1])]
        else:
            continue
        if wanted[: len(here)] == here and (best is None or len(here) > best[0]):
            best = len(here), number
    return best[1] if best is not None else None


def _split_key(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_KEY, dotted)]


def validate_file(kind: type[T], file: ConfigFile, list_keys: Callable[[tuple[str, ...]], Sequence[str]]) -> T:
    """Return the file's content as a model; `list_keys` returns the keys that a table can have.

    Raises:
        ConfigError: A key or value is wrong; one line for each.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(file.table))
    except ValidationError as exc:
        problems = [_Problem.from_pydantic(dict(error)) for error in exc.errors(include_url=False)]
        lines = dict.fromkeys(problem.format(file, list_keys) for problem in problems)
        first = problems[0].keys
        raise ConfigError(
            "\n".join(lines), path=file.path, line=find_line(file.text, first), key=".".join(first)
        ) from exc


@dataclass(frozen=True, kw_only=True, slots=True)
class _Problem:
    """One wrong key or value."""

    keys: tuple[str, ...]
    kind: str
    value: object
    limits: Mapping[str, object]
    message: str

    @classmethod
    def from_pydantic(cls, error: Mapping[str, object]) -> _Problem:
        """Take apart an error of pydantic's."""
        location, context = error["loc"], error.get("ctx")
        return cls(
            keys=tuple(map(str, location)) if isinstance(location, tuple) else (),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- pydantic's `loc` is an untyped tuple
            kind=str(error["type"]),
            value=error.get("input"),
            limits=context if isinstance(context, dict) else {},  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- so is its `ctx`
            message=str(error["msg"]),
        )

    def format(self, file: ConfigFile, list_keys: Callable[[tuple[str, ...]], Sequence[str]]) -> str:
        """Return the problem as one line: where, the value, what is expected."""
        # A wrong member of a union is reported at a key that pydantic makes up.
        keys = tuple(key for key in self.keys if re.fullmatch(r"[\w .:~/\\-]+", key) and not key.startswith("dict["))
        if self.kind == "extra_forbidden":
            known = ", ".join(list_keys(keys[:-1]))
            return f"{file.locate(*keys)}: there is no such key. The keys here are: {known}."
        if self.kind == "missing":
            return f"{file.locate(*keys)}: must be set."
        return f"{file.locate(*keys)} = {_format_value(self.value)}: {self._expect()}."

    def _expect(self) -> str:
        if self.kind == "value_error":
            return self.message.removeprefix("Value error, ")
        bound = next(iter(self.limits.values()), "")
        found = next((text for kind, text in _EXPECTED.items() if self.kind.startswith(kind)), "must be another value")
        return found.format(bound)


def _format_value(value: object) -> str:
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = f'"{value}"'
        case dict():
            text = "{...}"
        case list() | tuple():
            text = "[...]"
        case _:
            text = str(value)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[: _MAX_SHOWN_CHARACTERS - 1]}…"
