"""What earlier answers teach: counted in the ledger, seen in the order, turned off and forgotten."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_router.cli import main
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.records import OutcomeCounts, RouteOutcomes
from mcp_router.routing import routes
from mcp_router.routing.feedback import ENOUGH, FRESH_SECONDS, Feedback, compare_outcomes
from mcp_router.routing.fit import Requirements
from mcp_router.routing.request import RoutingRequest
from tests.support.front import Front, environment, front
from tests.support.ledgers import NOON, an_attempt
from tests.vendors import Vendors, vendor_server

CELL = {"use_case": "conversation", "budget_tier": "standard", "complexity": "medium"}
TASK = {"prompt": "Name a river.", **CELL}
SCHEMA = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
FIRST, SECOND = "groq:openai/gpt-oss-120b", "openai:gpt-6-luna"

A_TASK = RoutingRequest(
    use_case="conversation",
    budget_tier="standard",
    complexity="medium",
    ceiling_usd=Decimal("0.01"),
    requirements=Requirements(
        input_tokens=10, typical_usage=routes.load_shipped().use_cases["conversation"].typical_usage
    ),
)


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def lessons(**models: OutcomeCounts) -> list[RouteOutcomes]:
    return [RouteOutcomes(**CELL, model=name, counts=lesson) for name, lesson in models.items()]


def weights(**models: OutcomeCounts) -> dict[str, float]:
    found = compare_outcomes(lessons(**models))[tuple(CELL.values())]
    return {name: preference.weight for name, preference in found.items()}


async def taught(house: Front, model: str, times: int, **lesson: int) -> None:
    for number in range(times):
        attempt = an_attempt(
            f"{model} {number} {lesson}", model=model, started_at=house.app.router.runner.clock(), **CELL
        )
        await house.app.ledger.settle(None, attempt, (), OutcomeCounts(**lesson))


async def order(house: Front) -> list[dict[str, str]]:
    return (await house.call("explain_route", **TASK))["candidates"]


async def test_a_model_whose_answers_would_not_do_moves_back_and_the_plan_says_why(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await taught(house, FIRST, 12, rejected=1)
        await taught(house, SECOND, 12, kept=1)

        shown = await order(house)

    assert shown[0]["model"] != FIRST
    (why,) = (one["why"] for one in shown if one["model"] == FIRST)
    assert why.endswith("moved back by feedback: 0 of 12 checked answers were good")


async def test_pins_and_good_answers_leave_the_route_as_it_is(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await taught(house, SECOND, 12, kept=1, pinned=1)
        await taught(house, FIRST, 12, kept=1)

        shown = await order(house)

    assert shown[0]["model"] == FIRST


async def test_feedback_does_not_overrule_a_route_of_the_users_own(tmp_path: Path, vendors: Vendors) -> None:
    own = f'[routes.conversation]\nstandard = ["{FIRST}", "{SECOND}"]\n'
    async with front(tmp_path, environment(vendors, "groq", "openai"), own) as house:
        await taught(house, FIRST, 12, rejected=1)
        await taught(house, SECOND, 12, kept=1)

        shown = await order(house)

    assert [one["model"] for one in shown] == [FIRST, SECOND]


async def test_answers_that_were_checked_are_counted_and_no_others(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", '{"river": "Loire"}')
    vendors.says("openai", "no JSON at all")
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", **TASK)
        await house.call("generate", **TASK, response_schema=SCHEMA)
        await house.refused("generate", **TASK, response_schema=SCHEMA, model=SECOND)

        known = {one.model: one.counts for one in await house.app.ledger.read_outcomes(house.app.router.runner.clock())}

    assert known[FIRST] == OutcomeCounts(kept=1)
    assert known[SECOND].rejected >= 1
    assert (known[SECOND].kept, known[SECOND].pinned) == (0, 0)


async def test_learning_can_be_turned_off(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", '{"river": "Loire"}')
    config = "learn_from_outcomes = false\n"
    async with front(tmp_path, environment(vendors, "groq", "openai"), config) as house:
        await taught(house, FIRST, 12, rejected=1)
        await house.call("generate", **TASK, response_schema=SCHEMA)

        shown = await order(house)
        known = await house.app.ledger.read_outcomes(house.app.router.runner.clock())

    assert shown[0]["model"] == FIRST
    assert [one.counts for one in known] == [OutcomeCounts(rejected=12)]


def test_what_was_learnt_is_forgotten_on_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    config = tmp_path / "config.toml"
    config.write_text(f'database_url = "{url}"\n', "utf-8")

    async def of_two_models() -> None:
        ledger = await open_ledger(url)
        for model in (FIRST, SECOND):
            await ledger.settle(None, an_attempt(model, model=model, **CELL), (), OutcomeCounts(kept=1))
        await ledger.aclose()

    anyio.run(of_two_models)
    codes = [main(["forget", "--config", str(config)]) for _ in range(2)]

    assert codes == [0, 0]
    assert [line[:33] for line in capsys.readouterr().out.splitlines()] == [
        "deleted the feedback about 2 mode",
        "deleted the feedback about 0 mode",
    ]


async def test_lessons_are_read_again_only_after_a_while(tmp_path: Path) -> None:
    ledger = await open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    now = [NOON]
    learning = Feedback(ledger=ledger, clock=lambda: now[0])
    unknown = await learning.preferences(A_TASK)
    for number in range(12):
        attempt = an_attempt(str(number), model=SECOND, started_at=NOON, **CELL)
        await ledger.settle(None, attempt, (), OutcomeCounts(rejected=1))

    at_once = await learning.preferences(A_TASK)
    now[0] += FRESH_SECONDS
    later = await learning.preferences(A_TASK)
    await ledger.aclose()

    assert (unknown, at_once) == ({}, {})
    assert later[SECOND].weight < 0


def test_a_few_answers_move_nobody() -> None:
    assert weights(a=OutcomeCounts(rejected=ENOUGH - 1), b=OutcomeCounts(kept=100)) == {}


def test_a_small_difference_moves_nobody() -> None:
    assert weights(a=OutcomeCounts(kept=95, rejected=5), b=OutcomeCounts(kept=98, rejected=2)) == {}


@given(kept=st.integers(0, 200), rejected=st.integers(0, 200), others=st.integers(0, 200))
def test_one_more_good_answer_never_moves_a_model_back(kept: int, rejected: int, others: int) -> None:
    before = weights(a=OutcomeCounts(kept=kept + ENOUGH, rejected=rejected), b=OutcomeCounts(kept=others))
    after = weights(a=OutcomeCounts(kept=kept + ENOUGH + 1, rejected=rejected), b=OutcomeCounts(kept=others))

    assert after.get("a", 0) >= before.get("a", 0)
