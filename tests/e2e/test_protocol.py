"""What an MCP host sees besides the tools' answers, in both eras of the protocol."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from mcp_router.app import run_app
from mcp_router.server import create_server
from mcp_router.server.progress import ProgressReporter
from mcp_router.settings import load
from tests.support.front import Front, environment, front
from tests.support.site import site
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium", "model": "groq"}
ERAS = ["legacy", "2026-07-28"]
OF_THE_HANDSHAKE_ERA = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


@asynccontextmanager
async def house_of(folder: Path, environ: dict[str, str], **client: Any) -> AsyncGenerator[Front, None]:
    """The house, with a client that speaks as told."""
    path = folder / "config.toml"
    path.write_text(f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n[providers.embedded]\nenabled = false\n')
    os.chdir(folder)
    async with run_app(load(path, environ)) as app, Client(create_server(app), **client) as connected:
        yield Front(client=connected, app=app)


async def completed(house: Front, ref: Any, name: str, value: str) -> list[str]:
    result = await house.client.complete(ref, {"name": name, "value": value})
    return result.completion.values


# Prompts


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_are_listed_with_their_arguments(tmp_path: Path, vendors: Vendors, era: str) -> None:
    async with house_of(tmp_path, environment(vendors, "groq"), mode=era) as house:
        listed = await house.client.list_prompts()

    names = {prompt.name: [argument.name for argument in prompt.arguments or []] for prompt in listed.prompts}
    assert names == {
        "delegate": ["task", "files", "save_to", "use_case", "budget_tier", "model"],
        "cost_report": ["period", "group_by"],
    }


async def test_delegate_tells_an_agent_to_call_generate_with_what_the_user_chose(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        got = await house.client.get_prompt(
            "delegate", {"task": "Summarize each.", "files": "src/**/*.py, a.md", "budget_tier": "economy"}
        )

    (message,) = got.messages
    assert message.role == "user"
    for told in ("generate", "Summarize each.", "src/**/*.py, a.md", "per_file", "budget_tier: economy"):
        assert told in message.content.text
    assert "use_case" not in message.content.text


async def test_cost_report_names_period_and_groups(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        got = await house.client.get_prompt("cost_report", {"period": "30d"})

    assert "cost_summary with period: 30d and group_by: model" in got.messages[0].content.text


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("delgate", {}, "delegate"),
        ("delegate", {"task": "x", "use_case": "cooking"}, "classification"),
        ("cost_report", {"group_by": "colour"}, "provider"),
        ("cost_report", {"nonsense": "x"}, "group_by"),
    ],
)
async def test_a_prompt_that_cannot_be_filled_in_says_why(
    tmp_path: Path, vendors: Vendors, name: str, arguments: dict[str, str], said: str
) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        with pytest.raises(MCPError, match=said):
            await house.client.get_prompt(name, arguments)


@pytest.mark.parametrize(
    "words", ["Summarize the readme in three lines", "Compare a.md b.md", "Summarize src/a.py briefly", "Translate it"]
)
async def test_sentence_spread_over_prompt_arguments_stays_the_task(
    tmp_path: Path, vendors: Vendors, words: str
) -> None:
    names = ["task", "files", "save_to", "use_case", "budget_tier", "model"]
    async with front(tmp_path, environment(vendors, "groq")) as house:
        got = await house.client.get_prompt("delegate", dict(zip(names, words.split(), strict=False)))

    text = got.messages[0].content.text
    assert words in text
    assert "save_to:" not in text
    assert "in files" not in text


async def test_prompts_without_arguments_are_complete(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        task = await house.client.get_prompt("delegate", {})
        week = await house.client.get_prompt("cost_report", {"period": "this", "group_by": "week"})

    assert "ask the user for it" in task.messages[0].content.text
    assert "this week" in week.messages[0].content.text


# Completion


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_of_prompts_and_templates_are_completed(tmp_path: Path, vendors: Vendors, era: str) -> None:
    delegate = types.PromptReference(name="delegate")
    routes = types.ResourceTemplateReference(uri="router://routes/{use_case}")
    async with house_of(tmp_path, environment(vendors, "groq"), mode=era) as house:
        assert await completed(house, routes, "use_case", "c") == [
            "classification",
            "code_generation",
            "conversation",
            "long_context",
            "web_research",
        ]
        assert await completed(house, delegate, "budget_tier", "eco") == ["economy", "ultra_economy"]
        assert (await completed(house, delegate, "model", "groq"))[0] == "groq"
        assert await completed(house, delegate, "files", "src") == []


async def test_models_that_can_be_asked_come_first(tmp_path: Path, vendors: Vendors) -> None:
    delegate = types.PromptReference(name="delegate")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        values = await completed(house, delegate, "model", "gpt-oss-20b")

    assert values[0] == "groq:openai/gpt-oss-20b"
    assert len(values) > 1


async def test_a_call_id_is_completed_from_the_latest_calls(tmp_path: Path, vendors: Vendors) -> None:
    calls = types.ResourceTemplateReference(uri="router://calls/{call_id}")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **TASK)

        assert await completed(house, calls, "call_id", answer["call_id"][:3]) == [answer["call_id"]]


# Subscriptions


@OF_THE_HANDSHAKE_ERA
async def test_a_subscriber_of_the_handshake_era_is_told_of_costs_and_of_providers(
    tmp_path: Path, vendors: Vendors
) -> None:
    told: list[str] = []

    async def heard(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            told.append(str(message.params.uri))

    vendors.fail("openai", status=401)
    env = environment(vendors, "groq", "openai")
    async with house_of(tmp_path, env, mode="legacy", message_handler=heard) as house:
        await house.client.subscribe_resource("router://costs/today")
        await house.client.subscribe_resource("router://providers")
        await house.call("generate", **TASK)
        await _until(lambda: told == ["router://costs/today"])
        await house.client.unsubscribe_resource("router://costs/today")
        await house.refused("generate", **(TASK | {"model": "openai:gpt-6-luna"}))
        await _until(lambda: "router://providers" in told)

    assert told.count("router://costs/today") == 1


async def _until(true: Any) -> None:
    with anyio.fail_after(8):
        while not true():
            await anyio.sleep(0.01)


@OF_THE_HANDSHAKE_ERA
async def test_what_announces_no_changes_cannot_be_subscribed_to(tmp_path: Path, vendors: Vendors) -> None:
    async with house_of(tmp_path, environment(vendors, "groq"), mode="legacy") as house:
        with pytest.raises(MCPError, match="router://costs/today"):
            await house.client.subscribe_resource("router://use-cases")


async def test_a_listener_of_2026_is_told_of_what_it_asked_for(tmp_path: Path, vendors: Vendors) -> None:
    async with (
        front(tmp_path, environment(vendors, "groq")) as house,
        house.client.listen(resource_subscriptions=["router://costs/session"]) as changes,
    ):
        await house.call("generate", **TASK)
        with anyio.fail_after(8):
            event = await anext(changes)

    assert event == ResourceUpdated(uri="router://costs/session")


async def test_changes_come_over_http_too_and_from_other_processes(tmp_path: Path, vendors: Vendors) -> None:
    env = environment(vendors, "groq")
    async with (
        site(tmp_path, env) as there,
        Client(streamable_http_client(f"{there.url}/mcp"), mode="2026-07-28") as client,
        client.listen(resource_subscriptions=["router://costs/today"]) as changes,
    ):
        async with run_app(load(tmp_path / "config.toml", env)) as other, Client(create_server(other)) as elsewhere:
            await elsewhere.call_tool("generate", TASK)
        with anyio.fail_after(8):
            event = await anext(changes)

    assert event == ResourceUpdated(uri="router://costs/today")


@OF_THE_HANDSHAKE_ERA
async def test_session_over_http_hears_of_changes(tmp_path: Path, vendors: Vendors) -> None:
    updated: list[str] = []

    async def note(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            updated.append(str(message.params.uri))

    async with (
        site(tmp_path, environment(vendors, "groq")) as there,
        Client(streamable_http_client(f"{there.url}/mcp"), mode="legacy", message_handler=note) as client,
    ):
        await client.subscribe_resource("router://costs/today")
        await client.call_tool("generate", TASK)
        await _until(lambda: updated == ["router://costs/today"])


@OF_THE_HANDSHAKE_ERA
async def test_cancelled_notification_over_http_reaches_the_vendor_call(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    async with site(tmp_path, environment(vendors, "groq")) as there:
        client = httpx2.AsyncClient(base_url=there.url, headers={"MCP-Protocol-Version": "2025-11-25"})
        accept = {"Accept": "application/json, text/event-stream"}

        async def post(body: dict[str, Any], **headers: str) -> httpx2.Response:
            return await client.post("/mcp", json={"jsonrpc": "2.0", **body}, headers=accept | headers, timeout=20)

        async with client, anyio.create_task_group() as group:
            hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            session = (await post({"id": 0, "method": "initialize", "params": hello})).headers["mcp-session-id"]
            own = {"Mcp-Session-Id": session}
            await post({"method": "notifications/initialized"}, **own)
            params = {"name": "generate", "arguments": TASK}
            group.start_soon(partial(post, {"id": 1, "method": "tools/call", "params": params}, **own))
            await _until(lambda: bool(vendors.requests("groq")))
            await post({"method": "notifications/cancelled", "params": {"requestId": 1}}, **own)
            with anyio.fail_after(10):
                while not (attempts := await there.app.ledger.read_recent(1)):
                    await anyio.sleep(0.01)
            elsewhere = await post({"id": 2, "method": "tools/list"}, **{"Mcp-Session-Id": "of another replica"})

    assert attempts[0].outcome == "cancelled"
    assert elsewhere.status_code == 200


async def test_who_listens_does_not_keep_the_server_from_stopping(tmp_path: Path, vendors: Vendors) -> None:
    ended = anyio.Event()
    async with anyio.create_task_group() as group:

        async def listen(url: str) -> None:
            with suppress(ExceptionGroup):
                async with (
                    Client(streamable_http_client(f"{url}/mcp"), mode="2026-07-28") as client,
                    client.listen(resource_subscriptions=["router://costs/today"]) as changes,
                ):
                    listening.set()
                    await anext(changes)
            ended.set()

        listening = anyio.Event()
        async with site(tmp_path, environment(vendors, "groq")) as there:
            group.start_soon(listen, there.url)
            with anyio.fail_after(5):
                await listening.wait()
            began = anyio.current_time()
        took = anyio.current_time() - began
        with anyio.fail_after(5):
            await ended.wait()

    assert took < 5


# What is told of everything


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_server_says_what_it_can_do(tmp_path: Path, vendors: Vendors, era: str) -> None:
    async with house_of(tmp_path, environment(vendors, "groq"), mode=era) as house:
        can = house.client.server_capabilities
        tools = (await house.client.list_tools()).tools
        templates = (await house.client.list_resource_templates()).resource_templates

    assert can.resources is not None
    assert can.resources.subscribe is True
    assert can.prompts is not None
    assert can.tools is not None
    assert (can.tools.list_changed, can.prompts.list_changed, can.resources.list_changed) == (False, False, False)
    assert can.completions is not None
    assert can.logging is None  # deprecated
    assert [template.uri_template for template in templates] == [
        "router://routes/{use_case}",
        "router://calls/{call_id}",
        "router://costs/{period}",
    ]
    for tool in tools:
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (tool.name != "generate")


async def test_lists_say_how_long_they_hold(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        prompts = await house.client.list_prompts()
        shown = await house.client.read_resource("router://providers")

    assert (prompts.ttl_ms, prompts.cache_scope) == (3_600_000, "public")
    assert (shown.ttl_ms, shown.cache_scope) == (5_000, "private")


@pytest.mark.parametrize("era", ERAS)
async def test_progress_only_grows_and_ends_at_the_number_of_files(tmp_path: Path, vendors: Vendors, era: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / "in" / f"{number}.txt").write_text(f"File {number}")
    async with house_of(tmp_path, environment(vendors, "groq"), mode=era) as house:
        arguments = TASK | {"files": ["in/*.txt"], "per_file": True, "save_to": "out"}
        await house.client.call_tool("generate", arguments, progress_callback=heard)

    numbers = [progress for progress, _, _ in told]
    assert numbers == sorted(set(numbers))
    assert told[-1][:2] == (5, 5)
    assert "5 of 5 files, 0.00" in str(told[-1][2])


async def test_a_sign_of_life_is_between_what_is_done_and_what_is_done_next() -> None:
    told: list[float] = []

    async def report(done: float, _total: float | None, _said: str) -> None:
        told.append(done)

    progress = ProgressReporter(report)
    await progress.report(3, 10, "3 of 10 files")
    await progress.report_alive()
    await progress.report_alive()
    await progress.report(2, 10, "said too late")
    await progress.report(4, 10, "4 of 10 files")
    await progress.report(10, 10, "10 of 10 files")
    await progress.report_alive()

    assert told == pytest.approx([3, 3.01, 3.02, 4, 10])


async def test_signs_of_life_go_on_when_files_are_counted_after_a_long_wait() -> None:
    told: list[float] = []

    async def report(done: float, _total: float | None, _said: str) -> None:
        told.append(done)

    progress = ProgressReporter(report)
    for _ in range(3):
        await progress.report_alive()
    await progress.report(1, 3, "1 of 3 files")
    await progress.report_alive()

    assert told == pytest.approx([0.01, 0.02, 0.03, 1, 1.01])


async def test_one_client_that_goes_takes_no_news_from_another(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        server = create_server(house.app)
        first, second = Client(server), Client(server)
        async with second, second.listen(resource_subscriptions=["router://costs/today"]) as changes:
            async with first, first.listen(resource_subscriptions=["router://costs/today"]):
                pass
            await house.call("generate", **TASK)
            with anyio.fail_after(8):
                event = await anext(changes)

    assert event == ResourceUpdated(uri="router://costs/today")
