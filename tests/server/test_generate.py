from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.support.front import environment, front
from tests.vendors import Vendors, vendor_server

KEY = "test-key-of-groq"
TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


async def test_the_first_candidate_of_the_cell_answers(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai", "claude")) as house:
        answer = await house.call("generate", **TASK, budget_tier="standard")

    assert (answer["text"], answer["model"]) == ("Hello from groq.", "groq:openai/gpt-oss-120b")
    assert "inferred" not in answer
    assert answer["cost_usd"] > 0


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("", {"status": 401}),
        ("", {"status": 403}),
        ("", {"status": 404}),
        ("", {"status": 410}),
        ("", {"status": 429, "retry_after": 30}),
        ("", {"status": 500}),
        ("cut", {}),
        ("malformed", {}),
    ],
)
async def test_the_next_candidate_answers_when_the_first_fails(
    tmp_path: Path, vendors: Vendors, kind: str, options: dict[str, object]
) -> None:
    vendors.fail("groq", kind, **options)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", prompt="warm up", model="openai:gpt-6-luna", use_case="conversation")
        answer = await house.call("generate", **TASK, budget_tier="standard")
        attempts = (await house.call("explain_route", call_id=answer["call_id"]))["attempts"]

    assert (answer["model"], answer["fallbacks"]) == ("openai:gpt-6-luna", 1)
    assert [attempt["outcome"] for attempt in attempts] == ["failed", "answered"]
    assert KEY not in str(attempts)


async def test_a_silent_upstream_is_left_after_its_timeout(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", "silent")
    config = "[providers.groq]\ntimeout_s = 0.3\n"
    async with front(tmp_path, environment(vendors, "groq", "openai"), config) as house:
        answer = await house.call("generate", **TASK, budget_tier="standard")
        attempts = (await house.call("explain_route", call_id=answer["call_id"]))["attempts"]

    assert answer["model"] == "openai:gpt-6-luna"
    assert (attempts[0]["error"], attempts[0]["cost_source"]) == ("timeout", "bound")
    assert attempts[0]["cost_usd"] > 0


async def test_a_dead_primary_is_hit_at_most_three_times_in_twenty_calls(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        for _ in range(20):
            await house.call("generate", **TASK, budget_tier="standard")
        shown = await house.call("list_providers")

    assert len(vendors.requests("groq")) <= 3
    assert {one["name"]: one["status"] for one in shown["providers"]}["groq"] == "degraded"


async def test_a_lone_dead_primary_is_hit_at_most_three_times_in_twenty_calls(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        texts = [await house.refused("generate", **TASK, model="groq:openai/gpt-oss-20b") for _ in range(20)]

    assert len(vendors.requests("groq")) <= 3
    assert "breaker is open" in texts[-1]


async def test_what_one_process_learned_the_next_one_knows(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=401)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", **TASK, budget_tier="standard")
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", **TASK, budget_tier="standard")

    assert len(vendors.requests("groq")) == 1


async def test_cancelling_the_call_closes_the_upstream_and_writes_what_it_may_have_cost(
    tmp_path: Path, vendors: Vendors
) -> None:
    vendors.delay("groq", 30)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        with anyio.move_on_after(1.0):
            await house.call("generate", **TASK, model="groq:openai/gpt-oss-20b")
        with anyio.fail_after(2):
            while vendors.hung_up("groq") == 0:
                await anyio.sleep(0.01)
            while (await house.call("cost_summary", period="session"))["attempts"] == 0:
                await anyio.sleep(0.01)
        summary = await house.call("cost_summary", period="session")

    assert summary["attempts"] == 1
    assert summary["cost_usd"] == summary["uncertain_usd"] > 0


async def test_many_calls_run_side_by_side_and_others_are_answered_meanwhile(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 0.5)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **TASK, model="groq")
        answers: list[dict[str, object]] = []

        async def one() -> None:
            answers.append(await house.call("generate", **TASK, model="groq"))

        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(32):
                group.start_soon(one)
            await anyio.sleep(0.1)
            with anyio.fail_after(5):
                await house.call("list_providers")
        took = anyio.current_time() - began

    assert len(answers) == 32
    assert took < 16  # one after the other they would take this long


async def test_a_missing_key_is_made_up_for_by_another_host_of_the_family(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "openrouter")) as house:
        plan = await house.call("explain_route", **TASK, budget_tier="standard")
        answer = await house.call("generate", **TASK, budget_tier="standard")

    assert answer["model"] == plan["candidates"][0]["model"] == "openrouter:openai/gpt-oss-120b"
    assert "stands in for groq:openai/gpt-oss-120b" in plan["candidates"][0]["why"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "x", "model": "groq:no-such-model"}, "openai/gpt-oss-20b"),
        ({"prompt": "x", "model": "nobody:x"}, "claude"),
        ({"prompt": "x", "use_case": "cooking"}, "classification"),
        ({"prompt": "x", "budget_tier": "gold"}, "ultra_economy"),
        ({"prompt": "x", "complexity": "hard"}, "simple"),
        ({"prompt": "  "}, "empty"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "y"}]}, "both given"),
        ({}, "prompt"),
        ({"prompt": "x", "modell": 1}, "Use model."),
        ({"prompt": "x", "max_output_tokens": -1}, "max_output_tokens"),
    ],
)
async def test_bad_input_says_what_is_allowed_and_spends_nothing(
    tmp_path: Path, vendors: Vendors, arguments: dict[str, object], said: str
) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        text = await house.refused("generate", **arguments)
        after = await house.call("generate", **TASK, budget_tier="standard")

    assert said in text
    assert after["text"] == "Hello from groq."
    assert len(vendors.requests("groq")) + len(vendors.requests("openai")) == 1


