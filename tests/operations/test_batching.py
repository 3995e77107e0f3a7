"""One prompt on many files, through the front door."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

from mcp_router.operations.batch.run import MAX_CONCURRENT_CALLS
from tests.support.front import Front, environment, front
from tests.vendors import CITATIONS, Vendors, vendor_server

TASK = {"prompt": "Sum it up.", "use_case": "summarization", "complexity": "medium", "budget_tier": "standard"}
GROQ = TASK | {"model": "groq:openai/gpt-oss-20b"}
EACH = {"files": ["in/*"], "per_file": True}
SAVED = EACH | {"save_to": "out"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def fill(folder: Path, count: int, *, size: int = 10) -> None:
    (folder / "in").mkdir()
    for number in range(count):
        (folder / "in" / f"{number:03}.txt").write_text(f"File {number}. " + "word " * size)


def out(folder: Path) -> dict[str, str]:
    """The answers on disk."""
    found = (path for path in (folder / "out").rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder / "out").as_posix(): path.read_text() for path in sorted(found)}


async def spent(house: Front) -> float:
    return (await house.call("cost_summary", period="session"))["cost_usd"]


async def test_each_file_gets_a_call_and_a_file_of_its_own(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)
        total = await spent(house)
        (tried,) = (await house.call("explain_route", call_id=f"{answer['call_id']}.2"))["attempts"]

    assert out(tmp_path) == {f"in/00{number}.txt.md": "Hello from groq." for number in range(3)}
    assert answer == {
        "saved_to": "out/*.md",
        "model": "groq:openai/gpt-oss-20b",
        "cost_usd": pytest.approx(total),
        "saved_usd": answer["saved_usd"],
        "call_id": answer["call_id"],
        "answered": 3,
        "files": [{"file": f"in/00{number}.txt"} for number in range(3)],
    }
    assert tried["outcome"] == "answered"
    prompts = sorted(request.body["messages"][0]["content"] for request in vendors.requests("groq"))
    assert prompts[1].startswith("Sum it up.\n\nFile: in/001.txt\n```\nFile 1. word")


async def test_without_a_folder_the_answers_stand_in_the_result(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)
    vendors.says("groq", "a \x1b[1mlabel\x1b[0m")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **EACH)

    assert answer["files"] == [
        {"file": "in/000.txt", "text": "a label"},
        {"file": "in/001.txt", "text": "a label"},
    ]


async def test_more_answers_than_a_result_should_hold_need_a_folder(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 101)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        text = await house.refused("generate", **GROQ, **EACH)

    assert "name a folder in save_to" in text
    assert vendors.requests("groq") == []


async def test_calls_run_side_by_side_but_not_all_at_once(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3 * MAX_CONCURRENT_CALLS)
    vendors.delay("groq", 0.5)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert answer["answered"] == 3 * MAX_CONCURRENT_CALLS
    assert vendors.at_once("groq") == MAX_CONCURRENT_CALLS


async def test_the_inferred_choice_is_told_once(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        answer = await house.call("generate", prompt="Summarize this file in one line.", **EACH)

    assert answer["inferred"]["use_case"] == "summarization"


@pytest.mark.parametrize(
    ("save_to", "told", "first"),
    [
        ("out", "out/*.md", "out/in/000.txt.md"),
        ("{home}/out", "out/*.md", "out/in/000.txt.md"),
        ("out/*", "out/*", "out/in/000.txt"),
        ("out/*.t", "out/*.t", "out/in/000.txt.t"),
        ("./*", "*", "in/000.txt"),
    ],
)
async def test_the_result_says_how_answers_are_named(
    tmp_path: Path, vendors: Vendors, save_to: str, told: str, first: str
) -> None:
    fill(tmp_path, 2)
    arguments = GROQ | EACH | {"save_to": save_to.format(home=tmp_path)}
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **arguments)

    assert answer["saved_to"] == told
    assert answer["files"] == [{"file": "in/000.txt"}, {"file": "in/001.txt"}]
    assert (tmp_path / first).read_text() == "Hello from groq."


async def test_a_batch_can_be_planned_as_it_would_be_called(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3)
    (tmp_path / "in" / "long.txt").write_text("word " * 1_000)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        plan = await house.call("explain_route", **GROQ, **SAVED, resume=True)
        largest = await house.call("explain_route", **GROQ, files=["in/long.txt"])

    assert plan["files"] == "4, each a call of its own; this is the plan for the largest, in/long.txt"
    assert plan["candidates"] == largest["candidates"]
    assert vendors.requests("groq") == []


async def test_an_answers_sources_are_told(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 1)
    web = {"prompt": "Search for it.", "use_case": "web_research", "complexity": "medium", "budget_tier": "premium"}
    async with front(tmp_path, environment(vendors, "perplexity", "claude", "openai")) as house:
        answer = await house.call("generate", **web, **SAVED)

    assert answer["files"][0]["citations"] == list(CITATIONS)


# What goes wrong


async def test_a_file_that_fails_leaves_the_others_alone(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3)
    (tmp_path / "in/001.txt").write_bytes(bytes(range(256)) * 10)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert (answer["answered"], answer["failed"]) == (2, 1)
    assert list(out(tmp_path)) == ["in/000.txt.md", "in/002.txt.md"]
    assert answer["files"][0] == {"file": "in/000.txt"}
    assert answer["files"][1]["error"].startswith("file_refused: in/001.txt is binary")


async def test_failed_tries_are_in_the_cost_of_the_batch(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3)
    vendors.says("groq", "no number")
    vendors.says("openai", "42")
    schema = {"type": "integer"}
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        answer = await house.call("generate", **(TASK | {"use_case": "conversation"}), **SAVED, response_schema=schema)
        total = await spent(house)

    assert out(tmp_path) == {f"in/00{number}.txt.json": "42" for number in range(3)}
    assert answer["cost_usd"] == pytest.approx(total)
    assert answer["escalations"] == 6


async def test_what_a_file_cost_in_vain_is_taken_off_what_was_saved(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)
    vendors.fail("groq", "cut", times=2)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED, system="Be brief. " * 500)  # the first file goes alone
        summary = await house.call("cost_summary", period="session")

    assert (answer["answered"], answer["failed"]) == (1, 1)
    assert answer["saved_usd"] == pytest.approx(summary["saved_usd"])


async def test_where_every_file_fails_the_text_says_why_and_what_was_spent(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3)
    vendors.says("groq", "no number")
    async with front(tmp_path, environment(vendors, "groq")) as house:
        text = await house.refused("generate", **GROQ, **SAVED, response_schema={"type": "integer"})
        total = await spent(house)

    assert text.startswith("all_failed: None of 3 files was answered; 0.0")
    assert f"{total:.9f}".rstrip("0") in text
    assert "invalid_answer" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": "groq:no-such"}, "unknown_name"),
        ({"files": ["missing/*"]}, "matches no file"),
        ({"save_to": "../out"}, "outside allowed_roots"),
        ({"response_schema": {"type": "nonsense"}}, "bad_schema"),
        ({"save_to": None, "resume": True}, "resume needs per_file"),
        ({"per_file": False, "save_to": "notes/*.md"}, "set per_file"),
        ({"files": {"a": 1}}, "files: must be a list"),
        ({"save_to": "config.toml/notes"}, "server's own"),
        ({"conversation_id": "nobody"}, "Unknown conversation"),
    ],
)
async def test_what_is_wrong_with_the_call_is_said_once_before_anything_is_spent(
    tmp_path: Path, vendors: Vendors, arguments: dict[str, Any], said: str
) -> None:
    fill(tmp_path, 3)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        text = await house.refused("generate", **(GROQ | SAVED | arguments))

    assert said in text
    assert text.endswith("Nothing was spent.")
    assert vendors.requests("groq") == []


async def test_an_answer_whose_file_changed_meanwhile_is_saved_beside_it(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)
    (tmp_path / "out/in").mkdir(parents=True)
    vendors.delay("groq", 0.3)
    answers: list[dict[str, Any]] = []
    async with front(tmp_path, environment(vendors, "groq")) as house, anyio.create_task_group() as group:

        async def run() -> None:
            answers.append(await house.call("generate", **GROQ, **SAVED))

        group.start_soon(run)
        await vendors.until(lambda: len(vendors.requests("groq")) == 2)
        await anyio.Path(tmp_path / "out/in/000.txt.md").write_text("theirs")

    beside = answers[0]["files"][0]["saved_to"]
    assert beside == f"out/in/000.txt.{answers[0]['call_id']}.1.md"
    assert out(tmp_path)["in/000.txt.md"] == "theirs"
    assert (tmp_path / beside).read_text() == "Hello from groq."
    assert "changed by another program" in answers[0]["files"][0]["warning"]


async def test_a_batch_waits_for_a_rate_limit_longer_than_a_call_would(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3 * MAX_CONCURRENT_CALLS)
    vendors.fail("groq", status=429, retry_after=1, times=1)
    async with front(tmp_path, environment(vendors, "groq"), "deadline_s = 2\n") as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert answer["answered"] >= 3 * MAX_CONCURRENT_CALLS - 1  # whoever was refused may be told so


async def test_what_fails_at_the_same_time_stops_nothing(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 3 * MAX_CONCURRENT_CALLS)
    vendors.fail("groq", status=503, times=MAX_CONCURRENT_CALLS)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert answer["answered"] >= 2 * MAX_CONCURRENT_CALLS
    assert "not_begun" not in answer


# Money


async def test_a_limit_over_all_files_is_neither_overrun_nor_left_unused(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 40)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        one = await house.call("generate", **GROQ)
        most = one["cost_usd"] * 20
        before = await spent(house)
        answer = await house.call("generate", **GROQ, **SAVED, max_cost_usd=most)
        total = await spent(house) - before
        rest = await house.call("generate", **GROQ, **SAVED, max_cost_usd=0.01, resume=True)

    assert total == pytest.approx(answer["cost_usd"])
    assert answer["cost_usd"] <= most
    assert answer["answered"] >= 12
    assert answer["answered"] + answer["failed"] + answer["not_begun"] == 40
    assert "max_cost_usd" in answer["warning"]
    assert "resume" in answer["warning"]
    assert (rest["done_before"], rest["answered"]) == (answer["answered"], 40 - answer["answered"])


async def test_calls_run_side_by_side_although_the_limit_is_not_much_more_than_one_ceiling(
    tmp_path: Path, vendors: Vendors
) -> None:
    fill(tmp_path, 40)
    vendors.delay("groq", 0.3)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED, max_cost_usd=0.011)

    assert answer["answered"] == 40
    assert vendors.at_once("groq") >= MAX_CONCURRENT_CALLS / 2


async def test_a_daily_budget_stops_a_batch_only_once_it_is_used(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 40)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        one = (await house.call("generate", **GROQ))["cost_usd"]
        worst = (await house.call("explain_route", **GROQ))["candidates"][0]["at_most_usd"]
    budget = worst * 1.5 + one * 41
    assert budget < worst * MAX_CONCURRENT_CALLS  # not all that could run side by side is admitted side by side
    async with front(tmp_path, environment(vendors, "groq"), f"[budgets]\ndaily_usd = {budget:.9f}\n") as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert answer["answered"] == 40


async def test_a_daily_budget_is_never_overrun(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 40)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        one = (await house.call("generate", **GROQ))["cost_usd"]
        worst = (await house.call("explain_route", **GROQ, files=["in/000.txt"]))["candidates"][0]["at_most_usd"]
    budget = worst + one * 10
    async with front(tmp_path, environment(vendors, "groq"), f"[budgets]\ndaily_usd = {budget:.9f}\n") as house:
        answer = await house.call("generate", **GROQ, **SAVED)
        summary = await house.call("cost_summary", period="today")

    assert summary["cost_usd"] <= budget
    assert 9 <= answer["answered"] < 40
    assert answer["answered"] + answer["failed"] + answer["not_begun"] == 40
    assert "daily budget" in answer["warning"]


# Cancelled, and resumed


async def test_what_was_answered_before_a_cancellation_is_on_disk_and_resumed_from(
    tmp_path: Path, vendors: Vendors
) -> None:
    fill(tmp_path, 40)
    vendors.delay("groq", 0.2)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        with anyio.CancelScope() as caller:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: house.call("generate", **GROQ, **SAVED))
                await vendors.until(lambda: len(vendors.requests("groq")) > 2 * MAX_CONCURRENT_CALLS)
                caller.cancel()
        with anyio.fail_after(5):
            while (await house.call("cost_summary", period="session"))["attempts"] < len(vendors.requests("groq")):
                await anyio.sleep(0.01)
        done = set(out(tmp_path))
        cancelled = len(vendors.requests("groq"))
        vendors.recover("groq")
        answer = await house.call("generate", **GROQ, **SAVED, resume=True)

    assert MAX_CONCURRENT_CALLS <= len(done) < 40
    assert answer["done_before"] == len(done)
    assert answer["answered"] == 40 - len(done)
    assert len(vendors.requests("groq")) == cancelled + 40 - len(done)
    assert len(out(tmp_path)) == 40


async def test_resuming_does_what_is_missing_or_changed_and_another_instruction_does_all(
    tmp_path: Path, vendors: Vendors
) -> None:
    fill(tmp_path, 3)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", **GROQ, **SAVED)
        (tmp_path / "in/000.txt").write_text("changed")
        (tmp_path / "out/in/001.txt.md").unlink()
        elsewhere = await house.call("generate", **(TASK | {"model": "openai:gpt-6-luna"}), **SAVED, resume=True)
        other = await house.call("generate", **(GROQ | {"prompt": "Translate it."}), **SAVED, resume=True)
        nothing = await house.call("generate", **(GROQ | {"prompt": "Translate it."}), **SAVED, resume=True)

    assert (elsewhere["answered"], elsewhere["done_before"]) == (2, 1)
    assert other["answered"] == 3
    assert (nothing["answered"], nothing["done_before"], nothing["cost_usd"]) == (0, 3, 0)


@pytest.mark.skipif(os.name == "nt", reason="kills a process as POSIX does")
async def test_a_killed_server_has_lost_nothing_that_it_answered(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 40)
    vendors.delay("groq", 0.1)
    environ = environment(vendors, "groq", MCP_ROUTER_DATABASE_URL=f"sqlite:///{tmp_path}/ledger.sqlite3")
    program = f"echo $$ > pid; exec '{sys.executable}' -P -c 'from mcp_router.cli import main; main()'"
    started = StdioServerParameters(
        command="sh",
        args=["-c", program],
        env=environ | {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
    )
    with suppress(BaseExceptionGroup, MCPError):
        async with Client(started) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "generate", GROQ | SAVED)
            with anyio.fail_after(20):
                await vendors.until(lambda: len(vendors.requests("groq")) > 2 * MAX_CONCURRENT_CALLS)
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            group.cancel_scope.cancel()
    done, before = out(tmp_path), len(vendors.requests("groq"))
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED, resume=True)

    assert MAX_CONCURRENT_CALLS <= len(done) < 40
    assert (answer["done_before"], answer["answered"]) == (len(done), 40 - len(done))
    assert len(vendors.requests("groq")) == before + 40 - len(done)
    assert set(out(tmp_path).values()) == {"Hello from groq."}


# What it costs the caller


async def test_five_hundred_files_are_one_call_with_a_small_result(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 500)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert answer["answered"] == len(out(tmp_path)) == 500
    assert answer["files"] == []
    assert len(json.dumps(answer)) < 300


async def test_the_same_failure_of_many_files_is_told_once(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 60)
    vendors.fail("groq", status=400, times=59)
    async with front(tmp_path, environment(vendors, "groq")) as house:
        answer = await house.call("generate", **GROQ, **SAVED)

    assert (answer["answered"], answer["failed"]) == (1, 59)
    errors = [one["error"] for one in answer["files"] if "error" in one]
    assert len([error for error in errors if not error.startswith("as for in/")]) == 1
    assert len(json.dumps(answer)) < 60 * 60


# What calls share


async def test_the_first_file_goes_alone_where_the_others_can_read_what_it_has_cached(
    tmp_path: Path, vendors: Vendors
) -> None:
    fill(tmp_path, 5)
    vendors.delay("claude", 0.2)
    claude = TASK | {"model": "claude:claude-haiku-5-5", "budget_tier": "enterprise"}
    async with front(tmp_path, environment(vendors, "claude")) as house, anyio.create_task_group() as group:

        async def run() -> None:
            await house.call("generate", **claude, **SAVED, system="A rule of the house. " * 300)

        group.start_soon(run)
        await vendors.until(lambda: len(vendors.requests("claude")) == 1)
        await anyio.sleep(0.1)
        alone = len(vendors.requests("claude"))

    assert alone == 1
    assert len(vendors.requests("claude")) == 5
    assert all("cache_control" in json.dumps(request.body["system"]) for request in vendors.requests("claude"))


async def test_every_file_can_go_on_from_an_earlier_answer(tmp_path: Path, vendors: Vendors) -> None:
    fill(tmp_path, 2)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        first = await house.call("generate", **(TASK | {"prompt": "Be brief.", "model": "openai:gpt-6-luna"}))
        answer = await house.call("generate", **TASK, **SAVED, conversation_id=first["call_id"])

    assert answer["model"] == "openai:gpt-6-luna"
    assert [message["content"] for message in vendors.requests("openai")[1].body["messages"]][:2] == [
        "Be brief.",
        "Hello from openai.",
    ]
