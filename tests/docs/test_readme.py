"""What README and the example configuration claim is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from argparse import _SubParsersAction
from pathlib import Path

import pytest
from pydantic import BaseModel

from mcp_router.app import App
from mcp_router.cli.parser import create_parser
from mcp_router.ledger.connect import open_ledger
from mcp_router.server import resources
from mcp_router.server.tools import TOOLS
from mcp_router.settings import BudgetSettings, ClientSettings, Configuration, ProviderSettings, load
from providers.registry import load_providers
from scripts.write_tables import with_tables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / "claude_desktop_config.example.json").read_text("utf-8")


def read_page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text("utf-8")


def block(page: str, name: str) -> str:
    """Return the code between two markers of a page."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- end {name} -->", read_page(page), re.DOTALL)
    assert found, f"no block: {name}"
    return found[1]


def names_of_rows(page: str) -> list[str]:
    """Return the first column of a page's tables."""
    return re.findall(r"^\| `([\w-]+)` \|", read_page(page), re.MULTILINE)


def test_tables_are_those_of_the_code() -> None:
    pages = {path.name: path.read_text("utf-8") for path in (ROOT / "README.md", *DOCS.glob("*.md"))}

    assert [name for name, text in pages.items() if with_tables(text) != text] == [], "run `make docs`"


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_configuration_block_is_the_example_file() -> None:
    assert block("installation", "config") == EXAMPLE


def test_the_example_starts_the_command_that_is_installed_with_variables_that_are_read() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    (server,) = json.loads(EXAMPLE)["mcpServers"].values()

    assert [server["command"]] == list(scripts)
    assert create_parser().parse_args(server["args"]).command == "serve"
    assert set(server["env"]) <= {name for provider in load_providers() for name in provider.key_env}
    assert set(server["env"].values()) == {""}


async def test_the_configuration_reference_is_accepted_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        block("configuration", "configuration").replace("sqlite:////home/me", f"sqlite:///{tmp_path}"), "utf-8"
    )

    (tmp_path / "keys.env").touch(0o600)
    settings = load(path, {})
    app = App(settings, await open_ledger(settings.database_url))

    assert app.catalog.model("my_vllm:qwen3").context_window == 32768
    await app.aclose()


@pytest.mark.parametrize(
    ("table", "path"),
    [
        (Configuration, ()),
        (BudgetSettings, ("budgets",)),
        (ProviderSettings, ("providers", "*")),
        (ClientSettings, ("clients", "*")),
    ],
)
def test_the_configuration_reference_names_every_key(table: type[BaseModel], path: tuple[str, ...]) -> None:
    tables = [tomllib.loads(block("configuration", "configuration"))]
    for step in path:
        tables = [inner for outer in tables for inner in (outer.values() if step == "*" else [outer[step]])]

    named = {key for one in tables for key in one}

    assert named | {"token_sha256"} >= set(table.model_fields)
    assert "token_sha256" in block("configuration", "configuration")


def test_every_command_is_listed_and_no_other() -> None:
    (subparsers,) = (action for action in create_parser()._actions if isinstance(action, _SubParsersAction))

    assert names_of_rows("command-line") == list(subparsers.choices)


def test_every_tool_and_resource_is_listed_and_no_other() -> None:
    uris = [str(one.uri) for one in resources.RESOURCES] + [one.uri_template for one in resources.TEMPLATES]

    assert sorted(names_of_rows("tools")) == sorted(tool.name for tool in TOOLS)
    assert set(re.findall(r"`((?:router|ui)://[^`]+)`", read_page("tools"))) == set(uris)


def test_make_targets_on_pages_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = (
        README,
        (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        *(path.read_text("utf-8") for path in DOCS.glob("*.md")),
    )
    named = {
        name
        for page in pages
        for pair in re.findall(r"^make ([\w-]+)(?= *(?:#|$))|`make ([\w-]+)`", page, re.MULTILINE)
        for name in pair
        if name
    }

    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_the_other_projects_name_is_never_run() -> None:
    told = README + EXAMPLE + read_page("installation")

    assert re.findall(r"(?:uvx|pipx install|pip install|pipx run) mcp-router", told) == []
