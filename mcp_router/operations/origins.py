"""Attribution of a call to project, branch and host, from the folder it was made in."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio

from mcp_router.ledger.origin import Origin
from mcp_router.settings.projects import clean_name, find_configured, name_folder

_MAX_FILE_BYTES = 4_096
"""Of `.git`, `HEAD` and `commondir`: each is one short line."""
_MAX_WAIT_S = 1.0
"""For a folder on a disk that does not answer."""
_SHORT_COMMIT_DIGITS = 7
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_REFERENCE, _BRANCHES = "ref: ", "refs/heads/"
_NO_BRANCH = ".invalid"
"""The branch that HEAD names in a repository with reftables."""


class Repository(NamedTuple):
    """A git repository: its own folder, also for a worktree, and the branch of the folder asked for."""

    root: Path
    branch: str


async def find_origin(folder: Path, *, host: str, configured: Iterable[str] = ()) -> Origin:
    """Return project and branch of a folder; only the folder's name if the disk does not answer within a second.

    `configured` are the keys of `[projects]`: such a folder is one project with everything in it.
    """
    find = partial(find_origin_now, folder, host=host, configured=tuple(configured))
    with anyio.move_on_after(_MAX_WAIT_S):
        return await anyio.to_thread.run_sync(find, abandon_on_cancel=True)
    return Origin(project=clean_name(folder.name) or "root", host=clean_name(host))


def find_origin_now(folder: Path, *, host: str, configured: Iterable[str] = ()) -> Origin:
    """Return project and branch of a folder. It reads a few small files."""
    repository = find_repository(folder)
    root = folder if repository is None else repository.root
    project = find_configured((folder, root), configured) or root
    branch = "" if repository is None else clean_name(repository.branch)
    return Origin(project=name_folder(project), branch=branch, host=clean_name(host))


def find_repository(folder: Path) -> Repository | None:
    """Return the repository that a folder is in; None without one. A home folder's repository is not its projects'."""
    real = Path(os.path.realpath(folder))
    home = Path(os.path.realpath(Path.home()))
    for one in (real, *real.parents):
        if one == home and one != real:
            return None
        if (found := _open_repository(one)) is not None:
            return found
    return None


def _open_repository(folder: Path) -> Repository | None:
    git = folder / ".git"
    if git.is_dir():
        head = _read_line(git / "HEAD")
        return None if head is None else Repository(folder, _find_branch(head))
    link = _read_line(git)
    if link is None or not link.startswith("gitdir:"):
        return None
    own = folder / link.removeprefix("gitdir:").strip()
    branch = _find_branch(_read_line(own / "HEAD") or "")
    common = _read_line(own / "commondir")  # only a worktree has it, a submodule has not
    if common is None:
        return Repository(folder, branch)
    shared = Path(os.path.realpath(own / common))
    return Repository(shared.parent if shared.name == ".git" else shared, branch)


def _find_branch(head: str) -> str:
    """Return the branch that HEAD names, or the first digits of a detached head's commit."""
    if head.startswith(_REFERENCE):
        branch = head.removeprefix(_REFERENCE).strip().removeprefix(_BRANCHES)
        return "" if branch == _NO_BRANCH else branch
    return head[:_SHORT_COMMIT_DIGITS] if _COMMIT.fullmatch(head) else ""


def _read_line(path: Path) -> str | None:
    """Return the first line of a small regular file; None if there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES)
    except (OSError, ValueError):
        return None
    return data.decode(errors="replace").split("\n", 1)[0].strip()
