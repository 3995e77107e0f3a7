"""Ledgers of other versions: an older one is brought up to date with all it holds, a newer one is left alone."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import psycopg
import pytest

from mcp_router.ledger.calendar import day_from_time
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.migrations import CLUSTERED, MIGRATIONS, VERSION
from mcp_router.ledger.postgres import PostgresDatabase
from mcp_router.ledger.sql_ledger import DatabaseLedger
from mcp_router.ledger.sqlite import SqliteDatabase
from tests.support.ledgers import DAY, NOON, a_hold, an_attempt, asked, by_hand, fresh_url

VERSION_IN = {"sqlite": "PRAGMA user_version", "postgresql": "SELECT version FROM ledger_version"}
SET_VERSION = {"sqlite": "PRAGMA user_version = 99", "postgresql": "UPDATE ledger_version SET version = 99"}
YESTERDAY, TODAY = day_from_time(NOON) - 1, day_from_time(NOON)
OLD_CALLS = (
    ("a", YESTERDAY, "alice", 5),
    ("b", YESTERDAY, "local", 9_000),
    ("c", TODAY, "alice", 400),
    ("d", TODAY, "local", 200),
)
ROLLED = (
    "INSERT INTO rollups VALUES (?, ?, ?, ?, 1, 1, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, ?) "
    "ON CONFLICT (session, dim, value, day) DO UPDATE SET attempts = rollups.attempts + 1, calls = rollups.calls + 1, "
    "answered = rollups.answered + 1, cost_nano = rollups.cost_nano + 5, "
    "answered_micros = rollups.answered_micros + excluded.answered_micros"
)
TIMED = "INSERT INTO latencies VALUES (?, ?, ?, ?, ?, 1)"
ROW = (
    "INSERT INTO attempts VALUES (?, 1, 'morning', ?, 'analysis', 'economy', 'medium', '', 'groq:a', '', ?, ?, "
    "'answered', NULL, NULL, 'stop', NULL, NULL, NULL, NULL, NULL, NULL, 5, 'priced', NULL, '', ?)"
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


async def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(url: str) -> None:
    ledger = await open_ledger(url)
    await ledger.settle(None, an_attempt("call"))
    by_hand(url, SET_VERSION[url.partition(":")[0]])
    older = await open_ledger(url)

    with pytest.raises(LedgerError, match=f"has version 99, this mcp-llm-router knows {VERSION}: install a newer one"):
        await older.hold(a_hold("next"), [], None)

    await older.aclose()
    await ledger.aclose()
    assert asked(url, "SELECT COUNT(*) FROM attempts") == [(1,)]


async def test_a_server_that_runs_while_another_brings_its_ledger_to_a_newer_version_says_so(url: str) -> None:
    ledger = await open_ledger(url)
    await ledger.settle(None, an_attempt("call"))
    by_hand(url, "ALTER TABLE rollups RENAME TO sums")
    by_hand(url, SET_VERSION[url.partition(":")[0]])

    with pytest.raises(LedgerError, match="rollups"):
        await ledger.settle(None, an_attempt("next"))
    with pytest.raises(LedgerError, match=f"has version 99, this mcp-llm-router knows {VERSION}: install a newer one"):
        await ledger.settle(None, an_attempt("next"))

    await ledger.aclose()
    assert asked(url, "SELECT call_id FROM attempts") == [("call",)]


async def test_a_ledger_of_an_older_version_keeps_its_rows_and_gains_what_is_new(url: str) -> None:
    made_before(url, 1)
    by_hand(url, "INSERT INTO facts VALUES ('kept_from_day', 7)")

    ledger = await open_ledger(url)
    await ledger.store_text("alice", "c1", "said", NOON)
    kept = await ledger.read_text("alice", "c1")
    await ledger.aclose()

    assert kept == "said"
    assert asked(url, "SELECT name, value FROM facts") == [("kept_from_day", 7)]
    assert asked(url, VERSION_IN[url.partition(":")[0]]) == [(VERSION,)]


async def test_histograms_of_an_older_version_are_kept_and_those_it_had_not_are_counted_from_its_rows(url: str) -> None:
    made_before(url, 3)
    for call in OLD_CALLS:
        write_as_before(url, *call)
    # Of the first day only sums are left, as after pruning; a session's went with the rows.
    by_hand(url, "INSERT INTO facts VALUES ('kept_from_day', ?)", TODAY)
    by_hand(url, "DELETE FROM attempts WHERE day < ?", TODAY)
    by_hand(url, "DELETE FROM rollups WHERE session = 'morning' AND day < ?", TODAY)
    by_hand(url, "DELETE FROM latencies WHERE session = 'morning' AND day < ?", TODAY)

    ledger = await open_ledger(url)
    everybody = await ledger.summarize(since=None, until=None, session=None, group_by="use_case")
    session = await ledger.summarize(since=None, until=None, session="morning", group_by="use_case")
    today = await ledger.summarize(since=NOON, until=None, session="client:alice", group_by="client")
    await ledger.settle(None, an_attempt("new", seconds=3))
    problems = await ledger.find_differences()
    await ledger.aclose()

    assert everybody.total.latency_p50_ms == pytest.approx(200, rel=0.15)
    assert everybody.groups["analysis"].latency_p95_ms == pytest.approx(9_000, rel=0.15)
    assert session.groups["analysis"].latency_p50_ms == pytest.approx(200, rel=0.1)
    assert today.groups["alice"].latency_p95_ms == pytest.approx(400, rel=0.1)
    assert everybody.total.answered_attempts == sum(everybody.total.latencies) == 4
    assert problems == []


def write_as_before(url: str, call: str, day: int, client: str, milliseconds: int) -> None:
    """What the third version wrote of an answered attempt."""
    micros, bucket = 1_000 * milliseconds, math.floor(math.log(milliseconds) / math.log(1.1))
    values = {"all": "", "model": "groq:a", "use_case": "analysis", "budget_tier": "economy", "client": client}
    by_hand(url, ROW, call, client, day * DAY, micros, day)
    for book in ("", "morning", *([] if client == "local" else [f"client:{client}"])):
        for dim, value in values.items():
            by_hand(url, ROLLED, book, dim, value, day, micros)
            if not book or dim in {"all", "model"}:
                by_hand(url, TIMED, book, dim, value, day, bucket)


def made_before(url: str, version: int) -> None:
    """A ledger as an older version made it."""
    by_hand(url, "CREATE TABLE ledger_version (version BIGINT NOT NULL)")
    by_hand(url, "INSERT INTO ledger_version VALUES (?)", version)
    for step in MIGRATIONS[:version]:
        for sql in step:
            by_hand(url, sql.replace(CLUSTERED, "WITHOUT ROWID" if url.startswith("sqlite") else ""))
    if url.startswith("sqlite"):
        by_hand(url, "DROP TABLE ledger_version")
        by_hand(url, f"PRAGMA user_version = {version}")


async def test_bringing_a_ledger_up_to_date_is_ended_and_who_asked_for_it_is_answered(
    tmp_path: Path,
) -> None:
    url = fresh_url("postgres", tmp_path)
    made_before(url, 3)
    impatient = DatabaseLedger(PostgresDatabase(url, patience_seconds=0.5))

    with psycopg.connect(url) as other:
        other.execute(b"SELECT pg_advisory_xact_lock(7236001551)")  # as another server that migrates would hold it
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(impatient.read_availability, NOON)
            await anyio.sleep(1)
            other.commit()

    assert asked(url, VERSION_IN["postgresql"]) == [(VERSION,)]
    assert await impatient.find_differences() == []
    await impatient.aclose()


async def test_a_server_that_starts_while_another_brings_the_ledger_up_to_date_says_so_and_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = fresh_url("sqlite", tmp_path)
    made_before(url, 3)
    impatient = DatabaseLedger(SqliteDatabase(tmp_path / "ledger.sqlite3", patience_seconds=0.1))

    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN EXCLUSIVE")  # as another server that migrates would hold it
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(impatient.read_availability, NOON)
            await anyio.sleep(0.5)
            other.execute("ROLLBACK")

    assert asked(url, VERSION_IN["sqlite"]) == [(VERSION,)]
    assert await impatient.find_differences() == []
    await impatient.aclose()
    (line,) = caplog.messages
    assert f"ledger.sqlite3 from version 3 to {VERSION}, or waiting for another server that does" in line
