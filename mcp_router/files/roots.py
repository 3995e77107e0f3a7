"""The folders in which files can be read and written, and where a path leads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mcp_router.errors import BadInputError
from mcp_router.files.wildcards import normalize_name

_KERNEL_FOLDERS = (Path("/proc"), Path("/sys"))
"""Not files: `/proc/self/environ` holds every key."""

_MAX_SHOWN_ROOTS = 3
_MAX_SHOWN_CHARACTERS = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]")
_ALLOW = "Use a path inside, or ask the user to add the folder to allowed_roots in the configuration."
_NO_ROOTS = "no folder is allowed"


class FileRefusedError(BadInputError):
    """A file that cannot be read or written; the text says which, why, and what to do."""

    kind = "file_refused"

    def __init__(self, message: str, *, path: str | None = None) -> None:
        """`path` is the refused path as the caller wrote it, if the refusal is about one."""
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedPath:
    """A path with every link followed, inside a root."""

    root: Path
    parts: tuple[str, ...]
    """Below the root; empty for the root itself."""
    name: str
    """The path as people and models see it."""

    @property
    def path(self) -> Path:
        """The whole path, without links."""
        return self.root.joinpath(*self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Roots:
    """The allowed folders, links followed, and the exceptions that the user allows inside them."""

    folders: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    """The server's own files and folders, wherever they are: they can be read, never written."""
    secrets: tuple[str, ...] = ()
    """Patterns of files that can be read although they hold secrets."""
    protected: tuple[str, ...] = ()
    """Patterns of files that can be written although they configure a machine, a host or a pipeline."""
    reason: str = _NO_ROOTS
    """Why there are no folders, if there are none."""

    @classmethod
    def from_settings(
        cls,
        allowed: Iterable[str | Path],
        *,
        base: Path,
        own: Iterable[Path] = (),
        secrets: Iterable[str] = (),
        protected: Iterable[str] = (),
        reason: str | None = None,
    ) -> Roots:
        """Return the folders as the configuration writes them: `~` is home, a relative one is in `base`."""

        def resolve(path: str | Path) -> Path:
            return Path(os.path.realpath(base / expand_home(str(path))))

        return cls(
            folders=tuple(map(resolve, allowed)),
            own=tuple(map(resolve, own)),
            secrets=tuple(secrets),
            protected=tuple(protected),
            reason=reason or _NO_ROOTS,
        )

    def is_own(self, place: ResolvedPath) -> bool:
        """Whether a path is one of the server's own, also under another name of the same file."""
        with suppress(OSError):  # opening it reports the reason
            status = place.path.lstat()
            if any(one.exists() and os.path.samestat(one.lstat(), status) for one in self.own):
                return True
        return any(place.path.is_relative_to(one) for one in self.own)

    def resolve(self, spec: str, *, base: Path) -> ResolvedPath:
        """Return where a path or `file://` URI leads; it need not exist.

        Raises:
            FileRefusedError: It leads outside the roots, or is not a path.
        """
        path = base / path_from_spec(spec)
        try:
            real = Path(os.path.realpath(find_spelling(path)))
        except (OSError, ValueError) as exc:
            raise FileRefusedError(f"{format_path(spec)} is not a path on this machine.", path=spec) from exc
        if any(real.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
            raise FileRefusedError(
                f"{format_path(spec)} is a view into the running system, not a file. Use another path.", path=spec
            )
        place = self.resolve_real(real, name=format_name(real, base=base))
        if place is not None:
            return place
        if not self.folders:
            raise FileRefusedError(
                f"{format_path(spec)} cannot be used: {self.reason}. "
                "Ask the user to set allowed_roots in the configuration.",
                path=spec,
            )
        verb = "is" if real == Path(os.path.abspath(path)) else "leads"  # noqa: PTH100  # no link may be followed
        raise FileRefusedError(
            f"{format_path(spec)} {verb} outside allowed_roots ({self._format_folders()}). {_ALLOW}", path=spec
        )

    def resolve_real(self, real: Path, *, name: str) -> ResolvedPath | None:
        """Return the resolved path of one without links, or None if it is outside or not a file."""
        inside = [folder for folder in self.folders if real.is_relative_to(folder)]
        if not inside or any(real.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
            return None
        root = max(inside, key=lambda folder: len(folder.parts))
        return ResolvedPath(root=root, parts=real.relative_to(root).parts, name=name)

    def _format_folders(self) -> str:
        more = len(self.folders) - _MAX_SHOWN_ROOTS
        return ", ".join(map(str, self.folders[:_MAX_SHOWN_ROOTS])) + (f" and {more} more" if more > 0 else "")


def find_spelling(path: Path) -> Path:
    """Return a path as the disk spells it: the same letters in composed or decomposed form (NFC, NFD).

    What does not exist is returned as it is.
    """
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        found = found / part if part.isascii() or os.path.lexists(found / part) else _find_entry(found, part)
    return found


def _find_entry(folder: Path, name: str) -> Path:
    wanted = normalize_name(name)
    try:
        with os.scandir(folder) as entries:
            return next(
                (folder / entry.name for entry in entries if normalize_name(entry.name) == wanted), folder / name
            )
    except OSError:
        return folder / name


def path_from_spec(spec: str, *, windows: bool = os.name == "nt") -> Path:
    """Return the path that a path or `file://` URI names; `~` is home.

    Raises:
        FileRefusedError: It is empty, another scheme's URI, or a file on another machine.
    """
    if not spec.strip():
        raise FileRefusedError("The path is empty: leave it out.", path=spec)
    if "\x00" in spec:
        raise FileRefusedError(f"{format_path(spec)} is not a path on this machine.", path=spec)
    scheme = re.match(r"([a-z][a-z0-9+.-]+):(?=/)", spec, re.IGNORECASE)
    if scheme is None:
        return expand_home(spec)
    if scheme[1].lower() != "file":
        raise FileRefusedError(f"{format_path(spec)} is not a file: use a path, a glob or a file:// URI.", path=spec)
    return _path_from_uri(spec, spec[scheme.end() :], windows=windows)


def _path_from_uri(spec: str, rest: str, *, windows: bool) -> Path:
    """Parse https://www.rfc-editor.org/rfc/rfc8089, with its drive letters (appendix E.2)."""
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if host.lower() not in {"", "localhost"}:
        raise FileRefusedError(
            f"{format_path(spec)} names the machine {format_path(host)}: write file:/// and the whole path.", path=spec
        )
    if "#" in rest or "?" in rest:
        raise FileRefusedError(
            f"{format_path(spec)} has more than a path: end it before # or ?, or write %23 or %3F.", path=spec
        )
    decoded = unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))
    if b"\x00" in decoded or not decoded.startswith(b"/"):
        raise FileRefusedError(f"{format_path(spec)} has no whole path: write file:///folder/file.", path=spec)
    path = os.fsdecode(decoded)
    if windows:
        path = re.sub(r"^/([A-Za-z])[:|](?=/|$)", r"\1:", path)
    return Path(path)


def expand_home(spec: str) -> Path:
    """Return a path with `~` replaced by the home folder.

    Raises:
        FileRefusedError: There is no home folder.
    """
    if spec != "~" and not spec.startswith(("~/", "~\\")):
        return Path(spec)
    try:
        return Path(spec).expanduser()
    except RuntimeError as exc:
        raise FileRefusedError(
            f"{format_path(spec)}: this machine has no home folder. Write the whole path.", path=spec
        ) from exc


def format_name(real: Path, *, base: Path) -> str:
    """Return a file's path from the base, with `../` and with `/` on every system; unique to its path."""
    try:
        relative = os.path.relpath(real, os.path.realpath(base))
    except ValueError:  # another drive
        relative = str(real)
    return _UNPRINTABLE.sub("�", Path(relative).as_posix())


def format_path(text: str) -> str:
    """Return a path for a message or a prompt: on one line, printable, at most 200 characters."""
    clean = _UNPRINTABLE.sub("�", text)
    return clean if len(clean) <= _MAX_SHOWN_CHARACTERS else f"{clean[:100]}…{clean[-99:]}"
