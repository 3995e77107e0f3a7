"""The entry of this server in a host's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcp_router.operations.install.hosts import Host
from mcp_router.operations.install.server_command import Command
from mcp_router.settings import Settings
from providers import registry

ServerEntry = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variables:
    """The environment variables that a host passes on."""

    keys: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Variables that locate configuration, ledger and providers, if set."""


def build_entry(host: Host, command: Command, variables: Variables, options: tuple[str, ...] = ()) -> ServerEntry:
    """Build the whole entry, for a file without one."""
    names = (*variables.keys, *variables.others)
    entry: ServerEntry = {
        **({"type": host.also["type"]} if "type" in host.also else {}),
        "command": command.program,
        "args": [*command.arguments, "serve", *options],
    }
    match host.keys:
        case "reference":
            entry["env"] = {name: host.reference.replace("NAME", name) for name in names}
        case "blank":
            entry["env"] = dict.fromkeys(variables.keys, "")
        case "names":
            entry["env_vars"] = list(names)
        case "inherited":
            entry["env"] = {}
    return entry | {key: value for key, value in host.also.items() if key not in entry}


def find_changes(new: ServerEntry, old: Mapping[str, object]) -> ServerEntry:
    """Return what an existing entry lacks. We set the command; everything else the user wrote stays."""
    found: ServerEntry = {}
    for key, value in new.items():
        before = old.get(key)
        if key in ("command", "args"):
            if before != value:
                found[key] = value
        elif key == "env":
            kept = to_table(before)
            if (merged := to_table(value) | kept) != kept or before is None:
                found[key] = kept | merged
        elif key == "env_vars":
            listed, set_here = to_list(before), to_table(old.get("env"))
            if added := [name for name in to_list(value) if name not in listed and name not in set_here]:
                found[key] = [*listed, *added]
        elif before is None:
            found[key] = value
    return found


def choose_variables(settings: Settings) -> Variables:
    """Choose every provider's key variable (the one set here, or the first), and the others that are set here."""
    environ, keys, others = settings.environ, list[str](), ["MCP_ROUTER_CONFIG", "MCP_ROUTER_DATABASE_URL"]
    for provider in registry.load_providers():
        chosen = settings.provider(provider.name).api_key_env
        names = (chosen,) if chosen else provider.key_env
        if provider.key_optional:
            others += names
        elif names and provider.retired is None:
            keys.append(next((name for name in names if environ.get(name, "").strip()), names[0]))
        others += [f"{provider.name.upper()}_BASE_URL", *provider.base_url_env]
    own = (
        own_settings.api_key_env
        for name, own_settings in settings.configuration.providers.items()
        if name not in registry.PROVIDER_NAMES
    )
    keys += [name for name in own if name]
    return Variables(
        keys=tuple(dict.fromkeys(keys)),
        others=tuple(name for name in dict.fromkeys(others) if environ.get(name, "").strip()),
    )


def to_table(value: object) -> dict[str, object]:
    """Return an object read from a file, or an empty one."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- read from a file


def to_list(value: object) -> list[object]:
    """Return a list read from a file, or an empty one."""
    return list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType] -- read from a file
