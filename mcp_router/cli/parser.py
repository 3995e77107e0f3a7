"""The table of commands, and the parser of the whole command line."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from mcp_router import __version__
from mcp_router.cli.options import add_config


class Command(NamedTuple):
    """A line of the table; `mcp_router/cli/commands/` has a module per command, loaded when the command is used."""

    group: str
    about: str
    module: str = ""
    """The module's name where it differs from the command's."""


COMMANDS: dict[str, Command] = {
    "serve": Command("run", "serve MCP over stdio or HTTP"),
    "ask": Command("run", "send one subtask and print the answer"),
    "explain": Command("run", "show the plan for a subtask, or the attempts of a past call; spends nothing"),
    "providers": Command("inspect", "show providers and models, and how to enable the others"),
    "models": Command("inspect", "list models with prices and windows, filtered and sorted"),
    "calls": Command("inspect", "list recorded calls, filtered"),
    "costs": Command("inspect", "show what calls cost and saved"),
    "tasks": Command("inspect", "show background work and its results, or cancel it"),
    "doctor": Command("inspect", "check configuration, keys, routes, ledger and hosts"),
    "init": Command("set up", "find keys and local servers, write a configuration, make a test call"),
    "config": Command("set up", "show the configuration's path and settings, check it, or print its schema"),
    "install": Command("set up", "add this server to an MCP host's configuration"),
    "completion": Command("set up", "print the shell completion for bash, zsh or fish"),
    "token": Command("maintain", "make, list or revoke clients' tokens"),
    "ledger": Command("maintain", "prune old attempts, or rebuild sums"),
    "replay": Command("maintain", "show what recorded calls would cost under another routing table; spends nothing"),
    "trial": Command("maintain", "measure models on your own samples, and find the route they support"),
    "eval": Command(
        "maintain", "score the inference of use case and difficulty on the shipped data or yours", module="evaluate"
    ),
    "forget": Command("maintain", "delete the feedback that earlier answers gave about models"),
}
"""Every command, by what people want; the groups stand together."""


def load_command(name: str) -> ModuleType:
    """Import the module of a command.

    It has `add_options(parser)` and `run`: `async def run(app, given)`, or `def run(settings, given)` if the command
    needs no ledger. An optional `run_early(given)` runs first, before anything heavy is imported; if it returns an exit
    code, that ends the command.
    """
    return import_module(f"mcp_router.cli.commands.{COMMANDS[name].module or name}")


def create_parser(used: Collection[str] = tuple(COMMANDS)) -> ArgumentParser:
    """Create the parser of the whole command line.

    Args:
        used: Commands whose options are added. Their modules are imported, so a start names the one it runs.
    """
    parser = ArgumentParser(
        prog="mcp-llm-router",
        usage="%(prog)s [--config FILE] COMMAND [OPTIONS]",
        description="An MCP server that lets your coding agent hand subtasks to cheaper models, within a budget.",
        epilog=f"{_format_groups()}\n\nWithout a command it runs serve. `COMMAND --help` shows a command's options.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mcp-llm-router {__version__}")
    add_config(parser, default=None)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help=SUPPRESS)
    for name, command in COMMANDS.items():
        added = subparsers.add_parser(name, description=command.about[0].upper() + command.about[1:] + ".")
        add_config(added)
        if name in used:
            load_command(name).add_options(added)
    return parser


def _format_groups() -> str:
    lines: list[str] = []
    width = max(map(len, COMMANDS)) + 1
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines += ["", f"{group}:"]
        lines += [f"  {name:{width}} {one.about}" for name, one in COMMANDS.items() if one.group == group]
    return "\n".join(lines[1:])
