"""`install`: tells a client how to start this server."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from pathlib import Path

from mcp_router.cli.exit_codes import DONE
from mcp_router.operations.install import config_files
from mcp_router.operations.install.config_files import Change
from mcp_router.operations.install.entries import build_entry, choose_variables
from mcp_router.operations.install.hosts import Host, find_host
from mcp_router.operations.install.locations import Machine, locate_config
from mcp_router.operations.install.server_command import build_command, inspect_installation
from mcp_router.settings import Settings

_STANDING = {False: "{} starts this server already", True: "{} does not start this server"}


def run(settings: Settings, given: Namespace) -> int:
    """Write one client's configuration, or show what would be written."""
    chosen = find_host(given.client)
    path = locate_config(chosen, Machine(home=Path.home(), environ=settings.environ))
    change = _change(chosen, path, settings, given)
    if not change.needed:
        print(f"{path}: nothing to change; {_STANDING[given.uninstall].format(chosen.title)}.")
    elif given.dry_run:
        print(config_files.format_diff(change))
    else:
        _write(change, chosen, given)
    return DONE


def _change(chosen: Host, path: Path, settings: Settings, given: Namespace) -> Change:
    if given.uninstall:
        return config_files.plan_removal(chosen, path)
    options = ("--config", str(Path(given.config).expanduser().absolute())) if given.config else ()
    told = build_entry(
        chosen, build_command(inspect_installation(settings.environ)), choose_variables(settings), options
    )
    return config_files.plan_install(chosen, path, told)


def _write(change: Change, chosen: Host, given: Namespace) -> None:
    backup = config_files.write_change(change, datetime.now())  # noqa: DTZ005 - a name for people to read, in their own time
    print(f"{change.path}: {'written' if not given.uninstall else 'our entry is gone'}.")
    if backup is not None:
        print(f"What was there before: {backup}")
    if not given.uninstall:
        print(chosen.afterwards)
