"""The files that a `per_file` call saves to, one for each source, and which are done already."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import anyio.to_thread
from anyio.from_thread import check_cancelled
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_router.files.reading import FoundFile
from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots, format_path
from mcp_router.files.safe_open import Fingerprint, open_parent, read_content, read_fingerprint
from mcp_router.files.saving import Saved, encode_text, inspect_target_sync, save_sync

_DONE_FILE = ".mcp-router.jsonl"
"""In the target folder: lines for each answer, so a call can be resumed after a kill."""
_MAX_DONE_BYTES = 100_000_000
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_PARENT_NAME = "_up"
"""Replaces `..` if a source is above the base."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchTarget:
    """The file that the answer for one source is saved to."""

    source: FoundFile
    place: ResolvedPath
    before: Fingerprint | None
    """Its state when the call began."""
    done: bool
    """Whether the same task has answered it for the same content; only with `resume`."""
    done_file: ResolvedPath


class _DoneRecord(BaseModel):
    """One answer that is about to be saved, or was saved."""

    model_config = ConfigDict(frozen=True)

    task: str
    source: str
    sha256: str
    target: str
    saving: str | None = None
    """The SHA-256 of an answer not yet saved: it was saved if the target has it."""


async def plan_targets(
    sources: Sequence[FoundFile],
    save_to: str,
    roots: Roots,
    *,
    base: Path,
    task: str,
    suffix: str = ".md",
    resume: bool = False,
) -> list[BatchTarget]:
    """Return one target for each source, in order; `save_to` is a folder, or a folder and a pattern for names.

    Both `notes` and `notes/*.md` make `notes/src/a.py.md` of `src/a.py`, and `out/*` makes `out/src/a.py`.
    `task` is all that an answer depends on besides its file; answers of another task do not count as done.
    Sources of a glob that are answers of an earlier run into the folder are left out.

    Raises:
        FileRefusedError: A target is outside the roots, protected or not writable, or two sources have the same target.
    """
    work = partial(_plan_targets, sources, save_to, roots, base=base, task=task, suffix=suffix, resume=resume)
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


async def save_target(
    target: BatchTarget, text: str, *, source: Fingerprint, task: str, overwrite: bool = False
) -> Saved:
    """Save the answer for one source and record that it is done; `source` is the state that was read.

    Raises:
        FileChangedError: The target was changed since the call began.
        FileRefusedError: It cannot be written.
    """
    return await anyio.to_thread.run_sync(_save_target, target, text, source, task, overwrite)


def _plan_targets(
    sources: Sequence[FoundFile], save_to: str, roots: Roots, *, base: Path, task: str, suffix: str, resume: bool
) -> list[BatchTarget]:
    folder, pattern = _split_save_to(save_to, suffix)
    home = roots.resolve(folder, base=base).path
    done_file = inspect_target_sync(str(home / _DONE_FILE), roots, base)[0]
    lines = _read_done_records(done_file)
    answers = {line.target for line in lines.values()} - {line.source for line in lines.values()}
    targets: list[BatchTarget] = []
    for source in sources:
        check_cancelled()
        if source.globbed and _relative_name(source.place.path, home) in answers:
            continue
        place, before = inspect_target_sync(str(home / _target_name(source, base, pattern)), roots, base)
        line = lines.get(_relative_name(place.path, home))
        done = resume and before is not None and line is not None and _is_current(line, source, before, task)
        targets.append(BatchTarget(source=source, place=place, before=before, done=done, done_file=done_file))
    if not targets:
        raise FileRefusedError(
            f"All these files are answers saved to {format_path(save_to)} earlier: save to another folder."
        )
    _refuse_clashes(targets)
    return targets


def _split_save_to(save_to: str, suffix: str) -> tuple[str, str]:
    folder, slash, last = save_to.rpartition("/")
    if "*" not in last:
        folder, slash, last = save_to, "", f"*{suffix}"
    if "*" in folder or last.count("*") != 1:
        raise FileRefusedError(
            f"{format_path(save_to)} has too many wildcards: write a folder, or one * in the last part."
        )
    return folder or slash or ".", last


def _target_name(source: FoundFile, base: Path, pattern: str) -> PurePath:
    """Return the name of a source's target; one on another drive than the base loses its root."""
    path = source.place.path
    try:
        path = PurePath(os.path.relpath(path, os.path.realpath(base)))
    except ValueError:
        path = path.relative_to(path.anchor)
    parts = [_PARENT_NAME if part == ".." else part for part in path.parts]
    return PurePath(*parts[:-1], pattern.replace("*", parts[-1]))


def _refuse_clashes(targets: list[BatchTarget]) -> None:
    sources: dict[Path, str] = {}
    for target in targets:
        other = sources.setdefault(target.place.path, target.source.name)
        if other != target.source.name:
            raise _clash_error(target.source.name, other, target)
    for target in targets:
        above = next((up for up in target.place.path.parents if up in sources), None)
        if above is not None:
            raise _clash_error(target.source.name, sources[above], target)


def _clash_error(one: str, other: str, target: BatchTarget) -> FileRefusedError:
    return FileRefusedError(f"{one} and {other} would both be saved to {target.place.name}: name them in two calls.")


def _is_current(line: _DoneRecord, source: FoundFile, target: Fingerprint, task: str) -> bool:
    """Whether the target was saved by the same task for the source's present content."""
    if line.task != _digest_task(task) or line.saving not in {None, target.sha256}:
        return False
    now = read_fingerprint(source.place)
    return now is not None and now.sha256 == line.sha256


def _digest_task(task: str) -> str:
    # A digest, because prompts are not stored.
    return hashlib.sha256(task.encode("utf-8", "replace")).hexdigest()[:16]


def _read_done_records(done_file: ResolvedPath) -> dict[str, _DoneRecord]:
    """Return the last line of each target; a line that a kill cut short is skipped."""
    try:
        data = read_content(done_file, max_bytes=_MAX_DONE_BYTES)[0]
    except FileRefusedError:
        return {}
    lines: dict[str, _DoneRecord] = {}
    for text in data.splitlines():
        with suppress(ValidationError):
            line = _DoneRecord.model_validate_json(text)
            lines[line.target] = line
    return lines


def _save_target(target: BatchTarget, text: str, source: Fingerprint, task: str, overwrite: bool) -> Saved:
    home = target.done_file.path.parent
    answer = hashlib.sha256(encode_text(text)).hexdigest()
    in_place = target.place.path == target.source.place.path
    line = _DoneRecord(
        task=_digest_task(task),
        source=_relative_name(target.source.place.path, home),
        sha256=answer if in_place else source.sha256,
        target=_relative_name(target.place.path, home),
    )
    _append_record(target.done_file, line.model_copy(update={"saving": answer}))
    saved = save_sync(target.place, text, target.before, overwrite)
    _append_record(target.done_file, line)
    return saved


def _append_record(done_file: ResolvedPath, line: _DoneRecord) -> None:
    # A failure here costs one repeated request at most: the answer itself is saved.
    with suppress(OSError), open_parent(done_file, create=True) as folder:
        fd = os.open(folder.at(_DONE_FILE), _APPEND, 0o666, dir_fd=folder.fd)
        try:
            # The newline comes first, so a line cut short by a kill damages no other.
            os.write(fd, b"\n" + line.model_dump_json(exclude_none=True).encode())
        finally:
            os.close(fd)


def _relative_name(path: Path, home: Path) -> str:
    """Return a path as it is in the done file, for comparison; any bytes can be in a name."""
    try:
        relative = os.path.relpath(path, home)
    except ValueError:  # another drive
        relative = str(path)
    return ascii(PurePath(relative).as_posix())
