"""The ledger's fourth version: histograms stand in the rollups' own columns instead of a table of their own.

That table had a row for every bucket that ever occurred, so that reading it took longer the more was asked. Its
buckets were each a tenth longer than the one before; the new ones take in what had its middle in them. In the book of
a session or a client it held only the whole and each model: the other histograms are counted from the rows, as far as
those were kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from mcp_router.ledger.latency_histogram import BOUNDS_MS, BUCKETS

_OLD_RATIO: Final = math.log(1.1)
_KEY: Final = "session, dim, value, day"
_UNTIMED: Final = ("use_case", "budget_tier", "client")
_BOOKS: Final = (("session", "session <> ''"), ("'client:' || client", "client NOT IN ('local', 'cli')"))


def steps(rollups: str) -> Iterator[str]:
    """Make the table anew, which SQLite does much faster than it adds fifty columns, and fill it from the two."""
    columns = "".join(f"    {bucket} INTEGER NOT NULL DEFAULT 0,\n" for bucket in BUCKETS)
    yield "ALTER TABLE rollups RENAME TO rollups_before"
    yield rollups.replace("    PRIMARY KEY", f"{columns}    PRIMARY KEY")
    yield (
        f"INSERT INTO rollups SELECT before.*, {', '.join(f'COALESCE({bucket}, 0)' for bucket in BUCKETS)} "  # noqa: S608 - only our own names
        f"FROM rollups_before AS before LEFT JOIN ({_timed()}) AS timed ON "
        + " AND ".join(f"before.{name} = timed.{name}" for name in _KEY.split(", "))
    )
    yield "DROP TABLE rollups_before"
    yield "DROP TABLE latencies"


def _timed() -> str:
    moved = f"SELECT {_KEY}, {_counts('bucket', 'attempts', _old_bounds())} FROM latencies GROUP BY {_KEY}"  # noqa: S608 - only our own names
    micros = _counts("micros", "1", [1_000 * bound for bound in BOUNDS_MS])
    counted = (
        f"SELECT {book}, '{dim}', {dim}, day, {micros} "  # noqa: S608 - only our own names
        f"FROM attempts WHERE outcome = 'answered' AND {which} GROUP BY {book}, {dim}, day"
        for dim in _UNTIMED
        for book, which in _BOOKS
    )
    return " UNION ALL ".join((moved, *counted))


def _old_bounds() -> list[int]:
    """The last of the old buckets whose middle is within each bound."""
    return [math.floor(math.log(bound) / _OLD_RATIO - 0.5) for bound in BOUNDS_MS]


def _counts(of: str, count: str, bounds: Sequence[int]) -> str:
    """Add up each bucket's."""
    held = (
        f"{of} <= {bounds[0]}",
        *(f"{of} > {low} AND {of} <= {high}" for low, high in pairwise(bounds)),
        f"{of} > {bounds[-1]}",
    )
    return ", ".join(
        f"SUM(CASE WHEN {which} THEN {count} ELSE 0 END) AS {bucket}"
        for which, bucket in zip(held, BUCKETS, strict=True)
    )
