"""`models`, `calls` and `costs`: what is listed, in which period, and on how narrow a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from mcp_router.cli import main
from mcp_router.errors import BadInputError
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.records import Attempt
from mcp_router.operations.periods import parse_range
from tests.support.ledgers import DAY, an_attempt
from tests.support.terminal import run_on_terminal

TODAY = date(2026, 12, 1)


@pytest.fixture(autouse=True)
def _narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GROQ_API_KEY", "made-up")
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


def record(folder: Path, *attempts: Attempt) -> None:
    async def settle() -> None:
        ledger = await open_ledger(f"sqlite:///{folder / 'ledger.sqlite3'}")
        for attempt in attempts:
            await ledger.settle(None, attempt)
        await ledger.aclose()

    anyio.run(settle)


def shown_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_models_are_filtered_and_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--vision", "--max-price", "2", "--min-window", "200000", "--sort", "price", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    prices = [model["output_mtok"] for model in models]
    assert prices == sorted(prices)
    assert len(prices) > 0
    assert prices[-1] <= 2
    assert all("vision" in model["features"] and model["context_window"] >= 200_000 for model in models)

    assert main(["models", "--available", "--json"]) == 0
    assert {model["model"].partition(":")[0] for model in json.loads(capsys.readouterr().out)["models"]} >= {"groq"}
    assert main(["models", "anthropic", "--json"]) == 0
    assert {one["model"].partition(":")[0] for one in json.loads(capsys.readouterr().out)["models"]} == {"claude"}
    assert main(["models", "--max-price", "0", "--min-window", "100000000"]) == 0
    assert "no model passes" in capsys.readouterr().out
    assert main(["models", "nobody"]) == 2


def test_tables_fit_60_columns_with_whole_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    long = "openrouter:a-maker/with-a-very-long-name-indeed-instruct-0725-preview-fp8"
    record(tmp_path, an_attempt("0123456789", "12.345678", model=long, started_at=now))
    for command in (["models"], ["calls"], ["costs", "--group-by", "model"], ["providers", "groq"]):
        assert main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 60, command
        assert not any("…" in line for line in lines), command


def test_calls_are_filtered_and_never_show_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    record(
        tmp_path,
        an_attempt("a", "0.5", started_at=now - 3, client="cli"),
        an_attempt("b", "0.1", number=1, started_at=now - 2, outcome="failed", error="timeout"),
        an_attempt("b", "0.2", number=2, started_at=now - 1, model="openai:gpt-6-luna"),
        an_attempt("old", "0.1", started_at=now - 30 * DAY),
    )

    def ids(*words: str) -> list[str]:
        assert main(["calls", "--json", *words]) == 0
        return [json.loads(line)["call_id"] for line in capsys.readouterr().out.splitlines()]

    assert ids() == ["b", "a"]
    assert ids("--period", "all") == ["b", "a", "old"]
    assert ids("--limit", "1") == ["b"]
    assert ids("--model", "luna") == ids("--provider", "openai") == ["b"]
    assert ids("--client", "cli") == ids("--min-cost", "0.4") == ["a"]
    assert ids("--outcome", "failed") == []
    assert ids("--use-case", "analysis", "--from", "2026-01-01", "--period", "all")[:1] == ["b"]

    assert main(["calls", "--csv"]) == 0
    first, *_ = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (first["call_id"], first["attempts"], float(first["cost_usd"])) == ("b", "2", 0.3)


def test_follow_prints_a_call_when_it_ends(tmp_path: Path) -> None:
    environ = {name: os.environ[name] for name in ("HOME", "MCP_ROUTER_DATABASE_URL")}
    record(tmp_path, an_attempt("a", started_at=time.time()))
    began = time.monotonic()
    steps = iter([lambda: record(tmp_path, an_attempt("later", started_at=time.time()))])

    def seen() -> bool:
        if time.monotonic() > began + 3 and (step := next(steps, None)) is not None:
            step()
        return time.monotonic() > began + 6

    code, shown = run_on_terminal(["calls", "--follow"], environ, tmp_path, interrupt_when=seen)

    assert code == 130
    assert shown.count("later") == 1
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("period", "first", "last", "days"),
    [
        ("today", None, None, ("2026-12-01", "2026-12-02")),
        ("yesterday", None, None, ("2026-11-30", "2026-12-01")),
        ("7d", None, None, ("2026-11-25", "2026-12-02")),
        ("last-month", None, None, ("2026-11-01", "2026-12-01")),
        ("2026-11", None, None, ("2026-11-01", "2026-12-01")),
        ("2025-12", None, None, ("2025-12-01", "2026-01-01")),
        ("2025", None, None, ("2025-01-01", "2026-01-01")),
        ("2026-11-24", None, None, ("2026-11-24", "2026-11-25")),
        ("today", "2026-11-24", "2026-11-26", ("2026-11-24", "2026-11-27")),
    ],
)
def test_periods_are_whole_utc_days(period: str, first: str, last: str, days: tuple[str, str]) -> None:
    found = parse_range(period, first, last, TODAY)

    assert tuple(datetime.fromtimestamp(at or 0, UTC).date().isoformat() for at in found[1:]) == days


def test_wrong_periods_are_named() -> None:
    for period, first, last in [
        ("2026-13", None, None),
        ("soon", None, None),
        ("0d", None, None),
        ("9999", None, None),
        ("today", "1.12.2026", None),
        ("today", "2026-12-02", None),
    ]:
        with pytest.raises(BadInputError, match=r"is not a|is after"):
            parse_range(period, first, last, TODAY)


def test_costs_cover_last_month_and_forecast_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    last_month = now.replace(day=1) - timedelta(days=1)
    record(
        tmp_path,
        an_attempt("a", "0.5", started_at=now.timestamp()),
        an_attempt("b", "2", started_at=last_month.timestamp()),
    )

    assert shown_json(capsys, "costs", "--period", "last-month")["cost_usd"] == 2
    assert shown_json(capsys, "costs", "--period", f"{last_month:%Y-%m}")["calls"] == 1
    assert shown_json(capsys, "costs", "--from", f"{last_month:%Y-%m-%d}")["cost_usd"] == 2.5
    month = shown_json(capsys, "costs", "--period", "month")
    assert month["cost_usd"] == 0.5
    assert float(str(month["forecast_usd"])) >= 0.5
    assert main(["costs", "--period", "month"]) == 0
    assert "forecast to the month's end: $" in capsys.readouterr().out
    assert main(["costs", "--period", "fortnight"]) == 2


def test_status_line_is_short_and_loads_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[budgets]\ndaily_usd = 10\n")
    monkeypatch.setenv("MCP_ROUTER_CONFIG", str(config))
    assert main(["costs", "--line"]) == 0
    assert capsys.readouterr().out == "router $0.00 today (saved $0.00) · 0 % of $10\n"
    assert not (tmp_path / "ledger.sqlite3").exists()
    record(tmp_path, an_attempt("a", "0.42", baseline_usd=Decimal("3.52"), started_at=time.time()))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = "import sys; from mcp_router.cli import main; main(['costs', '--line']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    line, modules = done.stdout.splitlines()
    assert line == "router $0.42 today (saved $3.10) · 4 % of $10"
    assert not set(modules.split()) & {"pydantic", "rich", "anyio", "asyncio", "mcp_router.settings", "mcp_router.app"}
    assert after.ru_utime - before.ru_utime < 2  # 0.1 s on an idle machine


def test_status_line_of_a_broken_configuration_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[budgets\n")
    monkeypatch.setenv("MCP_ROUTER_CONFIG", str(config))

    assert main(["costs", "--line"]) == 2
    assert "not valid TOML" in capsys.readouterr().err
