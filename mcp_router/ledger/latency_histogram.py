"""Latencies as counts in fixed buckets, so a percentile costs the same for any number of attempts."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

_STEPS: Final = (1.0, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0, 3.6, 4.3, 5.0, 6.0, 7.2, 8.5)
"""Each is at most 21 % above the one before."""

BOUNDS_MS: Final = (
    *(20, 30, 40, 50, 70),
    *(round(step * decade) for decade in (100, 1_000, 10_000) for step in _STEPS),
    *(100_000, 120_000, 180_000, 300_000),
)
"""Upper bound of each bucket. One bucket without a bound follows. From 100 ms to 120 s a percentile is off by at most
10 % (the square root of 1.21). The ledger has a column for each bucket, so other bounds need a migration.
"""

BUCKETS: Final = tuple(f"b{number:02}" for number in range(len(BOUNDS_MS) + 1))
"""Column of each bucket."""

_BOUNDS_MICROS: Final = tuple(1_000 * bound for bound in BOUNDS_MS)


def find_bucket(micros: int) -> int:
    """Return the bucket of a latency."""
    return bisect_left(_BOUNDS_MICROS, micros)


def count_within(counts: Sequence[int], milliseconds: float) -> int:
    """Return how many latencies are at most `milliseconds`, which must be one of the bounds."""
    return sum(counts[: bisect_left(BOUNDS_MS, milliseconds) + 1])


def compute_percentiles_ms(counts: Sequence[int], *parts: float) -> list[float | None]:
    """Return the latency at each part, for example 0.95; None if there are no counts."""
    up_to = list(accumulate(counts))
    ranks = [math.ceil(part * up_to[-1]) if up_to else 0 for part in parts]
    return [_at(rank, counts, up_to) if rank > 0 else None for rank in ranks]


def _at(rank: int, counts: Sequence[int], up_to: Sequence[int]) -> float:
    bucket = bisect_left(up_to, rank)
    return _between(bucket, (rank - up_to[bucket] + counts[bucket] - 0.5) / counts[bucket])


def _between(bucket: int, part: float) -> float:
    """Return the latency at a part of a bucket, as if its latencies were spread evenly over the logarithm."""
    if bucket == 0:
        return part * BOUNDS_MS[0]
    if bucket == len(BOUNDS_MS):
        return float(BOUNDS_MS[-1])
    shortest, longest = BOUNDS_MS[bucket - 1], BOUNDS_MS[bucket]
    return shortest * math.pow(longest / shortest, part)
