"""Writes an answer to a file whole or not at all, and never over what changed meanwhile."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import anyio.to_thread

from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots
from mcp_router.files.safe_open import (
    Fingerprint,
    Folder,
    open_parent,
    read_fingerprint_in,
    refusal_from_os_error,
    require_regular_file,
    translate_os_errors,
)
from mcp_router.text import strip_controls

if sys.platform != "win32":
    import fcntl

_MAX_PREVIEW_CHARACTERS = 200
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_DRAFT_NAME = ".mcp-router-{}.tmp"
_MAX_STEM_BYTES = 200
_MAX_DRAFT_TRIES = 20


class FileChangedError(FileRefusedError):
    """Somebody else wrote the target while the call ran; the answer is not saved, and nothing there is lost."""

    kind = "file_changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What was written."""

    path: Path
    bytes: int
    lines: int
    preview: str
    """The beginning, at most 200 characters, cleaned of controls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    name: str
    file: FileIO


async def inspect_target(path: str, roots: Roots, *, base: Path) -> tuple[ResolvedPath, Fingerprint | None]:
    """Where an answer would be saved and what stands there now; ask when the call begins, before anything is spent.

    Raises:
        FileRefusedError: It is outside the roots, a folder, read-only, in a `.git` folder, or the server's own.
    """
    return await anyio.to_thread.run_sync(inspect_target_sync, path, roots, base)


def inspect_target_sync(path: str, roots: Roots, base: Path) -> tuple[ResolvedPath, Fingerprint | None]:
    """As `look`, in a worker thread.

    Raises:
        FileRefusedError: As `look`.
    """
    place = roots.resolve(path, base=base)
    if path.endswith(("/", os.sep)) or not place.parts:
        raise FileRefusedError(f"{place.name} is a folder: name a file in it to save to.")
    if any(part.lower() == ".git" for part in place.path.parts):
        raise FileRefusedError(f"{place.name} belongs to git itself, whose hooks are run: save elsewhere.")
    if roots.is_own(place):
        raise FileRefusedError(f"{place.name} is the server's own configuration or ledger: save elsewhere.")
    try:
        with open_parent(place) as folder:
            found = _stat_writable(folder, place) and read_fingerprint_in(folder, place)
    except FileNotFoundError:
        return place, None
    except IsADirectoryError as exc:
        raise FileRefusedError(f"{place.name} is a folder: name a file in it to save to.") from exc
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc
    return place, found


async def save(place: ResolvedPath, text: str, *, expect: Fingerprint | None, overwrite: bool = False) -> Saved:
    """Write a text to its place: parent folders are made, permissions kept, and a kill leaves the old file or the new.

    `expect` is what `look` found. With `overwrite` the file is replaced whatever became of it since.

    Raises:
        ChangedMeanwhileError: Something else stands there than `expect` says.
        FileRefusedError: It cannot be written: read-only, disk full, another call is writing it.
    """
    return await anyio.to_thread.run_sync(save_sync, place, text, expect, overwrite)


def save_sync(place: ResolvedPath, text: str, expect: Fingerprint | None, overwrite: bool) -> Saved:
    """As `save`, in a worker thread.

    Raises:
        FileRefusedError: As `save`.
    """
    data = encode_text(text)
    with translate_os_errors(place), open_parent(place, create=True) as folder, _open_draft(folder, place) as draft:
        before = _stat_writable(folder, place)
        if before is not None:
            # Before the first byte: what was not for all to read never is.
            _copy_ownership(draft.file.fileno(), before)
        rest = memoryview(data)
        while rest:
            rest = rest[draft.file.write(rest) :]
        os.fsync(draft.file.fileno())
        if sys.platform == "win32":
            draft.file.close()  # an open file cannot be renamed there
        _publish(folder, place, draft.name, None if overwrite else (expect,))
        if folder.fd is not None:
            with suppress(OSError):  # not every file system has it
                os.fsync(folder.fd)
    return Saved(
        path=place.path,
        bytes=len(data),
        lines=text.count("\n") + (text[-1:] not in {"", "\n"}),
        preview=_format_preview(text),
    )


def encode_text(text: str) -> bytes:
    """The bytes that are written: UTF-8, without what no encoding has."""
    return text.encode("utf-8", "replace")


def _stat_writable(folder: Folder, place: ResolvedPath) -> os.stat_result | None:
    try:
        status = folder.stat(place.parts[-1])
    except FileNotFoundError:
        return None
    require_regular_file(place, status)
    if not status.st_mode & 0o222:
        raise FileRefusedError(f"{place.name} is read-only: make it writable, or save elsewhere.")
    return status


def _copy_ownership(fd: int, before: os.stat_result) -> None:
    if sys.platform != "win32":
        with suppress(PermissionError):
            os.fchown(fd, before.st_uid, before.st_gid)
        os.fchmod(fd, stat.S_IMODE(before.st_mode) & 0o777)


@contextmanager
def _open_draft(folder: Folder, place: ResolvedPath) -> Generator[_Draft]:
    """A file beside the target, its name fixed by the target's, so that the next save clears what a kill left.

    Its lock tells the one from the other: a draft that can be locked is nobody's.
    """
    stem = place.parts[-1].encode("utf-8", "surrogateescape")[:_MAX_STEM_BYTES].decode("utf-8", "surrogateescape")
    name = _DRAFT_NAME.format(stem)
    for _ in range(_MAX_DRAFT_TRIES):
        try:
            fd = os.open(folder.at(name), _WRITE, 0o666, dir_fd=folder.fd)
        except FileExistsError:
            _remove_stale_draft(folder, name, place)
            continue
        if _try_lock(fd) and _is_at(fd, folder, name):
            break
        os.close(fd)
    else:
        raise _busy_error(place)
    with FileIO(fd, "w") as file:
        try:
            yield _Draft(name=name, file=file)
        except BaseException:
            with suppress(OSError):
                os.unlink(folder.at(name), dir_fd=folder.fd)
            raise


def _remove_stale_draft(folder: Folder, name: str, place: ResolvedPath) -> None:
    """Remove a draft that a killed process left."""
    with suppress(FileNotFoundError):
        fd = os.open(folder.at(name), os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=folder.fd)
        try:
            if not _try_lock(fd):
                raise _busy_error(place)
            if _is_at(fd, folder, name):
                os.unlink(folder.at(name), dir_fd=folder.fd)
        finally:
            os.close(fd)


def _try_lock(fd: int) -> bool:
    if sys.platform == "win32":
        return True  # an open file cannot be removed there: it is its own lock
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, folder: Folder, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), folder.stat(name))
    except FileNotFoundError:
        return False


def _busy_error(place: ResolvedPath) -> FileRefusedError:
    return FileRefusedError(f"Another call is saving {place.name} at this moment: save elsewhere, or try again.")


def _publish(folder: Folder, place: ResolvedPath, draft: str, expected: tuple[Fingerprint | None] | None) -> None:
    """Give the draft its name; `expected` is None where anything may be replaced."""
    target = place.parts[-1]
    if expected is not None and _has_changed(folder, place, expected[0]):
        raise _changed_error(place)
    if expected == (None,):
        try:
            # Unlike a rename, a link never replaces what appeared since the look.
            os.link(folder.at(draft), folder.at(target), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        except FileExistsError as exc:
            raise _changed_error(place) from exc
        except OSError:
            pass  # no links on this file system
        else:
            os.unlink(folder.at(draft), dir_fd=folder.fd)
            return
    os.replace(folder.at(draft), folder.at(target), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)


def _has_changed(folder: Folder, place: ResolvedPath, expect: Fingerprint | None) -> bool:
    try:
        now = read_fingerprint_in(folder, place)
    except FileNotFoundError:
        return False  # gone: nothing is lost by writing it
    # The time alone may change, by a checkout or a touch.
    return expect is None or now.sha256 != expect.sha256


def _changed_error(place: ResolvedPath) -> FileChangedError:
    return FileChangedError(
        f"{place.name} was changed by someone else while the call ran, and is left as it is: look at it first."
    )


def _format_preview(text: str) -> str:
    start = strip_controls(text[: 4 * _MAX_PREVIEW_CHARACTERS]).strip()
    return start if len(start) <= _MAX_PREVIEW_CHARACTERS else start[: _MAX_PREVIEW_CHARACTERS - 1] + "…"
