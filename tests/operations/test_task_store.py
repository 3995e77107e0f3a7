"""Background tasks in the ledger and on the disk: durable, leased, seen by their caller alone, deleted in time."""

from __future__ import annotations

import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import Ledger
from mcp_router.operations.background.task_files import TaskFiles
from mcp_router.operations.background.task_store import TaskStore
from mcp_router.operations.caller import LOCAL, Caller
from tests.support.ledgers import NOON, a_hold, an_attempt, fresh_url

BACKENDS = ["sqlite", "postgres"]
ALICE, BOB = Caller(name="alice", sees_all=False), Caller(name="bob", sees_all=False)
A_TASK = {"kind": "generate", "client": "alice", "call_id": "c0ffee", "message": "0 of 3 files", "keep_s": 3600.0}


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def ledger_of(backend: str, folder: Path) -> AsyncGenerator[tuple[Ledger, Clock]]:
    clock = Clock()
    ledger = await open_ledger(fresh_url(backend, folder), clock=clock)
    try:
        yield ledger, clock
    finally:
        await ledger.aclose()


def store_of(ledger: Ledger, folder: Path, owner: str, clock: Clock) -> TaskStore:
    return TaskStore(ledger.tasks, TaskFiles(folder / "background"), owner=owner, clock=clock)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_task_passes_to_another_process_only_when_its_lease_ends(tmp_path: Path, backend: str) -> None:
    async with ledger_of(backend, tmp_path) as (ledger, clock):
        first, second = (store_of(ledger, tmp_path, name, clock) for name in ("first", "second"))
        task = await first.create({"prompt": "a secret"}, **A_TASK)

        assert await second.list_unowned() == []
        assert await second.claim(task) is None
        clock.now += 19
        assert await first.renew(task) is False
        clock.now += 19
        assert await second.list_unowned() == []

        clock.now += 2
        (found,) = await second.list_unowned()
        taken = await second.claim(found)
        assert taken is not None
        assert await first.claim(task) is None
        assert await first.renew(task) is None
        await first.report(task, "not mine any more")
        assert not await first.finish(task, "completed", "not mine either", None)
        assert (await second.read(task.id, ALICE)).message == "0 of 3 files"  # type: ignore[union-attr]
        assert await second.read_request(task) == {"prompt": "a secret"}

        await second.release(taken)
        assert [one.id for one in await first.list_unowned()] == [task.id]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_task_is_seen_by_its_client_and_expires_with_its_texts(tmp_path: Path, backend: str) -> None:
    async with ledger_of(backend, tmp_path) as (ledger, clock):
        store = store_of(ledger, tmp_path, "one", clock)
        task = await store.create({"prompt": "a secret"}, **A_TASK)
        other = await store.create({"prompt": "b"}, **{**A_TASK, "client": "bob", "call_id": "beef"})
        folder = tmp_path / "background" / task.id

        assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
        assert stat.S_IMODE((folder / "request.json").stat().st_mode) == 0o600
        assert await store.read(task.id, BOB) is None
        assert await store.read("nonsense", ALICE) is None
        assert await store.read("c0ffee", ALICE) == await store.read(task.id) == task
        assert [one.id for one in await store.list_recent(BOB)] == [other.id]
        assert len(await store.list_recent(LOCAL)) == 2

        assert await store.request_cancel(task)
        assert await store.renew(task) is True
        assert await store.finish(task, "cancelled", "after 1 of 3 files", {"text": "partly"})
        assert not await store.request_cancel(task)
        assert [path.name for path in folder.iterdir()] == ["result.json"]
        assert await store.count_by_state() == {"cancelled": 1, "working": 1}

        clock.now += 3599
        assert await store.delete_expired() == 0
        assert await store.read_result(task) == {"text": "partly"}
        clock.now += 1
        assert await store.read(task.id, ALICE) is None
        assert await store.delete_expired() == 2
        assert list((tmp_path / "background").iterdir()) == []


@pytest.mark.parametrize("backend", BACKENDS)
async def test_past_of_a_task_counts_rows_and_holds_of_its_files(tmp_path: Path, backend: str) -> None:
    async with ledger_of(backend, tmp_path) as (ledger, clock):
        store = store_of(ledger, tmp_path, "one", clock)
        task = await store.create({}, **A_TASK)
        await ledger.settle(None, an_attempt("c0ffee.1", "0.1", baseline_usd=Decimal("0.5")))
        await ledger.settle(None, an_attempt("c0ffee.2", None, outcome="failed"))
        await ledger.settle(None, an_attempt("c0ffee1", "7"))
        assert await ledger.hold(a_hold("x", "0.2", call_id="c0ffee.2", number=2), [], None) is None

        past = await store.read_past(task)

    assert {name: (one.attempts, one.cost_usd, one.unknown_costs) for name, one in past.items()} == {
        "c0ffee.1": (1, Decimal("0.1"), 0),
        "c0ffee.2": (2, Decimal("0.2"), 1),
    }
    assert past["c0ffee.1"].baseline_usd == Decimal("0.5")
