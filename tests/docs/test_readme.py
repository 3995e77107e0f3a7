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
from providers.registry import shipped
from scripts.write_tables import with_tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / "claude_desktop_config.example.json").read_text("utf-8")


def block(name: str) -> str:
    """The code between two markers."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- end {name} -->", README, re.DOTALL)
    assert found, f"no block: {name}"
    return found[1]


def section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, f"no section: {title}"
    return found[1]


def names_of_rows(title: str) -> list[str]:
    """The first column of a section's table."""
    return re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)


def test_the_tables_are_those_of_the_code() -> None:
    assert with_tables(README) == README, "run `make docs`"


def test_the_configuration_block_is_the_example_file() -> None:
    assert block("config") == EXAMPLE


def test_the_example_starts_the_command_that_is_installed_with_variables_that_are_read() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    (server,) = json.loads(EXAMPLE)["mcpServers"].values()

    assert [server["command"]] == list(scripts)
    assert create_parser().parse_args(server["args"]).command == "serve"
    assert set(server["env"]) <= {name for provider in shipped() for name in provider.key_env}
    assert set(server["env"].values()) == {""}


async def test_the_configuration_reference_is_accepted_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(block("configuration").replace("sqlite:////home/me", f"sqlite:///{tmp_path}"), "utf-8")

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
    tables = [tomllib.loads(block("configuration"))]
    for step in path:
        tables = [inner for outer in tables for inner in (outer.values() if step == "*" else [outer[step]])]

    named = {key for one in tables for key in one}

    assert named | {"token_sha256"} >= set(table.model_fields)
    assert "token_sha256" in block("configuration")


def test_every_command_is_listed_and_no_other() -> None:
    (subparsers,) = (action for action in create_parser()._actions if isinstance(action, _SubParsersAction))

    assert names_of_rows("Command line") == list(subparsers.choices)


def test_every_tool_and_resource_is_listed_and_no_other() -> None:
    uris = [str(one.uri) for one in resources.RESOURCES] + [one.uri_template for one in resources.TEMPLATES]

    assert sorted(names_of_rows("Tools")) == sorted(tool.name for tool in TOOLS)
    assert re.findall(r"`((?:router|ui)://[^`]+)`", section("Tools")) == uris


def test_every_make_target_that_is_told_of_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    told = re.findall(r"^make (\w+)", README, re.MULTILINE)

    assert told == ["demo", "test", "lint", "companions", "chaos", "bench", "train", "docs", "constraints"]
    assert [name for name in told if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_every_file_that_is_linked_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_other_projects_name_is_never_run() -> None:
    told = README + EXAMPLE

    assert re.findall(r"(?:uvx|pipx install|pip install|pipx run) mcp-router", told) == []
