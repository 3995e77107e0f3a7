"""`install`: tells a client how to start this server."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from pathlib import Path

from mcp_router.cli.exit_codes import DONE
from mcp_router.operations.install import config_files
from mcp_router.operations.install.config_files import Change
from mcp_router.operations.install.entries import entry, variables
from mcp_router.operations.install.hosts import Client, client
from mcp_router.operations.install.locations import Machine, place
from mcp_router.operations.install.server_command import command, running
from mcp_router.settings import Settings

_STANDING = {False: "{} starts this server already", True: "{} does not start this server"}


def run(settings: Settings, given: Namespace) -> int:
    """Write one client's configuration, or show what would be written."""
    chosen = client(given.client)
    path = place(chosen, Machine(home=Path.home(), environ=settings.environ))
    change = _change(chosen, path, settings, given)
    if not change.needed:
        print(f"{path}: nothing to change; {_STANDING[given.uninstall].format(chosen.title)}.")
    elif given.dry_run:
        print(config_files.diff(change))
    else:
        _write(change, chosen, given)
    return DONE


def _change(chosen: Client, path: Path, settings: Settings, given: Namespace) -> Change:
    if given.uninstall:
        return config_files.removed(chosen, path)
    options = ("--config", str(Path(given.config).expanduser().absolute())) if given.config else ()
    told = entry(chosen, command(running(settings.environ)), variables(settings), options)
    return config_files.installed(chosen, path, told)


def _write(change: Change, chosen: Client, given: Namespace) -> None:
    backup = config_files.write(change, datetime.now())  # noqa: DTZ005 - a name for people to read, in their own time
    print(f"{change.path}: {'written' if not given.uninstall else 'our entry is gone'}.")
    if backup is not None:
        print(f"What was there before: {backup}")
    if not given.uninstall:
        print(chosen.afterwards)
