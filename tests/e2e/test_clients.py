"""Real clients, told by `install` how to start the server: they connect, and their agents call it.

They run on loopback with a throw-away home and made-up keys; the model behind each is a script (`scripted.py`).
`make companions` installs them; each test is skipped where its client is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.support.front import KEYS
from tests.support.scripted import Script, scripted
from tests.vendors import Vendors, vendor_server

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".cache" / "clients" / "node_modules" / ".bin"
TOOLS = {"generate", "list_providers", "explain_route", "cost_summary"}


def needs(program: str) -> pytest.MarkDecorator:
    there = (INSTALLED / program).exists() and shutil.which("node") is not None
    return pytest.mark.skipif(not there, reason=f"needs {program} from npm, and Node")


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """A user's machine: a home, a project, a vendor and a model that follows a script."""

    home: Path
    project: Path
    script: Script
    vendors: Vendors
    environ: dict[str, str]

    async def run(self, program: str | Path, *arguments: str, seconds: float = 90) -> str:
        """Run a program to its end, and return what it wrote."""
        with anyio.fail_after(seconds):
            done = await anyio.run_process(
                [str(program), *arguments],
                env=self.environ,
                cwd=self.project,
                check=False,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
            )
        text = done.stdout.decode()
        assert done.returncode == 0, text
        return text

    async def install(self, client: str) -> None:
        """Tell a client how to start the server."""
        await self.run(Path(sys.executable).with_name("mcp-llm-router"), "install", client)


@asynccontextmanager
async def desk(folder: Path) -> AsyncGenerator[Desk]:
    """A fresh one, on which the user has a key for one provider."""
    home, project = folder / "home", folder / "project"
    home.mkdir()
    project.mkdir()
    script = Script(tool="generate", arguments={"prompt": "Label: I was charged twice.", "model": "groq"})
    async with vendor_server() as vendors:
        vendors.says("groq", "It is a matter of billing.")
        with scripted(script):
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                # Whatever would leave this machine finds a closed door.
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1,localhost",
                KEYS["groq"][0]: KEYS["groq"][1],
                "GROQ_BASE_URL": vendors.url("groq"),
                "ANTHROPIC_BASE_URL": script.url,
                "ANTHROPIC_API_KEY": "made-up",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                # Without these it asks its model before a server on a busy machine has started.
                "MCP_CONNECTION_NONBLOCKING": "0",
                "MCP_CONNECT_TIMEOUT_MS": "60000",
                "OPENAI_API_KEY": "made-up",
                "GEMINI_API_KEY": "made-up",
                "GOOGLE_GEMINI_BASE_URL": script.url,
                "GEMINI_CLI_TRUST_WORKSPACE": "true",
            }
            yield Desk(home=home, project=project, script=script, vendors=vendors, environ=environ)


def assert_delegated(there: Desk) -> None:
    """The agent saw four tools, called one, and was shown what a vendor said to the user's own key."""
    ours = {name for name in there.script.offered if "router" in name}
    (result,) = there.script.results
    (asked,) = there.vendors.requests("groq")
    assert len(there.script.searched) == 1 or len(ours) == len(TOOLS)
    assert "It is a matter of billing." in result
    assert asked.headers["authorization"] == f"Bearer {KEYS['groq'][1]}"
    written = [path.read_text("utf-8", "replace") for path in there.home.glob(".[cg]*/*.[jt]*") if path.is_file()]
    assert [text for text in written if KEYS["groq"][1] in text] == []


