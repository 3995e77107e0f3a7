"""Texts of background work: one folder for each task below the data folder, readable by the user alone.

They are there until the task expires, whether or not `store_text` is set. The ledger has no prompt and no answer.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread

from mcp_router.settings import data_folder

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_SAFE = re.compile(r"[0-9A-Za-z_-]{1,100}(\.json)?")
_MAX_FILE_BYTES = 256 * 1024 * 1024


def background_folder(database_url: str) -> Path:
    """Return the folder of a ledger's background work."""
    parts = urlsplit(database_url)
    where = f"{parts.scheme}:{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"  # not the password
    return data_folder() / "background" / hashlib.sha256(where.encode()).hexdigest()[:12]


class TaskFiles:
    """The folders of one ledger's tasks on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, task_id: str, name: str, content: bytes) -> None:
        """Write a file of a task; when this returns, it is on the disk.

        Raises:
            OSError: The disk is full, or the folder is not writable.
        """
        await to_thread.run_sync(_write, self._place(task_id), _check(name), content)

    async def read(self, task_id: str, name: str) -> bytes | None:
        """Return a file of a task; None if there is none on this machine."""
        return await to_thread.run_sync(_read, self._place(task_id) / _check(name))

    async def read_all(self, task_id: str, prefix: str) -> dict[str, bytes]:
        """Return the files of a task whose name has a prefix, by name."""
        return await to_thread.run_sync(lambda: dict(_read_all(self._place(task_id), prefix)))

    async def has(self, task_id: str, name: str) -> bool:
        """Whether this machine has a file of a task."""
        return await to_thread.run_sync((self._place(task_id) / _check(name)).is_file)

    async def delete(self, task_id: str) -> None:
        """Delete all files of a task."""
        await to_thread.run_sync(partial(shutil.rmtree, self._place(task_id), ignore_errors=True))

    async def delete_except(self, task_id: str, kept: str) -> None:
        """Delete all files of a task but one."""
        await to_thread.run_sync(_delete_except, self._place(task_id), _check(kept))

    async def has_any(self) -> bool:
        """Whether this machine has files of any task."""
        return bool(await to_thread.run_sync(_list_names, self._folder))

    async def list_older(self, before: float) -> list[str]:
        """Return the ids of tasks whose folder did not change since a time, in seconds since the epoch."""
        return await to_thread.run_sync(_list_older, self._folder, before)

    def _place(self, task_id: str) -> Path:
        return self._folder / _check(task_id)


def _check(name: str) -> str:
    """Return a name that stays inside its folder.

    Raises:
        ValueError: It does not: a bug, because every name is this program's own.
    """
    if not _SAFE.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of a task or of its file")
    return name


def _write(folder: Path, name: str, content: bytes) -> None:
    for place in (folder.parent, folder):  # `parents` would be created with the default mode
        place.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / name)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError:
        return None


def _read_all(folder: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    for name in _list_names(folder):
        if name.startswith(prefix) and (content := _read(folder / name)) is not None:
            yield name, content


def _list_names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if _SAFE.fullmatch(entry.name))
    except OSError:
        return []


def _list_older(folder: Path, before: float) -> list[str]:
    found: list[str] = []
    for name in _list_names(folder):
        with suppress(OSError):
            if (folder / name).stat().st_mtime < before:
                found.append(name)
    return found


def _delete_except(folder: Path, kept: str) -> None:
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name != kept:
                Path(entry.path).unlink()
