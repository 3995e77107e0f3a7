"""Days and months in UTC: the calendar that budgets and rollups share.

A day is a number, counted from 1970-01-01, and comes from the attempt's own clock. A clock that jumps back only moves
later spending into the day it shows. No sum changes.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Literal

DAY_SECONDS = 86_400
MAX_CLOCK_SKEW_S = 60.0
"""Accepted clock difference between machines. A row further ahead was written before a clock jumped back."""
_EPOCH = date(1970, 1, 1).toordinal()


def day_from_time(at: float) -> int:
    """Return the UTC day of a time."""
    return math.floor(at / DAY_SECONDS)


def first_day_after(at: float) -> int:
    """Return the first UTC day that begins at or after a time."""
    return math.ceil(at / DAY_SECONDS)


def iso_from_day(day: int) -> str:
    """Return a day as ISO date, for example `2026-11-24`."""
    return date.fromordinal(day + _EPOCH).isoformat()


def find_period(period: Literal["day", "month"], now: float) -> tuple[int, int]:
    """Return the first day of the current period and the first day after it."""
    today = day_from_time(now)
    if period == "day":
        return today, today + 1
    first = date.fromordinal(today + _EPOCH).replace(day=1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first.toordinal() - _EPOCH, after.toordinal() - _EPOCH
