"""Paths that configure a machine, a host or a pipeline: an answer saved there would run or change what runs."""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel

from mcp_router.files.path_patterns import is_listed
from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots, format_path
from mcp_router.files.wildcards import NamePattern, normalize_name

_IGNORED_CHARACTERS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""HFS+ drops them from names: `.g\u200cit` is `.git` there (CVE-2014-9390)."""
_NEVER_A_PROJECT = frozenset({".git", ".ssh", ".gnupg", ".aws"})
_ENVIRONMENT_FOLDERS = frozenset({"bin", "lib", "lib64", "scripts", "include", "share", "conda-meta"})
_WINDOWS_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")


class _Protected(BaseModel):
    """Names that configure one kind of thing, in lower case."""

    reason: str
    folders: frozenset[str] = frozenset()
    files: tuple[NamePattern, ...] = ()


class _SelfRunning(BaseModel):
    files: tuple[NamePattern, ...]


class _Rules(BaseModel):
    protected: tuple[_Protected, ...]
    self_running: _SelfRunning


@cache
def _load_rules() -> _Rules:
    return _Rules.model_validate(tomllib.loads((files("mcp_router.files") / "protected_paths.toml").read_text("utf-8")))


class ProtectedPathError(FileRefusedError):
    """A path that is not written because it configures what runs."""

    kind = "protected_path"

    def __init__(self, place: ResolvedPath, reason: str) -> None:
        """`reason` says what the path belongs to."""
        super().__init__(
            f"{format_path(place.name)} is not written: it belongs to {reason}. Save elsewhere, or ask the user to add "
            "it to allow_saving_to in the configuration.",
            path=place.name,
        )
        self.reason = reason


def refuse_protected(place: ResolvedPath, roots: Roots) -> None:
    """Let a path pass that configures nothing, or that the configuration lists.

    Raises:
        ProtectedPathError: It configures a machine, a host or a pipeline.
    """
    reason = _find_reason(place)
    if reason is not None and not is_listed(place, roots.protected):
        raise ProtectedPathError(place, reason)


def warn_of_execution(place: ResolvedPath) -> str | None:
    """Return a warning if the file is one that a tool runs by itself, or None."""
    name = _canonical(place.path.name)
    if not name.endswith(".md") and any(pattern.fullmatch(name) for pattern in _load_rules().self_running.files):
        return f"{format_path(place.path.name)} is a file that tools run by themselves: read it before you use it"
    return None


def _canonical(name: str) -> str:
    """Return a name as the most lenient file system reads it: without case, ignorable characters and final dots."""
    name = _IGNORED_CHARACTERS.sub("", normalize_name(name)).casefold()
    name = name.partition(":")[0] or name  # an alternate data stream on NTFS
    return name.rstrip(". ") or name


def _find_reason(place: ResolvedPath) -> str | None:
    names = [_canonical(part) for part in place.parts]
    if os.name == "nt" and any(":" in part or _WINDOWS_DEVICE.fullmatch(part.casefold()) for part in place.parts):
        return "the system's devices and streams"
    # A worktree of Claude Code is a checkout like any other.
    start = names.index("worktrees") + 2 if names[:2] == [".claude", "worktrees"] else 0
    for kind in _load_rules().protected:
        if not kind.folders.isdisjoint(names[start:]) or any(pattern.fullmatch(names[-1]) for pattern in kind.files):
            return kind.reason
    return _find_folder_reason(place)


def _find_folder_reason(place: ResolvedPath) -> str | None:
    """Recognize repositories and virtual environments by what stands in them, under whatever name."""
    folders = [place.root.joinpath(*place.parts[:depth]) for depth in range(len(place.parts))]
    if any(map(_is_git_folder, folders)):
        return "git's own files"
    # A project's folder can be the environment itself; then only its own folders belong to the environment.
    if place.parts[0].casefold() not in _ENVIRONMENT_FOLDERS:
        folders = folders[1:]
    return "a virtual environment" if any(map(_is_environment, folders)) else None


def _is_git_folder(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()


def is_protected_folder(folder: Path) -> bool:
    """Whether a folder is within git's or the user's own keys: it is no project to read and write in."""
    return any(_canonical(part) in _NEVER_A_PROJECT for part in folder.parts) or any(
        map(_is_git_folder, (folder, *folder.parents))
    )
