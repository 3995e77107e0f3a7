"""Rollups: sums by UTC day and dimension, so a summary costs the same for any number of attempts.

A rollup is one day of one value of one dimension (`model`, `client`, ...; `all` has one value). It exists once for all
(session ''), once for the session, and once for a client with a token. A provider's sums are those of its models.
After the sums there is one column per bucket of `latency_histogram`. Budgets read the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mcp_router.ledger.calendar import day_from_time
from mcp_router.ledger.latency_histogram import BUCKETS, find_bucket
from mcp_router.ledger.queries.attempts import clean, micros_from_seconds
from mcp_router.ledger.queries.statements import Statement
from mcp_router.ledger.records import COMPARED, TRIAL, Attempt
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
"""Sums of a rollup, in the order of its columns. Its histogram counts the answered attempts."""

Key = tuple[str, str, str, int]

DIMS = ("all", "model", "use_case", "budget_tier", "client", "project")

OWNERS = ("local", "cli", TRIAL)
"""Clients of the user who started the process, which see all attempts."""


def format_client_book(client: str) -> str:
    """Return the `session` of a client's own rollups. No real session's name has a colon."""
    return f"client:{client}"


def list_books(session: str, client: str) -> set[str]:
    """Return the `session` values of an attempt's rollups."""
    return {"", session} if client in OWNERS else {"", session, format_client_book(client)}


def add(attempt: Attempt) -> Statement:
    """Return the statement that adds an attempt to its rollups."""
    sessions, values, bucket = _books_of(attempt), _values_of(attempt), find_answer_bucket(attempt)
    timed = None if bucket is None else BUCKETS[bucket]
    return Statement(
        _upsert(len(sessions), timed),
        (day_from_time(attempt.started_at), *compute_sums(attempt), *sessions, *values[1:]),
    )


def subtract_lost(attempt: Attempt) -> Statement:
    """Return the statement that subtracts a lost attempt, which was recorded after all, from its rollups."""
    sessions, values = _books_of(attempt), _values_of(attempt)
    sums = (-each for each in compute_sums(attempt))
    return Statement(_upsert(len(sessions), None), (day_from_time(attempt.started_at), *sums, *sessions, *values[1:]))


def list_keys(attempt: Attempt) -> Iterator[Key]:
    """Return session, dimension, value and day of every rollup of an attempt."""
    day, values = day_from_time(attempt.started_at), _values_of(attempt)
    return ((book, dim, value, day) for book in _books_of(attempt) for dim, value in zip(DIMS, values, strict=True))


def _books_of(attempt: Attempt) -> set[str]:
    return list_books(clean(attempt.session), clean(attempt.client))


def _values_of(attempt: Attempt) -> tuple[str, ...]:
    values = (attempt.model, attempt.use_case, attempt.budget_tier, attempt.client, attempt.project)
    return ("", *map(clean, values))


def find_answer_bucket(attempt: Attempt) -> int | None:
    """Return the histogram bucket of an answered attempt; None for others."""
    return find_bucket(micros_from_seconds(attempt.seconds)) if attempt.outcome == "answered" else None


def compute_sums(attempt: Attempt) -> tuple[int, ...]:
    """Return the summands of an attempt, in the order of `SUMS`."""
    answered = attempt.outcome == "answered"
    cost = 0 if attempt.cost_usd is None else nano_from_cost(attempt.cost_usd)
    baseline = 0 if attempt.baseline_usd is None else nano_from_cost(attempt.baseline_usd)
    return (
        1,
        int(attempt.number == 1),
        int(attempt.number == 2 and not attempt.why.startswith(COMPARED)),  # noqa: PLR2004 - it makes its call a fallback
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
    """Return the SQL that adds a day's `SUMS` to the rollups of `DIMS` in so many sessions."""
    columns = (*SUMS, *(() if bucket is None else (bucket,)))
    added = ", ".join(f"{name} = rollups.{name} + excluded.{name}" for name in columns)
    one = ", ".join("1" if name == bucket else "?" for name in ("day", *columns))
    things = ", ".join(("('all', '')", *(f"('{dim}', ?)" for dim in DIMS[1:])))
    # One order for all writers prevents deadlocks.
    return (
        f"INSERT INTO rollups (session, dim, value, day, {', '.join(columns)}) "  # noqa: S608 - only our own names
        f"SELECT books.column1, things.column1, things.column2, {one} "
        f"FROM (VALUES {', '.join(['(?)'] * books)}) AS books CROSS JOIN (VALUES {things}) AS things "
        f"WHERE true ORDER BY 1, 2, 3 ON CONFLICT (session, dim, value, day) DO UPDATE SET {added}"
    )