async def test_a_prompt_larger_than_every_window_is_refused_before_it_is_sent(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        text = await house.refused("generate", prompt="word " * 400_000, use_case="long_context", model="groq")

    assert "window too small" in text
    assert vendors.requests("groq") == []


async def test_explain_route_shows_the_plan_that_generate_runs(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai", "claude", "gemini")) as house:
        for tier in ("economy", "standard", "premium", "enterprise"):
            plan = await house.call("explain_route", **TASK, budget_tier=tier)
            answer = await house.call("generate", **TASK, budget_tier=tier)
            assert answer["model"] == plan["candidates"][0]["model"]


async def test_simple_takes_the_cheapest_and_complex_the_strongest(tmp_path: Path, vendors: Vendors) -> None:
    task = {"prompt": "Tell me about rivers.", "use_case": "conversation", "budget_tier": "premium"}
    async with front(tmp_path, environment(vendors, "gemini", "openai", "claude", "grok")) as house:
        simple = await house.call("explain_route", **task, complexity="simple")
        complex_ = await house.call("explain_route", **task, complexity="complex")

    costs = [candidate["estimated_usd"] for candidate in simple["candidates"]]
    assert costs == sorted(costs)
    assert complex_["candidates"][0]["model"] == "claude:claude-sonnet-5-5"


async def test_output_is_clamped_to_what_the_ceiling_allows(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "qwen")) as house:
        await house.call(
            "generate", prompt="Label: cat", use_case="classification", complexity="medium", max_output_tokens=100_000
        )

    sent = vendors.requests("qwen")[0].body["max_tokens"]
    assert 500 < sent < 0.0001 / 0.13e-6


async def test_a_retired_provider_says_so_and_works_again_elsewhere(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, {"GITHUB_TOKEN": "test-key-0123456789"}) as house:
        shown = {one["name"]: one for one in (await house.call("list_providers"))["providers"]}
    async with front(tmp_path, environment(vendors, "github")) as house:
        answer = await house.call("generate", prompt="Hi", use_case="conversation", model="github:openai/gpt-4o")

    assert shown["github"]["status"] == "retired"
    assert "Azure" in shown["github"]["reason"]
    assert (answer["text"], answer["cost_usd"]) == ("Hello from github.", None)


async def test_resources_and_completions_answer(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **TASK, model="groq")
        names = [
            "router://use-cases",
            "router://budget-tiers",
            "router://providers",
            "router://models",
            "router://routes/classification",
            f"router://calls/{answer['call_id']}",
            "router://costs/today",
        ]
        texts = [(await house.client.read_resource(name)).contents[0].text for name in names]

    assert all(text.startswith("{") for text in texts)
    assert "qwen3.7-flash" in texts[4]
    assert answer["call_id"] in texts[5]


async def test_who_is_said_to_take_anothers_place_is_among_those_who_are_asked(
    tmp_path: Path, vendors: Vendors
) -> None:
    task = {"prompt": "Parse ISO dates.", "use_case": "code_generation", "complexity": "medium"}
    async with front(tmp_path, environment(vendors, "groq", "claude")) as house:
        plans = [await house.call("explain_route", **task, budget_tier=tier) for tier in ("economy", "standard")]

    for plan in plans:
        asked = {candidate["model"] for candidate in plan["candidates"]}
        told = [one["reason"].partition("; ")[2] for one in plan["rejected"] if "takes its place" in one["reason"]]
        assert [text for text in told if text.removesuffix(" takes its place") not in asked] == []
