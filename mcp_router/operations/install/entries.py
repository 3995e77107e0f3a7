"""What a client's file says of this server."""

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
    """The variables of the environment that a client hands on."""

    keys: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Where the configuration, the ledger and providers are, where the environment says so."""


def build_entry(client: Host, command: Command, variables: Variables, options: tuple[str, ...] = ()) -> ServerEntry:
    """The whole entry, for a file that says nothing of us yet."""
    names = (*variables.keys, *variables.others)
    told: ServerEntry = {
        **({"type": client.also["type"]} if "type" in client.also else {}),
        "command": command.program,
        "args": [*command.arguments, "serve", *options],
    }
    match client.keys:
        case "reference":
            told["env"] = {name: client.reference.replace("NAME", name) for name in names}
        case "blank":
            told["env"] = dict.fromkeys(variables.keys, "")
        case "names":
            told["env_vars"] = list(names)
        case "inherited":
            told["env"] = {}
    return told | {key: value for key, value in client.also.items() if key not in told}


def find_changes(new: ServerEntry, old: Mapping[str, object]) -> ServerEntry:
    """What an entry that is there lacks. The command is ours to say; what else the user wrote stays."""
    found: ServerEntry = {}
    for key, value in new.items():
        before = old.get(key)
        if key in ("command", "args"):
            if before != value:
                found[key] = value
        elif key == "env":
            kept = to_table(before)
            if (all_of_them := to_table(value) | kept) != kept or before is None:
                found[key] = kept | all_of_them
        elif key == "env_vars":
            listed, set_here = to_list(before), to_table(old.get("env"))
            if added := [name for name in to_list(value) if name not in listed and name not in set_here]:
                found[key] = [*listed, *added]
        elif before is None:
            found[key] = value
    return found


def choose_variables(settings: Settings) -> Variables:
    """Choose them: every provider's key, by the name that is set here or else by its first, and what of the rest
    is set here.
    """
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
        said.api_key_env
        for name, said in settings.configuration.providers.items()
        if name not in registry.PROVIDER_NAMES
    )
    keys += [name for name in own if name]
    return Variables(
        keys=tuple(dict.fromkeys(keys)),
        others=tuple(name for name in dict.fromkeys(others) if environ.get(name, "").strip()),
    )


def to_table(value: object) -> dict[str, object]:
    """Take an object out of a file, or an empty one."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- read from a file


def to_list(value: object) -> list[object]:
    """Take a list out of a file, or an empty one."""
    return list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType] -- read from a file
