"""Which models a plan holds and why not the others, as `explain_route` shows it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.front import environment, front
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
