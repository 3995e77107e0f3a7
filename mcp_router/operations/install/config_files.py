"""A client's file: what would change in it, and changing it without losing anything."""

from __future__ import annotations

import difflib
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from mcp_router.errors import ConfigError
from mcp_router.operations.install import jsonc, toml_tables
from mcp_router.operations.install.entries import ServerEntry, find_changes, to_table
from mcp_router.operations.install.hosts import SERVER, Host
from providers.transport.redaction import redact

T = TypeVar("T")

_OWNERS_ONLY = 0o600
"""A new file may come to hold keys."""
_ADDRESSES = ("url", "httpUrl", "serverUrl")


class _NameTakenError(ValueError):
    """Our name stands for another kind of server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A file as it is and as it would be."""

    path: Path
    before: str | None
    """None where there is no file yet."""
    after: str | None
    """None where there will be no file any more."""

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.after != self.before


def plan_install(client: Host, path: Path, entry: ServerEntry) -> Change:
    """Put an entry into a client's file; what else the file and the entry say stays.

    Raises:
        ConfigError: The file cannot be read, or is malformed; the text names file and line.
    """
    before = _read(path)
    return Change(
        path=path, before=before, after=_translate_errors(path, lambda: _add_entry(client, before or "", entry))
    )


def plan_removal(client: Host, path: Path) -> Change:
    """Take our entry out of a client's file; a file that nobody changed since we wrote to it becomes what it was.

    Raises:
        ConfigError: The file cannot be read, or is malformed; the text names file and line.
    """
    before = _read(path)
    after = None if before is None else _translate_errors(path, lambda: _remove_entry(client, path, before))
    return Change(path=path, before=before, after=after)


def read_entry(client: Host, path: Path) -> ServerEntry | None:
    """Read our entry in a client's file; None where there is none.

    Raises:
        ConfigError: The file cannot be read, or is malformed; the text names file and line.
    """
    text = _read(path)
    if text is None:
        return None
    servers = to_table(_translate_errors(path, lambda: _parse(client, text)).get(client.table))
    if SERVER in servers and not isinstance(servers[SERVER], dict):
        raise ConfigError(f"{path}: {client.table}.{SERVER} is no entry: take it out by hand.")
    return to_table(servers[SERVER]) if SERVER in servers else None


def write_change(change: Change, now: datetime) -> Path | None:
    """Write a change at once or not at all, and return the backup of what was there.

    Raises:
        ConfigError: The file cannot be written, or somebody else wrote it meanwhile.
    """
    path = change.path.resolve()  # a link to a file kept elsewhere stays a link
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _read(path) != change.before:
            raise ConfigError(f"{path}: another program wrote it just now. Nothing was changed: run this again.")
        backup = _write_backup(path, now) if change.before is not None else None
        if change.after is None:
            path.unlink()
        else:
            _replace_file(path, change.after)
    except OSError as exc:
        raise ConfigError(f"{path}: it cannot be written ({exc.strerror or exc}). Nothing was changed.") from exc
    return backup


def format_diff(change: Change) -> str:
    """Show a change as a unified diff; what was in the file before is shown without its keys."""
    known = {line.strip().rstrip(",") for line in (change.before or "").splitlines()}
    return "\n".join(_redact_line(line, known) for line in _diff_lines(change))


def _diff_lines(change: Change) -> Iterator[str]:
    name = str(change.path)
    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    return difflib.unified_diff(before, after, name, name, n=2, lineterm="")


def _redact_line(line: str, known: set[str]) -> str:
    said = line[1:].strip()
    if line.startswith(("---", "+++", "@@")) or said.rstrip(",") not in known:
        return line
    return f"{line[: len(line) - len(line[1:].lstrip())]}{redact(said)}"


def _parse(client: Host, text: str) -> ServerEntry:
    if client.format == "toml":
        return toml_tables.parse_toml(text)
    root = jsonc.parse_jsonc(text)
    return to_table(root.value) if root else {}


def _add_entry(client: Host, text: str, entry: ServerEntry) -> str:
    servers = to_table(_parse(client, text).get(client.table))
    if SERVER not in servers:
        if client.format == "toml":
            return toml_tables.set_entry(text, client.table, SERVER, entry)
        return jsonc.set_member(text, (client.table, SERVER), entry)
    ours = to_table(servers[SERVER])
    if url := next((str(ours[key]) for key in _ADDRESSES if key in ours), None):
        raise _NameTakenError(f"{client.table}.{SERVER} is a server at {url}; with --uninstall it goes")
    lacking = find_changes(entry, ours)
    if client.format == "toml":
        return toml_tables.set_entry(text, client.table, SERVER, lacking) if lacking else text
    for key, value in lacking.items():
        text = jsonc.set_member(text, (client.table, SERVER, key), value)
    return text


def _remove_entry(client: Host, path: Path, text: str) -> str | None:
    """What the file would be without us, down to the byte where a backup shows it; None where it was made for us."""
    ours = to_table(_parse(client, text).get(client.table)).get(SERVER)
    if ours is None:
        return text
    earlier = list(_list_earlier_texts(client, path))
    for was in earlier or [None]:
        if isinstance(ours, dict) and _add_entry(client, was or "", to_table(ours)) == text:  # pyright: ignore[reportUnknownArgumentType] -- read from a file
            return was
    if client.format == "toml":
        return toml_tables.remove_entry(text, client.table, SERVER)
    alone = len(to_table(_parse(client, text)[client.table])) == 1
    emptied = alone and not any(client.table in _parse(client, was) for was in earlier[:1])
    return jsonc.remove_member(text, (client.table,) if emptied else (client.table, SERVER))


def _list_earlier_texts(client: Host, path: Path) -> Iterator[str]:
    """What backups hold from before we were in the file, newest first; one that cannot be read tells nothing."""
    path = path.resolve()
    backups = path.parent.glob(f"{glob.escape(path.name)}.*.bak")
    for backup in sorted(backups, key=lambda one: one.stat().st_mtime, reverse=True):
        try:
            text = backup.read_bytes().decode("utf-8")
            servers = to_table(_parse(client, text).get(client.table))
        except (OSError, UnicodeDecodeError, jsonc.JsoncError, toml_tables.TomlError):
            continue
        if SERVER not in servers:
            yield text


def _translate_errors(path: Path, act: Callable[[], T]) -> T:
    try:
        return act()
    except (jsonc.JsoncError, toml_tables.TomlError, _NameTakenError) as exc:
        raise ConfigError(f"{path}: {exc}. Nothing was changed: mend the file, then run this again.") from exc


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: it cannot be read ({exc}). Nothing was changed.") from exc


def _write_backup(path: Path, now: datetime) -> Path:
    stem = f"{path.name}.{now:%Y%m%d-%H%M%S}"
    names = (f"{stem}{f'-{number}' if number else ''}.bak" for number in range(1000))
    backup = next(one for name in names if not (one := path.with_name(name)).exists())
    shutil.copy2(path, backup)
    return backup


def _replace_file(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else _OWNERS_ONLY)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
