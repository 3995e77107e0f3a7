"""The folders that files may be read from and written to, and where a path leads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mcp_router.errors import BadInputError

_KERNEL_FOLDERS = (Path("/proc"), Path("/sys"))
"""What stands there is not files: `/proc/self/environ` holds every key."""

_MAX_SHOWN_ROOTS = 3
_MAX_SHOWN_CHARACTERS = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]")


class FileRefusedError(BadInputError):
    """A file cannot be read or written; the text says which, why, and what to do."""

    kind = "file_refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedPath:
    """Where a path leads once every link is followed: inside a root, or there would be none."""

    root: Path
    parts: tuple[str, ...]
    """Below the root; empty for the root itself."""
    name: str
    """How people and models are told of it."""

    @property
    def path(self) -> Path:
        """The whole path, without links."""
        return self.root.joinpath(*self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Roots:
    """The allowed folders, links followed."""

    folders: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    """The server's own files and folders, wherever they lie: they may be read, and are never written."""

    @classmethod
    def from_settings(cls, allowed: Iterable[str | Path], *, base: Path, own: Iterable[Path] = ()) -> Roots:
        """The folders as the configuration writes them: `~` is home, a relative one lies in `base`."""

        def real(path: str | Path) -> Path:
            return Path(os.path.realpath(base / _expand_home(str(path))))

        return cls(folders=tuple(map(real, allowed)), own=tuple(map(real, own)))

    def is_own(self, place: ResolvedPath) -> bool:
        """Whether a place is one of the server's own, also under another name of the same file."""
        with suppress(OSError):  # what cannot be looked at is told by whoever opens it
            status = place.path.lstat()
            if any(one.exists() and os.path.samestat(one.lstat(), status) for one in self.own):
                return True
        return any(place.path.is_relative_to(one) for one in self.own)

    def resolve(self, spec: str, *, base: Path) -> ResolvedPath:
        """Where a path or `file://` URI leads; it need not exist.

        Raises:
            FileRefusedError: It leads outside the roots, or is no path at all.
        """
        path = base / path_from_spec(spec)
        try:
            real = Path(os.path.realpath(path))
        except (OSError, ValueError) as exc:
            raise FileRefusedError(f"{format_path(spec)} is not a path this machine understands.") from exc
        if any(real.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
            raise FileRefusedError(f"{format_path(spec)} is not a file but a window into the system; it is never read.")
        place = self.resolve_real(real, name=format_name(real, base=base))
        if place is None:
            verb = "is" if real == Path(os.path.abspath(path)) else "leads"  # noqa: PTH100  # no link may be followed
            raise FileRefusedError(
                f"{format_path(spec)} {verb} outside the allowed folders ({self._format_folders()}). {_ALLOW}"
            )
        return place

    def resolve_real(self, real: Path, *, name: str) -> ResolvedPath | None:
        """The place of a path that has no links in it; None where it is outside or no file."""
        inside = [folder for folder in self.folders if real.is_relative_to(folder)]
        if not inside or any(real.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
            return None
        root = max(inside, key=lambda folder: len(folder.parts))
        return ResolvedPath(root=root, parts=real.relative_to(root).parts, name=name)

    def _format_folders(self) -> str:
        if not self.folders:
            return "there are none"
        more = len(self.folders) - _MAX_SHOWN_ROOTS
        return ", ".join(map(str, self.folders[:_MAX_SHOWN_ROOTS])) + (f" and {more} more" if more > 0 else "")


_ALLOW = "Name a file inside them, or have the user add its folder to allowed_roots in the configuration."


def path_from_spec(spec: str, *, windows: bool = os.name == "nt") -> Path:
    """The path that a path or `file://` URI names, `~` being home.

    Raises:
        FileRefusedError: It is empty, no `file://` URI, or a file of another machine.
    """
    if not spec.strip():
        raise FileRefusedError("An empty path names no file: leave it out.")
    if "\x00" in spec:
        raise FileRefusedError(f"{format_path(spec)} is not a path this machine understands.")
    scheme = re.match(r"([a-z][a-z0-9+.-]+):(?=/)", spec, re.IGNORECASE)
    if scheme is None:
        return _expand_home(spec)
    if scheme[1].lower() != "file":
        raise FileRefusedError(f"{format_path(spec)} is no file: only paths, globs and file:// URIs are read.")
    return _path_from_uri(spec, spec[scheme.end() :], windows=windows)


def _path_from_uri(spec: str, rest: str, *, windows: bool) -> Path:
    """https://www.rfc-editor.org/rfc/rfc8089, with its drive letters (appendix E.2)."""
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if host.lower() not in {"", "localhost"}:
        raise FileRefusedError(
            f"{format_path(spec)} names the machine {format_path(host)}: write file:/// and the whole path."
        )
    if "#" in rest or "?" in rest:
        raise FileRefusedError(f"{format_path(spec)} has more than a path: end it before # or ?, or write %23 or %3F.")
    decoded = unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))
    if b"\x00" in decoded or not decoded.startswith(b"/"):
        raise FileRefusedError(f"{format_path(spec)} holds no whole path: write file:///folder/file.")
    path = os.fsdecode(decoded)
    if windows:
        path = re.sub(r"^/([A-Za-z])[:|](?=/|$)", r"\1:", path)
    return Path(path)


def _expand_home(spec: str) -> Path:
    if spec != "~" and not spec.startswith(("~/", "~\\")):
        return Path(spec)
    try:
        return Path(spec).expanduser()
    except RuntimeError as exc:
        raise FileRefusedError(
            f"{format_path(spec)}: this machine knows no home folder; write the whole path."
        ) from exc


def format_name(real: Path, *, base: Path) -> str:
    """How a file is told of: from the base, `../` and all, with `/` on every machine; unique to its path."""
    try:
        relative = os.path.relpath(real, os.path.realpath(base))
    except ValueError:  # another drive
        relative = str(real)
    return _UNPRINTABLE.sub("�", Path(relative).as_posix())


def format_path(text: str) -> str:
    """A path as it may stand in a message or a prompt: on one line, printable and not endless."""
    clean = _UNPRINTABLE.sub("�", text)
    return clean if len(clean) <= _MAX_SHOWN_CHARACTERS else f"{clean[:100]}…{clean[-99:]}"
