"""What git ignores: the rules of https://git-scm.com/docs/gitignore, matched in bounded time."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mcp_router.files.wildcards import compile_name_pattern, normalize_name

_MAX_IGNORE_BYTES = 1 << 20
_MAX_RULES = 10_000
"""Read from one file."""
_MAX_SEGMENTS = 100
"""Levels of one rule."""
_END = re.compile(r"(?!)")
"""Follows the last segment and matches no name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """One line of a `.gitignore`."""

    segments: tuple[re.Pattern[str] | None, ...]
    """One for each level of the path; None is `**`, any number of levels."""
    ignores: bool
    """False if the line begins with `!`."""
    folders_only: bool

    def is_match(self, names: list[str]) -> bool:
        """Match a path, given as its names, in at most len(names) * len(segments) steps."""
        at = number = 0
        after_stars = resume = -1
        while number < len(names):
            segment = self.segments[at] if at < len(self.segments) else _END
            if segment is None:
                if at == len(self.segments) - 1:
                    return True  # what is within a folder, at any depth
                at, after_stars, resume = at + 1, at + 1, number
            elif segment.fullmatch(names[number]):
                at, number = at + 1, number + 1
            elif after_stars >= 0:
                resume += 1
                at, number = after_stars, resume
            else:
                return False
        return at == len(self.segments)


@dataclass(frozen=True, kw_only=True, slots=True)
class IgnoreFile:
    """The rules of one `.gitignore`, and the folder they apply to."""

    folder: Path
    rules: tuple[_Rule, ...]


def parse_rules(lines: Iterable[str], check: Callable[[], None]) -> tuple[_Rule, ...]:
    """Return the rules of a `.gitignore`; lines that git skips are skipped. `check` raises to stop."""
    rules: list[_Rule] = []
    for line in lines:
        check()
        rule = _parse_rule(_strip_spaces(line.removesuffix("\r")))
        if rule is not None:
            rules.append(rule)
        if len(rules) == _MAX_RULES:
            break
    return tuple(rules)


def _strip_spaces(line: str) -> str:
    stripped = line.rstrip(" \t")
    return stripped + line[len(stripped) :][:1] if _ends_in_escape(stripped) else stripped


def _ends_in_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _parse_rule(line: str) -> _Rule | None:
    ignores = not line.startswith("!")
    pattern = line if ignores else line[1:]
    # Git skips a pattern that ends in a lone backslash.
    if not pattern or line.startswith("#") or _ends_in_escape(pattern):
        return None
    folders_only = pattern.endswith("/")
    body = pattern.rstrip("/")
    parts = body.lstrip("/").split("/")
    if parts == [""] or len(parts) > _MAX_SEGMENTS:
        return None
    if "/" not in body:
        parts = ["**", *parts]
    segments = tuple(None if part == "**" else compile_name_pattern(part, escapes=True) for part in parts if part)
    return _Rule(segments=segments, ignores=ignores, folders_only=folders_only)


def read_ignore_file(path: Path, folder: Path, check: Callable[[], None]) -> tuple[IgnoreFile, ...]:
    """Return the rules of a file, for a folder; none for a link or a pipe, as git does, or if it is over 1 MiB."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > _MAX_IGNORE_BYTES:
            return ()
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError:
        return ()
    return (IgnoreFile(folder=folder, rules=parse_rules(lines, check)),)


def read_ignores_above(folder: Path, *, root: Path, check: Callable[[], None]) -> tuple[IgnoreFile, ...]:
    """Return what the repository around a folder ignores, or the folders up to `root` if there is no repository.

    Nothing is ignored if the folder itself is: it was named. These files can lie above the roots: they only take
    away, and nothing in them is shown.
    """
    ups = (folder, *folder.parents)
    top = next((up for up in ups if (up / ".git").exists()), root)
    found = read_ignore_file(top / ".git" / "info" / "exclude", top, check)
    between = [up for up in reversed(ups) if up.is_relative_to(top)]
    for up, down in pairwise(between):
        found = (*found, *read_ignore_file(up / ".gitignore", up, check))
        if is_ignored(found, down, is_folder=True, check=check):
            return ()
    return found


def is_ignored(files: tuple[IgnoreFile, ...], path: Path, *, is_folder: bool, check: Callable[[], None]) -> bool:
    """Whether git ignores an entry; what it does with the folders above was decided before.

    Calls `check` for each file of rules, which raises to stop.
    """
    for file in reversed(files):
        check()
        names = [normalize_name(name) for name in path.relative_to(file.folder).parts]
        for rule in reversed(file.rules):
            if (is_folder or not rule.folders_only) and rule.is_match(names):
                return rule.ignores
    return False
