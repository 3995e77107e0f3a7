"""Trials: planted pass rates are told apart, nothing is paid twice, and the supported route is written."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from mcp_router.cli import main
from mcp_router.errors import BadInputError
from mcp_router.operations.trial.criteria import is_expected
from mcp_router.operations.trial.samples import load_samples
from mcp_router.operations.trial.verdict import Measured, compute_interval, decide
from tests.support.front import environment
from tests.vendors import Vendors, vendor_server

SMALL, LARGE = "groq:openai/gpt-oss-20b", "groq:openai/gpt-oss-120b"
ROUTE = ["--use-case", "classification", "--tier", "economy", "--model", SMALL, "--model", LARGE]
PROGRAM = str(Path(sys.executable).with_name("mcp-llm-router"))


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def simulate(rates: tuple[float, ...], at_least: float | None, right: int, *, seed: int = 16) -> tuple[float, float]:
    """Return the shares of wrong choices and of "cannot tell" in 200 trials of 60 samples; model 0 is the cheapest."""
    dice, runs, wrong, unsure = random.Random(seed), 200, 0, 0  # noqa: S311 - a simulation
    for _ in range(runs):
        models = [
            Measured(model=str(n), cost_usd=Decimal(n + 1), results={k: dice.random() < rate for k in range(60)})
            for n, rate in enumerate(rates)
        ]
        verdict = decide(models, at_least)
        unsure += verdict.kind == "cannot_tell"
        wrong += verdict.kind == "none" or (verdict.kind == "chosen" and verdict.route[0] != str(right))
    return wrong / runs, unsure / runs


def test_trial_of_60_samples_tells_a_gap_of_15_points() -> None:
    scenarios: list[tuple[tuple[float, ...], float, int]] = [
        ((0.75, 0.90), 0.825, 1),
        ((0.75, 0.90), 0.85, 1),
        ((0.70, 0.85), 0.80, 1),
        ((0.70, 0.85), 0.85, 1),
        ((0.80, 0.95), 0.90, 1),
        ((0.90, 0.75), 0.80, 0),
        ((0.90, 0.90), 0.75, 0),
        ((0.60, 0.75, 0.90), 0.825, 2),
    ]
    found = {(rates, wanted): simulate(rates, wanted, right) for rates, wanted, right in scenarios}

    assert {key: shares for key, shares in found.items() if shares[0] > 0.05 or shares[1] > 0.20} == {}
    assert simulate((0.75, 0.90), None, 1)[0] <= 0.05


def test_verdict_says_how_many_more_samples_tell() -> None:
    def measured(passed: int, total: int, usd: int) -> Measured:
        results = {k: k * 7 % total < passed for k in range(total)}
        return Measured(model=f"p:{usd}", cost_usd=Decimal(usd), results=results)

    few = decide([measured(5, 6, 1), measured(6, 6, 2)], 0.9)
    close = decide([measured(18, 20, 1), measured(19, 20, 2)], 0.85)
    poor = decide([measured(10, 60, 1), measured(12, 60, 2)], 0.85)

    assert (few.kind, few.more_samples) == ("cannot_tell", 4)
    assert close.kind == "cannot_tell"
    assert 10 <= (close.more_samples or 0) <= 100
    assert (poor.kind, poor.route) == ("none", ())
    assert decide([], 0.9).kind == "cannot_tell"
    low, high = compute_interval(19, 20)
    assert (round(low, 3), round(high, 3)) == (0.804, 0.989)
    assert compute_interval(0, 0) == (0.0, 1.0)


def test_exact_criterion_ignores_only_how_an_answer_is_written() -> None:
    same = [
        ("Spam.", "spam"),
        ("1,000.50", "1000.5"),
        ("**B**", "b"),
        ('```json\n{"a": "X "}\n```', {"a": "x"}),
        ("3", 3),
    ]
    other = [("spam!?", "ham"), ("10%", "10"), ('{"a": 1}', {"a": True}), ("[1,2]", [2, 1]), ("", "x")]

    assert [pair for pair in same if not is_expected(*pair)] == []
    assert [pair for pair in other if is_expected(*pair)] == []


def test_invalid_samples_are_refused_with_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    cases = {
        "{": "line 2: not valid JSON",
        "[]": "line 2: must be a JSON object",
        '{"expected": "a"}': "line 2: prompt is missing",
        '{"prompt": "a", "answer": "b"}': "line 2: answer: unknown field",
        '{"prompt": 3}': "line 2: prompt:",
        '{"prompt": "a", "labels": [{"answer": "x", "passed": "yes"}]}': "line 2: labels.0.passed:",
    }
    found: dict[str, str] = {}
    for line in cases:
        file.write_text(f'{{"prompt": "a", "expected": "b"}}\n{line}\n')
        with pytest.raises(BadInputError) as refused:
            load_samples(file)
        found[line] = str(refused.value)

    assert [line for line, text in cases.items() if text not in found[line]] == []
    with pytest.raises(BadInputError, match="is not a file"):
        load_samples(tmp_path)


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch, vendors: Vendors, config: str = "") -> list[str]:
    """Write 40 samples and a configuration; return the options that name it."""
    lines = [{"prompt": f"Label number {n}.", "expected": f"label {n}"} for n in range(40)]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "config.toml").write_text(
        f'# mine\ndatabase_url = "sqlite:///{folder / "ledger.sqlite3"}"  # here\n{config}\n'
        "[routes.classification]\n# the tier I use\npremium = ['groq:openai/gpt-oss-120b']\n"
    )
    for name, value in environment(vendors, "groq", XDG_DATA_HOME=str(folder / "data"), COLUMNS="100").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return ["--config", str(folder / "config.toml")]


def script(wrong: Callable[[str, int], bool]) -> Callable[[dict[str, Any]], str]:
    """Return a model that labels samples rightly but for those that `wrong` names."""

    def answer(body: dict[str, Any]) -> str:
        number = int("".join(filter(str.isdigit, body["messages"][-1]["content"])))
        return "no idea" if wrong(body["model"], number) else f"Label {number}."

    return answer


async def run(*arguments: str) -> int:
    return await anyio.to_thread.run_sync(main, list(arguments))


async def test_trial_measures_and_writes_the_supported_route(
    tmp_path: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = prepare(tmp_path, monkeypatch, vendors)
    vendors.follows("groq", script(lambda model, n: n % 10 < (5 if model.endswith("-20b") else 0) or n == 39))
    samples = ["trial", "samples.jsonl", *ROUTE, *config]

    assert await run(*samples) == 2
    refused = capsys.readouterr().err
    assert "Price: about $" in refused
    assert "Add --yes" in refused
    assert vendors.requests("groq") == []

    assert await run(*samples, "--yes", "--json", "--at-least", "0.9") == 0
    report = json.loads(capsys.readouterr().out)
    small, large = report["models"]
    assert (small["passed"], small["answered"], large["passed"]) == (19, 40, 39)
    assert report["verdict"]["kind"] == "chosen"
    assert report["verdict"]["route"] == [LARGE]
    assert large["interval"][0] < 39 / 40 < large["interval"][1]
    assert 0 < small["cost_per_1000_usd"] < large["cost_per_1000_usd"]
    assert report["spent_usd"] == pytest.approx(40 * (small["cost_per_1000_usd"] + large["cost_per_1000_usd"]) / 1000)
    assert len(vendors.requests("groq")) == 80

    assert await run("costs", "--period", "all", "--group-by", "client", "--json", *config) == 0
    costs = json.loads(capsys.readouterr().out)
    assert (costs["calls"], costs["saved_usd"]) == (80, 0)
    assert costs["groups"]["trial"]["cost_usd"] == pytest.approx(report["spent_usd"])

    assert await run(*samples, "--write", "--at-least", "0.9") == 0  # stored: nothing to pay
    written = (tmp_path / "config.toml").read_text()
    shown = capsys.readouterr()
    assert '+economy = ["groq:openai/gpt-oss-120b"]' in shown.err
    assert "Supported" in shown.out
    assert "this costs nothing" in shown.err
    assert [
        line for line in ("# mine", "# here", "# the tier I use", 'economy = ["' + LARGE + '"]') if line not in written
    ] == []
    assert len(vendors.requests("groq")) == 80

    plan = ["explain", "Label it.", "--use-case", "classification", "--tier", "economy", "--complexity", "medium"]
    assert await run(*plan, "--json", *config) == 0
    (first, *_) = json.loads(capsys.readouterr().out)["candidates"]
    assert first["model"] == LARGE
    assert "; passed 39 of 40 on 20" in first["why"]

    (tmp_path / "table.toml").write_text(f'[routes.classification]\neconomy = ["{LARGE}"]\n')
    vendors.follows("groq", lambda _: "a label")
    ask = ["ask", "Label it.", *plan[2:6], *config]
    assert await run(*ask) == 0
    capsys.readouterr()
    assert await run("replay", "--table", "table.toml", "--period", "all", "--json", *config) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert replayed["calls"] == 1
    assert replayed["measured"]["classification.economy"][LARGE].startswith("passed 39 of 40 on ")


async def test_interrupted_trial_goes_on_and_pays_nothing_twice(
    tmp_path: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = prepare(tmp_path, monkeypatch, vendors)
    vendors.follows("groq", script(lambda _, n: n == 3))
    vendors.delay("groq", 0.25)
    samples = ["trial", "samples.jsonl", *ROUTE, *config, "--yes", "--json"]

    async with await anyio.open_process([PROGRAM, *samples], stderr=-1, env=os.environ) as process:
        with anyio.fail_after(30):
            await vendors.until(lambda: len(vendors.requests("groq")) >= 20)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = b"".join([chunk async for chunk in process.stderr]).decode()
        code = await process.wait()
    asked = len(vendors.requests("groq"))
    vendors.delay("groq", 0)

    assert code == 130
    assert "To go on, run the same command" in said
    assert " spent, " in said
    assert asked < 60
    assert await run(*samples) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(one["passed"], one["answered"]) for one in report["models"]] == [(39, 40), (39, 40)]
    # Only the calls in flight at the interrupt, at most 4, are asked again.
    assert 80 <= len(vendors.requests("groq")) <= 84


async def test_trial_stops_at_a_budget_and_says_how_to_go_on(
    tmp_path: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = prepare(tmp_path, monkeypatch, vendors, "[budgets]\ndaily_usd = 0.0006\n")
    vendors.follows("groq", script(lambda *_: False))

    assert await run("trial", "samples.jsonl", *ROUTE, *config, "--yes") == 1

    shown = capsys.readouterr()
    assert "daily" in shown.err
    assert "To go on, run the same command." in shown.err
    assert 0 < len(vendors.requests("groq")) < 80


async def test_judge_is_asked_in_both_orders_and_compared_with_labels(
    tmp_path: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = prepare(tmp_path, monkeypatch, vendors)
    labels = [{"answer": "bad", "passed": False}, {"answer": "good", "passed": True}]
    lines = [{"prompt": f"Say {n}.", "expected": "good", "labels": labels if n == 0 else []} for n in range(12)]
    (tmp_path / "samples.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def answer(body: dict[str, Any]) -> str:
        content = body["messages"][-1]["content"]
        if "<answer_A>" not in content:
            return "bad" if "Say 5." in content else "good"
        first, second = (content.split(f"<answer_{which}>\n")[1].split("\n")[0] for which in "AB")
        return json.dumps({"better": "same" if first == second else "A" if first == "good" else "B"})

    vendors.follows("groq", answer)
    options = ["--use-case", "classification", "--tier", "economy", "--model", SMALL, "--criterion", f"judge:{LARGE}"]

    assert await run("trial", "samples.jsonl", *options, *config, "--yes", "--json") == 0

    report = json.loads(capsys.readouterr().out)
    assert report["models"][0]["passed"] == 11
    assert report["judge"] == {"model": LARGE, "labels": 2, "agreed": 2, "contradictions": 0}
    assert len(vendors.requests("groq")) == 12 + 2 * (12 + 2)
    stored = next((tmp_path / "data").rglob("trials/*.jsonl")).read_text()
    assert "good" not in stored
