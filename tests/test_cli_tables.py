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