@needs("claude")
async def test_claude_code_lists_the_server_as_connected(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("claude-code")

        listed = await there.run(INSTALLED / "claude", "mcp", "list")

    (line,) = (line for line in listed.splitlines() if line.startswith("llm-router:"))
    assert line.endswith("serve - ✔ Connected")


@needs("claude")
async def test_claude_codes_agent_looks_the_tool_up_and_delegates(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("claude-code")

        await there.run(INSTALLED / "claude", "-p", "Delegate.", "--allowedTools", "mcp__llm-router__generate")

        assert there.script.searched == ["generate"]
        assert_delegated(there)


@needs("claude")
async def test_claude_code_knows_the_subagent_and_the_command_of_the_examples(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("claude-code")
        shutil.copytree(ROOT / "examples" / "claude-code", there.project / ".claude")

        wire = ("--output-format", "stream-json", "--verbose")
        said = await there.run(INSTALLED / "claude", "-p", "/delegate label the reviews", *wire)

        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        start = next(event for event in events if event.get("subtype") == "init")
        assert "delegate" in start["agents"]
        assert "delegate" in start["slash_commands"]
        assert_delegated(there)  # the command's own `allowed-tools` let it


@needs("claude")
async def test_the_examples_subagent_sees_the_tools_at_once_and_delegates(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("claude-code")
        shutil.copytree(ROOT / "examples" / "claude-code", there.project / ".claude")
        there.script.subagent = "delegate"

        await there.run(INSTALLED / "claude", "-p", "Label them.", "--allowedTools", "mcp__llm-router__generate")

        assert there.script.searched == ["Agent"]
        assert {f"mcp__llm-router__{name}" for name in TOOLS} <= there.script.offered
        assert_delegated(there)


@needs("codex")
async def test_codex_lists_the_server(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("codex")

        said = await there.run(INSTALLED / "codex", "mcp", "get", "llm-router", "--json")

    server = json.loads(said[said.index("{") :])
    assert (server["enabled"], server["transport"]["args"]) == (True, ["serve"])
    assert (server["startup_timeout_sec"], server["tool_timeout_sec"]) == (60.0, 300.0)


@needs("codex")
async def test_codexs_agent_delegates(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        config = there.home / ".codex" / "config.toml"
        config.parent.mkdir()
        config.write_text(
            'model = "scripted"\nmodel_provider = "loop"\n\n[model_providers.loop]\nname = "loop"\n'
            f'base_url = "{there.script.url}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
        )
        await there.install("codex")
        with config.open("a") as file:
            file.write('required = true\ndefault_tools_approval_mode = "approve"\n')

        await there.run(INSTALLED / "codex", "exec", "--skip-git-repo-check", "Delegate.")

        assert_delegated(there)


@needs("gemini")
async def test_gemini_lists_the_server_as_connected(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        await there.install("gemini")

        listed = await there.run(INSTALLED / "gemini", "mcp", "list")

    (line,) = (line for line in listed.splitlines() if "llm-router:" in line)
    assert line.endswith("serve (stdio) - Connected")


@needs("gemini")
async def test_geminis_agent_delegates(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        settings = there.home / ".gemini" / "settings.json"
        settings.parent.mkdir()
        settings.write_text('{\n  // mine\n  "security": { "auth": { "selectedType": "gemini-api-key" } }\n}\n')
        await there.install("gemini")

        await there.run(INSTALLED / "gemini", "-p", "Delegate.", "--approval-mode", "yolo", "-m", "gemini-2.5-flash")

        assert_delegated(there)
        assert "// mine" in settings.read_text("utf-8")


@needs("bmad-method")
async def test_bmads_agents_are_told_to_delegate(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        choices = ("--directory", ".", "--modules", "bmm", "--tools", "claude-code", "--user-name", "Ann", "--yes")
        await there.run(INSTALLED / "bmad-method", "install", *choices)
        for path in (ROOT / "examples" / "bmad").iterdir():
            shutil.copy(path, there.project / "_bmad" / "custom")

        resolved = {skill: await resolved_by_bmad(there, skill, key) for skill, key in BMAD.items()}

    fact = "file:{project-root}/_bmad/custom/llm-router.md"
    assert {skill for skill, one in resolved.items() if fact in one["persistent_facts"]} == set(BMAD)
    menu = {item["code"]: item for item in resolved["bmad-agent-dev"]["menu"]}
    assert {"BD", "CR", "DL"} <= set(menu)
    assert "llm-router" in menu["DL"]["prompt"]
    assert len(resolved["bmad-agent-dev"]["principles"]) > 1


BMAD = {"bmad-agent-dev": "agent", "bmad-build": "workflow", "bmad-code-review": "workflow"}


async def resolved_by_bmad(there: Desk, skill: str, key: str) -> dict[str, list[dict[str, str]]]:
    """What BMAD makes of its own file and ours."""
    script = there.project / "_bmad" / "scripts" / "resolve_customization.py"
    folder = there.project / ".claude" / "skills" / skill
    said = await there.run(
        sys.executable, str(script), "--skill", str(folder), "--project-root", ".", "--key", key, seconds=30
    )
    return json.loads(said)[key]


@needs("mcpb")
async def test_the_bundle_for_claude_desktop_is_valid(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        said = await there.run(INSTALLED / "mcpb", "validate", str(ROOT / "mcpb" / "manifest.json"))

    assert "passes" in said
