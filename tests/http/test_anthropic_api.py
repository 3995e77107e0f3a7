"""The official anthropic SDK against the server, with every vendor at the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import anyio
import pytest

from tests.http.test_openai_api import PNG, attempts
from tests.http.test_openai_tools import CALLS, WIRES, native
from tests.support.front import environment
from tests.support.site import ALICE, CLIENTS, TOKENS, Site, site, until
from tests.vendors import Vendors, vendor_server

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Say hello."}]
TOOLS: list[dict[str, Any]] = [
    {
        "name": "get_weather",
        "description": "Weather of a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        "cache_control": {"type": "ephemeral"},
    },
    {"name": "hidden", "description": "A deferred tool.", "input_schema": {"type": "object"}, "defer_loading": True},
]


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


@asynccontextmanager
async def sdk(there: Site, token: str = ALICE) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=there.url, api_key=token, timeout=20) as client:
        yield client


async def ask(client: anthropic.AsyncAnthropic, *, stream: bool, **body: Any) -> Any:
    """The message, as the SDK collects it from events if streamed."""
    body = {"max_tokens": 500, "messages": HELLO} | body
    if not stream:
        return await client.messages.create(**body)
    async with client.messages.stream(**body) as events:
        return await events.get_final_message()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_sdk_gets_an_answer_with_usage(tmp_path: Path, vendors: Vendors, stream: bool) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        answer = await ask(
            client,
            stream=stream,
            model="router:conversation",
            system=[
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
            ],
            messages=[*HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Again."}],
            metadata={"user_id": "ann-7"},
        )
    (asked,) = vendors.requests("groq")

    assert [block.text for block in answer.content] == ["Hello from groq."]
    assert (answer.stop_reason, answer.type, answer.role) == ("end_turn", "message", "assistant")
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (60, 40)
    assert answer.usage.output_tokens == 42
    assert asked.body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "ann-7" not in json.dumps(asked.body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire", WIRES)
async def test_tools_go_through_in_two_rounds(tmp_path: Path, vendors: Vendors, wire: str, stream: bool) -> None:
    model = WIRES[wire]
    name = model.partition(":")[0].replace("native", "gemini")
    vendors.says(name, "It rains.", calls=CALLS)
    async with site(tmp_path, environment(vendors, name), native(vendors)) as there, sdk(there) as client:
        first = await ask(client, stream=stream, model=model, tools=TOOLS)
        uses = [block for block in first.content if block.type == "tool_use"]
        results = [
            {
                "type": "tool_result",
                "tool_use_id": uses[0].id,
                "content": [
                    {"type": "text", "text": "It rains in Rome."},
                    {"type": "tool_reference", "tool_name": "hidden"},
                ],
            },
            {"type": "tool_result", "tool_use_id": uses[1].id, "content": "Failed in Oslo.", "is_error": True},
            {"type": "text", "text": "And now?"},
        ]
        turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        history = [*HELLO, *turns, {"role": "system", "content": "Be careful."}]
        last = await ask(client, stream=stream, model=model, tools=TOOLS, messages=history)

    asked = [json.dumps(request.body) for request in vendors.requests(name)]
    assert first.stop_reason == "tool_use"
    assert [(use.name, use.input) for use in uses] == list(CALLS)
    assert last.content[0].text == "It rains."
    assert last.stop_reason == "end_turn"
    assert "A deferred tool." not in asked[0]
    for text in ("A deferred tool.", "It rains in Rome.", "Failed in Oslo.", "And now?", "Be careful."):
        assert text in asked[1]


async def test_fields_for_claude_reach_claude_and_nobody_else(tmp_path: Path, vendors: Vendors) -> None:
    special = {"thinking": {"type": "adaptive"}, "context_management": {"edits": []}, "safeguards": {"a": 1}}
    async with site(tmp_path, environment(vendors, "groq", "claude")) as there, sdk(there) as client:
        for model in ("claude:claude-haiku-5-5", "groq"):
            answer = await ask(
                client,
                stream=False,
                model=model,
                extra_body={**special, "output_config": {"effort": "low"}, "surprise": 1},
                extra_headers={"anthropic-beta": "one-2026-01-01,two-2026-01-01"},
            )
            assert answer.model_extra["x_router"]["unused"] == ["surprise"]
    (claude,), (groq,) = vendors.requests("claude"), vendors.requests("groq")

    assert {name: claude.body[name] for name in special} == special
    assert claude.body["output_config"]["effort"] == "low"
    assert claude.headers["anthropic-beta"] == "one-2026-01-01,two-2026-01-01"
    assert not set(special) & set(groq.body)
    assert "anthropic-beta" not in groq.headers


async def test_images_and_stop_sequences_and_counts(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("claude", "One END two")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}]
    async with site(tmp_path, environment(vendors, "claude")) as there, sdk(there) as client:
        answer = await ask(client, stream=True, model="claude", messages=messages, stop_sequences=["END"])
        counted = await client.messages.count_tokens(model="claude", messages=messages, tools=TOOLS)
        listed = [model.id async for model in client.models.list()]

    assert (answer.content[0].text, answer.stop_reason, answer.stop_sequence) == ("One ", "stop_sequence", "END")
    assert vendors.requests("claude")[0].body["messages"][0]["content"][0]["source"]["data"] == PNG
    assert counted.input_tokens > 20
    assert "router" in listed


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"model": "nothing"}, anthropic.NotFoundError),
        ({"top_k": 5}, anthropic.BadRequestError),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, anthropic.BadRequestError),
        ({"messages": [{"role": "user", "content": [{"type": "unknown"}]}]}, anthropic.BadRequestError),
    ],
    ids=["model", "field", "server_tool", "prefill", "block"],
)
async def test_wrong_requests_are_refused_in_anthropics_shape(
    tmp_path: Path, vendors: Vendors, body: dict[str, Any], error: type[anthropic.APIStatusError]
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        with pytest.raises(error) as caught:
            await client.post(
                "/v1/messages",
                body={"model": "router", "max_tokens": 5, "messages": HELLO} | body,
                cast_to=object,
            )

    assert caught.value.body["type"] == "error"
    assert vendors.requests("groq") == []


async def test_budgets_are_403_and_tokens_can_be_api_keys(tmp_path: Path, vendors: Vendors) -> None:
    config = CLIENTS.replace("daily_usd = 1", "daily_usd = 0.0000001")
    body = {"model": "groq", "max_tokens": 50, "messages": HELLO}
    async with site(tmp_path, environment(vendors, "groq") | TOKENS, config) as there:
        spent = await there.http.post("/v1/messages", json=body, headers={"x-api-key": ALICE})
        unknown = await there.http.post("/v1/messages", json=body, headers={"x-api-key": "wrong"})
        async with sdk(there, ALICE) as client:
            with pytest.raises(anthropic.PermissionDeniedError, match="budget"):
                await ask(client, stream=True, model="groq")

    assert (spent.status_code, spent.json()["error"]["type"]) == (403, "permission_error")
    assert spent.headers["x-should-retry"] == "false"
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (401, "authentication_error")
    assert vendors.requests("groq") == []


async def test_failure_after_text_ends_the_events_with_an_error(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", "cut_stream")
    body = {"model": "router:conversation", "max_tokens": 500, "messages": HELLO, "stream": True}
    async with site(tmp_path, environment(vendors, "groq", "claude")) as there:
        answer = await there.http.post("/v1/messages", json=body)

    assert "text_delta" in answer.text
    assert "event: error" in answer.text
    assert "message_stop" not in answer.text
    assert vendors.requests("claude") == []


async def test_client_that_disconnects_cancels_the_vendors_request(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        with anyio.move_on_after(1.5):
            await ask(client, stream=True, model="groq")
        await until(lambda: vendors.hung_up("groq") > 0)

    assert attempts(tmp_path)[0][0] == "cancelled"
