"""What a ledger says when its database is damaged, closed, full, locked, foreign or not there."""

# ruff: noqa: ASYNC240 - files are what these tests are about

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.ledger.postgres import PostgresDatabase
from mcp_router.ledger.records import Attempt, BudgetRefusal
from mcp_router.ledger.sql_ledger import DatabaseLedger
from mcp_router.ledger.sqlite import SqliteDatabase
from tests.support.ledgers import NOON, a_hold, an_attempt, asked, by_hand, daily, fresh_url

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    opened = DatabaseLedger(SqliteDatabase(path, patience_seconds=0.05))
    yield opened
    await opened.aclose()


@contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """Without the right to write: root may write everywhere, so it steps aside."""
    folder.chmod(0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


async def test_a_fresh_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    ledger = await open_ledger(f"sqlite:///{tmp_path}/new/folder/ledger.sqlite3")
    await ledger.settle(None, an_attempt("call"))

    folder = tmp_path / "new" / "folder"
    modes = {entry.name: oct(entry.stat().st_mode & 0o777) for entry in (folder, *folder.iterdir())}
    await ledger.aclose()

    assert modes.pop("folder") == "0o700"
    assert set(modes) >= {"ledger.sqlite3", "ledger.sqlite3-wal"}
    assert set(modes.values()) == {"0o600"}


async def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    ledger = await open_ledger(f"sqlite:///{tmp_path}/new/ledger.sqlite3")
    await ledger.aclose()

    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_file_is_named_and_left_alone_and_works_again_once_it_is_away(
    path: Path, ledger: Ledger
) -> None:
    path.write_bytes(b"this was a ledger once " * 500)

    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 is damaged .*: move it away and restore a backup"):
        await ledger.hold(a_hold("call"), [daily("1")], None)

    assert path.read_bytes() == b"this was a ledger once " * 500
    path.unlink()
    assert await ledger.hold(a_hold("call"), [daily("1")], None) is None


async def test_a_file_damaged_in_its_middle_is_named(path: Path, ledger: Ledger) -> None:
    for number in range(50):
        await ledger.settle(None, an_attempt(str(number)))
    await ledger.aclose()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(LedgerError, match="is damaged"):
        await ledger.settle(None, an_attempt("next"))


async def test_another_programs_database_is_not_touched(path: Path, ledger: Ledger) -> None:
    by_hand(f"sqlite:///{path}", "CREATE TABLE holiday_photos (name TEXT)")

    with pytest.raises(LedgerError, match="is another program's database: set database_url to another file"):
        await ledger.settle(None, an_attempt("call"))

    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("holiday_photos",)]


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    ledger = await open_ledger(f"sqlite:///{folder}/ledger.sqlite3")

    with (
        as_somebody_else(folder),
        pytest.raises(
            LedgerError, match=r"cannot open the ledger .*closed/ledger\.sqlite3 \(Permission denied\): make"
        ),
    ):
        await ledger.settle(None, an_attempt("call"))
    later = await ledger.settle(None, an_attempt("call"))
    await ledger.aclose()

    assert later


async def test_a_file_that_may_only_be_read_is_named(path: Path, ledger: Ledger) -> None:
    with (
        as_somebody_else(path.parent),
        pytest.raises(LedgerError, match="make the folder writable, or set database_url"),
    ):
        await ledger.settle(None, an_attempt("call"))


async def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ledger = await open_ledger(f"sqlite:///{tmp_path}/file/ledger.sqlite3")

    with pytest.raises(LedgerError, match=r"cannot open the ledger .* make the folder writable"):
        await ledger.settle(None, an_attempt("call"))


