"""Saving an answer to its file, or to a copy beside it if the file cannot take it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import anyio.to_thread
from anyio import CancelScope

from mcp_router.files.atomic_write import FileChangedError, stat_writable, write_atomically
from mcp_router.files.protected_paths import refuse_protected
from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots
from mcp_router.files.safe_open import Fingerprint, open_parent, read_fingerprint_in, refusal_from_os_error
from mcp_router.text import strip_controls

_MAX_PREVIEW_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A file that was written."""

    path: Path
    bytes: int
    lines: int
    preview: str
    """The beginning, at most 200 characters, without control characters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SaveOutcome:
    """Where an answer is now."""

    place: ResolvedPath | None
    """None if it could not be written anywhere: the caller must return the text."""
    saved: Saved | None
    why: str | None = None
    """Why it is not in its own file."""
    disk_refuses: bool = False
    """Whether the next answer will probably fail too."""


async def inspect_target(path: str, roots: Roots, *, base: Path) -> tuple[ResolvedPath, Fingerprint | None]:
    """Return where an answer will be saved and the state of the file there, before anything is spent.

    Raises:
        FileRefusedError: It is outside the roots, a folder, read-only, over 64 MiB, or the server's own.
        ProtectedPathError: It configures a machine, a host or a pipeline.
    """
    return await anyio.to_thread.run_sync(inspect_target_sync, path, roots, base, abandon_on_cancel=True)


def inspect_target_sync(path: str, roots: Roots, base: Path) -> tuple[ResolvedPath, Fingerprint | None]:
    """Do what `inspect_target` does, in a worker thread.

    Raises:
        FileRefusedError: As `inspect_target`.
    """
    place = roots.resolve(path, base=base)
    if path.endswith(("/", os.sep)) or not place.parts:
        raise _folder_error(place)
    refuse_protected(place, roots)
    if roots.is_own(place):
        raise FileRefusedError(
            f"{place.name} is the server's own configuration or ledger: save elsewhere.", path=place.name
        )
    try:
        with open_parent(place) as folder:
            found = stat_writable(folder, place) and read_fingerprint_in(folder, place)
    except FileNotFoundError:
        return place, None
    except IsADirectoryError as exc:
        raise _folder_error(place) from exc
    except OSError as exc:
        raise refusal_from_os_error(place, exc) from exc
    return place, found


def _folder_error(place: ResolvedPath) -> FileRefusedError:
    return FileRefusedError(f"{place.name} is a folder: name a file in it to save to.", path=place.name)


async def save(place: ResolvedPath, text: str, *, expect: Fingerprint | None, overwrite: bool = False) -> Saved:
    """Write a text to its file; `expect` is what `inspect_target` found, `overwrite` replaces any state.

    Raises:
        FileChangedError: The file's state is not `expect`.
        FileRefusedError: It cannot be written: read-only, disk full, another call is writing it.
    """
    return await anyio.to_thread.run_sync(save_sync, place, text, expect, overwrite)


def save_sync(place: ResolvedPath, text: str, expect: Fingerprint | None, overwrite: bool) -> Saved:
    """Do what `save` does, in a worker thread.

    Raises:
        FileRefusedError: As `save`.
    """
    data = encode_text(text)
    write_atomically(place, data, expect=expect, overwrite=overwrite)
    lines = text.count("\n") + (text[-1:] not in {"", "\n"})
    return Saved(path=place.path, bytes=len(data), lines=lines, preview=_format_preview(text))


def encode_text(text: str) -> bytes:
    """Return the bytes that are written: UTF-8, with ? for what UTF-8 cannot encode."""
    return text.encode("utf-8", "replace")


async def save_or_copy(
    place: ResolvedPath, text: str, save_it: Callable[[], Awaitable[Saved]], *, mark: str
) -> SaveOutcome:
    """Save a paid answer with `save_it`; if that is refused, save a copy beside it under a name with `mark` in it.

    A caller that disconnects still finds the answer on disk.
    """
    outcome = SaveOutcome(place=None, saved=None)
    with CancelScope(shield=True):
        outcome = await _save_or_copy(place, text, save_it, mark)
    return outcome  # noqa: RET504 - a scope can end early, for all that types know


async def _save_or_copy(
    place: ResolvedPath, text: str, save_it: Callable[[], Awaitable[Saved]], mark: str
) -> SaveOutcome:
    try:
        return SaveOutcome(place=place, saved=await save_it())
    except FileRefusedError as refused:
        why, disk_refuses = str(refused), not isinstance(refused, FileChangedError)
    copy = _copy_path(place, mark)
    try:
        saved = await save(copy, text, expect=None)
    except FileRefusedError:
        return SaveOutcome(place=None, saved=None, why=why, disk_refuses=disk_refuses)
    return SaveOutcome(place=copy, saved=saved, why=why, disk_refuses=disk_refuses)


def _copy_path(place: ResolvedPath, mark: str) -> ResolvedPath:
    def insert_mark(name: str) -> str:
        path = PurePath(name)
        return str(path.with_name(f"{path.stem}.{mark}{path.suffix}"))

    *folders, last = place.parts
    return replace(place, parts=(*folders, insert_mark(last)), name=insert_mark(place.name))


def _format_preview(text: str) -> str:
    start = strip_controls(text[: 4 * _MAX_PREVIEW_CHARACTERS]).strip()
    return start if len(start) <= _MAX_PREVIEW_CHARACTERS else start[: _MAX_PREVIEW_CHARACTERS - 1] + "…"
