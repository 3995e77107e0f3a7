import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mcp_router.operations.arguments import CostArguments, ExplainArguments, GenerateArguments, parse_arguments
from mcp_router.operations.model_aliases import canonical_model
from tests.support.front import environment, front
from tests.support.site import site
from tests.vendors import Vendors, vendor_server


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


TASK = {"prompt": "Classify: the hinge broke.", "use_case": "classification", "model": "groq"}
HOST_EXTRAS = {"sessionId": "1bd1", "action": "sendMessage", "chatInput": "hi", "toolCallId": "call_1"}
DECLARED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Say yes."}],
    "files": ["notes.md"],
    "per_file": True,
    "response_schema": {"type": "object"},
    "max_output_tokens": 500,
    "temperature": 0.2,
    "max_cost_usd": "0.01",
    "budget_tier": "economy",
}
AS_SENT: dict[str, Any] = {
    "messages": json.dumps([{"role": "user", "content": "Say yes.", "id": "m1"}]),
    "files": "notes.md",
    "per_file": "true",
    "response_schema": '{"type": "object"}',
    "max_output_tokens": "500",
    "temperature": "0.2",
    "max_cost_usd": "$0.01",
    "budget_tier": "Economy",
    "save_to": None,
    "model": "",
    "resume": None,
}
RESEMBLING = {
    "max_cost": "max_cost_usd",
    "tier": "budget_tier",
    "max_tokens": "max_output_tokens",
    "maxOutputTokens": "max_output_tokens",
    "schema": "response_schema",
    "file": "files",
    "conversationId": "conversation_id",
    "system_prompt": "system",
    "temprature": "temperature",
}
ALIASES = {
    "anthropic:claude-x": "claude:claude-x",
    "google/gemini-x": "gemini:gemini-x",
    "xai": "grok",
    "moonshot:kimi-x": "kimi:kimi-x",
    "openai/gpt-x": "openai:gpt-x",
    "groq:openai/gpt-x": "groq:openai/gpt-x",
    "openrouter/anthropic/claude-x": "openrouter:anthropic/claude-x",
    "unheard-of/model": "unheard-of/model",
}


def test_arguments_are_parsed_from_the_forms_that_hosts_send() -> None:
    assert parse_arguments(GenerateArguments, AS_SENT) == parse_arguments(GenerateArguments, DECLARED)


def test_path_that_begins_with_a_bracket_is_a_list_of_one() -> None:
    assert parse_arguments(ExplainArguments, {"files": "[id]/page.tsx"}).files == ("[id]/page.tsx",)


def test_provider_aliases_and_slashes_name_the_configured_provider() -> None:
    providers = {"claude", "gemini", "grok", "kimi", "openai", "groq", "openrouter"}

    assert {name: canonical_model(name, providers) for name in ALIASES} == ALIASES
    assert canonical_model("google:m", {"google", "gemini"}) == "google:m"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"prompt": "x", "max_output_tokens": 10**400}, "max_output_tokens: contains an integer"),
        ({"prompt": "x", "max_output_tokens": True}, "max_output_tokens: "),
        ({"prompt": "x", "max_cost_usd": "9" * 5_000}, "max_cost_usd: "),
        ({"prompt": "x", "per_file": "perhaps"}, "per_file: must be true or false."),
        ({"prompt": "x", "response_schema": "text"}, "response_schema: must be a JSON object."),
        ({"prompt": "x", "temperature": float("nan")}, "temperature: contains a number that is not finite."),
    ],
)
def test_invalid_value_is_an_error_that_names_its_argument(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(Exception, match="^" + problem):
        parse_arguments(GenerateArguments, given)


def test_deeply_nested_value_is_an_error() -> None:
    schema: dict[str, object] = {}
    for _ in range(300):
        schema = {"not": schema}

    with pytest.raises(Exception, match=r"^response_schema: nested deeper than 256 levels"):
        parse_arguments(GenerateArguments, {"prompt": "x", "response_schema": schema})


async def test_every_tool_ignores_unknown_arguments_and_names_them(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        calls = {"generate": TASK, "explain_route": TASK, "list_providers": {}, "cost_summary": {}}
        warnings = {tool: (await house.call(tool, **given, **HOST_EXTRAS))["warning"] for tool, given in calls.items()}

    assert {warning.rpartition("unknown arguments ignored: ")[2] for warning in warnings.values()} == {
        "sessionId, action, chatInput, toolCallId"
    }


async def test_argument_that_resembles_a_known_one_is_an_error_that_names_it(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        texts = {name: await house.refused("generate", **TASK, **{name: "1"}) for name in RESEMBLING}
        period = await house.refused("cost_summary", groupBy="model")

    assert [name for name, known in RESEMBLING.items() if f"Use {known}." not in texts[name]] == []
    assert "Use group_by." in period


async def test_http_takes_the_same_forms_and_ignores_the_same(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        sent = TASK | {"max_output_tokens": "50", "complexity": None, "stream": None, **HOST_EXTRAS}
        answer = await there.http.post("/api/llm/generate", json=sent)
        alias = await there.http.post("/api/llm/explain", json=TASK | {"model": "groq/openai/gpt-oss-20b"})
        costs = await there.http.get("/api/llm/cost-summary", params={"sessionId": "x"})
        refused = await there.http.post("/api/llm/generate", json=TASK | {"tier": "economy"})

    assert (answer.status_code, costs.status_code, refused.status_code) == (200, 200, 400)
    assert "sessionId" in answer.json()["warning"]
    assert alias.json()["candidates"][0]["model"] == "groq:openai/gpt-oss-20b"
    assert costs.json()["warning"] == "unknown arguments ignored: sessionId"
    assert "Use budget_tier." in refused.json()["error"]["message"]


def test_unset_period_is_today() -> None:
    assert parse_arguments(CostArguments, {"period": ""}).period == "today"
