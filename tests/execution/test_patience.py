"""`patience = minutes`: flex is asked for, held and billed by what the vendor reports."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.support.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Sum it up.", "use_case": "summarization", "budget_tier": "economy", "model": "openai:gpt-6-luna"}
COSTS = {"flex": 0.5, "default": 1.0, "priority": 2.0, "": 1.0}
"""Multiples of the standard price, by the class that the vendor reports."""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def served(tier: str) -> bytes:
    """An answer of OpenAI's in a class: 1,000 tokens in, 100 out."""
    answer: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-6-luna",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Short."}}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
    }
    return json.dumps(answer | ({"service_tier": tier} if tier else {})).encode()


STANDARD_USD = (1_000 * 0.1 + 100 * 0.5) / 1_000_000


async def attempts(house: Front, call_id: str) -> list[dict[str, Any]]:
    return (await house.call("explain_route", call_id=call_id))["attempts"]


async def test_flex_is_planned_at_its_price_and_held_at_the_standard_one(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "openai", "groq")) as house:
        now = (await house.call("explain_route", **TASK))["candidates"][0]
        flex = (await house.call("explain_route", patience="minutes", **TASK))["candidates"][0]
        other = await house.call("explain_route", patience="minutes", **(TASK | {"model": "groq"}))
        day = await house.refused("explain_route", patience="day", **TASK)

    assert flex["service_tier"] == "flex"
    assert flex["estimated_usd"] == pytest.approx(now["estimated_usd"] / 2)
    assert flex["at_most_usd"] == now["at_most_usd"]  # OpenAI can serve another class than it was asked for
    assert "service_tier" not in now
    assert not any("service_tier" in one for one in other["candidates"])  # the same price there, so no saving
    assert "Use minutes or now" in day


async def test_bill_follows_the_reported_class(tmp_path: Path, vendors: Vendors) -> None:
    chance = random.Random(5)  # noqa: S311 - a seeded test
    async with front(tmp_path, environment(vendors, "openai")) as house:
        for _ in range(200):
            tier = chance.choice(list(COSTS))
            vendors.writes("openai", served(tier))
            answer = await house.call("generate", patience="minutes", **TASK)
            assert answer["cost_usd"] == pytest.approx(STANDARD_USD * COSTS[tier], rel=1e-3), tier

    assert all(request.body["service_tier"] == "flex" for request in vendors.requests("openai"))


async def test_capacity_refusal_is_free_and_followed_by_the_standard_class(tmp_path: Path, vendors: Vendors) -> None:
    vendors.writes("openai", served("default"))
    async with front(tmp_path, environment(vendors, "openai")) as house:
        for status in (429, 503):
            vendors.fail("openai", status=status, body={"error": {"message": "Resource unavailable"}}, times=1)
            answer = await house.call("generate", patience="minutes", **TASK)
            rows = await attempts(house, answer["call_id"])

            assert [row.get("error") for row in rows] == ["no_flex_capacity", None]
            assert rows[0]["cost_usd"] == 0
            assert "no flex capacity" in rows[1]["why"]
            assert answer["cost_usd"] == pytest.approx(STANDARD_USD, rel=1e-3)
        status = await house.call("list_providers", provider="openai")

    assert status["providers"][0]["status"] == "active"
    assert "service_tier" not in vendors.requests("openai")[-1].body


async def test_refusals_of_both_classes_are_told_with_both(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "openai")) as house:
        plan = await house.call("explain_route", patience="minutes", max_output_tokens=500, **TASK)
        ceiling = plan["candidates"][0]["at_most_usd"] * 1.2
        vendors.fail("openai", status=429, body={"error": {"message": "Resource unavailable"}})
        text = await house.refused("generate", patience="minutes", max_output_tokens=500, max_cost_usd=ceiling, **TASK)

    assert "no_flex_capacity" in text
    assert [request.body.get("service_tier") for request in vendors.requests("openai")] == ["flex", None]
