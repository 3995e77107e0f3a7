"""Tools through `/v1/chat/completions`, on every wire that has them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.http.test_openai_api import sdk
from tests.support.front import environment
from tests.support.site import Site, site
from tests.vendors import Vendors, vendor_server

ASK: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Rome and Oslo?"}]
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    },
    {"type": "function", "function": {"name": "get_time"}},
]
CALLS = (("get_weather", {"city": "Rome", "at": 0.5}), ("get_weather", {"city": "Oslo"}))
WIRES = {
    "openai_chat": "deepseek:deepseek-flash",
    "openai_responses": "copilot:gpt-6-luna",
    "anthropic_messages": "claude:claude-haiku-5-5",
    "gemini_chat": "gemini:gemini-3.5-flash-lite",
    "gemini_generate": "native:gemini-3.5-flash-lite",
    "mistral_chat": "mistral:mistral-small-2603",
    "groq_chat": "groq:openai/gpt-oss-120b",
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def native(vendors: Vendors) -> str:
    """Gemini's own API, which the shipped row uses only to search."""
    return f"""
[providers.native]
wire = "gemini_generate"
base_url = "{vendors.url("gemini")}"
api_key_env = "GEMINI_API_KEY"
models = [{{ name = "gemini-3.5-flash-lite", context_window = 1000000, input_mtok = 0.1, output_mtok = 0.4 }}]
"""


async def ask(client: openai.AsyncOpenAI, *, stream: bool, **body: Any) -> dict[str, Any]:
    """The message, collected from chunks if streamed, and its finish reason."""
    answer = await client.chat.completions.create(stream=stream, **body)
    if not stream:
        return answer.choices[0].message.model_dump(exclude_none=True) | {"finish": answer.choices[0].finish_reason}
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    async for chunk in answer:
        delta = chunk.choices[0].delta
        message["content"] += delta.content or ""
        message["tool_calls"] += [call.model_dump(exclude={"index"}) for call in delta.tool_calls or ()]
        message["finish"] = chunk.choices[0].finish_reason or message.get("finish")
    return {name: value for name, value in message.items() if value}


async def run_rounds(there: Site, model: str, *, stream: bool) -> tuple[dict[str, Any], str]:
    """Let the model call tools, answer its calls, and return its calls and last text."""
    async with sdk(there) as client:
        called = await ask(client, model=model, messages=ASK, tools=TOOLS, stream=stream)
        assert called.pop("finish") == "tool_calls"
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": f"It rains in {index}."}
            for index, call in enumerate(called["tool_calls"])
        ]
        history = [*ASK, called, *results, {"role": "user", "content": "And now?"}]
        last = await ask(client, model=model, messages=history, tools=TOOLS, stream=stream)
    return called, last["content"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire", WIRES)
async def test_tools_go_through_and_results_come_back(
    tmp_path: Path, vendors: Vendors, wire: str, stream: bool
) -> None:
    model = WIRES[wire]
    name = model.partition(":")[0].replace("native", "gemini")
    vendors.says(name, "It rains.", calls=CALLS)
    async with site(tmp_path, environment(vendors, name), native(vendors)) as there:
        called, text = await run_rounds(there, model, stream=stream)

    made = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in called["tool_calls"]]
    first, second = (json.dumps(request.body) for request in vendors.requests(name))
    assert made == list(CALLS)
    assert len({call["id"] for call in called["tool_calls"]}) == 2
    assert text == "It rains."
    assert "Weather of a city." in first
    assert "get_time" in first
    assert "It rains in 0." in second
    assert "It rains in 1." in second
    assert "And now?" in second
    assert not wire.startswith("gemini") or "sig-1" in second
    assert wire != "anthropic_messages" or '"signature": "s"' in second


async def test_choice_and_parallel_reach_the_vendor_and_hold(tmp_path: Path, vendors: Vendors) -> None:
    for name in ("deepseek", "claude", "gemini"):
        vendors.says(name, "It rains.", calls=CALLS)
    named = {"type": "function", "function": {"name": "get_weather"}}
    sent: list[dict[str, Any]] = []
    environ = environment(vendors, "deepseek", "claude", "gemini")
    async with site(tmp_path, environ, native(vendors)) as there, sdk(there) as client:
        for wire in ("openai_chat", "anthropic_messages", "gemini_generate"):
            body = {"model": WIRES[wire], "messages": ASK, "tools": TOOLS, "tool_choice": named}
            answer = await ask(client, stream=False, parallel_tool_calls=False, **body)
            assert len(answer["tool_calls"]) == 1
            sent.append(vendors.requests(WIRES[wire].partition(":")[0].replace("native", "gemini"))[0].body)
        other = {"type": "function", "function": {"name": "cook"}}
        with pytest.raises(openai.BadRequestError, match="no tool"):
            await ask(client, stream=False, model="router", messages=ASK, tools=TOOLS, tool_choice=other)
        with pytest.raises(openai.InternalServerError, match="cannot be forced to call a tool"):
            await ask(
                client.with_options(max_retries=0),
                stream=False,
                model="claude:claude-sonnet-5-5",
                messages=ASK,
                tools=TOOLS,
                tool_choice="required",
            )

    assert sent[0]["tool_choice"] == named
    assert sent[0]["parallel_tool_calls"] is False
    assert sent[1]["tool_choice"] == {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    assert sent[2]["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}


async def test_model_without_tools_is_rejected_with_a_reason(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "perplexity")) as there, sdk(there) as client:
        with pytest.raises(openai.InternalServerError, match="does not call the caller's tools"):
            await ask(client.with_options(max_retries=0), stream=False, model="perplexity", messages=ASK, tools=TOOLS)

    assert vendors.requests("perplexity") == []


async def test_holds_include_the_tokens_of_tools(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        large = [{"type": "function", "function": {"name": "big", "description": "all the words " * 30_000}}]
        with pytest.raises(openai.InternalServerError, match=r"window too small|over the ceiling"):
            await ask(
                client.with_options(max_retries=0),
                stream=False,
                model="router:conversation/economy",
                messages=ASK,
                tools=large,
            )

    assert vendors.requests("groq") == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_text_is_cut_before_a_stop_sequence(tmp_path: Path, vendors: Vendors, stream: bool) -> None:
    vendors.says("groq", "One two three END four")
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        answer = await ask(client, stream=stream, model="groq", messages=ASK, stop=["END", "never"])

    assert (answer["content"], answer["finish"]) == ("One two three ", "stop")


async def test_calls_that_were_not_offered_are_not_passed_on(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "It rains.", calls=CALLS)
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        orphan = [*ASK, {"role": "tool", "tool_call_id": "unknown", "content": "x"}]
        with pytest.raises(openai.BadRequestError, match="no earlier message"):
            await ask(client, stream=False, model="groq", messages=orphan)
        answer = await ask(client, stream=False, model="groq", messages=ASK)

    assert "tool_calls" not in answer
