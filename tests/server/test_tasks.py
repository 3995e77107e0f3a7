"""MCP tasks (`io.modelcontextprotocol/tasks`, 2026-07-28) with the official client, over memory and over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.support.front import environment, front
from tests.support.ledgers import asked, by_hand
from tests.support.site import ALICE, BOB, CLIENTS, TOKENS, Site, bearing, site, until
from tests.support.task_client import Tasks, answer, cancel, poll, start, until_state
from tests.vendors import Vendors, vendor_server

MODERN = "2026-07-28"
BATCH = {"prompt": "Label it.", "files": ["*.txt"], "per_file": True, "model": "groq", "save_to": "notes"}
META = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(f"Review {number}.")


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite3'}"


@asynccontextmanager
async def client_of(there: Site, token: str, **client: Any) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers=bearing(token)) as http,
        Client(streamable_http_client(f"{there.url}/mcp", http_client=http), mode=MODERN, **client) as connected,
    ):
        yield connected


async def test_declared_batch_becomes_a_task_with_a_short_result(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 24)
    vendors.fail("groq", status=400, times=1)
    tasks = Tasks()
    async with front(tmp_path, environment(vendors, "groq"), mode=MODERN, extensions=[tasks]) as house:
        result = await house.call("generate", **BATCH)
        (created,) = tasks.created
        again = await poll(house.client, created.task_id)
        view = await house.client.read_resource(f"router://calls/{result['call_id']}")

    assert (created.status, created.ttl_ms, created.poll_interval_ms) == ("working", 86_400_000, 1_000)
    assert len(created.task_id) >= 32
    assert (result["answered"], result["failed"], len(result["files"])) == (23, 1, 1)
    assert "error" in result["files"][0]
    assert again.status == "completed"
    assert again.status_message is not None
    assert again.status_message.startswith("23 of 24 files ok, 1 failed, saved in notes/*.md, $0.")
    assert view.contents[0].text.count(".txt") >= 24  # type: ignore[union-attr]


@pytest.mark.parametrize("era", ["legacy", MODERN])
async def test_host_without_the_extension_waits_for_its_result(tmp_path: Path, vendors: Vendors, era: str) -> None:
    fill(tmp_path, 3)
    async with front(tmp_path, environment(vendors, "groq"), mode=era) as house:
        result = await house.call("generate", **BATCH)
        offered = (house.client.server_capabilities.extensions or {}).keys()
        codes = set()
        for method in (poll, cancel):
            with pytest.raises(MCPError) as refused:
                await method(house.client, "any")
            codes.add(refused.value.error.code)

    assert len(result["files"]) == 3
    assert "io.modelcontextprotocol/tasks" not in offered  # to whom it is offered, the conformance suite checks
    assert asked(url_of(tmp_path), "SELECT COUNT(*) FROM tasks") == [(0,)]
    assert codes == {-32601 if era == "legacy" else -32021}


async def test_call_becomes_a_task_if_its_model_was_slow_before(tmp_path: Path, vendors: Vendors) -> None:
    tasks = Tasks()
    call = {"prompt": "Label it.", "use_case": "classification", "budget_tier": "standard", "model": "groq"}
    async with front(tmp_path, environment(vendors, "groq"), mode=MODERN, extensions=[tasks]) as house:
        for _ in range(3):
            await house.call("generate", **call)
        assert tasks.created == []
        # As if each of its answers had taken 10 minutes.
        by_hand(url_of(tmp_path), "UPDATE rollups SET answered_micros = 1800000000")
        result = await house.call("generate", **call)

    assert len(tasks.created) == 1
    assert result["text"]


async def test_cancelled_task_frees_its_holds_and_books_what_it_spent(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 30)
    async with front(
        tmp_path, environment(vendors, "groq"), "[budgets]\ndaily_usd = 1\n", mode=MODERN, extensions=[Tasks()]
    ) as house:
        vendors.delay("groq", 0.2)
        task = await start(house.client, **BATCH)
        await until(lambda: len(vendors.requests("groq")) > 8)
        with anyio.fail_after(1):
            assert await cancel(house.client, task.task_id) == {"resultType": "complete"}
        state = await until_state(house.client, task.task_id)
        assert await cancel(house.client, task.task_id) == {"resultType": "complete"}
        (budget,) = await house.app.ledger.read_budgets(house.app.settings.limits(), time.time())

    assert state.status == "cancelled"
    assert state.result is None
    assert state.status_message is not None
    assert "of 30 files" in state.status_message
    assert budget.held_usd == 0
    assert budget.spent_usd > 0
    outcomes = dict(asked(url_of(tmp_path), "SELECT outcome, COUNT(*) FROM attempts GROUP BY outcome"))
    assert 1 <= outcomes["cancelled"] <= 8
    assert len(vendors.requests("groq")) < 30


async def test_task_asks_about_a_budget_and_goes_on_after_a_yes(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 4)

    async def never(*_: object) -> Any:
        raise AssertionError("the question is the task's")

    budget = "[budgets]\ndaily_usd = 0.000001\n"
    async with front(
        tmp_path, environment(vendors, "groq"), budget, mode=MODERN, extensions=[Tasks()], elicitation_callback=never
    ) as house:
        task = await start(house.client, **BATCH)
        state = await until_state(house.client, task.task_id, "input_required")
        assert state.status == "input_required", state
        ((key, question),) = (state.input_requests or {}).items()
        assert question["method"] == "elicitation/create"
        assert "daily budget" in question["params"]["message"]
        await answer(house.client, task.task_id, {"nonsense": {"action": "accept"}})
        assert (await poll(house.client, task.task_id)).status == "input_required"
        await answer(house.client, task.task_id, {key: {"action": "accept", "content": {"extra_usd": 1}}})
        state = await until_state(house.client, task.task_id)
        declined = await start(house.client, **BATCH | {"save_to": "more"})
        assert (await until_state(house.client, declined.task_id)).status == "completed"

    assert state.status == "completed"
    assert state.result is not None
    assert state.result["structuredContent"]["answered"] == 4


async def test_refused_question_ends_the_task_with_the_tools_error(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)

    async def never(*_: object) -> Any:
        raise AssertionError

    budget = "[budgets]\ndaily_usd = 0.000001\n"
    async with front(
        tmp_path, environment(vendors, "groq"), budget, mode=MODERN, extensions=[Tasks()], elicitation_callback=never
    ) as house:
        task = await start(house.client, **BATCH)
        state = await until_state(house.client, task.task_id, "input_required")
        (key,) = state.input_requests or {}
        await answer(house.client, task.task_id, {key: {"action": "decline"}})
        state = await until_state(house.client, task.task_id)

    assert state.status == "completed"
    assert state.result is not None
    assert state.result["isError"] is True
    assert state.result["content"][0]["text"].startswith("budget_exceeded: None of 2 files was answered")


async def test_task_over_http_belongs_to_its_client_until_it_expires(tmp_path: Path, vendors: Vendors) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    fill(shared, 3)
    config = f'allowed_roots = ["{shared}"]\n{CLIENTS}'
    batch = BATCH | {"files": [f"{shared}/*.txt"], "save_to": str(shared / "notes")}
    async with (
        site(tmp_path, environment(vendors, "groq") | TOKENS, config) as there,
        client_of(there, ALICE, extensions=[Tasks()]) as alice,
        client_of(there, BOB, extensions=[Tasks()]) as bob,
    ):
        task = await start(alice, **batch)
        for foreign in (poll, cancel):
            with pytest.raises(MCPError) as refused:
                await foreign(bob, task.task_id)
            assert (refused.value.error.code, refused.value.error.message) == (-32602, "Unknown task")
        state = await until_state(alice, task.task_id)
        assert state.status == "completed"
        assert state.result is not None
        assert state.result["structuredContent"]["answered"] == 3

        headers = bearing(ALICE) | {"MCP-Protocol-Version": MODERN, "Accept": "application/json, text/event-stream"}
        params = {"taskId": task.task_id, "_meta": META | {"io.modelcontextprotocol/protocolVersion": MODERN}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": params}
        wrong = await there.http.post(
            "/mcp", json=body, headers=headers | {"Mcp-Method": "tasks/get", "Mcp-Name": "another"}
        )
        assert wrong.json()["error"]["code"] == -32020

        by_hand(url_of(tmp_path), "UPDATE tasks SET keep_until = 1")
        with pytest.raises(MCPError) as refused:
            await poll(alice, task.task_id)
        assert refused.value.error.code == -32602
