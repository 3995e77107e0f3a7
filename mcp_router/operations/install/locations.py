"""The place of a host's configuration on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcp_router.operations.install.hosts import Host


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the place depends on."""

    platform: str = sys.platform
    """As in `sys.platform`."""
    home: Path
    environ: Mapping[str, str]


def locate_config(host: Host, machine: Machine) -> Path:
    """Return the file that a host reads for all projects, whether or not it exists."""
    found = list(_list_places(host, machine))
    return next((path for path in found if path.is_file()), found[0])


def _list_places(host: Host, machine: Machine) -> Iterator[Path]:
    """Yield the possible places, matches of a wildcard first."""
    patterns = {"win32": host.windows, "darwin": host.macos}.get(machine.platform, host.linux)
    moved = machine.environ.get(host.home_env, "").strip() if host.home_env else ""
    if moved:
        yield Path(moved).expanduser() / host.below
        return
    for pattern in patterns:
        before, star, after = pattern.partition("*")
        if not star:
            yield _expand(pattern, machine)
            continue
        folder, _, prefix = before.rpartition("/")
        for match in sorted(_expand(folder, machine).glob(f"{prefix}*")):
            yield match.joinpath(*after.strip("/").split("/"))


def _expand(pattern: str, machine: Machine) -> Path:
    home, environ = machine.home, machine.environ
    folders = {
        "~": home,
        "{config}": _folder(environ, "XDG_CONFIG_HOME", home / ".config"),
        "{appdata}": _folder(environ, "APPDATA", home / "AppData" / "Roaming"),
        "{localappdata}": _folder(environ, "LOCALAPPDATA", home / "AppData" / "Local"),
    }
    first, _, rest = pattern.partition("/")
    return folders[first].joinpath(*rest.split("/"))


def _folder(environ: Mapping[str, str], variable: str, usual: Path) -> Path:
    moved = environ.get(variable, "").strip()
    return Path(moved) if moved else usual
