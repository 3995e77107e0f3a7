"""Reading the files that a call names, so the caller spends no tokens on their content."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from anyio.from_thread import check_cancelled

from mcp_router.files.decoding import decode, detect_media_type
from mcp_router.files.globs import find_matches, is_glob, parse_globs
from mcp_router.files.measuring import UncountablePdfError, measure_attachment
from mcp_router.files.path_patterns import is_listed
from mcp_router.files.roots import (
    FileRefusedError,
    ResolvedPath,
    Roots,
    find_spelling,
    format_name,
    format_path,
    path_from_spec,
)
from mcp_router.files.safe_open import Fingerprint, open_parent, read_content, require_regular_file, translate_os_errors
from mcp_router.files.secrets import refuse_secret_name, refuse_secret_text
from providers.completion import Attachment

_MAX_SHOWN_REFUSALS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """The most that one call can read."""

    max_file_bytes: int = 5_000_000
    max_files: int = 2_000
    max_total_bytes: int = 50_000_000
    """Of files read together into one prompt; `per_file` reads one at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file that a call names, not yet read."""

    place: ResolvedPath
    globbed: bool
    """Found by a glob, not named directly."""
    secret_allowed: bool
    """Whether the configuration lets it be sent although it holds secrets."""

    @property
    def name(self) -> str:
        """The path from the base, with `/`."""
        return self.place.name

    @property
    def size(self) -> int:
        """Bytes on disk now; 0 if it was deleted."""
        try:
            return self.place.path.lstat().st_size
        except OSError:
            return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """The content of a file."""

    name: str
    content: str | Attachment
    """Text, or an image or PDF for a model that takes them."""
    encoding: str | None
    """Of the text on disk; None for an attachment."""
    fingerprint: Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadResult:
    """The content of a call's files."""

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...] = ()
    """Why, for each file that a glob found and that could not be sent; the others are."""

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Images and PDFs, which are sent beside the prompt's text."""
        return tuple(file.content for file in self.files if isinstance(file.content, Attachment))


async def read_files(specs: Sequence[str], roots: Roots, *, base: Path, limits: ReadLimits | None = None) -> ReadResult:
    """Find and read what paths, globs and `file://` URIs name, in their order, each file once.

    Raises:
        FileRefusedError: A file that was named directly cannot be read, a glob finds none that can, or it is too much.
        SecretFileError: A file that was named directly holds a secret.
    """
    limits = limits or ReadLimits()
    return await anyio.to_thread.run_sync(_read_all, specs, roots, base, limits, abandon_on_cancel=True)


async def find_files(
    specs: Sequence[str], roots: Roots, *, base: Path, limits: ReadLimits | None = None
) -> list[FoundFile]:
    """Return what `read_files` would read, without reading it: a glob's files in order of their paths.

    Raises:
        FileRefusedError: A path is missing, outside the roots or not a file; a glob matches nothing; they are too many.
    """
    limits = limits or ReadLimits()
    return await anyio.to_thread.run_sync(_find_all, specs, roots, base, limits, abandon_on_cancel=True)


async def read_file(found: FoundFile, *, limits: ReadLimits | None = None) -> SourceFile:
    """Read one file.

    Raises:
        FileRefusedError: It is missing, too large, neither text nor image nor PDF, or became a link.
        SecretFileError: It holds a secret.
    """
    return await anyio.to_thread.run_sync(_read, found, limits or ReadLimits(), abandon_on_cancel=True)


def _read_all(specs: Sequence[str], roots: Roots, base: Path, limits: ReadLimits) -> ReadResult:
    files: list[SourceFile] = []
    skipped: list[FileRefusedError] = []
    refused: list[FileRefusedError] = []
    total = 0
    for found in _find_all(specs, roots, base, limits):
        check_cancelled()
        try:
            file = _read(found, limits)
        except FileRefusedError as exc:
            (skipped if found.globbed else refused).append(exc)
            continue
        total += file.fingerprint.size
        if total > limits.max_total_bytes:
            raise FileRefusedError(
                f"The files have more than {limits.max_total_bytes:,} bytes together: name fewer, or use per_file."
            )
        files.append(file)
    if refused or (skipped and not files):
        raise _join_refusals(refused or skipped)
    return ReadResult(files=tuple(files), skipped=tuple(map(str, skipped)))


