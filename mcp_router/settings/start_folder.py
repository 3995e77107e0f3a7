"""The folder in which files can be read and written if the configuration names none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath

from mcp_router.files import is_protected_folder

_SYSTEM_FOLDERS = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/snap"),
    *("/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool", "/nix", "/gnu", "/opt/homebrew"),
    *("/System", "/Library", "/Applications", "/cores", "/private/etc", "/private/var/db", "/private/var/root"),
)
"""With everything in them."""
_PROJECTS_IN_SYSTEM_FOLDERS = ("/usr/src", "/usr/local/src", "/var/lib/jenkins/workspace")
_SHARED_FOLDERS = (
    *("/", "/home", "/root", "/mnt", "/media", "/opt", "/srv", "/var", "/Users", "/Volumes"),
    *("/private", "/private/var", "/usr/src", "/usr/local/src"),
)
"""These alone: projects are in folders below them."""
_HOME_FOLDERS = (
    "Library",
    "AppData",
    "AppData/Local",
    "AppData/Roaming",
    ".config",
    ".local",
    ".local/share",
    ".cache",
)
_WINDOWS_VARIABLES = ("SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramW6432", "ProgramData")


def find_start_folder(environ: Mapping[str, str], working_folder: Path) -> Path:
    """Return the folder of the project: `CLAUDE_PROJECT_DIR` in Claude Code, else the working folder."""
    project = environ.get("CLAUDE_PROJECT_DIR", "").strip()
    if project and PurePath(project).is_absolute() and Path(project).is_dir():
        return Path(project)
    return working_folder


def is_project_folder(folder: Path, environ: Mapping[str, str]) -> bool:
    """Whether a folder can be a project: not a disk, a home folder, the system's or one of keys."""
    real = Path(os.path.realpath(folder))
    homes = _find_homes(environ)
    if real == Path(real.anchor) or real in homes:
        return False
    if any(real == home / inner for home in homes for inner in _HOME_FOLDERS):
        return False
    if os.name == "nt":
        system = [Path(environ[name]) for name in _WINDOWS_VARIABLES if environ.get(name)]
        return not any(real.is_relative_to(one) for one in system) and not is_protected_folder(real)
    if any(real == Path(one) for one in _SHARED_FOLDERS) or real.parent in (Path("/home"), Path("/Users")):
        return False
    if any(real.is_relative_to(one) for one in _PROJECTS_IN_SYSTEM_FOLDERS):
        return not is_protected_folder(real)
    system_folders = {Path(os.path.realpath(one)) for one in _SYSTEM_FOLDERS} | set(map(Path, _SYSTEM_FOLDERS))
    return not any(real.is_relative_to(one) for one in system_folders) and not is_protected_folder(real)


def _find_homes(environ: Mapping[str, str]) -> list[Path]:
    named = [environ.get(name, "") for name in ("HOME", "USERPROFILE")]
    homes = [Path(one) for one in named if one]
    with suppress(RuntimeError):
        homes.append(Path.home())
    return [Path(os.path.realpath(home)) for home in homes]
