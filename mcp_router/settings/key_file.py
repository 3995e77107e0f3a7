"""The key file: API keys and tokens as `NAME=value` lines, in a file that only its owner can read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from mcp_router.errors import ConfigError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES = 1_000_000


def read_key_file(path: Path, where: str) -> dict[str, str]:
    """Return the variables of a key file; `where` is the beginning of an error. Values may be quoted.

    Raises:
        ConfigError: It cannot be read, others can read it, or a line is not an assignment. No text has a value.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        reason = (exc.strerror or "input/output error").lower()
        raise ConfigError(f"{where} = {path}: cannot be read: {reason}. Create it with mode 600.") from exc
    if os.name == "posix" and mode & _OTHERS:
        raise ConfigError(
            f"{where} = {path}: has mode {stat.S_IMODE(mode):o}, so others can use it. Run `chmod 600 {path}`."
        )
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{where} = {path}: has more than {_MAX_BYTES:,} bytes. Name a file of NAME=value lines.")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeError as exc:
        raise ConfigError(f"{where} = {path}: is not UTF-8. Save it as UTF-8.") from exc
    return _parse_lines(lines, path)


def _parse_lines(lines: list[str], path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ConfigError(f"{path}, line {number}: must be NAME=value.", path=path, line=number)
        name, value = match[1], match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found
