"""Sums by UTC day and thing grouped by, kept beside the rows, so that a summary costs the same over any number of them.

A rollup row is one day of one value of one dimension (`model`, `client`, ...; `all` has one value), once for
everybody (session ''), once for the session, and once for a client with a token. Providers are the models' sums
by the part before the colon. Beside the sums stand as many columns as `latency` has buckets.
Budgets read the same rows: there is no second book that could disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mcp_router.ledger.calendar import day_from_time
from mcp_router.ledger.latency_histogram import BUCKETS, find_bucket
from mcp_router.ledger.queries.attempts import clean, micros_from_seconds
from mcp_router.ledger.queries.statements import Statement
from mcp_router.ledger.records import Attempt
from mcp_router.money import nano_from_cost

SUMS = (
    "attempts",
    "calls",
    "fallbacks",
    "failed",
    "answered",
    "input_tokens",
    "output_tokens",
    "answered_output_tokens",
    "cost_nano",
    "uncertain_nano",
    "unpriced",
    "baseline_nano",
    "answered_micros",
    "lost",
)
"""What a rollup row adds up, in the order of its columns; its histogram counts the answered attempts."""

Key = tuple[str, str, str, int]

DIMS = ("all", "model", "use_case", "budget_tier", "client")

OWNERS = ("local", "cli")
"""Clients that are whoever started the process, and see everything."""


def format_client_book(client: str) -> str:
    """The `session` under which a client's own sums are kept; no session's name has a colon."""
    return f"client:{client}"


def list_books(session: str, client: str) -> set[str]:
    """The `session`s an attempt is added up under."""
    return {"", session} if client in OWNERS else {"", session, format_client_book(client)}


def add(attempt: Attempt) -> Statement:
    """Put an attempt on every rollup it belongs to."""
    sessions, values, bucket = _books_of(attempt), _values_of(attempt), find_answer_bucket(attempt)
    timed = None if bucket is None else BUCKETS[bucket]
    return Statement(
        _upsert(len(sessions), timed),
        (day_from_time(attempt.started_at), *compute_sums(attempt), *sessions, *values[1:]),
    )


def subtract_lost(attempt: Attempt) -> Statement:
    """Take a lost attempt off its rollups: it was recorded after all."""
    sessions, values = _books_of(attempt), _values_of(attempt)
    sums = (-each for each in compute_sums(attempt))
    return Statement(_upsert(len(sessions), None), (day_from_time(attempt.started_at), *sums, *sessions, *values[1:]))


def list_keys(attempt: Attempt) -> Iterator[Key]:
    """Session, dimension, value and day of every rollup that an attempt belongs to."""
    day, values = day_from_time(attempt.started_at), _values_of(attempt)
    return ((book, dim, value, day) for book in _books_of(attempt) for dim, value in zip(DIMS, values, strict=True))


def _books_of(attempt: Attempt) -> set[str]:
    return list_books(clean(attempt.session), clean(attempt.client))


def _values_of(attempt: Attempt) -> tuple[str, ...]:
    values = (attempt.model, attempt.use_case, attempt.budget_tier, attempt.client)
    return ("", *map(clean, values))


def find_answer_bucket(attempt: Attempt) -> int | None:
    """Where an attempt stands in the histograms; only answers do."""
    return find_bucket(micros_from_seconds(attempt.seconds)) if attempt.outcome == "answered" else None


def compute_sums(attempt: Attempt) -> tuple[int, ...]:
    """What an attempt adds to `SUMS`."""
    answered = attempt.outcome == "answered"
    cost = 0 if attempt.cost_usd is None else nano_from_cost(attempt.cost_usd)
    baseline = 0 if attempt.baseline_usd is None else nano_from_cost(attempt.baseline_usd)
    return (
        1,
        int(attempt.number == 1),
        int(attempt.number == 2),  # noqa: PLR2004 - a call's second attempt makes it a call that fell back
        int(attempt.outcome in {"failed", "lost"}),
        int(answered),
        attempt.input_tokens or 0,
        attempt.output_tokens or 0,
        (attempt.output_tokens or 0) if answered else 0,
        cost,
        cost if attempt.cost_source == "bound" else 0,
        int(attempt.cost_usd is None),
        baseline if answered else 0,
        micros_from_seconds(attempt.seconds) if answered else 0,
        int(attempt.outcome == "lost"),
    )


@cache
def _upsert(books: int, bucket: str | None) -> str:
    """Add the day's `SUMS` to so many books of `DIMS`, whose values follow (that of the whole is '')."""
    columns = (*SUMS, *(() if bucket is None else (bucket,)))
    added = ", ".join(f"{name} = rollups.{name} + excluded.{name}" for name in columns)
    one = ", ".join("1" if name == bucket else "?" for name in ("day", *columns))
    things = ", ".join(("('all', '')", *(f"('{dim}', ?)" for dim in DIMS[1:])))
    # In one order everywhere: no two writers wait for each other in a ring.
    return (
        f"INSERT INTO rollups (session, dim, value, day, {', '.join(columns)}) "  # noqa: S608 - only our own names
        f"SELECT books.column1, things.column1, things.column2, {one} "
        f"FROM (VALUES {', '.join(['(?)'] * books)}) AS books CROSS JOIN (VALUES {things}) AS things "
        f"WHERE true ORDER BY 1, 2, 3 ON CONFLICT (session, dim, value, day) DO UPDATE SET {added}"
    )
