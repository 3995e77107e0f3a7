"""Keeps an answer that is paid for, whatever became of the file it was meant for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import PurePath

from anyio import CancelScope

from mcp_router.files.roots import FileRefusedError, ResolvedPath
from mcp_router.files.saving import FileChangedError, Saved, save


@dataclass(frozen=True, kw_only=True, slots=True)
class SaveOutcome:
    """Where an answer is now."""

    place: ResolvedPath | None
    """None where it could be written nowhere: it is the caller's to keep."""
    saved: Saved | None
    why: str | None = None
    """Why it is not where it was meant to be."""
    disk_refuses: bool = False
    """Whether the next answer would hardly fare better."""


async def save_or_copy(
    place: ResolvedPath, text: str, save_it: Callable[[], Awaitable[Saved]], *, mark: str
) -> SaveOutcome:
    """Save an answer as `save_it` does; where that is refused, beside its place under a name with `mark` in it.
    A caller that hangs up meanwhile still finds it on disk.
    """
    kept = SaveOutcome(place=None, saved=None)
    with CancelScope(shield=True):
        kept = await _save_or_copy(place, text, save_it, mark)
    return kept  # noqa: RET504 - a scope may end early, for all that types know


async def _save_or_copy(
    place: ResolvedPath, text: str, save_it: Callable[[], Awaitable[Saved]], mark: str
) -> SaveOutcome:
    try:
        return SaveOutcome(place=place, saved=await save_it())
    except FileRefusedError as refused:
        why, disk_refuses = str(refused), not isinstance(refused, FileChangedError)
    beside = _copy_path(place, mark)
    try:
        saved = await save(beside, text, expect=None)
    except FileRefusedError:
        return SaveOutcome(place=None, saved=None, why=why, disk_refuses=disk_refuses)
    return SaveOutcome(place=beside, saved=saved, why=why, disk_refuses=disk_refuses)


def _copy_path(place: ResolvedPath, mark: str) -> ResolvedPath:
    def marked(name: str) -> str:
        path = PurePath(name)
        return str(path.with_name(f"{path.stem}.{mark}{path.suffix}"))

    *folders, last = place.parts
    return replace(place, parts=(*folders, marked(last)), name=marked(place.name))
