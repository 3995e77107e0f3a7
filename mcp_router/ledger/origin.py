"""Where a call came from: its project, branch and host program."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

MARK = "~"
"""Separates a folder's name from the digits that tell folders of the same name apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Project, branch and host of a call; empty if unknown. Never a path."""

    project: str = ""
    """A folder's name and six digits of a hash of its path, such as `shop~1f9a03`; or the name that a client sent."""
    branch: str = ""
    """Branch, short hash of a detached head, or empty outside of git."""
    host: str = ""
    """Program that sent the call, for example `claude-code`."""


CURRENT_ORIGIN: ContextVar[Origin] = ContextVar("CURRENT_ORIGIN", default=Origin())  # noqa: B039 -- immutable
"""Origin of the call in progress. An entry point sets it; tasks that a call starts inherit it."""


def find_folder_name(project: str) -> str:
    """Return the folder's name of a project."""
    return project.rpartition(MARK)[0] or project
