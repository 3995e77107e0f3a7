"""Writes the tables of README.md and docs/ and the examples for hosts from the code: `make docs`.

Each table is between `<!-- table: NAME -->` and `<!-- end -->`. A test compares them with the code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcp_router import __version__
from mcp_router.ledger.ledger import AttemptLedger, HoldLedger, Ledger, ReportLedger
from mcp_router.operations.install import jsonc, toml_tables
from mcp_router.operations.install.entries import Variables, build_entry
from mcp_router.operations.install.hosts import HOSTS, SERVER, Host
from mcp_router.operations.install.server_command import COMMAND, Command
from mcp_router.routing.routes import TIERS, USE_CASES, RouteEntry, RoutingTable, Tier, UseCase
from mcp_router.routing.routes import load_shipped as shipped_routes
from mcp_router.server.handlers import INSTRUCTIONS
from mcp_router.server.tools import TOOLS
from mcp_router.text import to_compact_json
from scripts.markdown import table
from scripts.provider_tables import abilities, addresses, failures, providers

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLES = ROOT / "examples" / "clients"
MANIFEST = ROOT / "mcpb" / "manifest.json"
REGISTRY = ROOT / "server.json"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write all of them."""
    for page in PAGES:
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
    for client in HOSTS:
        (EXAMPLES / example_name(client)).write_text(example(client), "utf-8")
    for path, up_to_date in ((MANIFEST, manifest), (REGISTRY, registry)):
        path.write_text(up_to_date(path.read_text("utf-8")), "utf-8")


def with_tables(text: str) -> str:
    """Return a text with the current tables."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def tiers() -> str:
    """Return the ceiling of each tier."""
    routes = shipped_routes()
    return table(
        ("budget tier", "one call costs at most", "default of"),
        ((f"`{tier}`", f"${routes.ceilings[tier]}", _defaults(routes, tier)) for tier in TIERS),
    )


def use_cases() -> str:
    """Return each use case with the route at its default tier."""
    routes = shipped_routes()
    return table(
        ("use case", "about", "default tier", "its models, in order"),
        (
            (f"`{name}`", row.about, f"`{row.default_tier}`", _asked(routes, name))
            for name in USE_CASES
            for row in (routes.use_cases[name],)
        ),
    )


def cells() -> str:
    """Return every route, with the effort of each model."""
    routes = shipped_routes()
    return table(
        ("use case", "budget tier", "models, in order"),
        (
            (f"`{name}`", f"`{tier}`", ", ".join(_entry(entry) for entry in routes.route(name, tier)))
            for name in USE_CASES
            for tier in TIERS
        ),
    )


def ledger() -> str:
    """Return the methods of a ledger, from its docstrings."""
    protocols = (HoldLedger, AttemptLedger, ReportLedger, Ledger)
    methods = [(name, one) for each in protocols for name, one in vars(each).items() if not name.startswith("_")]
    return table(
        ("method", "does"),
        (
            (f"`{name}`", " ".join((one.__doc__ or "").split()).partition(": ")[0].rstrip("."))
            for name, one in methods
            if callable(one)
        ),
    )


def context() -> str:
    """Say what the server costs an agent's context, rounded up to the next 50 tokens."""
    whole = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in TOOLS]
    shown = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in whole]
    rows = (
        ("the four tools: names, descriptions, arguments", "once a session", _rounded(tokens(shown))),
        ("what the server says of itself", "once a session", _rounded(tokens(INSTRUCTIONS))),
        ("a result of `generate`, beyond its text", "once a call", "90"),
    )
    return table(("your agent is shown", "when", "tokens, at most"), rows)


def tokens(value: object) -> int:
    """Count a value's tokens as compact JSON."""
    bpe: Any = import_module("rs_bpe.bpe")  # it ships no types
    return len(bpe.openai.o200k_base().encode(to_compact_json(value)))


def _rounded(count: int) -> str:
    return f"{-(-count // 50) * 50:,}"


@cache
def explained() -> str:
    """Run `explain` with three keys and show what it prints."""
    command = Path(sys.executable).with_name(COMMAND)
    keys = dict.fromkeys(("ANTHROPIC_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"), "made-up")
    with TemporaryDirectory() as home:
        environ = {
            "HOME": home,
            "MCP_ROUTER_DATABASE_URL": f"sqlite:///{home}/ledger.sqlite3",
            "COLUMNS": "100",
            **keys,
        }
        done = subprocess.run(
            [command, *EXPLAINED], env=environ, cwd=home, check=True, capture_output=True, encoding="utf-8"
        )
    lines = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    return f"```text\n{lines}\n```"


EXPLAINED = (
    "explain",
    "Write a Python function that parses ISO dates.",
    "--use-case",
    "code_generation",
    "--complexity",
    "medium",
)


def clients() -> str:
    """Return where each host keeps its servers, and how it passes keys."""
    return table(
        ("client", "`install`", "its file on Linux", "on macOS", "on Windows", "keys"),
        (
            (
                f"[{one.title}]({one.docs_url})",
                f"`{one.name}`",
                *(f"`{readable(place)}`" for place in (one.linux[-1], one.macos[-1], one.windows[-1])),
                _KEYS[one.keys].format(one.reference.replace("NAME", "GROQ_API_KEY")),
            )
            for one in HOSTS
        ),
    )


_KEYS = {
    "reference": "by reference: `{}`",
    "names": "by name: `env_vars`",
    "inherited": "with its whole environment",
    "blank": "written into its file by you",
}


def readable(place: str) -> str:
    """Return a path in the form that people know."""
    known = {"{config}": "~/.config", "{appdata}": "%APPDATA%", "{localappdata}": "%LOCALAPPDATA%"}
    first, slash, rest = place.partition("/")
    return known.get(first, first) + slash + rest


def example_name(client: Host) -> str:
    """Return the file name of a host's example."""
    return f"{client.name}.{client.format}"


def example(client: Host) -> str:
    """Return the block to paste into a host's file."""
    keys = Variables(keys=("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY"))
    told = build_entry(client, Command(program=COMMAND), keys)
    if client.format == "toml":
        return toml_tables.set_entry("", client.table, SERVER, told).lstrip()
    return jsonc.set_member("", (client.table, SERVER), told)


def manifest(text: str) -> str:
    """Return the bundle's manifest with the current version and tools."""
    told = json.loads(text)
    tools = [{"name": tool.name, "description": tool.description} for tool in TOOLS]
    return _json(told | {"version": __version__, "tools": tools})


def registry(text: str) -> str:
    """Return the registry's entry with the current version."""
    told = json.loads(text)
    packages = [package | {"version": __version__} for package in told["packages"]]
    return _json(told | {"version": __version__, "packages": packages})


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _defaults(routes: RoutingTable, tier: Tier) -> str:
    return ", ".join(f"`{name}`" for name in USE_CASES if routes.use_cases[name].default_tier == tier)


def _entry(entry: RouteEntry) -> str:
    thinks = "" if entry.thinking == "off" else f" ({entry.thinking})"
    return f"`{entry.model}`{thinks}"


def _asked(routes: RoutingTable, name: UseCase) -> str:
    entries = routes.route(name, routes.use_cases[name].default_tier)
    return ", ".join(f"`{entry.model}`" for entry in entries if entry.model not in ("local", "embedded"))


TABLES: dict[str, Callable[[], str]] = {
    "tiers": tiers,
    "use_cases": use_cases,
    "providers": providers,
    "clients": clients,
    "cells": cells,
    "addresses": addresses,
    "abilities": abilities,
    "failures": failures,
    "ledger": ledger,
    "context": context,
    "explained": explained,
}

if __name__ == "__main__":
    main()
