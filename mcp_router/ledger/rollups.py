"""Sums by UTC day and thing grouped by, kept beside the rows, so that a summary costs the same over any number of them.

A rollup row is one day of one value of one dimension (`model`, `client`, ...; `all` has one value), once for
everybody (session ''), once for the session, and once for a client with a token. Providers are the models' sums
by the part before the colon.
Budgets read the same rows: there is no second book that could disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from mcp_router.ledger import Attempt
from mcp_router.ledger.latency import bucket_of
from mcp_router.ledger.nano import cost_nano
from mcp_router.ledger.periods import day_of
from mcp_router.ledger.rows import clean, micros
from mcp_router.ledger.statements import Statement, Value

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
)
"""What a rollup row adds up, in the order of its columns."""

DIMS = ("all", "model", "use_case", "budget_tier", "client")

_TIMED_IN_EVERY_BOOK = ("all", "model")

OWNERS = ("local", "cli")
"""Clients that are whoever started the process, and see everything."""


def client_book(client: str) -> str:
    """The `session` under which a client's own sums are kept; no session's name has a colon."""
    return f"client:{client}"


def books(session: str, client: str) -> set[str]:
    """The `session`s an attempt is added up under."""
    return {"", session} if client in OWNERS else {"", session, client_book(client)}


def timed(book: str, dim: str) -> bool:
    """Whether latencies are kept there. In the book of a session or a client only those of the whole and of each
    model are: histograms of every grouping would take more room than the rows.
    """
    return book == "" or dim in _TIMED_IN_EVERY_BOOK


def add(attempt: Attempt) -> tuple[Statement, ...]:
    """Put an attempt on every rollup it belongs to."""
    keys = sorted(_keys(attempt))  # one order everywhere: no two writers wait for each other in a ring
    sums = _sums(attempt)
    rolled = Statement(upsert_rollups(len(keys)), [value for key in keys for value in (*key, *sums)])
    if attempt.outcome != "answered":
        return (rolled,)
    bucket = bucket_of(micros(attempt.seconds))
    kept = [key for key in keys if timed(key[0], key[1])]
    counted = Statement(upsert_latencies(len(kept)), [value for key in kept for value in (*key, bucket, 1)])
    return rolled, counted


def _keys(attempt: Attempt) -> Iterable[tuple[str, str, str, int]]:
    day = day_of(attempt.started_at)
    values = ("", attempt.model, attempt.use_case, attempt.budget_tier, attempt.client)
    for session in books(clean(attempt.session), clean(attempt.client)):
        for dim, value in zip(DIMS, values, strict=True):
            yield session, dim, clean(value), day


def _sums(attempt: Attempt) -> tuple[Value, ...]:
    answered = attempt.outcome == "answered"
    cost = 0 if attempt.cost_usd is None else cost_nano(attempt.cost_usd)
    baseline = 0 if attempt.baseline_usd is None else cost_nano(attempt.baseline_usd)
    return (
        1,
        int(attempt.number == 1),
        int(attempt.number == 2),  # noqa: PLR2004 - a call's second attempt makes it a call that fell back
        int(attempt.outcome == "failed"),
        int(answered),
        attempt.input_tokens or 0,
        attempt.output_tokens or 0,
        (attempt.output_tokens or 0) if answered else 0,
        cost,
        cost if attempt.cost_source == "bound" else 0,
        int(attempt.cost_usd is None),
        baseline if answered else 0,
        micros(attempt.seconds) if answered else 0,
    )


@cache
def upsert_rollups(count: int) -> str:
    """Add so many rows to the sums: session, dimension, value, day, then `SUMS`."""
    row = f"({', '.join('?' * (4 + len(SUMS)))})"
    return (
        f"INSERT INTO rollups (session, dim, value, day, {', '.join(SUMS)}) VALUES {', '.join([row] * count)} "  # noqa: S608 - only our own names
        "ON CONFLICT (session, dim, value, day) DO UPDATE SET "
        + ", ".join(f"{name} = rollups.{name} + excluded.{name}" for name in SUMS)
    )


@cache
def upsert_latencies(count: int) -> str:
    """Add so many rows to the histograms: session, dimension, value, day, bucket, attempts."""
    return (
        "INSERT INTO latencies (session, dim, value, day, bucket, attempts) "  # noqa: S608 - only question marks
        f"VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * count)} "
        "ON CONFLICT (session, dim, day, value, bucket) DO UPDATE SET attempts = latencies.attempts + excluded.attempts"
    )
