"""Globs: the files below a folder that a pattern names, without those that are hidden or that git ignores."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_router.files.gitignore import IgnoreFile, is_ignored, read_ignore_file, read_ignores_above
from mcp_router.files.roots import FileRefusedError, format_path
from mcp_router.files.wildcards import compile_name_pattern, normalize_name

_WILD = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 64
_MAX_ENTRIES = 200_000
"""Listed for one glob: a home folder has millions, and no caller needs them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Segment:
    """The pattern for one folder level."""

    regex: re.Pattern[str]
    literal: re.Pattern[str] | None
    """With brackets as ordinary characters, as in `[id]`; None if there are none."""
    hidden: bool
    """Whether it asks for names that start with a dot."""

    def choose(self, names: Sequence[str]) -> re.Pattern[str]:
        """Return the pattern to use in a folder: names such as `[id]` that exist there are meant literally."""
        if self.literal is not None and any(self.literal.fullmatch(name) for name in names):
            return self.literal
        return self.regex


@dataclass(frozen=True, kw_only=True, slots=True)
class Glob:
    """A parsed pattern."""

    folder: str
    """The path before the first wildcard."""
    segments: tuple[_Segment | None, ...]
    """One for each folder level; None is `**`, any number of levels."""

    def choose(self, names: Sequence[str]) -> tuple[re.Pattern[str] | None, ...]:
        """Return the pattern of each segment in a folder with these names."""
        return tuple(segment.choose(names) if segment is not None else None for segment in self.segments)

    def advance(
        self, states: frozenset[int], name: str, patterns: tuple[re.Pattern[str] | None, ...]
    ) -> frozenset[int]:
        """Return the segments that can match below an entry of that name; none if the entry does not match."""
        dotted = name.startswith(".")
        found: set[int] = set()
        for state in states:
            if state == len(self.segments):
                continue
            segment, pattern = self.segments[state], patterns[state]
            if dotted and (segment is None or not segment.hidden):
                continue
            if pattern is None:
                found.add(state)
            elif pattern.fullmatch(name):
                found.add(state + 1)
        return self.expand(found)

    def expand(self, states: set[int]) -> frozenset[int]:
        """Add the segments that `**` reaches by matching no level at all."""
        found = set(states)
        for state in range(len(self.segments)):
            if state in found and self.segments[state] is None:
                found.add(state + 1)
        return frozenset(found)


def is_glob(spec: str) -> bool:
    """Whether a path has a wildcard."""
    return bool(_WILD.search(spec))


def parse_globs(spec: str) -> list[Glob]:
    """Return a pattern's alternatives, one for each choice of `{a,b}`.

    Raises:
        FileRefusedError: It has too many alternatives, or `..` after a wildcard.
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
                f"{format_path(spec)} stands for more than {_MAX_ALTERNATIVES} globs: use fewer braces.", path=spec
            )
    return [_parse_glob(one) for one in dict.fromkeys(done)]


def _parse_glob(pattern: str) -> Glob:
    parts = pattern.replace("\\", "/").split("/") if os.name == "nt" else pattern.split("/")
    fixed = next((index for index, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    wild = [part for part in parts[fixed:] if part not in {"", "."}]
    if ".." in wild:
        raise FileRefusedError(f"{format_path(pattern)} has .. after a wildcard: write the folder out.", path=pattern)
    return Glob(
        folder="/".join(parts[:fixed]) + ("/" if fixed == 1 and not parts[0] else ""),
        segments=tuple(None if part == "**" else _parse_segment(part) for part in wild),
    )


def _parse_segment(part: str) -> _Segment:
    return _Segment(
        regex=compile_name_pattern(part),
        literal=compile_name_pattern(part, classes=False) if "[" in part else None,
        hidden=part.startswith("."),
    )


def find_matches(glob: Glob, folder: Path, *, root: Path, check: Callable[[], None]) -> Iterator[Path]:
    """Yield the files that match below a folder without links, in order of their paths. Links are not followed.

    `root` is the allowed folder it lies in. `check` is called for every entry and raises to stop the search.

    Raises:
        FileRefusedError: More than 200,000 entries were listed.
    """
    seen = 0
    waiting = [(folder, glob.expand({0}), read_ignores_above(folder, root=root, check=check))]
    while waiting:
        here, states, ignores = waiting.pop()
        check()
        entries = _list_entries(here, _MAX_ENTRIES - seen)
        seen += len(entries)
        if seen > _MAX_ENTRIES:
            raise FileRefusedError(
                f"{format_path(str(folder))} has more than {_MAX_ENTRIES:,} files below it: begin the glob deeper.",
                path=str(folder),
            )
        names = [normalize_name(entry.name) for entry in entries]
        if ".gitignore" in names:
            ignores = (*ignores, *read_ignore_file(here / ".gitignore", here, check))
        patterns = glob.choose(names)
        inner: list[tuple[Path, frozenset[int], tuple[IgnoreFile, ...]]] = []
        for entry, name in zip(entries, names, strict=True):
            reached = glob.advance(states, name, patterns)
            is_folder = entry.is_dir(follow_symlinks=False)
            if (
                not reached
                or name == ".git"
                or is_ignored(ignores, here / entry.name, is_folder=is_folder, check=check)
            ):
                continue
            if is_folder:
                inner.append((here / entry.name, reached, ignores))
            elif len(glob.segments) in reached and entry.is_file(follow_symlinks=False):
                yield here / entry.name
        waiting += reversed(inner)


def _list_entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    """Return a folder's entries by name, at most one more than `most`."""
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) > most:
                    break
    except OSError:
        # Deleted since, or not readable: like a shell's glob, go on with the others.
        return []
    return sorted(found, key=lambda entry: entry.name)
