"""A background task outlives its server: another one on the same ledger goes on, and pays for no file twice."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.operations.batch.items import MAX_CONCURRENT_CALLS
from tests.support.front import environment
from tests.support.ledgers import asked, by_hand, fresh_url
from tests.support.raw_server import TASKS, RawServer, raw_server
from tests.support.site import until
from tests.vendors import Vendors, vendor_server

FILES = 20
BATCH = {"prompt": "Label it.", "files": ["*.txt"], "per_file": True, "model": "groq", "max_cost_usd": 0.05}
KILLED_AFTER = (0, 1, 9, 17)
"""Requests that the vendor got before the server is killed; 0: as soon as the task is announced."""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A project with files, a configuration, and a ledger."""

    folder: Path
    config: Path
    url: str
    environ: dict[str, str]

    def server(self) -> object:
        return raw_server(self.config, self.folder, self.environ)

    def end_leases(self) -> None:
        """Let the time pass after which leases and holds of a dead process end."""
        by_hand(self.url, "UPDATE tasks SET lease_until = 0 WHERE lease_until > 0")
        by_hand(self.url, "UPDATE holds SET expires_at = 1")

    def texts(self) -> list[Path]:
        return sorted((self.folder.parent / "home").glob(".local/share/mcp-llm-router/background/*/*/*"))


def machine_of(folder: Path, backend: str, vendors: Vendors, **extra: str) -> Machine:
    project, home, url = folder / "project", folder / "home", fresh_url(backend, folder)
    project.mkdir(parents=True)
    home.mkdir()
    for number in range(FILES):
        (project / f"{number:02}.txt").write_text(f"Review {number}.")
    config = folder / "config.toml"
    config.write_text(f'database_url = "{url}"\n[budgets]\ndaily_usd = 5\n[providers.embedded]\nenabled = false\n')
    environ = environment(vendors, "groq") | {"HOME": str(home), "PATH": os.environ["PATH"]} | extra
    return Machine(folder=project, config=config, url=url, environ=environ)


async def start(server: RawServer, **arguments: object) -> str:
    created = await server.result("tools/call", name="generate", arguments=arguments)
    assert created["resultType"] == "task", created
    return created["taskId"]


async def assert_books_balance(machine: Machine, *, lost: int) -> None:
    """Every file was answered once, rows and sums agree, and nothing is held."""
    rows = asked(machine.url, "SELECT call_id, outcome FROM attempts")
    answered = [call_id for call_id, outcome in rows if outcome == "answered"]
    assert len(answered) == len(set(answered))
    paid = {call_id for call_id, _ in rows}
    assert len(paid) == FILES
    assert sum(outcome == "lost" for _, outcome in rows) <= lost
    assert asked(machine.url, "SELECT COUNT(*) FROM holds") == [(0,)]
    ledger = await open_ledger(machine.url)
    assert await ledger.find_differences() == []
    await ledger.aclose()


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
@pytest.mark.parametrize("save_to", ["notes", None])
async def test_killed_server_loses_no_file_and_pays_for_none_twice(
    tmp_path: Path, vendors: Vendors, backend: str, save_to: str | None
) -> None:
    vendors.delay("groq", 0.05)
    batch = BATCH | ({"save_to": save_to} if save_to else {})
    for point in KILLED_AFTER:
        machine = machine_of(tmp_path / f"{point}", backend, vendors)
        before = len(vendors.requests("groq"))
        async with machine.server() as first:
            task_id = await start(first, **batch)
            await until(lambda: len(vendors.requests("groq")) - before >= point)  # noqa: B023 - called at once
            await first.kill()
        machine.end_leases()
        async with machine.server() as second:
            state = await second.ended(task_id)
            await second.hang_up()

        structured = state["result"]["structuredContent"]
        assert (state["status"], structured["answered"]) == ("completed", FILES), state
        assert state["statusMessage"].startswith(f"{FILES} of {FILES} files ok")
        # Only files in flight at the kill can be asked about again.
        asked_again = len(vendors.requests("groq")) - before - FILES
        assert 0 <= asked_again <= MAX_CONCURRENT_CALLS, point
        await assert_books_balance(machine, lost=MAX_CONCURRENT_CALLS)
        spent = sum(row[0] for row in asked(machine.url, "SELECT cost_nano FROM attempts"))
        assert structured["cost_usd"] == pytest.approx(spent / 1e9)
        if save_to:
            assert len(list((machine.folder / "notes").glob("*.md"))) == FILES
            assert "files" not in structured
        else:
            assert {len(told["text"]) > 0 for told in structured["files"]} == {True}
        assert [path.name for path in machine.texts()] == ["result.json"]


async def test_host_that_ends_parks_its_tasks_for_the_next_server(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 0.1)
    machine = machine_of(tmp_path, "sqlite", vendors)
    async with machine.server() as first:
        task_id = await start(first, **BATCH, save_to="notes")
        await until(lambda: len(vendors.requests("groq")) >= 10)
        assert await first.hang_up() == 0
    assert asked(machine.url, "SELECT state, lease_owner FROM tasks") == [("working", "")]
    assert asked(machine.url, "SELECT COUNT(*) FROM holds") == [(0,)]

    async with machine.server() as second:
        state = await second.ended(task_id)
    assert state["result"]["structuredContent"]["answered"] == FILES
    await assert_books_balance(machine, lost=0)


