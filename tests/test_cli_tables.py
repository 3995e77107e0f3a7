"""What the command line shows is whole on the narrowest of terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_router.cli import main
from providers.rows import shipped_provider


@pytest.fixture(autouse=True)
def _narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("GROQ_API_KEY", "made-up")
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


@pytest.mark.parametrize("provider", ["groq", "claude", "openai"])
def test_a_providers_models_are_named_in_full(provider: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", provider]) == 0

    shown = capsys.readouterr().out
    assert [model.id for model in shipped_provider(provider).models if f"{model.id} " not in shown] == []
    assert "…" not in shown


def test_a_plans_models_are_named_in_full_with_what_they_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Write a haiku.", "--use-case", "conversation", "--complexity", "medium"]) == 0

    shown = capsys.readouterr().out
    assert "1. groq:openai/gpt-oss-120b\n" in shown
    assert "openai:gpt-6-luna" in shown
    assert "about 0.000" in shown
    assert "…" not in shown


def test_a_past_call_is_told_attempt_by_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROQ_BASE_URL", "http://127.0.0.1:9/v1")
    config = tmp_path / "config.toml"
    config.write_text("[providers.embedded]\nenabled = false\n")
    failed = main(["ask", "Hi", "--use-case", "conversation", "--model", "groq", "--config", str(config)])
    call = capsys.readouterr().err.rpartition("explain --call ")[2].strip()

    told = main(["explain", "--call", call, "--config", str(config)])

    shown = capsys.readouterr().out
    assert (failed, told) == (1, 0)
    assert f"call {call}\n" in shown
    assert "groq:openai/gpt-oss-120b" in shown
    assert main(["explain", "--call", "nope", "--config", str(config)]) == 2


@pytest.mark.parametrize("option", [["--config", "{}"], ["--config={}"]])
def test_a_configuration_may_be_named_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[providers.groq]\nbase_url = "not an address"\n')

    assert main([*(part.format(config) for part in option), "providers"]) == 2

    told = capsys.readouterr().err
    assert f"{config}: providers.groq.base_url: 'not an address' is no address: write http://host:port/path." in told
