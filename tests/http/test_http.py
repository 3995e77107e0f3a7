"""What answers over HTTP: MCP in both eras and both transports, and the four endpoints."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from tests.support.front import environment
from tests.support.site import site, until
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_mcp_answers_in_both_eras(tmp_path: Path, vendors: Vendors, mode: str, path: str) -> None:
    async with (
        site(tmp_path, environment(vendors, "groq")) as there,
        Client(streamable_http_client(f"{there.url}{path}"), mode=mode) as client,
    ):
        tools = await client.list_tools()
        result = await client.call_tool("generate", TASK)

    assert [tool.name for tool in tools.tools] == ["generate", "list_providers", "explain_route", "cost_summary"]
    assert result.structured_content is not None
    assert result.structured_content["text"] == "Hello from groq."


async def test_the_older_transport_answers_beside_it(tmp_path: Path, vendors: Vendors) -> None:
    async with (
        site(tmp_path, environment(vendors, "groq"), sse=True) as there,
        Client(sse_client(f"{there.url}/sse"), mode="legacy") as client,
    ):
        result = await client.call_tool("generate", TASK)

    assert result.structured_content is not None
    assert result.structured_content["text"] == "Hello from groq."


async def test_the_older_transport_is_only_there_when_asked_for(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        assert (await there.http.get("/sse")).status_code == 404


async def test_generate_answers_with_json(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        response = await there.http.post("/api/llm/generate", json=TASK)
        spent = (await there.http.get("/api/llm/cost-summary", params={"group_by": "client"})).json()

    answer = response.json()
    assert (response.status_code, answer["text"], answer["model"]) == (
        200,
        "Hello from groq.",
        "groq:openai/gpt-oss-120b",
    )
    assert spent["cost_usd"] == answer["cost_usd"] > 0
    assert list(spent["groups"]) == ["local"]


@pytest.mark.parametrize(
    ("body", "headers"), [({"stream": True}, {}), ({}, {"Accept": "text/event-stream"})], ids=["body", "header"]
)
async def test_generate_streams_on_request(
    tmp_path: Path, vendors: Vendors, body: dict[str, Any], headers: dict[str, str]
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        response = await there.http.post("/api/llm/generate", json=TASK | body, headers=headers)

    told = list(events(response))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "".join(data["text"] for name, data in told if name == "text") == "Hello from groq."
    assert len(told) > 2
    assert (told[-1][0], told[-1][1]["text"]) == ("result", "Hello from groq.")


def written(folder: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as ledger:
        return ledger.execute("SELECT outcome, error, cost_source FROM attempts").fetchall()


def events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    for block in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            told.append((lines["event"], json.loads(lines["data"])))
    return told


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_ends_the_call_upstream(tmp_path: Path, vendors: Vendors, stream: bool) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        await there.http.post("/api/llm/generate", json=TASK)  # one that is answered, on the same connection
        vendors.delay("groq", 30)
        with anyio.move_on_after(1.5):
            await there.http.post("/api/llm/generate", json=TASK | {"stream": stream})
        await until(lambda: vendors.hung_up("groq") > 0)

    assert written(tmp_path) == [("answered", None, "priced"), ("cancelled", "cancelled", "bound")]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_an_mcp_client_that_hangs_up_ends_the_call_upstream(tmp_path: Path, vendors: Vendors, mode: str) -> None:
    vendors.delay("groq", 30)
    async with site(tmp_path, environment(vendors, "groq")) as there:
        async with Client(streamable_http_client(f"{there.url}/mcp"), mode=mode) as client:
            with anyio.move_on_after(1.5):
                await client.call_tool("generate", TASK)
        await until(lambda: vendors.hung_up("groq") > 0)

    assert vendors.hung_up("groq") == 1


@pytest.mark.parametrize(
    ("path", "what"),
    [("/api/llm/providers", "providers"), ("/api/llm/use-cases", "use_cases"), ("/api/llm/use-cases", "budget_tiers")],
)
async def test_lists_answer_with_json(tmp_path: Path, vendors: Vendors, path: str, what: str) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        response = await there.http.get(path)

    assert response.headers["content-type"] == "application/json"
    assert len(response.json()[what]) >= 5


async def test_one_provider_is_told_in_full(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        (groq,) = (await there.http.get("/api/llm/providers", params={"provider": "groq"})).json()["providers"]

    assert (groq["name"], groq["status"]) == ("groq", "active")
    assert groq["models"][0]["context_window"] > 0


async def test_a_plan_costs_nothing(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        plan = (await there.http.post("/api/llm/explain", json=TASK)).json()

    assert plan["candidates"][0]["model"] == "groq:openai/gpt-oss-120b"
    assert vendors.requests("groq") == []
