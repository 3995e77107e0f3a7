"""Where a client keeps its configuration on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcp_router.operations.install.hosts import Host


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a place depends on."""

    platform: str = sys.platform
    """As `sys.platform` has it."""
    home: Path
    environ: Mapping[str, str]


def locate_config(client: Host, machine: Machine) -> Path:
    """The file that a client reads for all its projects; it need not exist yet."""
    found = list(_list_places(client, machine))
    return next((path for path in found if path.is_file()), found[0])


def _list_places(client: Host, machine: Machine) -> Iterator[Path]:
    """Every place in question, those first that a wildcard found."""
    patterns = {"win32": client.windows, "darwin": client.macos}.get(machine.platform, client.linux)
    moved = machine.environ.get(client.home_env, "").strip() if client.home_env else ""
    if moved:
        yield Path(moved).expanduser() / client.below
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
    said = environ.get(variable, "").strip()
    return Path(said) if said else usual
