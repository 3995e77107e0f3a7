"""Puts an answer where a check command can read it, and takes it away again."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcp_router.files.roots import FileRefusedError, ResolvedPath
from mcp_router.files.safe_open import Folder, open_parent, translate_os_errors

if sys.platform != "win32":
    import fcntl

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_BACKUP_NAME = ".{}.before-check"
_ABSENT_NAME = ".{}.absent-before-check"
"""Marks a target that did not exist, so that a killed check's answer is not taken for it."""


@contextmanager
def put_sibling(place: ResolvedPath, data: bytes) -> Generator[Path]:
    """Write an answer beside its target under a name of its own with the same suffixes; removed at the end.

    Raises:
        FileRefusedError: It cannot be written.
    """
    made = _list_missing_folders(place)
    name = _sibling_name(place.parts[-1])
    try:
        with translate_os_errors(place), open_parent(place, create=True) as folder:
            _write(folder, name, data)
            try:
                yield folder.path / name
            finally:
                with suppress(FileNotFoundError):  # the command can have removed it
                    os.unlink(folder.at(name), dir_fd=folder.fd)
    finally:
        for path in made:
            with suppress(OSError):  # not empty: the command left something
                path.rmdir()


@contextmanager
def swap_in(place: ResolvedPath, data: bytes) -> Generator[Path]:
    """Give the target an answer's content, and its own content back at the end.

    The original waits as `.NAME.before-check`. After a kill the next check puts it back first.

    Raises:
        FileRefusedError: It cannot be written, or another process checks the same file.
    """
    made = _list_missing_folders(place)
    target, backup = place.parts[-1], _BACKUP_NAME.format(place.parts[-1])
    try:
        with translate_os_errors(place), open_parent(place, create=True) as folder:
            _restore_stale(folder, place, target, backup)
            with _backed_up(folder, target, backup):
                _write(folder, target, data)
                yield folder.path / target
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


@contextmanager
def _backed_up(folder: Folder, target: str, backup: str) -> Generator[None]:
    lock = -1
    try:
        os.rename(folder.at(target), folder.at(backup), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        lock = _open_locked(folder, backup)
    except FileNotFoundError:
        absent = _ABSENT_NAME.format(target)
        os.close(os.open(folder.at(absent), _WRITE & ~os.O_EXCL, 0o666, dir_fd=folder.fd))
    try:
        yield
    finally:
        if lock >= 0:
            os.replace(folder.at(backup), folder.at(target), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
            os.close(lock)
        else:
            for name in (target, _ABSENT_NAME.format(target)):
                with suppress(FileNotFoundError):
                    os.unlink(folder.at(name), dir_fd=folder.fd)


def _restore_stale(folder: Folder, place: ResolvedPath, target: str, backup: str) -> None:
    """Put back the original that a killed check left, or remove the answer that it left where there was none."""
    with suppress(FileNotFoundError):
        os.unlink(folder.at(_ABSENT_NAME.format(target)), dir_fd=folder.fd)
        os.unlink(folder.at(target), dir_fd=folder.fd)
    try:
        lock = _open_locked(folder, backup)
    except FileNotFoundError:
        return
    except BlockingIOError as exc:
        raise FileRefusedError(
            f"Another check of {place.name} is running: try again after it.", path=place.name
        ) from exc
    os.close(lock)
    os.replace(folder.at(backup), folder.at(target), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)


def _open_locked(folder: Folder, name: str) -> int:
    """Open and lock a file: the lock of a killed process is free.

    Raises:
        BlockingIOError: Another process has it.
    """
    fd = os.open(folder.at(name), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=folder.fd)
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise
    return fd


def _write(folder: Folder, name: str, data: bytes) -> None:
    fd = os.open(folder.at(name), _WRITE, 0o666, dir_fd=folder.fd)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def _sibling_name(name: str) -> str:
    """Return a name that tools treat like the target's: same suffixes, and a valid module name if that is one."""
    stem, dot, suffixes = name.partition(".") if not name.startswith(".") else (name, "", "")
    return f"{stem}_check_{secrets.token_hex(4)}{dot}{suffixes}"


def _list_missing_folders(place: ResolvedPath) -> list[Path]:
    """Return the target's folders that do not exist yet, innermost first."""
    folders = [place.root.joinpath(*place.parts[:count]) for count in range(len(place.parts) - 1, 0, -1)]
    return [folder for folder in folders if not folder.exists()]
