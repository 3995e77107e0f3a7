"""`init`: a first set-up that asks before it writes or spends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mcp_router.cli import main
from mcp_router.settings import load
from tests.support.front import environment
from tests.vendors import vendor_server


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    path = tmp_path / "new" / "config.toml"
    monkeypatch.setenv("MCP_ROUTER_CONFIG", str(path))
    return path


async def test_yes_writes_a_configuration_and_calls_once(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with vendor_server() as vendors:
        for name, value in environment(vendors, "groq").items():
            monkeypatch.setenv(name, value)
        code = await anyio.to_thread.run_sync(main, ["init", "--yes", "--daily-usd", "5", "--host", "codex"])
        asked = len(vendors.requests("groq"))

    told = capsys.readouterr()
    assert code == 0, told.err
    assert asked == 1
    assert "keys: GROQ_API_KEY" in told.out
    assert "+daily_usd = 5.0" in told.out
    assert told.out.index("at most $") < told.out.index(" answered, $")
    assert load(config).configuration.budgets.daily_usd == 5
    assert (config.parents[1] / ".codex" / "config.toml").exists()


def test_an_existing_configuration_keeps_what_it_has(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.parent.mkdir()
    config.write_text("# mine\n[budgets]\ndaily_usd = 1  # enough\n")

    assert main(["init", "--yes", "--daily-usd", "5", "--no-call"]) == 0

    assert config.read_text().startswith("# mine\n[budgets]\ndaily_usd = 1  # enough\n")
    assert "keys: none" in capsys.readouterr().out


def test_questions_need_a_terminal_and_amounts_a_number(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 2
    assert "Add --yes" in capsys.readouterr().err
    assert main(["init", "--yes", "--daily-usd", "lots", "--no-call"]) == 2
    assert "'lots': is not an amount" in capsys.readouterr().err
    assert not config.exists()


def test_bare_command_on_a_terminal_says_what_it_waits_for(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-P", "-m", "mcp_router"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        hint = process.stderr.readline()
        process.kill()
    os.close(ours)

    assert b"for people: mcp-llm-router --help" in hint
