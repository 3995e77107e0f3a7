"""Periods in UTC days, as people write them: `yesterday`, `14d`, `last-month`, `2026-11`, or two dates."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from mcp_router.errors import BadInputError

_FORMS = "today, yesterday, 7d, month, last-month, all, 2026, 2026-11 or 2026-11-24"
_MAX_DAYS = 36_500
_DECEMBER = 12


class DateRange(NamedTuple):
    """A period, and how to name it."""

    label: str
    since: float | None
    """Seconds since the epoch, inclusive; None is unbounded."""
    until: float | None
    """Exclusive."""


def parse_range(period: str, first: str | None, last: str | None, today: date) -> DateRange:
    """Return a named period, or the days from `first` to `last` (both inclusive) if one of them is given.

    Raises:
        BadInputError: A text is not a period or a date.
    """
    if first is None and last is None:
        return _parse_period(period, today)
    start = None if first is None else _parse_date("--from", first)
    end = today if last is None else _parse_date("--to", last)
    if start is not None and start > end:
        raise BadInputError(f"--from {first}: is after {end}. Name an earlier day.")
    return _to_range(f"{start or 'the beginning'} to {end}", start, end + timedelta(days=1))


def _parse_period(period: str, today: date) -> DateRange:
    tomorrow = today + timedelta(days=1)
    month = today.replace(day=1)
    match period:
        case "all":
            return DateRange("all", None, None)
        case "today":
            return _to_range(period, today, tomorrow)
        case "yesterday":
            return _to_range(period, today - timedelta(days=1), today)
        case "month":
            return _to_range(period, month, tomorrow)
        case "last-month":
            start = (month - timedelta(days=1)).replace(day=1)
            return _to_range(f"{start:%Y-%m}", start, month)
        case _:
            return _parse_digits(period, tomorrow)


def _parse_digits(period: str, tomorrow: date) -> DateRange:
    if (days := re.fullmatch(r"(\d{1,5})d", period, re.ASCII)) and 0 < int(days[1]) <= _MAX_DAYS:
        return _to_range(period, tomorrow - timedelta(days=int(days[1])), tomorrow)
    try:
        if re.fullmatch(r"\d{4}", period, re.ASCII):
            start = date(int(period), 1, 1)
            return _to_range(period, start, date(start.year + 1, 1, 1))
        if re.fullmatch(r"\d{4}-\d{2}", period, re.ASCII):
            start = date.fromisoformat(f"{period}-01")
            return _to_range(period, start, next_month(start))
        start = date.fromisoformat(period)
        return _to_range(period, start, start + timedelta(days=1))
    except (ValueError, OverflowError) as exc:
        raise BadInputError(f"period {period!r}: is not a period. Write {_FORMS}.") from exc


def next_month(day: date) -> date:
    """Return the first day of the month after a day's."""
    return date(day.year + day.month // _DECEMBER, day.month % _DECEMBER + 1, 1)


def _parse_date(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise BadInputError(f"{option} {text}: is not a date. Write it as 2026-11-24.") from exc


def _to_range(label: str, start: date | None, end: date) -> DateRange:
    return DateRange(label, None if start is None else _midnight(start), _midnight(end))


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