async def test_a_locked_file_is_waited_for_then_named_and_no_balance_changes(path: Path, ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("under way", "0.4"), [limit], None)
    with closing(sqlite3.connect(path, isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"ledger\.sqlite3 is locked by another program: close what has it open"):
            await ledger.settle("hold under way", an_attempt("under way", "0.3"))
        with pytest.raises(LedgerError, match="is locked"):
            await ledger.hold(a_hold("next", "0.1"), [limit], None)
        backup.execute("ROLLBACK")

    (state,) = await ledger.read_budgets([limit], NOON)
    assert (state.spent_usd, state.held_usd) == (Decimal(0), Decimal("0.4"))
    await ledger.settle("hold under way", an_attempt("under way", "0.3"))
    (state,) = await ledger.read_budgets([limit], NOON)
    assert (state.spent_usd, state.held_usd) == (Decimal("0.3"), Decimal(0))


async def test_a_full_disk_is_named_and_leaves_no_half_written_call(path: Path) -> None:
    database = SqliteDatabase(path)
    ledger, limit = DatabaseLedger(database), daily("1000")
    await ledger.settle(None, an_attempt("first", "0.1"))
    assert database._connection is not None
    for connection in (database._connection, database._opened_briefly(database._connection)):
        connection.execute("PRAGMA max_page_count = 1")  # the file may not grow: to SQLite its disk is full

    said = [await refused_settling(ledger, an_attempt(str(number), "0.1", detail="x" * 300)) for number in range(99)]
    await ledger.aclose()  # and with it, the limit on pages

    written = 1 + said.count("")
    assert written < 100
    assert "is full: make room, or run `mcp-llm-router ledger prune`; nothing was written" in said[-1]
    (state,) = await ledger.read_budgets([limit], NOON)
    assert state.spent_usd == Decimal("0.1") * written
    assert len(await ledger.read_recent(500)) == written
    assert await ledger.find_differences() == []
    await ledger.aclose()


async def refused_settling(ledger: Ledger, attempt: Attempt) -> str:
    try:
        await ledger.settle(None, attempt)
    except LedgerError as error:
        return str(error)
    return ""


async def test_a_pruned_file_gives_its_room_back(path: Path, ledger: Ledger) -> None:
    for number in range(300):
        await ledger.settle(None, an_attempt(str(number), detail="x" * 300))
    await ledger.aclose()
    before = path.stat().st_size

    await ledger.prune(NOON + 86_400)
    await ledger.aclose()

    assert path.stat().st_size < before / 2


async def test_a_url_of_no_kind_we_know_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(LedgerError, match=r"starts with 'mysql': it must start with sqlite:/// .* or postgresql://"):
        await open_ledger("mysql://root:secret@localhost/ledger")


async def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(LedgerError, match=r"pip install .*\[postgres\]"):
        await open_ledger("postgresql://localhost/ledger")


async def test_a_postgresql_url_that_is_none_is_refused_without_showing_its_password() -> None:
    with pytest.raises(LedgerError, match="is not a PostgreSQL URL") as refused:
        await open_ledger("postgresql://me:secret@localhost/ledger?nonsense=secret")

    assert "secret" not in str(refused.value)


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    ledger = await open_ledger("postgresql://me:secret@127.0.0.1:1/team")

    with pytest.raises(
        LedgerError, match=r"cannot reach the ledger team at 127\.0\.0\.1 .*: see that PostgreSQL"
    ) as lost:
        await ledger.hold(a_hold("call"), [], None)
    await ledger.aclose()

    assert "secret" not in str(lost.value)


async def test_a_user_without_rights_is_told_what_to_grant(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path)
    by_hand(url, "DROP ROLE IF EXISTS reader")
    by_hand(url, "CREATE ROLE reader LOGIN")
    ledger = await open_ledger(url.replace("postgres:@", "reader:@"))

    with pytest.raises(LedgerError, match=r"refused us .*: grant the user its tables, or CREATE on its schema"):
        await ledger.hold(a_hold("call"), [], None)
    await ledger.aclose()


async def test_a_server_that_hangs_is_given_up_and_nothing_is_held(tmp_path: Path) -> None:
    import psycopg  # noqa: PLC0415 - the other tests of this file need no driver

    url, limit = fresh_url("postgres", tmp_path), daily("1")
    ledger = DatabaseLedger(PostgresDatabase(url, patience_seconds=0.3))
    await ledger.hold(a_hold("first", "0.4"), [limit], None)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE holds IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LedgerError, match=r"did not answer within 0\.3 s: see what keeps PostgreSQL busy"):
            await ledger.hold(a_hold("second", "0.5"), [limit], None)
        with pytest.raises(LedgerError, match="did not answer"):  # at once: the server is known to be away
            await ledger.hold(a_hold("third", "0.5"), [limit], None)
        other.rollback()

    await anyio.sleep(1)
    (state,) = await ledger.read_budgets([limit], NOON)
    await ledger.aclose()
    assert state.held_usd == Decimal("0.4")


