"""Data policies: no plan and no attempt reaches a provider without the fact."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_router.errors import RouterError
from mcp_router.execution.call import CallRequest
from mcp_router.operations.arguments import GenerateArguments, parse_arguments
from mcp_router.operations.prepare import prepare_call, to_call_request
from mcp_router.routing.plan import plan
from mcp_router.routing.policy import Policies, Policy
from providers.catalog import DataFacts
from tests.support.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

PLACES = ("eu", "us", "cn", "ch")
PROVIDERS = ("groq", "openai", "claude", "gemini", "mistral", "openrouter")
TASK = {"prompt": "Say it.", "use_case": "conversation", "complexity": "medium", "budget_tier": "standard"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def a_policy(dice: random.Random) -> Policy:
    def places() -> frozenset[str] | None:
        return dice.choice((None, frozenset(dice.sample(PLACES, dice.randint(0, 3)))))

    days = dice.choice((None, None, 0, 7, 30))
    return Policy(no_training=dice.random() < 0.5, regions=places(), jurisdictions=places(), max_retention_days=days)


def some_facts(dice: random.Random) -> DataFacts:
    return DataFacts(
        trains_on_input=dice.choice(("yes", "no", "no", "unknown")),
        retention_days=dice.choice((None, 0, 7, 30, 90)),
        regions=tuple(dice.sample(PLACES, dice.randint(0, 2))),
        jurisdiction=dice.choice(("", *PLACES)),
    )


def meets(policy: Policy, facts: DataFacts) -> bool:
    """Decide anew, without the code under test."""
    kept, days = facts.retention_days, policy.max_retention_days
    return (
        (not policy.no_training or facts.trains_on_input == "no")
        and (days is None or (kept is not None and kept <= days))
        and (policy.regions is None or (bool(facts.regions) and set(facts.regions) <= policy.regions))
        and (policy.jurisdictions is None or facts.jurisdiction in policy.jurisdictions)
    )


async def test_10_000_random_policies_plan_no_row_without_the_fact(tmp_path: Path, vendors: Vendors) -> None:
    dice = random.Random(18)  # noqa: S311 - a repeatable draw
    wrong: list[object] = []
    planned = 0
    async with front(tmp_path, environment(vendors, *PROVIDERS)) as house:
        task = (await house.app.router.plan((await _a_request(house)).task)).task
        state, _ = await house.app.router.read_state(task)
        for _ in range(10_000):
            three = [a_policy(dice) for _ in range(3)]
            facts = {name: some_facts(dice) for name in PROVIDERS if dice.random() < 0.9}
            policy = Policies(everyone=three[0], clients={"c": three[1]}, projects={"p": three[2]}).find(
                dice.choice(("c", "other")), dice.choice(("p", ""))
            )
            pin = dice.choice((None, None, dice.choice(PROVIDERS)))
            found = plan(replace(task, pin=pin), replace(state, policy=policy, facts=facts))
            reached = {one.model.provider for one in (*found.candidates, *(waiting for waiting, _ in found.waiting))}
            planned += bool(reached)
            wrong += [name for name in reached if not meets(policy, facts.get(name, DataFacts()))]
    assert wrong == []
    assert planned > 1_000


async def _a_request(house: Front) -> CallRequest:
    arguments = parse_arguments(GenerateArguments, TASK)
    ready = await prepare_call(house.app, arguments, client="local")
    return to_call_request(ready, arguments, client="local")


async def test_calls_with_failures_reach_no_row_without_the_fact(tmp_path: Path, vendors: Vendors) -> None:
    dice = random.Random(7)  # noqa: S311 - a repeatable draw
    wrong: list[object] = []
    answered = 0
    async with front(tmp_path, environment(vendors, *PROVIDERS), "learn_from_outcomes = false\n") as house:
        router, config = house.app.router, house.app.router.config
        request = await _a_request(house)
        for _ in range(200):
            policy = a_policy(dice)
            facts = {name: some_facts(dice) for name in PROVIDERS}
            router.config = replace(config, policies=Policies(everyone=policy), facts=facts)
            for name in PROVIDERS:
                vendors.recover(name)
                if dice.random() < 0.5:
                    vendors.fail(name, status=500)
            try:
                done = await router.generate(replace(request, ignores_breakers=True))
            except RouterError as error:
                attempts = await house.app.ledger.read_attempts(error.call_id or "none")
            else:
                answered += 1
                attempts = list(done.attempts)
            wrong += [one.model for one in attempts if not meets(policy, facts[one.provider])]
    assert wrong == []
    assert answered > 20


async def test_rejected_names_the_demand_and_openrouter_is_told(tmp_path: Path, vendors: Vendors) -> None:
    config = """
[policy]
no_training = true
[providers.openrouter.data]
trains_on_input = "no"
checked = 2026-11-30
source = "test"
"""
    async with front(tmp_path, environment(vendors, "groq", "openrouter"), config) as house:
        explained = await house.call("explain_route", **TASK)
        answer = await house.call("generate", **TASK)
        refused = await house.refused("generate", **TASK, model="groq:openai/gpt-oss-120b")
    reasons = {one["reason"] for one in explained["rejected"] if one["model"].startswith("groq:")}
    assert any("policy.no_training: whether it trains on prompts is unknown" in reason for reason in reasons)
    assert answer["model"].startswith("openrouter:")
    assert "policy.no_training" in refused
    assert vendors.requests("openrouter")[-1].body["provider"] == {"data_collection": "deny", "zdr": True}
