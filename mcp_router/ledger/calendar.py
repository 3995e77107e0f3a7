"""Days and months in UTC: the calendar that budgets and rollups share.

A day is a number, counted from 1970-01-01, and comes from the clock of the attempt itself. A clock that
jumps back therefore only moves later spending into the day it claims to be; no sum changes.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Literal

DAY_SECONDS = 86_400
MAX_CLOCK_SKEW_S = 60.0
"""Clocks of several machines may differ by this much; what is further ahead was written before a clock jumped back."""
_EPOCH = date(1970, 1, 1).toordinal()


def day_from_time(at: float) -> int:
    """The UTC day that a moment lies in."""
    return math.floor(at / DAY_SECONDS)


def first_day_after(at: float) -> int:
    """The first UTC day that begins at a moment or later."""
    return math.ceil(at / DAY_SECONDS)


def iso_from_day(day: int) -> str:
    """Say `2026-11-24`."""
    return date.fromordinal(day + _EPOCH).isoformat()


def find_period(period: Literal["day", "month"], now: float) -> tuple[int, int]:
    """The period around now: its first day, and the first day after it."""
    today = day_from_time(now)
    if period == "day":
        return today, today + 1
    first = date.fromordinal(today + _EPOCH).replace(day=1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first.toordinal() - _EPOCH, after.toordinal() - _EPOCH
