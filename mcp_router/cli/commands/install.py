"""`install`: adds this server to an MCP host's configuration."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mcp_router.cli.exit_codes import DONE
from mcp_router.operations.install import config_files
from mcp_router.operations.install.config_files import FileChange
from mcp_router.operations.install.entries import build_entry, choose_variables
from mcp_router.operations.install.hosts import HOSTS, Host, find_host
from mcp_router.operations.install.locations import Machine, locate_config
from mcp_router.operations.install.server_command import build_command, inspect_installation
from mcp_router.settings import Settings


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `install`."""
    parser.add_argument("host", metavar="HOST", help=", ".join(host.name for host in HOSTS))
    parser.add_argument("--dry-run", action="store_true", help="show the change without writing it")
    parser.add_argument("--uninstall", action="store_true", help="remove the entry")


def run(settings: Settings, given: Namespace) -> int:
    """Write one host's configuration, or show the change."""
    host = find_host(given.host)
    path = locate_config(host, Machine(home=Path.home(), environ=settings.environ))
    change = _plan_change(host, path, settings, given)
    if not change.needed:
        state = "does not start this server" if given.uninstall else "already starts this server"
        print(f"{path}: nothing to change; {host.title} {state}.")
    elif given.dry_run:
        print(config_files.format_diff(change))
    else:
        _write_change(change, host, uninstall=given.uninstall)
    return DONE


def _plan_change(host: Host, path: Path, settings: Settings, given: Namespace) -> FileChange:
    if given.uninstall:
        return config_files.plan_removal(host, path)
    options = ("--config", str(Path(given.config).expanduser().absolute())) if given.config else ()
    command = build_command(inspect_installation(settings.environ))
    return config_files.plan_install(host, path, build_entry(host, command, choose_variables(settings), options))


def _write_change(change: FileChange, host: Host, *, uninstall: bool) -> None:
    backup = config_files.write_change(change)
    print(f"{change.path}: {'entry removed' if uninstall else 'entry written'}.")
    if backup is not None:
        print(f"Backup of the file from before: {backup}")
    if not uninstall:
        print(host.afterwards)
