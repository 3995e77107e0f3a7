"""Where the command line takes its prompt and its configuration from."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_router.cli import main
from mcp_router.cli.arguments import collect_arguments
from mcp_router.cli.main import _insert_serve
from mcp_router.cli.parser import COMMANDS, create_parser


def prompt_of(*words: str) -> object:
    return collect_arguments(create_parser().parse_args(["ask", *words]))["prompt"]


def test_piped_input_is_appended_to_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"-old\n+new\n")
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        assert prompt_of("Review this.") == "Review this.\n\n-old\n+new\n"


def test_empty_pipe_leaves_the_prompt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        assert prompt_of("Review this.") == "Review this."


def test_silent_socket_on_standard_input_does_not_hold_a_prompt_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(ours.fileno()), encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        assert prompt_of("Review this.") == "Review this."


def test_prompt_can_begin_with_a_dash_after_two_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    assert prompt_of("--", "-v") == "-v"


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "c.toml", "ask", "--", "-v"],
        ["--config=c.toml", "ask", "--", "-v"],
        ["ask", "--config", "c.toml", "--", "-v"],
        ["--config", "c.toml", "ledger", "rebuild"],
        ["ledger", "--config", "c.toml", "rebuild"],
        ["ledger", "rebuild", "--config", "c.toml"],
        ["--config", "c.toml"],
        ["--config", "c.toml", "--transport", "http"],
        ["--transport", "http", "--config", "c.toml"],
    ],
)
def test_configuration_can_stand_in_every_place(words: list[str]) -> None:
    assert create_parser().parse_args(_insert_serve(words)).config == "c.toml"


@pytest.mark.parametrize("port", ["x", "-1", "65536", "8_0"])
def test_bad_port_is_an_error_without_words_of_python(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", f"--port={port}"])

    error = capsys.readouterr().err
    assert f"'{port}': must be a number from 0 to 65535" in error
    assert "int" not in error.split("error:")[1]


def test_help_lists_every_command_once_by_what_people_want(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])

    shown = capsys.readouterr().out
    groups = [line[:-1] for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    listed = [line.split()[0] for line in shown.partition("run:")[2].splitlines() if line.startswith("  ")]
    assert [group for group in groups if group != "options"] == ["run", "inspect", "set up", "maintain"]
    assert sorted(listed) == sorted(COMMANDS)


def test_top_level_help_loads_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys; from mcp_router.cli.parser import COMMANDS, create_parser; "
        "create_parser(used=()).format_help(); "
        "print(*(name for name in sys.modules if name.startswith('mcp_router.')))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == {"mcp_router.cli", "mcp_router.cli.main", "mcp_router.cli.parser"} | {
        "mcp_router.cli.options"
    }
    with pytest.raises(SystemExit, match="2"):
        main(["asks"])
    assert "argument COMMAND: invalid choice: 'asks'" in capsys.readouterr().err


def test_doctor_names_clients_without_tokens_and_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.setenv("COLUMNS", "400")
    config = tmp_path / "config.toml"
    config.write_text(
        '[providers.groq]\napi_key_env = "MY_GROQ"\n[clients.alice]\n[clients.bob]\ntoken_env = "BOBS_TOKEN"\n'
    )

    assert main(["doctor", "--config", str(config)]) == 1

    shown = capsys.readouterr().out
    assert "clients.alice: has no token" in shown
    assert "clients.bob: token_env = 'BOBS_TOKEN': the variable is not set" in shown
    assert "providers.groq.api_key_env: MY_GROQ is not set" in shown
    assert f"ledger: {tmp_path / 'ledger.sqlite3'}: " in shown
