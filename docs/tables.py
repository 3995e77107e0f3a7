"""Writes the tables of README.md and docs/, and the examples for clients, anew from the code: `make docs`.

Each table stands between `<!-- table: NAME -->` and `<!-- end -->`. A test compares them, so that none of them ages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from mcp_router import __version__
from mcp_router.clients import CLIENTS, SERVER, Client, jsonc, toml_tables
from mcp_router.clients.commands import COMMAND, Command
from mcp_router.clients.entries import Variables, entry
from mcp_router.routes import TIERS, USE_CASES, Routes, Tier, UseCase
from mcp_router.routes import shipped as shipped_routes
from mcp_router.tools import TOOLS
from providers.rows import shipped as shipped_providers

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLES = ROOT / "examples" / "clients"
MANIFEST = ROOT / "mcpb" / "manifest.json"
REGISTRY = ROOT / "server.json"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write them."""
    for page in PAGES:
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
    for client in CLIENTS:
        (EXAMPLES / example_name(client)).write_text(example(client), "utf-8")
    for path, up_to_date in ((MANIFEST, manifest), (REGISTRY, registry)):
        path.write_text(up_to_date(path.read_text("utf-8")), "utf-8")


def with_tables(text: str) -> str:
    """Return a text with its tables as the code has them now."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def tiers() -> str:
    """Say what one call may cost."""
    routes = shipped_routes()
    return table(
        ("budget tier", "one call costs at most", "default of"),
        ((f"`{tier}`", f"${routes.ceilings[tier]}", _defaults(routes, tier)) for tier in TIERS),
    )


def use_cases() -> str:
    """Say what each use case is about, and who is asked first at its default tier."""
    routes = shipped_routes()
    return table(
        ("use case", "about", "default tier", "asked there, in this order"),
        (
            (f"`{name}`", row.about, f"`{row.default_tier}`", _asked(routes, name))
            for name in USE_CASES
            for row in (routes.use_cases[name],)
        ),
    )


def providers() -> str:
    """Say how each provider is called, which variable holds its key, and which wire it is asked over."""
    return table(
        ("provider", "", "key variable", "models", "wire"),
        (
            (
                f"`{one.name}`",
                f"[{one.title}]({one.docs_url})" + (f", retired {one.retired}" if one.retired else ""),
                " or ".join(f"`{name}`" for name in one.key_env) or "none",
                str(len(one.models)) if one.models else "-",
                f"`{one.wire}`",
            )
            for one in shipped_providers()
        ),
    )


def clients() -> str:
    """Say where each client keeps its servers, and how it hands keys on."""
    return table(
        ("client", "`install`", "its file on Linux", "on macOS", "on Windows", "keys"),
        (
            (
                f"[{one.title}]({one.docs_url})",
                f"`{one.name}`",
                *(f"`{readable(place)}`" for place in (one.linux[-1], one.macos[-1], one.windows[-1])),
                _KEYS[one.keys].format(one.reference.replace("NAME", "GROQ_API_KEY")),
            )
            for one in CLIENTS
        ),
    )


_KEYS = {
    "reference": "by reference: `{}`",
    "names": "by name: `env_vars`",
    "inherited": "with its whole environment",
    "blank": "written into its file, by you",
}


def readable(place: str) -> str:
    """Write a place as people know it."""
    known = {"{config}": "~/.config", "{appdata}": "%APPDATA%", "{localappdata}": "%LOCALAPPDATA%"}
    first, slash, rest = place.partition("/")
    return known.get(first, first) + slash + rest


def example_name(client: Client) -> str:
    """Name a client's example."""
    return f"{client.name}.{client.format}"


def example(client: Client) -> str:
    """Write the block to paste into a client's file."""
    keys = Variables(keys=("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY"))
    told = entry(client, Command(program=COMMAND), keys)
    if client.format == "toml":
        return toml_tables.with_entry("", client.table, SERVER, told).lstrip()
    return jsonc.with_member("", (client.table, SERVER), told)


def manifest(text: str) -> str:
    """Bring the version and the tools of the bundle's manifest up to date."""
    told = json.loads(text)
    tools = [{"name": tool.name, "description": tool.description} for tool in TOOLS]
    return _json(told | {"version": __version__, "tools": tools})


def registry(text: str) -> str:
    """Bring the versions in the registry's entry up to date."""
    told = json.loads(text)
    packages = [package | {"version": __version__} for package in told["packages"]]
    return _json(told | {"version": __version__, "packages": packages})


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _defaults(routes: Routes, tier: Tier) -> str:
    return ", ".join(f"`{name}`" for name in USE_CASES if routes.use_cases[name].default_tier == tier)


def _asked(routes: Routes, name: UseCase) -> str:
    entries = routes.cell(name, routes.use_cases[name].default_tier)
    return ", ".join(f"`{entry.model}`" for entry in entries if entry.model not in ("local", "embedded"))


TABLES: dict[str, Callable[[], str]] = {
    "tiers": tiers,
    "use_cases": use_cases,
    "providers": providers,
    "clients": clients,
}

if __name__ == "__main__":
    main()
