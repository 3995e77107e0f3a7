"""`check = agree`, through the front door, and what counts as the same answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from mcp_router.execution.comparable import to_comparable
from tests.support.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

KEYS = ("groq", "qwen", "gemini", "claude", "openai", "mistral")
TASK = {"prompt": "Is this mail spam? Won a prize!", "use_case": "classification", "budget_tier": "economy"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


async def trio(house: Front, **more: object) -> list[str]:
    plan = await house.call("explain_route", check="agree", **(TASK | more))
    return [one["model"] for one in plan["candidates"]][:3]


async def attempts(house: Front, call_id: str) -> list[dict[str, object]]:
    return (await house.call("explain_route", call_id=call_id))["attempts"]


async def held_usd(house: Front) -> float:
    return sum(budget["held_usd"] for budget in (await house.call("cost_summary"))["budgets"])


BUDGET = "[budgets]\ndaily_usd = 1.0\n"


async def test_equal_answers_are_returned_and_the_third_is_not_asked(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, *KEYS), BUDGET) as house:
        first, second, decider = await trio(house)
        for name, text in zip((first, second, decider), ("Spam", "**spam**.", "ham"), strict=True):
            vendors.says(name.partition(":")[0], text)
        answer = await house.call("generate", check="agree", **TASK)
        rows = await attempts(house, answer["call_id"])
        costs = await house.call("cost_summary")
        held = await held_usd(house)

    assert first.partition(":")[0] != second.partition(":")[0]
    assert (answer["text"], answer["model"]) == ("Spam", first)
    assert answer["checked"] == f"agree: {first} and {second}"
    assert {str(row["model"]) for row in rows} == {first, second}
    assert answer["cost_usd"] == pytest.approx(sum(float(str(row["cost_usd"])) for row in rows))
    assert [row["baseline_usd"] is None for row in rows].count(False) == 1
    assert (costs["calls"], costs["fallback_rate"], held) == (1, 0, 0)
    assert "fallbacks" not in answer


async def test_different_answers_are_decided_by_the_stronger(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, *KEYS), BUDGET) as house:
        first, second, decider = await trio(house)
        for name, text in zip((first, second, decider), ("spam", "ham", "ham"), strict=True):
            vendors.says(name.partition(":")[0], text)
        answer = await house.call("generate", check="agree", **TASK)
        rows = await attempts(house, answer["call_id"])
        counts = {
            one.model: one.counts for one in await house.app.ledger.read_outcomes(house.app.router.runner.clock())
        }
        held = await held_usd(house)

    assert (answer["text"], answer["model"]) == ("ham", decider)
    assert answer["checked"] == f"agree: decided by {decider}"
    assert [row["model"] for row in rows][-1] == decider
    assert [row["baseline_usd"] is None for row in rows] == [True, True, False]
    assert (counts[first].rejected, counts[second].kept) == (1, 1)
    assert held == 0


async def test_failing_model_leaves_the_decision_to_the_stronger(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, *KEYS), BUDGET) as house:
        first, _, decider = await trio(house)
        vendors.fail(first.partition(":")[0], "overloaded")
        vendors.says(decider.partition(":")[0], "spam")
        answer = await house.call("generate", check="agree", **TASK)
        held = await held_usd(house)

    assert (answer["model"], answer["fallbacks"], held) == (decider, 1, 0)


async def test_agreement_that_does_not_fit_is_refused_unspent(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, *KEYS), BUDGET) as house:
        text = await house.refused("generate", check="agree", **(TASK | {"max_cost_usd": 0.000001}))
        prose = await house.refused("generate", check="agree", prompt="Tell me a story.", use_case="conversation")
        held = await held_usd(house)
    async with front(tmp_path, environment(vendors, "groq"), BUDGET) as house:
        alone = await house.refused("generate", check="agree", **TASK)
    async with front(tmp_path, environment(vendors, *KEYS), "[budgets]\ndaily_usd = 0.000005\n") as house:
        over = await house.refused("generate", check="agree", **TASK)
        over_held = await held_usd(house)

    assert "two models of different lineage and a stronger one" in text
    assert "two models of different lineage" in alone
    assert "prose, which cannot be compared" in prose
    assert over_held == held == 0
    assert over
    assert all(vendors.requests(name) == [] for name in KEYS)


def test_same_answers_have_the_same_comparable_form() -> None:
    same = [
        ("Spam", "**spam**.", " spam\n", "“Spam”"),
        ("(B)", "B.", "b", "B)", "Let me think.\nThe answer is (B).", "Answer: B"),
        ("1,000", "1000.0", "So 10 * 100.\nThe answer is 1000.", "\\boxed{1000}"),
        ("Paris", "The answer is Paris.", "paris"),
        ("Ja", "Antwort: ja"),
    ]
    forms = [{to_comparable(text, is_json=False) for text in texts} for texts in same]
    assert [len(form) for form in forms] == [1] * len(same), forms
    assert len(set.union(*forms)) == len(same)
    assert to_comparable("word " * 200, is_json=False) is None
    assert to_comparable("", is_json=False) is None
    different = ("$5", "€5", "5%", "5", "[5]", "A. cat", "A. dog", "I. doubt it", "'aB'", "'ab'x", "[1]", "x1", "X1")
    assert len({to_comparable(text, is_json=False) for text in different}) == len(different) - 0
    json_forms = {
        to_comparable(text, is_json=True) for text in ('{"a": 1, "b": ["X"]}', '```json\n{"b":["x"],"a":1.0}\n```')
    }
    assert len(json_forms) == 1
    assert to_comparable('{"a": 2}', is_json=True) not in json_forms
    assert to_comparable("no JSON", is_json=True) is None