async def test_connections_that_were_cut_are_replaced_unseen(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path)
    ledger = await open_ledger(url)
    await ledger.settle(None, an_attempt("before"))

    by_hand(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mcp-llm-router'")
    await ledger.settle(None, an_attempt("after", started_at=NOON + 1))

    assert [attempt.call_id for attempt in await ledger.read_recent(5)] == ["after", "before"]
    await ledger.aclose()


async def test_what_is_brief_waits_in_a_thread_for_whoever_is_writing_and_others_go_on_meanwhile(path: Path) -> None:
    ledger = DatabaseLedger(SqliteDatabase(path))
    await ledger.settle(None, an_attempt("first", "0.1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    written: list[str] = []

    async def settling() -> None:
        await ledger.settle(None, an_attempt("second", "0.1"))
        written.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(settling)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert not written
        other.execute("COMMIT")
    other.close()

    assert written
    assert await ledger.find_differences() == []
    await ledger.aclose()


async def test_a_file_put_in_the_place_of_another_is_written_to_once_the_ledger_is_opened_afresh(path: Path) -> None:
    database = SqliteDatabase(path)
    ledger = DatabaseLedger(database)
    for name in ("first", "second", "third"):
        await ledger.settle(None, an_attempt(name, "0.1"))
    await ledger.aclose()
    path.unlink()

    for name in ("fourth", "fifth", "sixth"):
        await ledger.settle(None, an_attempt(name, "0.1"))

    assert [bool(await ledger.read_attempts(name)) for name in ("first", "fourth", "sixth")] == [False, True, True]
    await ledger.aclose()


async def test_the_write_ahead_log_stays_small_however_many_brief_writes_there_are(path: Path) -> None:
    ledger = DatabaseLedger(SqliteDatabase(path))

    for number in range(600):
        await ledger.settle(None, an_attempt(f"call {number}", "0.1"))

    assert path.with_name(f"{path.name}-wal").stat().st_size < 12_000_000
    await ledger.aclose()


@pytest.mark.parametrize("gone", ["main", "wal", "shm", "both logs", "replaced"])
async def test_ledger_file_deleted_in_use_loses_no_attempt(tmp_path: Path, gone: str) -> None:
    path, limit = tmp_path / "ledger.sqlite3", daily("1")
    ledger = await open_ledger(f"sqlite:///{path}", unwritten=tmp_path / "unwritten")
    await ledger.settle(None, an_attempt("first", "0.4"))
    by_hand(f"sqlite:///{path}", f"VACUUM INTO '{tmp_path / 'backup'}'")
    await ledger.settle(None, an_attempt("second", "0.5"))
    wal, shm = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    if gone == "replaced":
        (tmp_path / "backup").replace(path)
    for file in {"main": [path], "wal": [wal], "shm": [shm], "both logs": [wal, shm]}.get(gone, []):
        file.unlink()

    refusal = await ledger.hold(a_hold("next", "0.2"), [limit], None)

    assert isinstance(refusal, BudgetRefusal)
    assert refusal.spent_usd == Decimal("0.9")
    assert {attempt.call_id for attempt in await ledger.read_recent(5)} == {"first", "second"}
    assert await ledger.find_differences() == []
    await ledger.aclose()
    assert asked(f"sqlite:///{path}", "SELECT COUNT(*) FROM attempts") == [(2,)]
    assert not list(tmp_path.glob("*.rescued"))
