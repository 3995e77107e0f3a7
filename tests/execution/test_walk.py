"""Who is asked when somebody fails, is busy or comes back: through the front door."""

import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from providers.registry import provider_from_table
from tests.support.front import environment, front
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium"}
ALONE = {"prompt": "Say hi.", "use_case": "conversation", "model": "groq:openai/gpt-oss-20b"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


async def test_a_provider_whose_vendor_says_nothing_is_left_is_passed_over(tmp_path: Path, vendors: Vendors) -> None:
    vendors.heads("groq", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s")
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        first = await house.call("generate", **TASK, budget_tier="standard")
        second = await house.call("generate", **TASK, budget_tier="standard")
        plan = await house.call("explain_route", **TASK, budget_tier="standard")

    assert (first["model"], second["model"]) == ("groq:openai/gpt-oss-120b", "openai:gpt-6-luna")
    (reason,) = [one["reason"] for one in plan["rejected"] if one["model"] == first["model"]]
    assert reason.startswith("at its rate limit: free in ")


async def test_a_short_rate_limit_is_waited_out_where_nobody_else_is_left(tmp_path: Path, vendors: Vendors) -> None:
    vendors.heads("groq", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="400ms")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **ALONE)
        before = time.monotonic()
        answer = await house.call("generate", **ALONE)

    assert answer["text"] == "Hello from groq."
    assert "fallbacks" not in answer
    assert time.monotonic() - before > 0.2


async def test_a_long_rate_limit_is_told_at_once_with_the_seconds(tmp_path: Path, vendors: Vendors) -> None:
    vendors.heads("groq", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="55s")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **ALONE)
        text = await house.refused("generate", **ALONE)

    assert "at its rate limit: free in 5" in text
    assert "call again in 5" in text
    assert len(vendors.requests("groq")) == 1


