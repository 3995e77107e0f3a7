"""What the command line shows is whole on the narrowest of terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from mcp_router.cli import main
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.records import Attempt
from providers.registry import load_provider
from tests.support.ledgers import DAY, an_attempt, by_hand


@pytest.fixture(autouse=True)
def _narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("GROQ_API_KEY", "made-up")
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


@pytest.mark.parametrize("provider", ["groq", "claude", "openai"])
def test_a_providers_models_are_named_in_full(provider: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", provider]) == 0

    shown = capsys.readouterr().out
    assert [model.id for model in load_provider(provider).models if f"{model.id} " not in shown] == []
    assert "…" not in shown


def test_a_plans_models_are_named_in_full_with_what_they_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Write a haiku.", "--use-case", "conversation", "--complexity", "medium"]) == 0

    shown = capsys.readouterr().out
    assert "1. groq:openai/gpt-oss-120b\n" in shown
    assert "openai:gpt-6-luna" in shown
    assert "about $0.000" in shown
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

    error = capsys.readouterr().err
    assert str(config) in error
    assert "providers.groq.base_url" in error


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_costs_by_long_names_fold_the_names_and_keep_every_figure_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    long = "openrouter:a-house-of-models/with-a-very-long-name-indeed-instruct-0725-preview-fp8"
    anyio.run(_settled, f"sqlite:///{tmp_path / 'ledger.sqlite3'}", an_attempt("a", "12.345678", model=long))

    assert main(["costs", "--period", "all", "--group-by", "model"]) == 0

    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(
        figure in shown for figure in ("tokens in/out", "30/12", "12.345678", "-12.345678", "p95 ms", "tokens/s")
    )
    assert "".join(line.split()[0] for line in shown.splitlines()).count(long) == 2


def test_what_was_written_before_the_clock_was_set_back_is_not_todays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_two_days = an_attempt("a", started_at=time.time() + 2 * DAY)
    anyio.run(_settled, f"sqlite:///{tmp_path / 'ledger.sqlite3'}", in_two_days)

    calls: dict[str, int] = {}
    for period in ("today", "7d", "30d", "all"):
        assert main(["costs", "--period", period, "--json"]) == 0
        calls[period] = json.loads(capsys.readouterr().out)["calls"]

    assert calls == {"today": 0, "7d": 0, "30d": 0, "all": 1}


def test_a_ledger_whose_sums_disagree_with_its_rows_is_told_in_short_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    anyio.run(_settled, url, an_attempt("a", "0.1"))
    by_hand(url, "UPDATE rollups SET cost_nano = 7")

    assert main(["doctor"]) == 1

    shown = " ".join(capsys.readouterr().out.split())
    assert "2026-11-24, all: cost_nano is 0.1 USD in rows, 0.000000007 USD in rollups; " in shown
    assert "; and 13 more. " in shown
    assert "restore a backup" in shown


def test_asking_everybody_over_a_damaged_ledger_is_told_of_each_and_is_no_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"not a database" * 100)
    monkeypatch.setenv("GROQ_BASE_URL", "http://127.0.0.1:9/v1")

    assert main(["doctor", "--live", "--json"]) == 1

    found = {one["what"]: one["found"] for one in json.loads(capsys.readouterr().out)}
    assert "is damaged" in found["ledger"]
    assert "is damaged" in found["groq, live"]


def test_a_folder_in_brackets_is_named_whole_in_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "[slug]").mkdir()
    (tmp_path / "[slug]" / "page.bin").write_bytes(bytes(range(256)))
    (tmp_path / "[slug]" / "page.txt").write_text("A page about rivers.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROQ_API_KEY")

    assert main(["ask", "Sum it up.", "--use-case", "conversation", "--file", "**/page.*"]) == 0

    assert "[slug]/page.bin is binary" in " ".join(capsys.readouterr().err.split())


def test_a_sign_that_the_terminal_lacks_is_no_accident() -> None:
    there = os.environ | {"PYTHONIOENCODING": "ascii"}
    told = subprocess.run(
        [sys.executable, "-P", "-m", "mcp_router", "doctor"], capture_output=True, env=there, check=False
    )

    assert told.stderr == b""
    assert b"? routing tables: " in told.stdout


def test_what_comes_in_and_is_no_text_is_told() -> None:
    there = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    command = [sys.executable, "-P", "-m", "mcp_router", "explain"]
    told = subprocess.run(command, input=b"caf\xe9", capture_output=True, env=there, check=False)

    assert told.returncode == 2
    assert b"standard input is not utf-8 text. Name the file with --file." in told.stderr


def test_a_reader_that_has_seen_enough_is_no_accident(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "mcp_router", "costs", "--json"]
    environ = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (1, b"")


async def _settled(url: str, attempt: Attempt) -> None:
    ledger = await open_ledger(url)
    await ledger.settle(None, attempt)
    await ledger.aclose()