def _read(found: FoundFile, limits: ReadLimits) -> SourceFile:
    if not found.secret_allowed:
        refuse_secret_name(found.place)
    data, fingerprint = read_content(found.place, max_bytes=limits.max_file_bytes)
    media = detect_media_type(data)
    if media is not None:
        try:
            attachment = measure_attachment(found.name, media, data, check_cancelled=check_cancelled)
        except UncountablePdfError as exc:
            raise FileRefusedError(f"{found.name}: no budget can be held for this PDF: {exc}.") from exc
        return SourceFile(name=found.name, content=attachment, encoding=None, fingerprint=fingerprint)
    text = decode(data)
    if text is None:
        raise FileRefusedError(
            f"{found.name} is binary ({len(data):,} bytes): only text, png, jpeg, webp, gif and PDF are read.",
            path=found.name,
        )
    if not found.secret_allowed:
        refuse_secret_text(found.place, text[0], check_cancelled)
    return SourceFile(name=found.name, content=text[0], encoding=text[1], fingerprint=fingerprint)


def _find_all(specs: Sequence[str], roots: Roots, base: Path, limits: ReadLimits) -> list[FoundFile]:
    found: dict[Path, FoundFile] = {}
    refused: list[FileRefusedError] = []
    for spec in specs:
        try:
            for file in _find(spec, roots, base):
                known = found.setdefault(file.place.path, file)
                if known.globbed and not file.globbed:
                    # Named directly as well: then it must be readable.
                    found[file.place.path] = file
                if len(found) > limits.max_files:
                    break
        except FileRefusedError as exc:
            refused.append(exc)
        if len(found) > limits.max_files:
            text = f"More than {limits.max_files:,} files match: narrow {format_path(spec)}."
            refused.append(FileRefusedError(text, path=spec))
            break
    if refused:
        raise _join_refusals(refused)
    return list(found.values())


def _find(spec: str, roots: Roots, base: Path) -> Iterator[FoundFile]:
    if is_glob(spec) and not _is_uri(spec) and not os.path.lexists(find_spelling(base / path_from_spec(spec))):
        yield from _find_matches(spec, roots, base)
        return
    place = roots.resolve(spec, base=base)
    with translate_os_errors(place), open_parent(place) as folder:
        if not place.parts:
            raise FileRefusedError(
                f"{place.name} is a folder: write {format_path(str(place.path))}/**/* for its files."
            )
        require_regular_file(place, folder.stat(place.parts[-1]))
    yield FoundFile(place=place, globbed=False, secret_allowed=is_listed(place, roots.secrets))


def _find_matches(spec: str, roots: Roots, base: Path) -> Iterator[FoundFile]:
    count = 0
    for glob in parse_globs(str(path_from_spec(spec))):
        start = roots.resolve(glob.folder or ".", base=base)
        for path in find_matches(glob, start.path, root=start.root, check=check_cancelled):
            place = roots.resolve_real(path, name=format_name(path, base=base))
            if place is not None:
                count += 1
                yield FoundFile(place=place, globbed=True, secret_allowed=is_listed(place, roots.secrets))
    if not count:
        raise FileRefusedError(
            f"{format_path(spec)} matches no file (hidden, linked and git-ignored files are left out: name them)."
        )


def _is_uri(spec: str) -> bool:
    return spec[:5].lower() == "file:"


def _join_refusals(problems: list[FileRefusedError]) -> FileRefusedError:
    if len(problems) == 1:
        return problems[0]
    more = len(problems) - _MAX_SHOWN_REFUSALS
    lines = [*map(str, problems[:_MAX_SHOWN_REFUSALS]), *([f"… and {more} more."] if more > 0 else [])]
    return FileRefusedError("\n".join(lines))
