"""Latencies as counts in log-spaced buckets, so that a percentile costs the same over any number of attempts.

Each bucket is 10 % wider than the one before and is read at its geometric middle:
a percentile is off by at most 4.9 % (the square root of 1.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_RATIO = math.log(1.1)
_SHORTEST_MS = 0.01


def bucket_of(micros: int) -> int:
    """The bucket that a latency falls in."""
    return math.floor(math.log(max(micros / 1000, _SHORTEST_MS)) / _RATIO)


def longest_ms(bucket: int) -> float:
    """The latency that a bucket ends at."""
    return math.exp((bucket + 1) * _RATIO)


def percentile_ms(counts: Mapping[int, int], part: float) -> float | None:
    """The latency that `part` of all stay within, say 0.95; None where nothing was counted."""
    rank = math.ceil(part * sum(counts.values()))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank > 0:
            return math.exp((bucket + 0.5) * _RATIO)
    return None
