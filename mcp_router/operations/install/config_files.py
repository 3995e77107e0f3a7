"""Changes to a host's configuration file that lose nothing else in it."""

from __future__ import annotations

import difflib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mcp_router.errors import ConfigError
from mcp_router.operations.install import jsonc, toml_tables
from mcp_router.operations.install.entries import ServerEntry, find_changes, to_table
from mcp_router.operations.install.hosts import SERVER, Host
from providers.transport.redaction import redact

T = TypeVar("T")

_NEW_FILE_MODE = 0o600
"""Users write keys into these files."""
_MAX_BYTES = 100_000_000
_URL_KEYS = ("url", "httpUrl", "serverUrl")
_BACKUP_SUFFIX = ".llm-router.bak"


class _NameTakenError(ValueError):
    """Another kind of server has our name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """A file before and after."""

    path: Path
    before: str | None
    """None if there is no file yet."""
    after: str | None
    """None if the file is to be deleted."""
    keeps_backup: bool = False
    """Whether the backup that is there holds the file from before our entry."""

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.after != self.before


def plan_install(host: Host, path: Path, entry: ServerEntry) -> FileChange:
    """Add our entry to a host's file, or update it; the rest of the file and of the entry stays.

    Raises:
        ConfigError: The file is unreadable or malformed; the text names file and line.
    """
    before = _read(path)
    after = _translate_errors(path, lambda: _add_entry(host, before or "", entry))
    return FileChange(path=path, before=before, after=after, keeps_backup=_keeps_backup(host, path, before))


def plan_removal(host: Host, path: Path) -> FileChange:
    """Remove our entry from a host's file; a file that is unchanged since we wrote it becomes what it was.

    Raises:
        ConfigError: The file is unreadable or malformed; the text names file and line.
    """
    before = _read(path)
    after = None if before is None else _translate_errors(path, lambda: _remove_entry(host, path, before))
    return FileChange(path=path, before=before, after=after, keeps_backup=_keeps_backup(host, path, before))


def plan_entry(path: Path, table: str, name: str, entry: ServerEntry) -> FileChange:
    """Set keys of `[table.name]` in a TOML file; everything else in it stays.

    Raises:
        ConfigError: The file is unreadable or malformed.
    """
    before = _read(path)
    after = _translate_errors(path, lambda: toml_tables.set_entry(before or "", table, name, entry))
    return FileChange(path=path, before=before, after=after)


def read_entry(host: Host, path: Path) -> ServerEntry | None:
    """Return our entry in a host's file, or None.

    Raises:
        ConfigError: The file is unreadable or malformed; the text names file and line.
    """
    text = _read(path)
    if text is None:
        return None
    servers = to_table(_translate_errors(path, lambda: _parse(host, text)).get(host.table))
    if SERVER in servers and not isinstance(servers[SERVER], dict):
        raise ConfigError(f"{path}: {host.table}.{SERVER} is not a table. Remove it by hand.")
    return to_table(servers[SERVER]) if SERVER in servers else None


def write_change(change: FileChange) -> Path | None:
    """Write a change atomically, and return the backup of the file from before our entry, if there is one.

    Raises:
        ConfigError: The file cannot be written, or another program has written it.
    """
    path = change.path.resolve()  # a symbolic link stays one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _read(path) != change.before:
            raise ConfigError(f"{path}: changed by another program. Nothing was written. Run this again.")
        backup = _write_backup(path, keep=change.keeps_backup) if change.before is not None else None
        if change.after is None:
            path.unlink()
        else:
            _replace_file(path, change.after)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written ({exc.strerror or exc}). Nothing was changed.") from exc
    return backup


def format_diff(change: FileChange) -> str:
    """Format a change as a unified diff, with keys redacted in lines that were in the file before."""
    known = {line.strip().rstrip(",") for line in (change.before or "").splitlines()}
    return "\n".join(_redact_line(line, known) for line in _diff_lines(change))


def _diff_lines(change: FileChange) -> Iterator[str]:
    name = str(change.path)
    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    return difflib.unified_diff(before, after, name, name, n=2, lineterm="")


def _redact_line(line: str, known: set[str]) -> str:
    content = line[1:].strip()
    if line.startswith(("---", "+++", "@@")) or content.rstrip(",") not in known:
        return line
    return f"{line[: len(line) - len(line[1:].lstrip())]}{redact(content)}"


def _parse(host: Host, text: str) -> ServerEntry:
    if host.format == "toml":
        return toml_tables.parse_toml(text)
    root = jsonc.parse_jsonc(text)
    return to_table(root.value) if root else {}


def _add_entry(host: Host, text: str, entry: ServerEntry) -> str:
    servers = to_table(_parse(host, text).get(host.table))
    if SERVER not in servers:
        if host.format == "toml":
            return toml_tables.set_entry(text, host.table, SERVER, entry)
        return jsonc.set_member(text, (host.table, SERVER), entry)
    ours = to_table(servers[SERVER])
    if url := next((str(ours[key]) for key in _URL_KEYS if key in ours), None):
        raise _NameTakenError(f"{host.table}.{SERVER} is a server at {url}. --uninstall removes it")
    missing = find_changes(entry, ours)
    if host.format == "toml":
        return toml_tables.set_entry(text, host.table, SERVER, missing) if missing else text
    for key, value in missing.items():
        text = jsonc.set_member(text, (host.table, SERVER, key), value)
    return text


def _remove_entry(host: Host, path: Path, text: str) -> str | None:
    """Return the file without our entry, to the byte if the backup shows it; None if we created the file."""
    ours = to_table(_parse(host, text).get(host.table)).get(SERVER)
    if ours is None:
        return text
    earlier = _read_backup(host, path)
    if isinstance(ours, dict) and _add_entry(host, earlier or "", to_table(ours)) == text:  # pyright: ignore[reportUnknownArgumentType] -- read from a file
        return earlier
    if host.format == "toml":
        return toml_tables.remove_entry(text, host.table, SERVER)
    alone = len(to_table(_parse(host, text)[host.table])) == 1
    created_table = alone and earlier is not None and host.table not in _parse(host, earlier)
    created_table = created_table or (alone and earlier is None)
    return jsonc.remove_member(text, (host.table,) if created_table else (host.table, SERVER))


def _keeps_backup(host: Host, path: Path, before: str | None) -> bool:
    """Return whether our entry is in the file and the backup is from before it."""
    if before is None or _read_backup(host, path) is None:
        return False
    return SERVER in to_table(_translate_errors(path, lambda: _parse(host, before)).get(host.table))


def _read_backup(host: Host, path: Path) -> str | None:
    """Return the file from before our entry as the backup holds it, or None."""
    try:
        text = _backup_path(path.resolve()).read_bytes().decode("utf-8")
        servers = to_table(_parse(host, text).get(host.table))
    except (OSError, UnicodeDecodeError, jsonc.JsoncError, toml_tables.TomlError):
        return None
    return None if SERVER in servers else text


def _backup_path(path: Path) -> Path:
    return path.with_name(path.name + _BACKUP_SUFFIX)


def _translate_errors(path: Path, act: Callable[[], T]) -> T:
    try:
        return act()
    except (jsonc.JsoncError, toml_tables.TomlError, _NameTakenError) as exc:
        raise ConfigError(f"{path}: {exc}. Nothing was changed. Fix the file, then run this again.") from exc


def _read(path: Path) -> str | None:
    """Read a regular file without waiting on a pipe or a device.

    Raises:
        ConfigError: It is not a regular UTF-8 file of at most 100 MB.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc}). Nothing was changed.") from exc
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"{path}: is not a regular file. Nothing was changed. Move it away, then run this again.")
        if info.st_size > _MAX_BYTES:
            raise ConfigError(f"{path}: {info.st_size:,} bytes, must be at most {_MAX_BYTES:,}. Nothing was changed.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read().decode("utf-8")
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8 text. Nothing was changed.") from exc
    finally:
        os.close(descriptor)


def _write_backup(path: Path, *, keep: bool) -> Path:
    backup = _backup_path(path)
    if not keep:
        shutil.copy2(path, backup)
    return backup


def _replace_file(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else _NEW_FILE_MODE)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
