"""`config` and `completion`: what holds, what is wrong, and what a shell can complete."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import pytest

from mcp_router.cli import main
from mcp_router.cli.parser import COMMANDS

SECRET = "gsk_canary0123456789canary"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MCP_ROUTER_CONFIG", str(path))
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    return path


def test_show_lists_what_holds_without_secrets(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(
        f'database_url = "postgresql://me:{SECRET}@db/ledger"\n[budgets]\ndaily_usd = 3\n'
        f'[providers.groq]\nbase_url = "http://u:{SECRET}@127.0.0.1/v1"\n'
        f'[clients.alice]\ntoken_sha256 = "{"0123456789abcdef" * 4}"\n'
    )
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{config}\n"

    for words in (["config", "show"], ["config", "show", "--json"]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert SECRET not in shown
        assert "0123456789abcdef" not in shown
        assert "GROQ_API_KEY" in shown
    assert json.loads(shown)["budgets.daily_usd"] == "3"
    assert json.loads(shown)["deadline_s"] == 120


def test_check_names_file_line_and_key(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("deadline_s = 60\n")
    assert main(["config", "check"]) == 0
    for text, key in [
        ("[budgets]\ndaily = 3\n", "line 2: budgets.daily: there is no such key"),
        ('[routes.analysis]\npremium = ["groq:none"]\n', "groq:none"),
        ('baseline = "claude:none"\n', "claude:none"),
        ("deadline_s = \n", "line 1"),
    ]:
        config.write_text(text)
        assert main(["config", "check"]) == 2
        assert key in capsys.readouterr().err
    assert main(["config", "path"]) == 0


def test_schema_accepts_the_documented_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
    documented = page.partition("<!-- configuration -->\n```toml\n")[2].partition("```")[0]

    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    as_json = json.loads(json.dumps(tomllib.loads(documented), default=str))  # JSON has no dates
    assert list(validator.iter_errors(as_json)) == []
    assert list(validator.iter_errors({"budgets": {"daily": 3}})) != []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mcp-llm-router mod", {"models"}),
        ("mcp-llm-router serve --tr", {"--transport"}),
        ("mcp-llm-router serve --transport ", {"stdio", "http", "sse"}),
        ("mcp-llm-router --config c.toml config s", {"show", "schema"}),
        ("mcp-llm-router ask --save", {"--save-to"}),
    ],
)
def test_bash_completes_words(line: str, offered: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = line.split(" ")
    asked = f'{script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mcp_llm_router; printf "%s\\n" "${{COMPREPLY[@]}}"'

    done = subprocess.run(["bash", "-c", asked, "-", *words], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == offered


def test_every_command_is_completed_in_every_shell(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert [name for name in COMMANDS if name not in script] == []
        assert "--use-case" in script or "-l use-case" in script