async def test_a_call_that_is_more_than_the_limit_itself_is_not_told_to_wait(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq"), "[providers.groq]\ntpm = 50\n") as house:
        text = await house.refused("generate", **ALONE)

    assert "50 tokens a minute, and this call alone is more than that" in text
    assert "call again" not in text
    assert "inf" not in text
    assert vendors.requests("groq") == []


async def test_one_call_alone_tries_a_provider_again_whose_bench_has_ended(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        for _ in range(3):
            await house.call("generate", **TASK, budget_tier="standard")
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as ledger:
            ledger.execute("UPDATE breakers SET open_until = ? WHERE scope = 'provider:groq'", (time.time() - 1,))
        vendors.recover("groq")
        vendors.delay("groq", 0.3)
        answers: list[str] = []

        async def one() -> None:
            answers.append((await house.call("generate", **TASK, budget_tier="standard"))["model"])

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(one)
        after = await house.call("generate", **TASK, budget_tier="standard")

    assert sorted(answers) == ["groq:openai/gpt-oss-120b", *["openai:gpt-6-luna"] * 4]
    assert after["model"] == "groq:openai/gpt-oss-120b"


async def test_a_missing_key_is_made_up_for_where_a_provider_is_asked_for_but_not_where_a_model_is(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "openrouter")) as house:
        answer = await house.call("generate", prompt="Say hi.", use_case="conversation", model="deepseek")
        text = await house.refused(
            "generate", prompt="Say hi.", use_case="conversation", model="deepseek:deepseek-flash"
        )

    assert answer["model"].startswith("openrouter:deepseek/")
    assert "set DEEPSEEK_API_KEY; openrouter:deepseek/" in text
    assert "could be asked" in text


@pytest.mark.parametrize("kind", ["filter", "context"])
async def test_what_a_model_refuses_goes_only_to_one_taught_elsewhere_or_with_a_larger_window(
    tmp_path: Path, vendors: Vendors, kind: str
) -> None:
    vendors.fail("groq", kind)
    cell = '[routes.conversation]\nstandard = ["groq:openai/gpt-oss-120b", "groq:openai/gpt-oss-20b", "openai"]\n'
    async with front(tmp_path, environment(vendors, "groq", "openai"), cell) as house:
        answer = await house.call("generate", **TASK, budget_tier="standard")

    assert (answer["model"].partition(":")[0], answer["fallbacks"]) == ("openai", 1)
    assert len(vendors.requests("groq")) == 1


async def test_of_ones_own_models_nobody_knows_who_taught_them_and_another_house_may_answer_what_one_refused(
    tmp_path: Path, vendors: Vendors
) -> None:
    own = ""
    for name in ("first", "second"):
        row = {"wire": "openai_chat", "base_url": f"http://127.0.0.1/{name}", "key_env": []}
        vendors.add(provider_from_table(name, row))
        own += f"""
[providers.{name}]
wire = "openai_chat"
base_url = "{vendors.url(name)}"
models = [{{ name = "model", context_window = 32000, input_mtok = 0.1, output_mtok = 0.1 }}]
"""
    vendors.fail("first", "filter")
    cell = '[routes.conversation]\nstandard = ["first:model", "second:model"]\n'
    async with front(tmp_path, environment(vendors), cell + own) as house:
        answer = await house.call("generate", **TASK, budget_tier="standard")

    assert (answer["model"], answer["fallbacks"]) == ("second:model", 1)


THREE = (
    '[routes.conversation]\nstandard = ["groq:openai/gpt-oss-120b", "openai:gpt-6-luna", "deepseek:deepseek-flash"]\n'
)


async def test_unexplained_400_is_tried_once_at_another_provider(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", "invalid")
    async with front(tmp_path, environment(vendors, "groq", "openai", "deepseek"), THREE) as served:
        answer = await served.call("generate", **TASK, budget_tier="standard")
        vendors.fail("openai", "invalid")
        text = await served.refused("generate", **TASK, budget_tier="standard")

    assert (answer["model"], answer["fallbacks"]) == ("openai:gpt-6-luna", 1)
    assert "correct the request" in text
    assert vendors.requests("deepseek") == []


async def test_callers_mistake_falls_back_nowhere(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=400, body={"error": {"message": "Could not process image", "code": "invalid_image"}})
    async with front(tmp_path, environment(vendors, "groq", "openai", "deepseek"), THREE) as served:
        text = await served.refused("generate", **TASK, budget_tier="standard")

    assert "invalid_request" in text
    assert "correct the request; no other model would accept it" in text
    assert vendors.requests("openai") == vendors.requests("deepseek") == []


async def test_refused_keys_are_named_when_every_provider_fails(tmp_path: Path, vendors: Vendors) -> None:
    for name in ("groq", "openai"):
        vendors.fail(name, "auth")
    route = '[routes.conversation]\nstandard = ["groq:openai/gpt-oss-120b", "openai:gpt-6-luna"]\n'
    async with front(tmp_path, environment(vendors, "groq", "openai"), route) as served:
        text = await served.refused("generate", **TASK, budget_tier="standard")

    assert "401 from groq and openai: check the keys" in text


async def test_refused_model_closes_the_model_and_not_the_key(tmp_path: Path, vendors: Vendors) -> None:
    blocked = {"error": {"message": "Blocked at the organization level", "code": "model_permission_blocked_org"}}
    vendors.fail("groq", status=403, body=blocked, times=1)
    route = '[routes.conversation]\nstandard = ["groq:openai/gpt-oss-120b", "groq:openai/gpt-oss-20b"]\n'
    async with front(tmp_path, environment(vendors, "groq"), route) as served:
        first = await served.call("generate", **TASK, budget_tier="standard")
        second = await served.call("generate", **TASK, budget_tier="standard")

    assert (first["model"], first["fallbacks"]) == ("groq:openai/gpt-oss-20b", 1)
    assert second["model"] == "groq:openai/gpt-oss-20b"
    assert "fallbacks" not in second
