"""Finds the files that a glob names, leaving out what git ignores and what is hidden."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from itertools import pairwise
from pathlib import Path

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from mcp_router.files.roots import FileRefusedError, format_path

_WILD = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 64
_MAX_ENTRIES = 200_000
"""Looked at by one glob: a home folder has millions, and nobody means them all."""
_MAX_IGNORE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Glob:
    """A pattern taken apart."""

    folder: str
    """What stands before the first wildcard."""
    segments: tuple[re.Pattern[str] | None, ...]
    """One a folder level; None is `**`, any number of levels."""
    hidden: tuple[bool, ...]
    """Which segments ask for names that start with a dot."""

    def advance(self, states: frozenset[int], name: str) -> frozenset[int]:
        """The segments that may match below an entry of that name; none when it is out."""
        dotted = name.startswith(".")
        found: set[int] = set()
        for state in states:
            if state == len(self.segments) or (dotted and not self.hidden[state]):
                continue
            segment = self.segments[state]
            if segment is None:
                found.add(state)
            elif segment.match(name):
                found.add(state + 1)
        return self.expand(found)

    def expand(self, states: set[int]) -> frozenset[int]:
        """With what `**` reaches by matching no level at all."""
        found = set(states)
        for state in range(len(self.segments)):
            if state in found and self.segments[state] is None:
                found.add(state + 1)
        return frozenset(found)


def is_glob(spec: str) -> bool:
    """Whether it has a wildcard."""
    return bool(_WILD.search(spec))


def parse_globs(spec: str) -> list[Glob]:
    """A pattern's alternatives, one for each choice of `{a,b}`.

    Raises:
        FileRefusedError: It has too many, or `..` behind a wildcard.
    """
    done: list[str] = []
    open_ones = [spec]
    while open_ones:
        one = open_ones.pop(0)
        braces = _BRACES.search(one)
        if braces is None:
            done.append(one)
        else:
            open_ones += [one[: braces.start()] + choice + one[braces.end() :] for choice in braces[1].split(",")]
        if len(done) + len(open_ones) > _MAX_ALTERNATIVES:
            raise FileRefusedError(
                f"{format_path(spec)} stands for more than {_MAX_ALTERNATIVES} globs: use fewer braces."
            )
    return [_parse_glob(one) for one in dict.fromkeys(done)]


def _parse_glob(pattern: str) -> Glob:
    parts = pattern.replace("\\", "/").split("/") if os.name == "nt" else pattern.split("/")
    fixed = next((index for index, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    wild = [part for part in parts[fixed:] if part not in {"", "."}]
    if ".." in wild:
        raise FileRefusedError(f"{format_path(pattern)} goes up behind a wildcard: write the folder out.")
    return Glob(
        folder="/".join(parts[:fixed]) + ("/" if fixed == 1 and not parts[0] else ""),
        segments=tuple(None if part == "**" else re.compile(translate(part)) for part in wild),
        hidden=tuple(part.startswith(".") for part in wild),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pattern:
    """One line of a `.gitignore`."""

    regex: re.Pattern[str]
    ignores: bool
    """False where it begins with `!`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IgnoreFile:
    """One `.gitignore`, and the folder it speaks of."""

    folder: Path
    patterns: tuple[_Pattern, ...]


def find_matches(glob: Glob, folder: Path, *, root: Path, going_on: Callable[[], None]) -> Iterator[Path]:
    """The files that match below a folder without links, in order of their paths. Links are not followed.

    `root` is the allowed folder it lies in. Calls `going_on` for every folder, which raises to stop it.

    Raises:
        FileRefusedError: Too much stands below the folder.
    """
    seen = 0
    waiting = [(folder, glob.expand({0}), read_ignores_above(folder, root=root))]
    while waiting:
        here, states, ignores = waiting.pop()
        going_on()
        entries = _list_entries(here)
        seen += len(entries)
        if seen > _MAX_ENTRIES:
            raise FileRefusedError(f"More than {_MAX_ENTRIES:,} files stand below {folder}: begin the glob deeper.")
        if any(entry.name == ".gitignore" for entry in entries):
            ignores = (*ignores, *_read_ignore_file(here / ".gitignore", here))
        inner: list[tuple[Path, frozenset[int], tuple[IgnoreFile, ...]]] = []
        for entry in entries:
            reached = glob.advance(states, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if not reached or entry.name == ".git" or _is_ignored(ignores, here / entry.name, is_folder=is_folder):
                continue
            if is_folder:
                inner.append((here / entry.name, reached, ignores))
            elif len(glob.segments) in reached and entry.is_file(follow_symlinks=False):
                yield here / entry.name
        waiting += reversed(inner)


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # Gone meanwhile, or not ours to look into: as a shell's glob does, it goes on.
        return []


def read_ignores_above(folder: Path, *, root: Path) -> tuple[IgnoreFile, ...]:
    """What the repository around a folder ignores, or what the folders up to `root` do where there is no repository;
    nothing once the folder itself is ignored, since it was named.

    These files may lie above the roots: they only take away, and nothing in them is shown.
    """
    ups = (folder, *folder.parents)
    top = next((up for up in ups if (up / ".git").exists()), root)
    found = _read_ignore_file(top / ".git" / "info" / "exclude", top)
    between = [up for up in reversed(ups) if up.is_relative_to(top)]
    for up, down in pairwise(between):
        found = (*found, *_read_ignore_file(up / ".gitignore", up))
        if _is_ignored(found, down, is_folder=True):
            return ()
    return found


def _read_ignore_file(path: Path, folder: Path) -> tuple[IgnoreFile, ...]:
    """A link or a pipe of that name is passed over, as git does."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > _MAX_IGNORE_BYTES:
            return ()
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError:
        return ()
    return (IgnoreFile(folder=folder, patterns=tuple(_parse_patterns(lines))),)


def _parse_patterns(lines: list[str]) -> Iterator[_Pattern]:
    for line in lines:
        # Git passes over a line it cannot read; it must not undo the others.
        with suppress(ValueError):
            regex, ignores = GitIgnoreSpecPattern.pattern_to_regex(line.removesuffix("\r"))
            if regex is not None and ignores is not None:
                yield _Pattern(regex=re.compile(str(regex)), ignores=ignores)


def _is_ignored(ignores: tuple[IgnoreFile, ...], path: Path, *, is_folder: bool) -> bool:
    for one in reversed(ignores):
        relative = path.relative_to(one.folder).as_posix() + ("/" if is_folder else "")
        for pattern in reversed(one.patterns):
            if any(_is_match_of_entry(found, relative) for found in pattern.regex.finditer(relative)):
                return pattern.ignores
    return False


def _is_match_of_entry(found: re.Match[str], relative: str) -> bool:
    """Whether a pattern matches the entry itself: what its parents match was decided when they were walked.

    `pathspec` marks the `/` that ends a folder with a group; without one, a pattern such as `a/**` means what is
    within a folder, not the folder.
    """
    at_the_end = found.end() == len(relative)
    return not (at_the_end and relative.endswith("/")) if found.lastgroup is None else at_the_end
