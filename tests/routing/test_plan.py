"""Which models a plan holds and why not the others, as `explain_route` shows it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.front import environment, front
from tests.vendors import Vendors, vendor_server

ANALYSIS = {"prompt": "Why did sales fall?", "use_case": "analysis", "complexity": "medium", "budget_tier": "premium"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


@pytest.mark.parametrize(
    ("use_case", "provider", "asked"),
    [
        ("summarization", "groq", "groq:openai/gpt-oss-120b"),
        ("code_generation", "gemini", "gemini:gemma-4-31b-it"),
        ("summarization", "huggingface", "huggingface:openai/gpt-oss-120b"),
        ("analysis", "qwen", "qwen:qwen3.8-max"),
        ("expert_tasks", "mistral", "mistral:zai-glm-5-3"),
    ],
)
async def test_who_can_be_asked_is_asked_before_the_embedded_model_though_no_table_names_it(
    tmp_path: Path, vendors: Vendors, use_case: str, provider: str, asked: str
) -> None:
    task = {"prompt": "Say it.", "use_case": use_case, "complexity": "medium"}
    async with front(tmp_path, environment(vendors, provider), embedded=True) as house:
        plan = await house.call("explain_route", **task)
        answer = await house.call("generate", **task)

    first = plan["candidates"][0]
    assert (first["model"], answer["text"]) == (asked, f"Hello from {provider}.")
    assert "outside the table" in first["why"]


async def test_a_model_that_may_be_gone_stands_in_for_nobody_while_its_successor_can(
    tmp_path: Path, vendors: Vendors
) -> None:
    task = {"prompt": "Say it.", "use_case": "classification", "budget_tier": "standard", "complexity": "medium"}
    config = '[routes.classification]\nstandard = ["qwen:qwen3.7-flash"]\n'
    async with front(tmp_path, environment(vendors, "groq"), config) as house:
        plan = await house.call("explain_route", **task)

    assert plan["candidates"][0]["model"] == "groq:qwen/qwen3.8-27b"


async def test_another_tiers_model_comes_before_one_that_no_table_names_unless_it_is_much_weaker(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "claude", "qwen")) as house:
        plan = await house.call("explain_route", **ANALYSIS)
    async with front(tmp_path, environment(vendors, "qwen")) as house:
        alone = await house.call("explain_route", **ANALYSIS)

    assert [one["model"] for one in plan["candidates"]] == ["claude:claude-sonnet-5-5", "claude:claude-opus-5-5"]
    assert "qwen:qwen3.7-flash" not in [one["model"] for one in alone["candidates"]]


async def test_where_nobody_fits_those_that_can_be_asked_say_why_they_do_not(tmp_path: Path, vendors: Vendors) -> None:
    task = {"prompt": "word " * 110_000, "use_case": "long_context", "budget_tier": "premium"}
    async with front(tmp_path, environment(vendors, "claude")) as house:
        text = await house.refused("generate", **task)

    assert "claude:claude-haiku-5-5: over the ceiling" in text
    assert "take a higher budget_tier" in text
    assert vendors.requests("claude") == []


async def test_a_provider_alone_in_a_cell_means_what_the_tables_ask_of_it(tmp_path: Path, vendors: Vendors) -> None:
    config = '[routes.analysis]\npremium = ["groq", { model = "glm", thinking = "low" }]\n'
    async with front(tmp_path, environment(vendors, "groq", "glm"), config) as house:
        plan = await house.call("explain_route", **ANALYSIS)

    models = [one["model"] for one in plan["candidates"]]
    assert models[0] == "groq:openai/gpt-oss-120b"
    assert "groq:openai/gpt-oss-safeguard-20b" not in models
    assert "glm:glm-4.7-flash" in models


async def test_a_model_without_its_provider_is_answered_with_who_serves_it(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "openai")) as house:
        text = await house.refused("generate", prompt="Hi", model="gpt-6-luna")

    assert "A model is written provider:model, so openai:gpt-6-luna" in text


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be kind."}],
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "system", "content": "x"},
        ],
    ],
)
async def test_messages_that_ask_nothing_are_refused(
    tmp_path: Path, vendors: Vendors, messages: list[dict[str, str]]
) -> None:
    async with front(tmp_path, environment(vendors, "openai")) as house:
        text = await house.refused("generate", messages=messages)

    assert "the last one must have the role user" in text
    assert vendors.requests("openai") == []


async def test_a_prompt_larger_than_every_window_is_told_to_be_cut_and_of_no_keys(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "openai")) as house:
        text = await house.refused("generate", prompt="word " * 1_500_000, use_case="long_context")

    assert "it takes 922000" in text
    assert text.endswith("Next: shorten the prompt, or give it in parts.")


async def test_the_plan_of_a_conversation_begins_with_who_answered_it(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        first = await house.call("generate", prompt="Hi", use_case="conversation", model="openai:gpt-6-luna")
        onward = {"prompt": "And?", "use_case": "conversation", "complexity": "medium", "temperature": 0.2}
        plan = await house.call("explain_route", **onward, conversation_id=first["call_id"])
        answer = await house.call("generate", **onward, conversation_id=first["call_id"])

    assert plan["candidates"][0]["model"] == answer["model"] == "openai:gpt-6-luna"


async def test_a_model_that_can_be_held_to_no_json_is_not_asked_for_it(tmp_path: Path, vendors: Vendors) -> None:
    config = '[[providers.groq.models]]\nname = "talker"\ninput_mtok = 0\noutput_mtok = 0\nfeatures = ["vision"]\n'
    task = {"prompt": "Name a colour.", "use_case": "conversation", "model": "groq:talker"}
    async with front(tmp_path, environment(vendors, "groq"), config) as house:
        text = await house.refused("generate", **task, response_schema={"type": "object"})
        plain = await house.call("generate", **task)

    assert "groq:talker: cannot be held to a JSON Schema" in text
    assert plain["model"] == "groq:talker"


async def test_a_provider_in_full_tells_its_breaker_and_what_its_vendor_says_is_left(
    tmp_path: Path, vendors: Vendors
) -> None:
    task = {"prompt": "Hi", "use_case": "conversation", "model": "groq:openai/gpt-oss-20b"}
    vendors.heads("groq", x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests="30s")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        await house.call("generate", **task)
        vendors.fail("groq", status=401)
        await house.refused("generate", **task)
        (groq,) = (await house.call("list_providers", provider="groq"))["providers"]

    assert groq["limits"]["left"] == [{"scope": "groq:openai/gpt-oss-20b", "requests": 1, "tokens": None}]
    (breaker,) = groq["breaker"]
    assert (breaker["scope"], breaker["failures"], breaker["reason"]) == ("key:groq", 1, "authentication")
    assert 0 < breaker["open_s"] <= 300


async def test_a_key_for_a_server_of_ones_own_goes_only_where_the_user_points(tmp_path: Path, vendors: Vendors) -> None:
    environ = {"OLLAMA_API_KEY": "test-key-of-ollama", "OLLAMA_BASE_URL": vendors.url("local")}
    vendors.serves("local", "qwen3:8b")
    async with front(tmp_path, environ) as house:
        answer = await house.call("generate", prompt="Hi", use_case="conversation", model="local:qwen3:8b")
    async with front(
        tmp_path, {"OLLAMA_API_KEY": "test-key-of-ollama"}, "[providers.local]\nenabled = true\n"
    ) as house:
        unpointed = house.app.rules.key(house.app.catalog.provider("local"))

    assert answer["text"] == "Hello from local."
    assert vendors.requests("local")[-1].headers["authorization"] == "Bearer test-key-of-ollama"
    assert unpointed is None
