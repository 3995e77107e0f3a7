"""Money through the front door: what a caller hears of budgets, and what becomes of calls when the ledger is away."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
import pytest

from mcp_router.cli import main
from mcp_router.settings import data_folder
from tests.support.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "complexity": "medium",
    "budget_tier": "standard",
    "model": "groq:openai/gpt-oss-120b",
    "max_output_tokens": 100,
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def impatient(house: Front) -> Front:
    """Wait for a locked file as long as a test may take."""
    house.app.ledger._database._patience = 0.02
    return house


@contextmanager
def lost(folder: Path) -> Iterator[None]:
    """Somebody else has the ledger's file, and does not let go."""
    with closing(sqlite3.connect(folder / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_a_call_that_loses_the_ledger_under_way_is_answered_and_written_when_it_is_back(
    tmp_path: Path, vendors: Vendors
) -> None:
    answers: list[dict[str, object]] = []

    async def ask(house: Front) -> None:
        answers.append(await house.call("generate", **TASK))

    async with front(tmp_path, environment(vendors, "groq")) as house:
        await impatient(house).call("cost_summary")
        vendors.delay("groq", 0.5)
        async with anyio.create_task_group() as group:
            group.start_soon(ask, house)
            while not vendors.requests("groq"):
                await anyio.sleep(0.01)
            lock = lost(tmp_path)
            lock.__enter__()
        refused = await house.refused("generate", **TASK)
        kept = list((data_folder() / "unwritten").rglob("*.json"))
        lock.__exit__(None, None, None)
        summary = await house.call("cost_summary", period="all")
        found = await house.app.ledger.find_differences()

    (answer,) = answers
    assert answer["text"] == "Hello from groq."
    assert answer["warning"] == "the ledger's database is away: the cost is kept and written later"
    assert "is locked by another program" in refused
    assert len(kept) == 1
    assert (summary["calls"], summary["cost_usd"]) == (1, answer["cost_usd"])
    assert found == []


SPENT = "[budgets]\ndaily_usd = 0.000001\n"


class Person:
    """Sits at the client and answers what is asked."""

    def __init__(self, action: str, extra_usd: float | None = None) -> None:
        self.asked: list[types.ElicitRequestFormParams] = []
        self._action, self._extra = action, extra_usd

    async def __call__(self, _ctx: Any, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        self.asked.append(params)
        content = None if self._extra is None else {"extra_usd": self._extra}
        return types.ElicitResult(action=self._action, content=content)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_person_is_asked_once_and_what_they_allow_holds_until_the_budget_resets(
    tmp_path: Path, vendors: Vendors, mode: str
) -> None:
    person = Person("accept", 1.0)
    async with front(tmp_path, environment(vendors, "groq"), SPENT, mode=mode, elicitation_callback=person) as house:
        first = await house.call("generate", **TASK)
        second = await house.call("generate", **TASK)
        (budget,) = (await house.call("cost_summary"))["budgets"]

    assert first["text"] == second["text"] == "Hello from groq."
    (question,) = person.asked
    assert "The daily budget does not admit this call: limit 0.000001 USD, spent 0 USD" in question.message
    field = question.requested_schema["properties"]["extra_usd"]
    assert 0 < field["minimum"] <= field["default"]
    assert budget["limit_usd"] == 1.000001
    assert budget["spent_usd"] == pytest.approx(first["cost_usd"] + second["cost_usd"])


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("person", [("decline", None), ("cancel", None), ("accept", -1.0), ("accept", None)], ids=str)
async def test_whatever_is_no_plain_yes_is_a_no_and_nobody_is_asked_again(
    tmp_path: Path, vendors: Vendors, mode: str, person: tuple[str, float | None]
) -> None:
    answering = Person(*person)
    async with front(tmp_path, environment(vendors, "groq"), SPENT, mode=mode, elicitation_callback=answering) as house:
        first = await house.refused("generate", **TASK)
        second = await house.refused("generate", **TASK)

    assert first == second
    assert first.startswith("budget_exceeded: The daily budget does not admit this call: limit 0.000001 USD")
    assert len(answering.asked) == 1
    assert vendors.requests("groq") == []


async def test_calls_that_come_up_against_a_budget_together_ask_once(tmp_path: Path, vendors: Vendors) -> None:
    person = Person("accept", 1.0)
    answers: list[dict[str, Any]] = []

    async def ask(house: Front) -> None:
        answers.append(await house.call("generate", **TASK))

    async with (
        front(tmp_path, environment(vendors, "groq"), SPENT, mode="legacy", elicitation_callback=person) as house,
        anyio.create_task_group() as group,
    ):
        for _ in range(16):
            group.start_soon(ask, house)

    assert [answer["text"] for answer in answers] == ["Hello from groq."] * 16
    assert len(person.asked) == 1


async def test_a_yes_outlives_the_server_and_holds_in_every_other_and_a_no_ends_with_it(
    tmp_path: Path, vendors: Vendors
) -> None:
    yes, no, unasked = Person("accept", 1.0), Person("decline", None), Person("decline", None)
    environ = environment(vendors, "groq")
    for person in (no, yes):
        async with front(tmp_path, environ, SPENT, elicitation_callback=person) as house:
            await house.client.call_tool("generate", TASK)
    async with front(tmp_path, environ, SPENT, elicitation_callback=unasked) as house:
        answer = await house.call("generate", **TASK)
        (budget,) = (await house.call("cost_summary"))["budgets"]

    assert answer["text"] == "Hello from groq."
    assert budget["limit_usd"] == 1.000001
    assert (len(no.asked), len(yes.asked), unasked.asked) == (1, 1, [])


async def test_amount_below_what_is_missing_increases_no_budget(tmp_path: Path, vendors: Vendors) -> None:
    person = Person("accept", 0.000001)
    async with front(tmp_path, environment(vendors, "groq"), SPENT, elicitation_callback=person) as house:
        text = await house.refused("generate", **TASK)

        (budget,) = (await house.call("cost_summary"))["budgets"]

    assert "limit 0.000001 USD" in text
    assert budget["limit_usd"] == 0.000001
    assert len(person.asked) == 1


async def test_answer_to_a_question_that_was_not_asked_increases_no_budget(tmp_path: Path, vendors: Vendors) -> None:
    person = Person("accept", 1.0)
    yes = types.ElicitResult(action="accept", content={"extra_usd": 1.0})
    async with front(
        tmp_path, environment(vendors, "groq"), SPENT, mode="2026-07-28", elicitation_callback=person
    ) as house:
        unasked = types.CallToolRequest(
            params=types.CallToolRequestParams(
                name="generate", arguments=TASK, input_responses={"over_budget:daily": yes, "over_budget:x": yes}
            )
        )
        result = await house.client.session.send_request(unasked, types.InputRequiredResult)
        (budget,) = (await house.call("cost_summary"))["budgets"]

    assert list(result.input_requests or {}) not in ([], ["over_budget:daily"])
    assert budget["limit_usd"] == 0.000001


async def test_where_nothing_may_be_spent_or_nobody_can_be_asked_nobody_is_asked(
    tmp_path: Path, vendors: Vendors
) -> None:
    person = Person("accept", 1.0)
    environ = environment(vendors, "groq")
    async with front(tmp_path, environ, "[budgets]\ndaily_usd = 0\n", elicitation_callback=person) as house:
        nothing = await house.refused("generate", **TASK)
    async with front(tmp_path, environ, SPENT) as house:
        nobody = await house.refused("generate", **TASK)

    assert "limit 0 USD" in nothing
    assert "Next: take a model that costs nothing, or ask the user to raise the budget" in nothing
    assert "limit 0.000001 USD" in nobody
    assert "Next: take a cheaper budget_tier" in nobody
    assert person.asked == []


async def test_what_is_saved_is_told_with_its_baseline_and_a_fallback_is_no_providers_rate(
    tmp_path: Path, vendors: Vendors, capsys: pytest.CaptureFixture[str]
) -> None:
    vendors.fail("groq", status=500, times=1)
    task = {name: value for name, value in TASK.items() if name != "model"}
    async with front(tmp_path, environment(vendors, "groq", "openai"), "[budgets]\nmonthly_usd = 60\n") as house:
        answer = await house.call("generate", **task)
        by_provider = await house.call("cost_summary", group_by="provider")
    given = ["--config", str(tmp_path / "config.toml")]
    shown: dict[str, str] = {}
    for how in ("provider", "use_case"):
        assert await anyio.to_thread.run_sync(main, ["costs", "--group-by", how, *given]) == 0
        shown[how] = capsys.readouterr().out
    assert await anyio.to_thread.run_sync(main, ["costs", "--csv", "--group-by", "use_case", *given]) == 0
    head, line = capsys.readouterr().out.splitlines()

    assert (answer["fallbacks"], by_provider["fallback_rate"]) == (1, 1.0)
    assert by_provider["saved_usd"] == answer["saved_usd"]
    assert {name: totals["fallback_rate"] for name, totals in by_provider["groups"].items()} == {
        "groq": None,
        "openai": None,
    }
    assert set(by_provider["groups"]["openai"]["latency_ms"]) == {"mean", "p50", "p95"}
    assert "against claude:claude-opus-5-5" in shown["provider"]
    assert "failed  fell back" not in shown["provider"]
    assert "failed  fell back" in shown["use_case"]
    assert "monthly" in shown["use_case"]
    assert dict(zip(head.split(","), line.split(","), strict=True))["baseline"] == "claude:claude-opus-5-5"
