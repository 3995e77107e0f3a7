"""`config`: where the configuration is, what holds, whether it is valid, and its JSON Schema for editors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_config, add_json
from mcp_router.operations.configuration import build_schema, check, describe, locate
from mcp_router.settings import Settings
from mcp_router.text import to_compact_json

_ACTIONS = {
    "path": "print the configuration file's path",
    "show": "print every setting that holds, without secrets",
    "check": "report wrong keys, values and model names",
    "schema": "print the JSON Schema of the file, for editors",
}


def add_options(parser: ArgumentParser) -> None:
    """Add the actions of `config`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, about in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        add_config(action)
        if name == "show":
            add_json(action)


def run_early(given: Namespace) -> int | None:
    """Print the path or the schema, which a broken configuration does not prevent."""
    if given.action == "path":
        print(locate(given.config))
    elif given.action == "schema":
        print(to_compact_json(build_schema()))
    else:
        return None
    return DONE


def run(settings: Settings, given: Namespace) -> int:
    """Print what holds, or that the configuration is valid."""
    if given.action == "check":
        check(settings)
        print(f"{settings.path or 'no configuration file; defaults hold'}: no problem found")
        return DONE
    shown = describe(settings)
    if given.json:
        print(to_compact_json(shown))
        return DONE
    print(f"# {settings.path or locate(given.config) + ' does not exist; defaults hold'}")
    for key, value in shown.items():
        print(f"{key} = {to_compact_json(value)}")
    return DONE
