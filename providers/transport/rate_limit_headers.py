"""Parses the headers by which vendors limit requests: `Retry-After` and what is left of a rate limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from providers.completion import Limits
from providers.transport.payload import get_path, to_list, to_mapping, to_text

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MIN_EPOCH_S = 1e9
"""A bare number from here on is a moment since the epoch, in seconds or milliseconds."""


def parse_retry_after(headers: Mapping[str, str], body: object, *, now: float) -> float | None:
    """Return the seconds a vendor asks to wait, or None; `now` is in seconds since the epoch.

    `Retry-After` wins over a delay in the body, and both over the reset of a rate limit.
    """
    milliseconds = _parse_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = headers.get("retry-after")
    if header is not None:
        return _parse_wait(header, now)
    delay = _parse_retry_delay(body)
    return delay if delay is not None else _parse_reset(headers.get("x-ratelimit-reset"), now)


def parse_rate_limits(headers: Mapping[str, str], *, now: float, retry_after: float | None = None) -> Limits | None:
    """Return what is left of requests and tokens, or None if the headers do not say.

    A reset later than `retry_after` (seconds) is replaced by it: the vendor accepts requests again by then.
    """
    if not any("ratelimit" in name.lower() for name in headers):
        return None
    found = _parse_limits(headers, now)
    if found is None or retry_after is None:
        return found
    return replace(
        found,
        requests_reset_seconds=_at_most(found.requests_reset_seconds, retry_after),
        tokens_reset_seconds=_at_most(found.tokens_reset_seconds, retry_after),
    )


def _at_most(seconds: float | None, most: float) -> float | None:
    return None if seconds is None else min(seconds, most)


def _parse_limits(headers: Mapping[str, str], now: float) -> Limits | None:
    found = _parse_family(headers, "anthropic-ratelimit-{what}-{kind}", now) or _parse_family(
        headers, "x-ratelimit-{kind}-{what}", now
    )
    if found is not None:
        return found
    # OpenRouter counts requests alone. https://openrouter.ai/docs/api-reference/limits
    limit, left = _parse_int(headers.get("x-ratelimit-limit")), _parse_int(headers.get("x-ratelimit-remaining"))
    if limit is None and left is None:
        return None
    reset = _parse_reset(headers.get("x-ratelimit-reset"), now)
    return Limits(requests_limit=limit, requests_left=left, requests_reset_seconds=reset)


def _parse_family(headers: Mapping[str, str], name: str, now: float) -> Limits | None:
    def header(what: str, kind: str) -> str | None:
        return headers.get(name.format(what=what, kind=kind))

    found = Limits(
        requests_limit=_parse_int(header("requests", "limit")),
        requests_left=_parse_int(header("requests", "remaining")),
        requests_reset_seconds=_parse_reset(header("requests", "reset"), now),
        tokens_limit=_parse_int(header("tokens", "limit")),
        tokens_left=_parse_int(header("tokens", "remaining")),
        tokens_reset_seconds=_parse_reset(header("tokens", "reset"), now),
    )
    return None if found == Limits() else found


def _parse_retry_delay(body: object) -> float | None:
    # Gemini writes the wait into the body. https://ai.google.dev/gemini-api/docs/rate-limits
    entries = to_list(body)
    for detail in to_list(get_path(entries[0] if entries else body, "error", "details")):
        if to_text(to_mapping(detail).get("@type")).endswith("RetryInfo"):
            return _parse_duration(to_text(to_mapping(detail).get("retryDelay")))
    return None


def _parse_wait(value: str, now: float) -> float | None:
    seconds = _parse_seconds(value, now)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return _parse_reset(value, now)  # some gateways write a span or an ISO moment
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)


def _parse_reset(value: str | None, now: float) -> float | None:
    if not value:
        return None
    seconds = _parse_seconds(value, now)
    if seconds is not None:
        return seconds
    span = _parse_duration(value)
    if span is not None:
        return span
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)


def _parse_seconds(value: str, now: float) -> float | None:
    """Parse a bare number: seconds, or a moment since the epoch."""
    number = _parse_number(value)
    if number is None or number < _MIN_EPOCH_S:
        return number
    return max(0.0, (number / 1000 if number >= _MIN_EPOCH_S * 1000 else number) - now)


def _parse_duration(value: str) -> float | None:
    parts = _SPAN.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _parse_number(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"\s*\d{1,15}(\.\d+)?\s*", value):
        return None
    return float(value)


def _parse_int(value: str | None) -> int | None:
    number = _parse_number(value)
    return None if number is None else int(number)
