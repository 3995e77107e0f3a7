"""Checks of local servers, hosts and BMAD beside the server; what is missing is a note, never an error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from mcp_router.app import App
from mcp_router.errors import ConfigError
from mcp_router.operations.doctor.finding import Finding
from mcp_router.operations.install import config_files
from mcp_router.operations.install.hosts import HOSTS, SERVER, Host
from mcp_router.operations.install.locations import Machine, locate_config
from mcp_router.routing.local_servers import LocalServerListing, discover_servers, format_usual_addresses

_MAX_LISTED_MODELS = 6


async def find_companions(app: App) -> list[Finding]:
    """Run all of these checks."""
    return [*await _check_local_servers(app), *_check_hosts(app), *_check_bmad(app.settings.working_folder)]


async def _check_local_servers(app: App) -> list[Finding]:
    local = app.catalog.provider("local")
    if app.discovery is None:
        if app.settings.provider("local").enabled is False:
            return []
        unused = await discover_servers(local, None)
        return [
            Finding(
                state="note",
                what="local",
                found=f"{_describe_server(server)}; not used: set [providers.local] enabled = true",
            )
            for server in unused.servers
        ]
    await app.discovery.catalog()
    servers = app.discovery.found.servers if app.discovery.found else ()
    if servers:
        return [
            Finding(state="ok" if one.models else "note", what="local", found=_describe_server(one)) for one in servers
        ]
    where = app.provider_connection("local").base_url or format_usual_addresses(local)
    return [
        Finding(
            state="note",
            what="local",
            found=app.discovery.unavailable_reason()
            or f"no server lists models at {where}. Start it; calls are tried anyway",
        )
    ]


def _describe_server(server: LocalServerListing) -> str:
    names = [model.name for model in server.models]
    hidden = len(names) - _MAX_LISTED_MODELS
    listed = ", ".join(names[:_MAX_LISTED_MODELS]) + (f" and {hidden} more" if hidden > 0 else "")
    return f"{server.name} at {server.base_url} serves {listed or 'no model. Load or pull one'}"


def _check_hosts(app: App) -> Iterator[Finding]:
    home = Path.home()
    machine = Machine(home=home, environ=app.settings.environ)
    for host in HOSTS:
        path = locate_config(host, machine)
        if path.is_file() or (path.parent.is_dir() and path.parent != home):
            yield _check_host(host, path)


def _check_host(host: Host, path: Path) -> Finding:
    advice = f"`mcp-llm-router install {host.name}`"
    try:
        entry = config_files.read_entry(host, path)
    except ConfigError as error:
        return Finding(state="note", what=host.title, found=str(error))
    if entry is None:
        return Finding(state="note", what=host.title, found=f"does not start this server: {advice}")
    program = str(entry.get("command", ""))
    if program and shutil.which(program) is None:
        return Finding(state="note", what=host.title, found=f"{path} names {program}, which does not exist: {advice}")
    return Finding(state="ok", what=host.title, found=f"starts this server as {SERVER}, according to {path}")


def _check_bmad(folder: Path) -> Iterator[Finding]:
    if not (folder / "_bmad").is_dir():
        return
    custom = folder / "_bmad" / "custom"
    if any(SERVER in path.read_text("utf-8", "replace") for path in custom.glob("*.toml") if path.is_file()):
        yield Finding(state="ok", what="BMAD", found=f"{custom} tells its agents to delegate")
    else:
        found = f"its agents do not know this server: copy examples/bmad/*.toml to {custom}"
        yield Finding(state="note", what="BMAD", found=found)
    if shutil.which("bmad-method") is None and shutil.which("npx") is None:
        found = "neither bmad-method nor npx is on PATH: install Node to update BMAD; delegating needs neither"
        yield Finding(state="note", what="BMAD", found=found)
