"""The official openai SDK against the server, with every vendor at the wire."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest

from tests.support.front import environment
from tests.support.site import ALICE, CLIENTS, TOKENS, Site, site, until
from tests.vendors import Vendors, vendor_server

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
        "0000000049454e44ae426082"
    )
).decode()


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


@asynccontextmanager
async def sdk(there: Site, token: str = ALICE) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{there.url}/v1", api_key=token, timeout=20) as client:
        yield client


def attempts(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as ledger:
        return ledger.execute("SELECT outcome, client, model FROM attempts").fetchall()


async def test_sdk_gets_a_whole_answer_with_usage_and_receipt(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="router:conversation/standard", messages=HELLO, max_tokens=50, temperature=0.2, user="ann"
        )
    answer = raw.parse()
    receipt = answer.model_extra["x_router"]
    (asked,) = vendors.requests("groq")

    assert answer.choices[0].message.content == "Hello from groq."
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "groq:openai/gpt-oss-120b")
    assert answer.usage.model_dump(include={"prompt_tokens", "completion_tokens"}) == {
        "prompt_tokens": 100,
        "completion_tokens": 42,
    }
    assert answer.usage.prompt_tokens_details.cached_tokens == 40
    assert answer.usage.completion_tokens_details.reasoning_tokens == 12
    assert (receipt["use_case"], receipt["budget_tier"], receipt["unused"]) == ("conversation", "standard", ["user"])
    assert float(raw.headers["x-router-cost-usd"]) == pytest.approx(receipt["cost_usd"])
    assert raw.headers["x-router-model"] == receipt["model"]
    assert asked.body["messages"] == HELLO
    assert asked.body["temperature"] == 0.2
    assert "ann" not in json.dumps(asked.body)


async def test_sdk_streams_text_then_usage_and_receipt(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        stream = await client.chat.completions.create(
            model="router:conversation", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 2
    assert "".join(pieces) == "Hello from groq."
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].model_extra["x_router"]["cost_usd"] > 0
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 142)


async def test_schema_and_json_mode_reach_the_vendor_and_are_checked(tmp_path: Path, vendors: Vendors) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    vendors.says("groq", '{"a": 1}')
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        for stream in (False, True):
            answer = await client.chat.completions.create(
                model="groq",
                messages=HELLO,
                stream=stream,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "thing", "description": "A thing.", "schema": schema},
                },
            )
            if stream:
                text = "".join([chunk.choices[0].delta.content or "" async for chunk in answer])
            else:
                text = answer.choices[0].message.content
            assert json.loads(text) == {"a": 1}
        vendors.says("groq", "[1]")
        with pytest.raises(openai.InternalServerError, match="response_schema"):
            await client.with_options(max_retries=0).chat.completions.create(
                model="groq:openai/gpt-oss-120b", messages=HELLO, response_format={"type": "json_object"}
            )
    sent = json.dumps(vendors.requests("groq")[0].body)
    assert "A thing." in sent
    assert "thing" in sent


async def test_images_go_to_a_model_that_sees_and_addresses_are_refused(tmp_path: Path, vendors: Vendors) -> None:
    def asking(url: str) -> list[dict[str, Any]]:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return [{"role": "user", "content": parts}]

    async with site(tmp_path, environment(vendors, "claude")) as there, sdk(there) as client:
        await client.chat.completions.create(model="claude", messages=asking(f"data:image/png;base64,{PNG}"))
        with pytest.raises(openai.BadRequestError, match="fetches no addresses"):
            await client.chat.completions.create(model="claude", messages=asking("https://example.com/a.png"))

    (asked,) = vendors.requests("claude")
    assert asked.body["messages"][0]["content"][0]["source"]["data"] == PNG


async def test_models_are_listed_and_found_by_their_own_name(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        listed = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("openai/gpt-oss-120b")
        answers = [
            (await client.chat.completions.create(model=name, messages=HELLO)).model
            for name in ("groq:openai/gpt-oss-120b", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b")
        ]

    assert listed[0] == "router"
    assert {"router:classification", "groq:openai/gpt-oss-120b"} <= set(listed)
    assert not any(name.startswith("claude:") for name in listed)
    assert one.id == "groq:openai/gpt-oss-120b"
    assert set(answers) == {"groq:openai/gpt-oss-120b"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"n": 2}, (400, "unsupported_parameter", "n")),
        ({"logprobs": True}, (400, "unsupported_parameter", "logprobs")),
        ({"audio": {"voice": "a", "format": "mp3"}}, (400, "unsupported_parameter", "audio")),
        ({"top_p": 0.5}, (400, "unsupported_parameter", "top_p")),
        ({"surprise": 1}, (400, "unknown_parameter", "surprise")),
        ({"max_tokens": 1, "max_completion_tokens": 1}, (400, None, "max_tokens")),
        ({"messages": [{"role": "user", "content": 5}]}, (400, None, "messages.0.user.content.str")),
        ({"model": "nothing"}, (404, "model_not_found", "model")),
        ({"model": "router:cooking"}, (404, "model_not_found", "model")),
        ({"model": "groq:nothing"}, (404, "model_not_found", "model")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_wrong_requests_are_refused_as_the_sdk_expects(
    tmp_path: Path, vendors: Vendors, body: dict[str, Any], expected: tuple[object, ...]
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.post("/chat/completions", body={"model": "router", "messages": HELLO} | body, cast_to=object)

    assert (caught.value.status_code, caught.value.code, caught.value.param) == expected
    assert vendors.requests("groq") == []


async def test_tokens_and_budgets_hold_and_are_not_retried(tmp_path: Path, vendors: Vendors) -> None:
    environ = environment(vendors, "groq") | TOKENS
    config = CLIENTS.replace("daily_usd = 1", "daily_usd = 0.0000001")
    async with site(tmp_path, environ, config) as there:
        async with sdk(there, "wrong-token-0123456789") as client:
            with pytest.raises(openai.AuthenticationError) as unknown:
                await client.chat.completions.create(model="router", messages=HELLO)
        async with sdk(there, ALICE) as client:
            with pytest.raises(openai.APIStatusError) as spent:
                await client.chat.completions.create(model="groq", messages=HELLO)
            answered = await there.http.get("/v1/models", headers={"x-api-key": ALICE})

    assert (unknown.value.code, unknown.value.status_code) == ("invalid_api_key", 401)
    assert (spent.value.status_code, spent.value.code) == (402, "insufficient_quota")
    assert spent.value.response.headers["x-should-retry"] == "false"
    assert answered.status_code == 200
    assert attempts(tmp_path) == []


async def test_client_uses_only_its_models_and_its_rate(tmp_path: Path, vendors: Vendors) -> None:
    config = CLIENTS.replace("[clients.bob]", 'models = ["mistral"]\nrpm = 1\n[clients.bob]')
    environ = environment(vendors, "groq", "mistral") | TOKENS
    async with site(tmp_path, environ, config) as there, sdk(there, ALICE) as client:
        ask = client.with_options(max_retries=0).chat.completions.create
        with pytest.raises(openai.PermissionDeniedError, match="Its models are: mistral"):
            await ask(model="groq", messages=HELLO)
        answer = await ask(model="router:conversation", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as limited:
            await ask(model="router:conversation", messages=HELLO)
        message = {"model": "groq", "max_tokens": 50, "messages": HELLO[1:]}
        refused = await there.http.post("/v1/messages", json=message, headers={"x-api-key": ALICE})

    assert answer.model.startswith("mistral:")
    assert int(limited.value.response.headers["retry-after"]) > 0
    assert refused.status_code == 403
    assert vendors.requests("groq") == []


async def test_failure_before_the_first_text_falls_back_in_a_stream(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500, body={})
    async with site(tmp_path, environment(vendors, "groq", "claude")) as there, sdk(there) as client:
        stream = await client.chat.completions.create(model="router:conversation", messages=HELLO, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "Hello from claude."


async def test_failure_after_text_ends_the_stream_with_an_error(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", "cut_stream")
    body = {"model": "router:conversation", "messages": HELLO, "stream": True}
    async with site(tmp_path, environment(vendors, "groq", "claude")) as there, sdk(there) as client:
        raw = await there.http.post("/v1/chat/completions", json=body)
        with pytest.raises(openai.APIError, match="No model answered"):
            async for _ in await client.chat.completions.create(**body):
                pass

    assert "Hello" in raw.text
    assert "[DONE]" not in raw.text
    assert vendors.requests("claude") == []
    assert attempts(tmp_path)[0][0] == "failed"


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_disconnects_cancels_the_vendors_request(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    vendors.delay("groq", 30)
    async with site(tmp_path, environment(vendors, "groq")) as there, sdk(there) as client:
        with anyio.move_on_after(1.5):
            await client.chat.completions.create(model="groq", messages=HELLO, stream=stream)
        await until(lambda: vendors.hung_up("groq") > 0)

    assert attempts(tmp_path)[0][0] == "cancelled"


async def test_other_failures_have_openai_shapes(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        form = await there.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
        method = await there.http.get("/v1/chat/completions")
        large = await there.http.post(
            "/v1/chat/completions", content=b" " * 9_000_000, headers={"content-type": "application/json"}
        )
        nothing = await there.http.post("/v1/completions", json={})
        closed = await there.http.post("/v1/chat/completions", json={"model": "claude", "messages": HELLO})

    def told(response: httpx.Response) -> tuple[int, str]:
        return response.status_code, response.json()["error"]["type"]

    assert [told(one) for one in (form, method, large, nothing)] == [
        (415, "invalid_request_error"),
        (405, "invalid_request_error"),
        (413, "invalid_request_error"),
        (404, "invalid_request_error"),
    ]
    assert told(closed) == (503, "server_error")
    assert "ANTHROPIC_API_KEY" in closed.json()["error"]["message"]
