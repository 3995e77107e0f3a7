"""What examples and docs/hosts.md show is what works; what registries are told is what pyproject says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_router import __version__
from mcp_router.cli import main
from mcp_router.operations.install import jsonc
from mcp_router.operations.install.hosts import SERVER
from mcp_router.server.tools import TOOLS
from mcp_router.settings import load
from providers.registry import load_providers
from scripts.write_tables import EXAMPLES, HOSTS, MANIFEST, PAGES, example, example_name, with_tables
from scripts.write_tables import manifest as up_to_date
from tests.support.front import environment
from tests.vendors import vendor_server

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
(COMMAND,) = PROJECT["scripts"]
GUIDE = (ROOT / "docs" / "hosts.md").read_text("utf-8")
KEYS = {name for provider in load_providers() for name in provider.key_env}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_every_page_are_those_of_the_code(page: Path) -> None:
    assert with_tables(page.read_text("utf-8")) == page.read_text("utf-8"), "run `make docs`"


@pytest.mark.parametrize("client", HOSTS, ids=lambda client: client.name)
def test_each_client_has_its_block_to_paste(client: Any) -> None:
    text = (EXAMPLES / example_name(client)).read_text("utf-8")

    assert text == example(client), "run `make docs`"
    table = tomllib.loads(text) if client.format == "toml" else json.loads(text)
    assert table[client.table][SERVER]["command"] == COMMAND


def test_the_folder_of_blocks_holds_nothing_else() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {example_name(client) for client in HOSTS}


def test_every_command_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.chdir(tmp_path)
    lines = [line.partition("#")[0].split() for block in blocks("sh") for line in block.splitlines()]

    ended = {" ".join(words): main(words[1:]) for words in lines}

    assert len(ended) > len(HOSTS)
    assert {words[0] for words in lines} == {COMMAND}
    assert {name for name, code in ended.items() if code != 0} == set()
    assert capsys.readouterr().err == ""


def test_every_configuration_block_of_the_guide_is_accepted(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(block, "utf-8")

        assert load(path, {}).provider("local").model_fields_set


def test_every_client_is_in_the_guide_and_every_link_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", GUIDE) if not link.startswith("https://")]

    assert [client.name for client in HOSTS if f"install {client.name}\n" not in GUIDE] == []
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_what_is_said_to_have_been_tried_is_what_the_tests_ask_npm_for() -> None:
    asked = (ROOT / "tests" / "e2e" / "hosts.txt").read_text("utf-8")
    told = re.findall(r"^\| (?:Claude Code|Codex CLI|Gemini CLI|BMAD) \| ([\d.]+) \|", GUIDE, re.MULTILINE)

    assert len(told) == 4
    assert [version for version in told if f"@{version}" not in asked] == []


async def test_the_orchestrator_labels_side_by_side_and_sums_up(tmp_path: Path) -> None:
    async with vendor_server() as vendors:
        vendors.says("groq", "billing")
        vendors.says("gemini", "billing")
        environ = {
            **environment(vendors, "groq", "gemini"),
            "HOME": str(tmp_path / "home"),
            "PATH": os.environ["PATH"],
            "MCP_ROUTER_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
        }
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [sys.executable, "-P", str(ROOT / "examples" / "orchestrator.py")],
                env=environ,
                cwd=tmp_path,
                check=False,
            )

    assert done.returncode == 0, done.stderr.decode()
    *labels, _, summary, _, bill = done.stdout.decode().splitlines()
    assert [line.partition(":")[0] for line in labels] == ["- billing"] * 3
    assert summary == "billing"
    assert re.fullmatch(r"4 calls: [\d.e-]+ USD, [\d.e-]+ saved", bill)


def test_the_orchestrator_keeps_to_forty_lines() -> None:
    assert len((ROOT / "examples" / "orchestrator.py").read_text("utf-8").splitlines()) <= 40


@pytest.mark.parametrize("name", ["agents", "commands"])
def test_claude_codes_files_name_tools_that_there_are(name: str) -> None:
    text = (ROOT / "examples" / "claude-code" / name / "delegate.md").read_text("utf-8")

    named = set(re.findall(rf"mcp__{SERVER}__(\w+)", text))

    assert "generate" in named
    assert named <= {tool.name for tool in TOOLS}


def test_bmads_and_archons_files_can_be_read() -> None:
    bmad = [tomllib.loads(path.read_text("utf-8")) for path in (ROOT / "examples" / "bmad").glob("*.toml")]
    servers = read("examples/archon/mcp/llm-router.json")
    workflow = (ROOT / "examples" / "archon" / "workflows" / "triage.yaml").read_text("utf-8")

    assert len(bmad) == 3
    assert (servers[SERVER]["command"], servers[SERVER]["args"]) == (COMMAND, ["serve"])
    assert {(name, value) for name, value in servers[SERVER]["env"].items()} <= {(name, f"${name}") for name in KEYS}
    assert workflow.count("mcp: .archon/mcp/llm-router.json") == 2


def test_the_registrys_entry_says_what_pyproject_says() -> None:
    entry = read("server.json")
    (package,) = entry["packages"]

    assert entry["$schema"] == "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert entry["name"].endswith(f"/{PROJECT['name']}")
    assert (entry["version"], package["version"]) == (__version__, __version__)
    assert len(entry["description"]) <= 100
    assert (package["registryType"], package["identifier"], package["runtimeHint"]) == ("pypi", PROJECT["name"], "uvx")
    assert [argument["value"] for argument in package["packageArguments"]] == ["serve"]
    assert package["transport"] == {"type": "stdio"}


def test_the_registrys_entry_names_every_key_as_a_secret() -> None:
    (package,) = read("server.json")["packages"]
    secret = {one["name"] for one in package["environmentVariables"] if one.get("isSecret")}
    needed = [row for row in load_providers() if row.key_env and not row.key_optional and row.retired is None]
    firsts = {row.key_env[0] for row in needed}

    assert secret == firsts | {"MCP_ROUTER_DATABASE_URL"}


def test_the_registry_finds_its_name_in_readme() -> None:
    assert f"<!-- mcp-name: {read('server.json')['name']} -->" in (ROOT / "README.md").read_text("utf-8")


def test_the_bundles_manifest_says_what_the_code_says() -> None:
    manifest = read("mcpb/manifest.json")
    start = manifest["server"]["mcp_config"]

    assert (manifest["name"], manifest["version"]) == (PROJECT["name"], __version__)
    assert manifest["description"] == read("server.json")["description"]
    assert MANIFEST.read_text("utf-8") == up_to_date(MANIFEST.read_text("utf-8")), "run `make docs`"
    assert start["args"][-2:] == [COMMAND, "serve"]
    assert manifest["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    assert (ROOT / manifest["server"]["entry_point"]).is_file()
    assert start["env"] == {name: f"${{user_config.{name.lower()}}}" for name in start["env"]}
    assert set(start["env"]) <= KEYS
    assert {name for name, one in manifest["user_config"].items() if one["sensitive"]} == {
        name.lower() for name in start["env"]
    }


def test_the_bundle_holds_the_program_and_what_builds_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-P", str(ROOT / "scripts" / "build_bundle.py"), str(tmp_path)], check=True)

    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as bundle:
        names = set(bundle.namelist())
    assert path.name == f"{PROJECT['name']}-{__version__}.mcpb"
    assert {name for name in names if "/" not in name} == {
        "manifest.json",
        "pyproject.toml",
        "hatch_build.py",
        "README.md",
        "LICENSE",
    }
    assert {name.partition("/")[0] for name in names if "/" in name} == {"mcp_router", "providers"}
    assert {"mcp_router/routing/routes.toml", "providers/rows/groq.toml", "mcp_router/__main__.py"} <= names


def test_examples_in_json_can_be_read_by_everybody() -> None:
    paths = list((ROOT / "examples").rglob("*.json"))

    assert paths
    assert [
        path
        for path in paths
        if jsonc.parse_jsonc(path.read_text("utf-8")).value != json.loads(path.read_text("utf-8"))
    ] == []
