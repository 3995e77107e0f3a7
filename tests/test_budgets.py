"""Money through the front door: what a caller hears of budgets, and what becomes of calls when the ledger is away."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from mcp_router.settings import data_folder
from tests.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "complexity": "medium",
    "budget_tier": "standard",
    "model": "groq:openai/gpt-oss-120b",
    "max_output_tokens": 100,
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def impatient(house: Front) -> Front:
    """Wait for a locked file as long as a test may take."""
    house.app.ledger._ledger._database._patience = 0.02
    return house


@contextmanager
def lost(folder: Path) -> Iterator[None]:
    """Somebody else has the ledger's file, and does not let go."""
    with closing(sqlite3.connect(folder / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_a_call_that_loses_the_ledger_under_way_is_answered_and_written_when_it_is_back(
    tmp_path: Path, vendors: Vendors
) -> None:
    answers: list[dict[str, object]] = []

    async def ask(house: Front) -> None:
        answers.append(await house.call("generate", **TASK))

    async with front(tmp_path, environment(vendors, "groq")) as house:
        await impatient(house).call("cost_summary")
        vendors.delay("groq", 0.5)
        async with anyio.create_task_group() as group:
            group.start_soon(ask, house)
            while not vendors.requests("groq"):
                await anyio.sleep(0.01)
            lock = lost(tmp_path)
            lock.__enter__()
        refused = await house.refused("generate", **TASK)
        kept = list((data_folder() / "unwritten").rglob("*.json"))
        lock.__exit__(None, None, None)
        summary = await house.call("cost_summary", period="all")
        found = await house.app.ledger.check()

    (answer,) = answers
    assert answer["text"] == "Hello from groq."
    assert answer["warning"] == "the ledger's database is away: the cost is kept and written later"
    assert "is locked by another program" in refused
    assert len(kept) == 1
    assert (summary["calls"], summary["cost_usd"]) == (1, answer["cost_usd"])
    assert found == []
