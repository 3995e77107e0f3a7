"""Opening folders and files so that no link, even one swapped in later, leads out of the roots."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from anyio.from_thread import check_cancelled

from mcp_router.files.roots import FileRefusedError, ResolvedPath, format_path

_BY_DESCRIPTOR = os.open in os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NO_LINK
_CHUNK_BYTES = 1 << 20
_MAX_TARGET_BYTES = 64 << 20
"""Hashed of a file that an answer replaces; no answer is that long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """The state of a file when it was read."""

    mtime_ns: int
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """An open folder: operations in it stay in it, even if its path leads elsewhere by now."""

    path: Path
    fd: int | None
    """None if the system cannot open files relative to a folder (Windows)."""

    def at(self, name: str) -> str:
        """Return an entry's name for `os` functions, next to `dir_fd=folder.fd`."""
        return name if self.fd is not None else str(self.path / name)

    def stat(self, name: str) -> os.stat_result:
        """Return the status of the entry itself, not of what it links to."""
        return os.stat(self.at(name), dir_fd=self.fd, follow_symlinks=False)


@contextmanager
def open_parent(place: ResolvedPath, *, create: bool = False) -> Generator[Folder]:
    """Open the folder that holds the file, from the root down, following no link; `create` makes what is missing.

    Raises:
        OSError: A folder is missing, cannot be opened, or became a link since the path was resolved.
    """
    parents = place.parts[:-1]
    if not _BY_DESCRIPTOR:
        yield _open_parent_by_path(place, create=create)
        return
    if create:
        place.root.mkdir(parents=True, exist_ok=True)
    fd = os.open(place.root, _FOLDER)
    try:
        for part in parents:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
            inner = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield Folder(path=place.root.joinpath(*parents), fd=fd)
    finally:
        os.close(fd)


def _open_parent_by_path(place: ResolvedPath, *, create: bool) -> Folder:
    path = place.root.joinpath(*place.parts[:-1])
    if create:
        path.mkdir(parents=True, exist_ok=True)
    if Path(os.path.realpath(path)) != path:
        raise OSError(errno.ELOOP, "became a link", str(path))
    return Folder(path=path, fd=None)


def read_content(place: ResolvedPath, *, max_bytes: int) -> tuple[bytes, Fingerprint]:
    """Return the bytes of a regular file, and its fingerprint.

    Raises:
        FileRefusedError: It is missing, a folder, not a regular file, longer than `max_bytes`, or became a link.
    """
    with translate_os_errors(place), open_parent(place) as folder, _open_file(place, folder) as fd:
        status = os.fstat(fd)
        data = b""
        if status.st_size <= max_bytes:
            with open(fd, "rb", closefd=False) as file:
                data = file.read(max_bytes + 1)
        size = max(status.st_size, len(data))
        if size > max_bytes:
            raise FileRefusedError(
                f"{place.name} has {size:,} bytes; at most {max_bytes:,} are read. Split it, or name a smaller one.",
                path=place.name,
            )
    digest = hashlib.sha256(data).hexdigest()
    return data, Fingerprint(mtime_ns=status.st_mtime_ns, size=len(data), sha256=digest)


def read_fingerprint(place: ResolvedPath) -> Fingerprint | None:
    """Return the state of a file now, or None if it does not exist.

    Raises:
        FileRefusedError: It is a folder, not a regular file, or over 64 MiB.
    """
    try:
        with open_parent(place) as folder:
            return read_fingerprint_in(folder, place)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc


def read_fingerprint_in(folder: Folder, place: ResolvedPath) -> Fingerprint:
    """Return the state of a file in an open folder.

    Raises:
        OSError: It does not exist, or cannot be read.
        FileRefusedError: It is not a regular file, or over 64 MiB.
    """
    digest = hashlib.sha256()
    with _open_file(place, folder) as fd:
        status = os.fstat(fd)
        size = status.st_size
        read = 0
        while size <= _MAX_TARGET_BYTES and (block := os.read(fd, _CHUNK_BYTES)):
            check_cancelled()
            digest.update(block)
            read += len(block)
            size = max(size, read)
    if size > _MAX_TARGET_BYTES:
        raise FileRefusedError(
            f"{place.name} has {size:,} bytes; at most {_MAX_TARGET_BYTES:,} are replaced. Save to another file.",
            path=place.name,
        )
    return Fingerprint(mtime_ns=status.st_mtime_ns, size=status.st_size, sha256=digest.hexdigest())


@contextmanager
def _open_file(place: ResolvedPath, folder: Folder) -> Generator[int]:
    if not place.parts:
        raise IsADirectoryError(errno.EISDIR, "is a folder", place.name)
    name = place.parts[-1]
    # Checked before it is opened: opening alone can block on a pipe or move a device.
    require_regular_file(place, folder.stat(name))
    fd = os.open(folder.at(name), _FILE, dir_fd=folder.fd)
    try:
        require_regular_file(place, os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


def require_regular_file(place: ResolvedPath, status: os.stat_result) -> None:
    """Check that a status is that of a regular file.

    Raises:
        OSError: It is a folder or a link.
        FileRefusedError: It is a pipe, a device or a socket.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", place.name)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "became a link", place.name)
    if not stat.S_ISREG(status.st_mode):
        raise FileRefusedError(f"{place.name} is a pipe, a device or a socket: name a regular file.", path=place.name)


@contextmanager
def translate_os_errors(place: ResolvedPath) -> Generator[None]:
    """Turn the system's errors into errors for the caller.

    Raises:
        FileRefusedError: The system raised `OSError`.
    """
    try:
        yield
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc


def refusal_from_os_error(place: ResolvedPath, exc: OSError) -> FileRefusedError:
    """Return the system's error as one for the caller."""
    name = format_path(place.name)
    match exc.errno:
        case errno.ENOENT:
            text = f"{name} does not exist in {place.root}: check the path, or use a glob such as **/{_last(place)}."
        case errno.EISDIR:
            text = f"{name} is a folder: write {name.rstrip('/')}/**/* (or **/*.py and the like) for the files in it."
        case errno.ENOTDIR | errno.ELOOP:
            text = f"{name} leads through a file, or a link that was put there since: check the path."
        case errno.EACCES | errno.EPERM:
            text = f"{name} cannot be opened by the server's user: change its permissions or leave it out."
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            text = f"{name} was not written: the disk is full or its quota is used up. Nothing there was changed."
        case errno.EROFS:
            text = f"{name} is on a read-only file system: save elsewhere."
        case errno.ENAMETOOLONG:
            text = f"{name} is too long a name for this file system: use a shorter one."
        case _:
            text = f"{name} cannot be used: {(exc.strerror or 'input/output error').lower()}."
    return FileRefusedError(text, path=place.name)


def _last(place: ResolvedPath) -> str:
    return format_path(place.name.rpartition("/")[2])
