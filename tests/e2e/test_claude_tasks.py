"""MCP tasks in the real Claude Code: control comes back at once, and the result wakes the model, after a kill too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.test_clients import INSTALLED, needs
from tests.support.front import KEYS
from tests.support.ledgers import by_hand
from tests.support.site import until
from tests.vendors import Vendors, vendor_server

if sys.platform != "linux":
    pytest.skip("drives a terminal", allow_module_level=True)
from tests.support.claude_terminal import BACK, GO, WOKEN, OneCallModel, Terminal, one_call_model

FILES = 12
BATCH = {"prompt": "Label it.", "files": ["*.txt"], "per_file": True, "model": "groq", "save_to": "notes"}
ALLOWED = ["--allowedTools", "mcp__llm-router__generate", "ToolSearch"]
READY = ("? for shortcuts", 'Try "', "for agents")


class Place:
    """A user's machine: Claude Code past its first start, with the router in it."""

    def __init__(self, folder: Path, model: OneCallModel, vendors: Vendors) -> None:
        self.home, self.project, self.vendors = folder / "home", folder / "project", vendors
        (self.home / ".claude").mkdir(parents=True)
        self.project.mkdir()
        for number in range(FILES):
            (self.project / f"{number:02}.txt").write_text(f"Review {number}.")
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TERM": "xterm-256color",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            KEYS["groq"][0]: KEYS["groq"][1],
            "GROQ_BASE_URL": vendors.url("groq"),
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{model.port}",
            "ANTHROPIC_AUTH_TOKEN": "made-up",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "MCP_CONNECTION_NONBLOCKING": "0",
            "MCP_CONNECT_TIMEOUT_MS": "60000",
        }
        program = Path(sys.executable).with_name("mcp-llm-router")
        state = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "projects": {str(self.project): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
            "mcpServers": {"llm-router": {"command": str(program), "args": ["serve"], "env": {}}},
        }
        (self.home / ".claude.json").write_text(json.dumps(state))
        allowed = {"permissions": {"allow": ALLOWED[1:]}}
        (self.home / ".claude" / "settings.json").write_text(json.dumps(allowed))

    def terminal(self, *arguments: str) -> Terminal:
        return Terminal(INSTALLED / "claude", [*arguments, *ALLOWED], self.project, self.environ)

    @property
    def ledger(self) -> str:
        return f"sqlite:///{self.home}/.local/share/mcp-llm-router/ledger.sqlite3"

    def saved(self) -> int:
        return len(list((self.project / "notes").glob("*.md")))


@asynccontextmanager
async def place_of(folder: Path) -> AsyncGenerator[tuple[Place, OneCallModel]]:
    async with vendor_server() as vendors:
        with one_call_model(BATCH) as model:
            yield Place(folder, model, vendors), model


async def delegate(terminal: Terminal, model: OneCallModel) -> None:
    """Let the model call the tool, and see that it goes on at once."""
    await terminal.until(*READY)
    terminal.type(GO)
    await terminal.until(GO)
    terminal.type("\r")
    await terminal.until(BACK)
    assert "MCPtask" in terminal.text
    assert model.back_at - model.called_at < 3  # 0.8 s on a quiet machine


@needs("claude")
async def test_claude_code_goes_on_at_once_and_is_woken_with_the_result(tmp_path: Path) -> None:
    async with place_of(tmp_path) as (place, model):
        place.vendors.delay("groq", 3)
        terminal = place.terminal()
        try:
            await delegate(terminal, model)
            assert place.saved() < FILES
            place.vendors.delay("groq", 0)
            await terminal.until(WOKEN, seconds=90)
        finally:
            terminal.kill()
        assert place.saved() == FILES
        assert f'\\"answered\\":{FILES}' in model.wake


@needs("claude")
async def test_continued_claude_code_gets_the_result_of_the_same_task(tmp_path: Path) -> None:
    async with place_of(tmp_path) as (place, model):
        place.vendors.delay("groq", 3)
        terminal = place.terminal()
        try:
            await delegate(terminal, model)
            await until(lambda: len(place.vendors.requests("groq")) > 0, 30)
        finally:
            terminal.kill()  # with the server
        by_hand(place.ledger, "UPDATE tasks SET lease_until = 0")
        by_hand(place.ledger, "UPDATE holds SET expires_at = 1")
        place.vendors.delay("groq", 0)
        again = place.terminal("--continue")
        try:
            await again.until(WOKEN, seconds=90)
        finally:
            again.kill()
        assert place.saved() == FILES
