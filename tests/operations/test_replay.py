"""Recorded calls under another routing table: what they would have cost, and which would have been refused."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from mcp_router.cli import main
from mcp_router.operations.replay import replay
from tests.support.front import Front, environment, front
from tests.support.ledgers import by_hand
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium"}
SAME = '[routes.conversation]\nstandard = ["groq:openai/gpt-oss-120b", "openai:gpt-6-luna"]\n'
DEARER = '[routes.conversation]\nstandard = ["claude:claude-opus-5-5"]\n'


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


async def replayed(house: Front, table: str) -> dict[str, Any]:
    path = anyio.Path("table.toml")
    await path.write_text(table)
    return await replay(house.app, Path(path), "all")


async def test_under_the_same_table_every_call_costs_what_was_paid(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        paid = [(await house.call("generate", **TASK, budget_tier="standard"))["cost_usd"] for _ in range(3)]
        view = await replayed(house, SAME)

    assert (view["calls"], view["replayed"], view["refused"]) == (3, 3, 0)
    assert view["paid_usd"] == view["would_cost_usd"] == pytest.approx(sum(paid))
    assert list(view["cells"]) == ["conversation.standard"]
    assert view["would_be_answered_by"] == {"groq:openai/gpt-oss-120b": 3}


async def test_another_model_is_priced_at_the_same_tokens_whether_or_not_there_is_a_key(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        call = await house.call("generate", **TASK, budget_tier="standard")
        (attempt,) = (await house.call("explain_route", call_id=call["call_id"]))["attempts"]
        view = await replayed(house, DEARER)

    cell = view["cells"]["conversation.standard"]
    assert view["keys_missing"] == ["claude"]
    assert cell["would_be_answered_by"] == {"claude:claude-opus-5-5": 1}
    # The table's model is the baseline, too: the same tokens at the same price.
    assert cell["would_cost_usd"] == attempt["baseline_usd"]
    assert cell["difference_usd"] == pytest.approx(attempt["baseline_usd"] - call["cost_usd"])


async def test_calls_that_a_budget_would_not_admit_are_refused_once_it_is_spent(
    tmp_path: Path, vendors: Vendors
) -> None:
    environ = environment(vendors, "groq")
    async with front(tmp_path, environ) as house:
        for _ in range(9):
            await house.call("generate", **TASK, budget_tier="standard", max_output_tokens=30)
        free = await replayed(house, SAME)
    limit = free["would_cost_usd"] / 3
    async with front(tmp_path, environ, f"[budgets]\ndaily_usd = {limit:.9f}\n") as house:
        tight = await replayed(house, SAME)

    assert free["refused"] == 0
    assert tight["replayed"] > 0
    assert tight["replayed"] + tight["refused"] == 9
    assert tight["would_cost_usd"] <= limit
    assert tight["refused_because"] == {"daily budget": tight["refused"]}
    assert "daily budget: " in tight["refusals"][0]["reason"]


async def test_what_the_ceiling_does_not_admit_is_refused_and_what_was_pinned_stays(
    tmp_path: Path, vendors: Vendors
) -> None:
    environ = environment(vendors, "groq")
    async with front(tmp_path, environ) as house:
        pinned = await house.call("generate", **TASK, budget_tier="premium", model="groq:qwen/qwen3.8-27b")
        plain = await house.call("generate", **TASK, budget_tier="standard")
    async with front(tmp_path, environ, "[budgets]\nper_call_usd = 0.000001\n") as house:
        view = await replayed(house, SAME)

    assert view["cells"]["conversation.premium"]["would_be_answered_by"] == {pinned["model"]: 1}
    assert view["cells"]["conversation.standard"]["refused_because"] == {"ceiling": 1}
    assert view["cells"]["conversation.standard"]["refused_paid_usd"] == plain["cost_usd"]
    (refusal,) = view["refusals"]
    assert (refusal["call_id"], "over the ceiling" in refusal["reason"]) == (plain["call_id"], True)


async def test_a_call_that_nobody_answered_is_counted_and_not_priced(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.refused("generate", **TASK, budget_tier="standard", model="groq:openai/gpt-oss-120b")
        view = await replayed(house, SAME)

    assert (view["calls"], view["unanswered"], view["replayed"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[routes.chat]\nstandard = ["groq"]\n', "table.toml: routes: Unknown use case: 'chat'"),
        ('[routes.analysis]\ngold = ["groq"]\n', "There are: ultra_economy, economy, standard, premium, enterprise."),
        ('[routes.analysis]\nstandard = ["groq:x"]\n', "table.toml: routes.analysis.standard[0]: Unknown model"),
        ("[routes.analysis]\nstandard = []\n", "routes.analysis.standard: it is empty"),
        ("[providers.groq]\nrpm = 3\n", "providers: there is no such key. The keys here are: routes."),
        ("", "table.toml: routes: must be set."),
        ("routes = ", "table.toml, last line: not valid TOML"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_what_it_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\n')
    (tmp_path / "table.toml").write_text(table)

    code = main(["replay", "--config", str(tmp_path / "config.toml"), "--table", str(tmp_path / "table.toml")])

    assert code == 2
    assert said in capsys.readouterr().err


async def test_the_command_shows_cells_changes_and_refusals(
    tmp_path: Path, vendors: Vendors, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = environment(vendors, "groq")
    async with front(tmp_path, environ) as house:
        call = await house.call("generate", **TASK, budget_tier="standard")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "table.toml").write_text(DEARER)
    given = ["--config", str(tmp_path / "config.toml"), "--table", str(tmp_path / "table.toml")]

    assert await anyio.to_thread.run_sync(main, ["replay", *given]) == 0
    shown = capsys.readouterr().out
    assert await anyio.to_thread.run_sync(main, ["replay", *given, "--json", "--period", "today"]) == 0
    view = json.loads(capsys.readouterr().out)

    assert "30d: 1 calls under" in shown
    assert "as if there were keys for: claude" in shown
    assert f"1 {call['model']} -> 1 claude:claude-opus-5-5" in shown
    assert view["cells"]["conversation.standard"]["paid_usd"] == call["cost_usd"]


async def test_pruning_from_the_command_line_says_what_went_and_keeps_the_sums(
    tmp_path: Path, vendors: Vendors, capsys: pytest.CaptureFixture[str]
) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **TASK, budget_tier="standard")
    given = ["--config", str(tmp_path / "config.toml")]

    assert await anyio.to_thread.run_sync(main, ["ledger", "prune", "--keep", "90d", *given]) == 0
    kept = capsys.readouterr().out
    assert await anyio.to_thread.run_sync(main, ["ledger", "prune", "--keep", "soon", *given]) == 2

    assert kept.startswith("deleted 0 attempts from before ")
    assert "--keep soon: must be a number of days up to 36500, for example 90d." in capsys.readouterr().err


async def test_rebuilding_from_the_command_line_says_what_would_change_and_changes_it(
    tmp_path: Path, vendors: Vendors, capsys: pytest.CaptureFixture[str]
) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **TASK, budget_tier="standard")
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    by_hand(url, "UPDATE rollups SET attempts = 2 WHERE session = '' AND dim = 'all'")

    async def said(*command: str) -> tuple[int, str]:
        code = await anyio.to_thread.run_sync(main, [*command, "--config", str(tmp_path / "config.toml")])
        return code, capsys.readouterr().out

    code, doctor = await said("doctor")
    looked = await said("ledger", "rebuild", "--dry-run", "--json")
    still_wrong = await said("ledger", "rebuild", "--dry-run")
    rebuilt = await said("ledger", "rebuild")
    nothing_left = await said("ledger", "rebuild")

    wrong = "all: attempts is 1 in rows, 2 in rollups"
    assert code == 1
    assert wrong in doctor
    assert "`mcp-llm-router ledger rebuild`" in " ".join(doctor.split())
    assert wrong in looked[1]
    assert '"rebuilt":false' in looked[1]
    assert still_wrong[1].endswith("1 differences; without --dry-run the sums are recomputed from the attempts\n")
    assert rebuilt[1].endswith(f"{wrong}\n1 differences: sums recomputed from the attempts\n")
    assert nothing_left == (0, "attempts and sums agree: nothing to rebuild\n")
