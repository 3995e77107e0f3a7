"""Looks into the ledger afterwards: is every answer a row, do sums agree, is any money left on hold."""

from __future__ import annotations

import json
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.records import Attempt, Budget
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import command, environment

_ALL = 1_000_000
_AFTER_EVERY_LEASE = 600.0
_NO_LIMIT = Budget(name="all", period="month", limit_usd=Decimal(1_000_000))


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """What a ledger says."""

    rows: list[Attempt]
    held_usd: Decimal
    """Once every lease is over."""
    problems: str
    """What `doctor` says of it; empty when all is well."""

    @property
    def spent_usd(self) -> Decimal:
        """All rows together."""
        return sum((row.cost_usd or Decimal(0) for row in self.rows), Decimal(0))


async def opened(ground: Ground, room: Path, config: Path, ledger: Path | None = None) -> Books:
    """Read a ledger that nobody serves any more, and have `doctor` look at it first."""
    problems = await _doctor(ground, room, config)
    reading = await open_ledger(f"sqlite:///{ledger or room / 'ledger.sqlite3'}")
    rows = await reading.read_recent(_ALL)
    (state,) = await reading.read_budgets([_NO_LIMIT], time.time() + _AFTER_EVERY_LEASE)
    await reading.aclose()
    return Books(rows=rows, held_usd=state.held_usd, problems=problems)


def demand_a_row_each(figures: Figures, books: Books, asked: int) -> None:
    """Every request that vendors saw is a row, and every other row is of an attempt that never got there."""
    # A connection that the vendor closed a moment earlier cuts a request that nobody ever saw.
    unsent = sum(row.error in ("timeout", "unavailable", "cancelled", "broken_answer") for row in books.rows)
    kept = asked <= len(books.rows) <= asked + unsent
    figures.demand(kept, f"{asked} requests came to the vendors, {len(books.rows)} attempts are written")


def demand_whole(figures: Figures, books: Books, answered: AbstractSet[str]) -> None:
    """No row is lost that a caller was answered by, sums agree, and no money stays on hold."""
    lost = answered - {row.call_id for row in books.rows if row.outcome == "answered"}
    figures.demand(not lost, f"{len(lost)} answered calls have no row: {sorted(lost)[:3]}")
    figures.demand(not books.problems, f"doctor: {books.problems}")
    figures.demand(books.held_usd == 0, f"{books.held_usd} USD stay on hold")


async def _doctor(ground: Ground, room: Path, config: Path) -> str:
    run = await anyio.run_process(
        [*command(config, "doctor"), "--json"], env=environment(ground, room), cwd=room, check=False
    )
    with (room / "doctor.stdout").open("ab") as file:
        file.write(run.stdout + run.stderr)
    (ledger,) = (one for one in json.loads(run.stdout) if one["what"] == "ledger")
    return "" if ledger["state"] == "ok" else ledger["found"]
