"""Ledgers of other versions: those of a pre-release or a newer release are refused and left unchanged."""

from __future__ import annotations

from pathlib import Path

import anyio
import psycopg
import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.migrations import VERSION
from mcp_router.ledger.postgres import PostgresDatabase
from mcp_router.ledger.sql_ledger import DatabaseLedger
from tests.support.ledgers import NOON, a_hold, an_attempt, asked, by_hand, fresh_url

VERSION_IN = {"sqlite": "PRAGMA user_version", "postgresql": "SELECT version FROM ledger_schema"}
SET_VERSION = {"sqlite": "PRAGMA user_version = 99", "postgresql": "UPDATE ledger_schema SET version = 99"}


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


async def test_ledger_of_a_prerelease_is_refused_and_unchanged(url: str) -> None:
    by_hand(url, "CREATE TABLE attempts (call_id TEXT)")
    by_hand(url, "INSERT INTO attempts VALUES ('old')")
    if url.startswith("sqlite"):
        by_hand(url, "PRAGMA user_version = 5")
    else:
        by_hand(url, "CREATE TABLE ledger_version (version BIGINT NOT NULL)")
    ledger = await open_ledger(url)

    with pytest.raises(LedgerError, match=r"written before release 0\.1\.0 in a layout that is not read: .* unchanged"):
        await ledger.hold(a_hold("next"), [], None)

    await ledger.aclose()
    assert asked(url, "SELECT call_id FROM attempts") == [("old",)]


async def test_waiting_for_another_server_that_makes_the_tables_succeeds(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path)
    impatient = DatabaseLedger(PostgresDatabase(url, patience_seconds=0.5))

    with psycopg.connect(url) as other:
        other.execute(b"SELECT pg_advisory_xact_lock(7236001551)")  # as another server that migrates would hold it
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(impatient.read_availability, NOON)
            await anyio.sleep(1)
            other.commit()

    assert asked(url, VERSION_IN["postgresql"]) == [(VERSION,)]
    await impatient.aclose()
