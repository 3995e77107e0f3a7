"""What a hold and a summary take does not grow with what was written before, counted in SQLite's own steps."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.queries.holds import hold
from mcp_router.ledger.queries.statements import Script
from mcp_router.ledger.queries.summaries import summarize
from mcp_router.ledger.records import Attempt, GroupBy
from tests.support.ledgers import DAY, NOON, a_hold, an_attempt, daily, monthly

LIMITS = [daily("1000000"), monthly("1000000"), daily("1000000", "alice")]
GROUPS: list[GroupBy | None] = [None, "provider", "model", "use_case", "budget_tier", "client", "day"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


async def settle(path: Path, *attempts: Attempt) -> None:
    ledger = await open_ledger(f"sqlite:///{path}")
    for attempt in attempts:
        await ledger.settle(None, attempt)
    await ledger.aclose()


def steps(path: Path, script: Script[Any]) -> int:
    """How many instructions SQLite runs for a script."""
    counter = itertools.count()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(lambda: next(counter) < 0, 1)
        statements = next(script)
        try:
            while True:
                statements = script.send([connection.execute(sql, values).fetchall() for sql, values in statements])
        except StopIteration:
            return next(counter)


@pytest.mark.parametrize("group_by", GROUPS)
async def test_a_summary_of_many_attempts_takes_no_more_than_one_of_few(path: Path, group_by: GroupBy | None) -> None:
    await settle(path, an_attempt("first"), an_attempt("yesterday", started_at=NOON - DAY))
    few = steps(path, summarize(since=None, until=None, session=None, group_by=group_by))
    await settle(path, *(an_attempt(str(taken), seconds=taken**3 / 100) for taken in range(60)))

    many = steps(path, summarize(since=None, until=None, session=None, group_by=group_by))

    assert many == few


async def test_a_hold_takes_no_more_in_a_ledger_of_many_days_models_and_use_cases(path: Path) -> None:
    old = path.with_name("old.sqlite3")
    before = [
        an_attempt(f"{day} {name}", model=f"groq:{name}", use_case=f"{name}", started_at=NOON - 40 * DAY - day * DAY)
        for day in range(10)
        for name in range(10)
    ]
    await settle(path, an_attempt("first"))
    await settle(old, an_attempt("first"), *before)

    assert steps(old, hold(a_hold("a"), LIMITS, None)) == steps(path, hold(a_hold("a"), LIMITS, None))
