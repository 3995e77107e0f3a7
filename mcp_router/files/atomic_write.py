"""Writing a file whole or not at all: a locked draft beside the target takes its name."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO

from mcp_router.files.roots import FileRefusedError, ResolvedPath
from mcp_router.files.safe_open import (
    Fingerprint,
    Folder,
    open_parent,
    read_fingerprint_in,
    require_regular_file,
    translate_os_errors,
)

if sys.platform != "win32":
    import fcntl

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_DRAFT_NAME = ".mcp-router-{}.tmp"
_MAX_STEM_BYTES = 200
_MAX_DRAFT_TRIES = 20


class FileChangedError(FileRefusedError):
    """A target that another program wrote during the call; the answer is not saved, and nothing there is lost."""

    kind = "file_changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    name: str
    file: FileIO


def write_atomically(place: ResolvedPath, data: bytes, *, expect: Fingerprint | None, overwrite: bool) -> None:
    """Write a file: parent folders are made, permissions kept, and a kill leaves the old file or the new.

    `expect` is the target's state when the call began. With `overwrite` the file is replaced whatever its state is.

    Raises:
        FileChangedError: The target's state is not `expect`.
        FileRefusedError: It cannot be written: read-only, disk full, another call is writing it.
    """
    with translate_os_errors(place), open_parent(place, create=True) as folder, _open_draft(folder, place) as draft:
        before = stat_writable(folder, place)
        if before is not None:
            # Before the first byte: a private file is never readable by others, not even for a moment.
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


def stat_writable(folder: Folder, place: ResolvedPath) -> os.stat_result | None:
    """Return the status of a target, or None if it does not exist.

    Raises:
        OSError: It is a folder or a link.
        FileRefusedError: It is read-only, a pipe, a device or a socket.
    """
    try:
        status = folder.stat(place.parts[-1])
    except FileNotFoundError:
        return None
    require_regular_file(place, status)
    if not status.st_mode & 0o222:
        raise FileRefusedError(f"{place.name} is read-only: make it writable, or save elsewhere.", path=place.name)
    return status


def _copy_ownership(fd: int, before: os.stat_result) -> None:
    if sys.platform != "win32":
        with suppress(PermissionError):
            os.fchown(fd, before.st_uid, before.st_gid)
        os.fchmod(fd, stat.S_IMODE(before.st_mode) & 0o777)


@contextmanager
def _open_draft(folder: Folder, place: ResolvedPath) -> Generator[_Draft]:
    """Open a file beside the target. Its name follows from the target's, so the next save clears what a kill left.

    A draft in use is locked; one that can be locked is left over.
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
            if sys.platform == "win32":
                file.close()  # an open file cannot be removed there
            with suppress(OSError):
                os.unlink(folder.at(name), dir_fd=folder.fd)
            raise


def _remove_stale_draft(folder: Folder, name: str, place: ResolvedPath) -> None:
    if sys.platform == "win32":
        try:
            (folder.path / name).unlink()
        except FileNotFoundError:
            return
        except PermissionError as exc:  # in use: an open file is its own lock there
            raise _busy_error(place) from exc
        return
    with suppress(FileNotFoundError):
        fd = os.open(folder.at(name), os.O_WRONLY | os.O_NOFOLLOW, dir_fd=folder.fd)
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
    return FileRefusedError(f"Another call is saving {place.name} now: save elsewhere, or try again.", path=place.name)


def _publish(folder: Folder, place: ResolvedPath, draft: str, expected: tuple[Fingerprint | None] | None) -> None:
    """Give the draft the target's name; `expected` is None if any state can be replaced."""
    target = place.parts[-1]
    if expected is not None and _has_changed(folder, place, expected[0]):
        raise _changed_error(place)
    if expected == (None,):
        try:
            # Unlike a rename, a link never replaces a file that appeared since.
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
        return False  # deleted: nothing is lost by writing it
    # The time alone can change, by a checkout or a touch.
    return expect is None or now.sha256 != expect.sha256


def _changed_error(place: ResolvedPath) -> FileChangedError:
    return FileChangedError(
        f"{place.name} was changed by another program during the call and is left as it is: read it first.",
        path=place.name,
    )