async def test_task_is_not_taken_over_with_other_rights_or_configuration(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    machine = machine_of(tmp_path, "sqlite", vendors)
    async with machine.server() as first:
        task_id = await start(first, **BATCH, save_to="notes")
        await first.hang_up()
    vendors.delay("groq", 0)
    other = tmp_path / "other.toml"
    other.write_text(machine.config.read_text())
    async with raw_server(other, machine.folder, machine.environ) as stranger:
        assert (await stranger.result("tasks/get", taskId=task_id))["status"] == "working"
        assert asked(machine.url, "SELECT lease_owner FROM tasks") == [("",)]

    # Another project of the same user runs it where it began.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with raw_server(machine.config, elsewhere, machine.environ) as second:
        state = await second.ended(task_id)
    assert state["result"]["structuredContent"]["answered"] == FILES
    assert len(list((machine.folder / "notes").glob("*.md"))) == FILES
    assert list(elsewhere.iterdir()) == []


async def test_single_call_that_was_answered_is_not_asked_again(tmp_path: Path, vendors: Vendors) -> None:
    machine = machine_of(tmp_path, "sqlite", vendors)
    long = {"prompt": "Write a long report.", "model": "groq", "max_output_tokens": 8000, "save_to": "report.md"}
    vendors.delay("groq", 1)
    async with machine.server() as first:
        task_id = await start(first, **long)
        await until(lambda: len(vendors.requests("groq")) == 1)
        await anyio.sleep(0.1)
        await first.hang_up()  # cancelled, and recorded
    vendors.delay("groq", 0)
    async with machine.server() as second:
        state = await second.ended(task_id)
    rows = asked(machine.url, "SELECT number, outcome FROM attempts ORDER BY number")
    assert rows == [(1, "cancelled"), (2, "answered")]
    assert (machine.folder / "report.md").is_file()
    assert json.loads(state["result"]["content"][0]["text"])["saved_to"] == "report.md"
    assert state["statusMessage"].startswith("done, $")


async def test_answer_to_a_question_counts_once_after_a_takeover(tmp_path: Path, vendors: Vendors) -> None:
    machine = machine_of(tmp_path, "sqlite", vendors)
    machine.config.write_text(machine.config.read_text().replace("daily_usd = 5", "daily_usd = 0.0000001"))
    shows_forms = TASKS | {"elicitation": {"form": {}}}
    yes = {"action": "accept", "content": {"extra_usd": 1}}

    async def question(server: RawServer) -> dict[str, object]:
        with anyio.fail_after(20):
            while "inputRequests" not in (state := await server.result("tasks/get", taskId=task_id)):
                await anyio.sleep(0.05)
        return state["inputRequests"]

    async with machine.server() as first:
        params = {"name": "generate", "arguments": BATCH | {"save_to": "notes"}}
        task_id = (await first.ask("tools/call", capabilities=shows_forms, **params))["result"]["taskId"]
        asked_first = await question(first)
        await first.kill()
    machine.end_leases()
    async with machine.server() as second:
        assert await question(second) == asked_first
        for _ in range(2):
            await second.result("tasks/update", taskId=task_id, inputResponses=dict.fromkeys(asked_first, yes))
        state = await second.ended(task_id)

    assert state["result"]["structuredContent"]["answered"] == FILES
    assert asked(machine.url, "SELECT extra_nano FROM leeway") == [(1_000_000_000,)]


async def test_kept_answer_of_a_single_call_is_used_and_its_hold_is_the_bill(tmp_path: Path, vendors: Vendors) -> None:
    machine = machine_of(tmp_path, "sqlite", vendors)
    vendors.delay("groq", 30)
    async with machine.server() as first:
        task_id = await start(first, prompt="Write a long report.", model="groq", max_output_tokens=8000)
        await until(lambda: len(vendors.requests("groq")) == 1)
        await first.kill()
    # As if the kill had come between the answer and its row.
    (request,) = (path for path in machine.texts() if path.name == "request.json")
    kept = {"text": "The report.", "model": "openai/gpt-oss-20b", "finish_reason": "stop"}
    (request.parent / "answer-0.json").write_text(json.dumps(kept))
    machine.end_leases()
    async with machine.server() as second:
        state = await second.ended(task_id)
        await until(lambda: asked(machine.url, "SELECT COUNT(*) FROM holds") == [(0,)])

    assert state["result"]["structuredContent"]["text"] == "The report."
    assert len(vendors.requests("groq")) == 1
    ((outcome, cost),) = asked(machine.url, "SELECT outcome, cost_nano FROM attempts")
    assert outcome == "lost"
    assert state["result"]["structuredContent"]["cost_usd"] == pytest.approx(cost / 1e9)
