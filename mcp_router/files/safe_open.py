"""Opens folders and files so that no link swapped in meanwhile leads out of the roots."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_router.files.roots import FileRefusedError, ResolvedPath, format_path

_BY_DESCRIPTOR = os.open in os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NO_LINK
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What a file was when it was looked at."""

    mtime_ns: int
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """An open folder: what is done in it stays in it, even if its path leads elsewhere by now."""

    path: Path
    fd: int | None
    """None where the system opens nothing relative to a folder (Windows)."""

    def at(self, name: str) -> str:
        """How an entry is named to `os` functions, next to `dir_fd=folder.fd`."""
        return name if self.fd is not None else str(self.path / name)

    def stat(self, name: str) -> os.stat_result:
        """The entry itself, not what it links to."""
        return os.stat(self.at(name), dir_fd=self.fd, follow_symlinks=False)


@contextmanager
def open_parent(place: ResolvedPath, *, create: bool = False) -> Generator[Folder]:
    """Open the folder that holds the place, from the root down, following no link; `create` makes what is missing.

    Raises:
        OSError: A folder is missing, may not be opened, or became a link since the place was found.
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
    """The bytes of a regular file, and its fingerprint.

    Raises:
        FileRefusedError: It is missing, a folder, no regular file, longer than `max_bytes`, or became a link.
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
                f"{place.name} has {size:,} bytes; at most {max_bytes:,} are read. Split it, or name a smaller one."
            )
    digest = hashlib.sha256(data).hexdigest()
    return data, Fingerprint(mtime_ns=status.st_mtime_ns, size=len(data), sha256=digest)


def read_fingerprint(place: ResolvedPath) -> Fingerprint | None:
    """What stands there now, whatever its length; None where nothing does.

    Raises:
        FileRefusedError: A folder or no regular file stands there.
    """
    try:
        with open_parent(place) as folder:
            return read_fingerprint_in(folder, place)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc


def read_fingerprint_in(folder: Folder, place: ResolvedPath) -> Fingerprint:
    """As `fingerprint`, in a folder that is open.

    Raises:
        OSError: Nothing stands there, or it may not be read.
    """
    digest = hashlib.sha256()
    with _open_file(place, folder) as fd:
        status = os.fstat(fd)
        while block := os.read(fd, _CHUNK_BYTES):
            digest.update(block)
    return Fingerprint(mtime_ns=status.st_mtime_ns, size=status.st_size, sha256=digest.hexdigest())


@contextmanager
def _open_file(place: ResolvedPath, folder: Folder) -> Generator[int]:
    if not place.parts:
        raise IsADirectoryError(errno.EISDIR, "is a folder", place.name)
    name = place.parts[-1]
    # Looked at before it is opened: opening alone can block on a pipe or move a device.
    require_regular_file(place, folder.stat(name))
    fd = os.open(folder.at(name), _FILE, dir_fd=folder.fd)
    try:
        require_regular_file(place, os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


def require_regular_file(place: ResolvedPath, status: os.stat_result) -> None:
    """Let regular files pass.

    Raises:
        OSError: It is a folder or a link.
        FileRefusedError: It is a pipe, a device or a socket.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", place.name)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "became a link", place.name)
    if not stat.S_ISREG(status.st_mode):
        raise FileRefusedError(f"{place.name} is a pipe, a device or a socket, not a file: name a regular file.")


@contextmanager
def translate_os_errors(place: ResolvedPath) -> Generator[None]:
    """What the system says inside, in words for the caller.

    Raises:
        FileRefusedError: Where the system raised `OSError`.
    """
    try:
        yield
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc


def refusal_from_os_error(place: ResolvedPath, exc: OSError) -> FileRefusedError:
    """The system's error in words for the caller."""
    name = format_path(place.name)
    match exc.errno:
        case errno.ENOENT:
            text = f"{name} does not exist in {place.root}: check the path, or use a glob such as **/{_last(place)}."
        case errno.EISDIR:
            text = f"{name} is a folder: write {name.rstrip('/')}/**/* (or **/*.py and the like) for the files in it."
        case errno.ENOTDIR | errno.ELOOP:
            text = f"{name} leads through what is no folder (a file, or a link put there meanwhile): check the path."
        case errno.EACCES | errno.EPERM:
            text = f"{name} may not be opened by the user the server runs as: change its permissions or leave it out."
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            text = f"{name} was not written: the disk is full or its quota used up. Nothing there was changed."
        case _:
            text = f"{name}: {exc.strerror or type(exc).__name__}."
    return FileRefusedError(text)


def _last(place: ResolvedPath) -> str:
    return format_path(place.name.rpartition("/")[2])
