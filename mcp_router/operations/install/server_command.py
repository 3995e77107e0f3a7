"""The command with which a host starts this installation again.

Hosts have a short PATH, so the command has a full path. The environment of `uvx` or `pipx run` is temporary, so there
the command is `uvx` or `pipx` itself.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mcp_router import __version__
from providers.installation import DISTRIBUTION, find_source

COMMAND = "mcp-llm-router"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A program with its full path, and the arguments before the server's own."""

    program: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """The running interpreter and how the package was installed in it."""

    prefix: Path
    executable: Path
    search_path: str
    """PATH."""
    uv: str = ""
    """The path of `uv`, if it started this process."""
    source: str = COMMAND
    """What the package was installed from, in the form of `uvx --from`."""


def inspect_installation(environ: Mapping[str, str]) -> Installation:
    """Inspect this process."""
    return Installation(
        prefix=Path(sys.prefix),
        executable=Path(sys.executable),
        search_path=environ.get("PATH", ""),
        uv=environ.get("UV", ""),
        source=_detect_source(),
    )


def build_command(now: Installation) -> Command:
    """Build the command that starts this server from any folder, and after upgrades."""
    parts = now.prefix.parts
    if any(part.startswith(("archive-v", "environments-v", "builds-v")) for part in parts):
        uvx = shutil.which("uvx", path=now.search_path)
        if uvx is None and now.uv and (beside := shutil.which("uvx", path=str(Path(now.uv).parent))):
            uvx = beside
        if uvx is not None:
            return Command(program=uvx, arguments=("--from", now.source, COMMAND))
    if ".cache" in parts and "pipx" in parts and (pipx := shutil.which("pipx", path=now.search_path)):
        return Command(program=pipx, arguments=("run", "--spec", now.source, COMMAND))
    return _find_script(now)


def _find_script(now: Installation) -> Command:
    script = shutil.which(COMMAND, path=str(now.executable.parent)) or shutil.which(
        COMMAND, path=str(now.prefix / ("Scripts" if sys.platform == "win32" else "bin"))
    )
    if script is None:
        # `-P` keeps a package called `providers` in the working folder from shadowing ours.
        return Command(program=str(now.executable), arguments=("-P", "-m", "mcp_router"))
    on_path = shutil.which(COMMAND, path=now.search_path)
    # pipx and uv keep a link on PATH that outlives upgrades; its target can move.
    same = on_path is not None and Path(on_path).resolve() == Path(script).resolve()
    return Command(program=str(Path(on_path).absolute()) if on_path and same else script)


def _detect_source() -> str:
    """Return what the package was installed from, with the extra of the embedded model if present."""
    extra = "[embedded]" if find_spec("xllamacpp") is not None else ""
    folder, _ = find_source()
    return f"{folder}{extra}" if folder else f"{DISTRIBUTION}{extra}=={__version__}"
