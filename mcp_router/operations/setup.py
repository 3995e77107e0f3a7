"""First set-up: what the machine has, and a configuration file that fits it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

import tomlkit

from mcp_router.app import App
from mcp_router.operations.install.config_files import FileChange
from mcp_router.routing.local_servers import LocalServerListing, discover_servers
from mcp_router.settings.config_file import read_config_file
from providers.registry import load_provider, load_providers

_HEADING = "mcp-llm-router: docs/configuration.md lists every key. Keys of providers stay in the environment."


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What the router can use on this machine."""

    keys: tuple[str, ...]
    """Names of the variables that hold keys."""
    servers: tuple[LocalServerListing, ...]
    """Local servers at their usual ports on 127.0.0.1; each was asked for its list of models only."""


async def find_surroundings(app: App) -> Surroundings:
    """Find keys in the environment and servers on this machine; spends nothing."""
    keys = [
        name
        for provider in load_providers()
        if not provider.key_optional
        for name in provider.key_env
        if app.settings.key(provider.name, (name,))
    ]
    found = await discover_servers(load_provider("local"), None)
    return Surroundings(keys=tuple(dict.fromkeys(keys)), servers=found.servers)


def plan_configuration(path: str, found: Surroundings, *, daily_usd: Decimal | None) -> FileChange:
    """Plan the configuration file: what is in it stays, what is missing is added.

    Raises:
        ConfigError: The file that is there is unreadable or malformed.
    """
    file = Path(path)
    before = read_config_file(file).text if file.exists() else None
    document = tomlkit.parse(before or "")
    if before is None:
        document.add(tomlkit.comment(_HEADING))
    if daily_usd is not None:
        _set_default(document, ("budgets", "daily_usd"), float(daily_usd))
    if found.servers:
        _set_default(document, ("providers", "local", "enabled"), value=True)
    return FileChange(path=file, before=before, after=tomlkit.dumps(document))


def _set_default(document: tomlkit.TOMLDocument, keys: tuple[str, ...], value: float | bool) -> None:
    """Set a key that is missing, and the tables around it."""
    *tables, last = keys
    place = cast("dict[str, object]", document)
    for number, name in enumerate(tables, 1):
        if name not in place:
            place[name] = tomlkit.table(is_super_table=number < len(tables))
        place = cast("dict[str, object]", place[name])
    place.setdefault(last, value)
