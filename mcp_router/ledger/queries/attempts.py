"""Attempts as rows: encoding, decoding and queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import cast

from mcp_router.ledger.calendar import day_from_time
from mcp_router.ledger.queries.statements import (
    Row,
    Script,
    Statement,
    Value,
    ask,
    real,
    text,
    text_or_none,
    whole,
    whole_or_none,
)
from mcp_router.ledger.records import Attempt, CostSource, Outcome, RecordedCall
from mcp_router.money import nano_from_cost, usd_from_nano, valid_cost_or_none

COLUMNS = (
    "call_id, number, session, client, use_case, budget_tier, complexity, inferred, model, why, started_at, micros, "
    "outcome, error, detail, finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
    "reasoning_tokens, searches, cost_nano, cost_source, baseline_nano, baseline, "
    "project, branch, host"
)
_INSERT = (
    f"INSERT INTO attempts ({COLUMNS}, day) VALUES ({', '.join('?' * 30)}) "  # noqa: S608 - only our own names
    "ON CONFLICT (call_id, number) DO NOTHING RETURNING number"
)
_OF_CALL = f"SELECT {COLUMNS} FROM attempts WHERE call_id = ? ORDER BY number"  # noqa: S608 - only our own names
_DELETE_LOST = f"DELETE FROM attempts WHERE call_id = ? AND number = ? AND outcome = 'lost' RETURNING {COLUMNS}"  # noqa: S608 - only our own names
_RECENT = f"SELECT {COLUMNS} FROM attempts WHERE started_at < ? ORDER BY started_at DESC, number DESC LIMIT ?"  # noqa: S608 - only our own names
_RECENT_OF = _RECENT.replace("started_at < ?", "started_at < ? AND client = ?")
_OF_CALLS = f"""
WITH firsts AS (
    SELECT started_at AS began, call_id AS id FROM attempts
    WHERE started_at >= ? AND started_at < ? AND (started_at, call_id) > (?, ?) AND number = 1
    ORDER BY started_at, call_id LIMIT ?
)
SELECT {COLUMNS} FROM attempts JOIN firsts ON call_id = id ORDER BY began, call_id, number
"""  # noqa: S608 - only our own names
_CHUNK = 500
_EVER = 1e300
_MOST_TOKENS = 10**12
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "searches")


def micros_from_seconds(seconds: float) -> int:
    """Return a duration in whole microseconds, so sums of rows are exact."""
    return max(0, round(seconds * 1_000_000))


def correct(attempt: Attempt) -> Attempt:
    """Return the attempt with values that can be summed, so an invalid number of a vendor never loses the row. An
    invalid cost becomes unknown, an invalid count the nearest valid one.
    """
    cost, baseline = valid_cost_or_none(attempt.cost_usd), valid_cost_or_none(attempt.baseline_usd)
    counts = {name: _counted(getattr(attempt, name)) for name in _COUNTS}
    source = "unknown" if cost is None else attempt.cost_source
    if (cost, baseline, source) == (attempt.cost_usd, attempt.baseline_usd, attempt.cost_source) and all(
        count == getattr(attempt, name) for name, count in counts.items()
    ):
        return attempt
    return replace(attempt, cost_usd=cost, cost_source=source, baseline_usd=baseline, **counts)


def _counted(count: int | None) -> int | None:
    return None if count is None else min(max(count, 0), _MOST_TOKENS)


def insert(attempt: Attempt) -> Statement:
    """Return the statement that inserts a row. It yields a row if the attempt is new."""
    return Statement(_INSERT, encode(attempt))


def encode(attempt: Attempt) -> tuple[Value, ...]:
    """Return the row of an attempt, in the order of `insert`."""
    return (
        clean(attempt.call_id),
        attempt.number,
        clean(attempt.session),
        clean(attempt.client),
        clean(attempt.use_case),
        clean(attempt.budget_tier),
        clean(attempt.complexity),
        clean(attempt.inferred),
        clean(attempt.model),
        clean(attempt.why),
        float(attempt.started_at),
        micros_from_seconds(attempt.seconds),
        attempt.outcome,
        None if attempt.error is None else clean(attempt.error),
        None if attempt.detail is None else clean(attempt.detail),
        None if attempt.finish_reason is None else clean(attempt.finish_reason),
        attempt.input_tokens,
        attempt.output_tokens,
        attempt.cache_read_tokens,
        attempt.cache_write_tokens,
        attempt.reasoning_tokens,
        attempt.searches,
        None if attempt.cost_usd is None else nano_from_cost(attempt.cost_usd),
        attempt.cost_source,
        None if attempt.baseline_usd is None else nano_from_cost(attempt.baseline_usd),
        *map(clean, (attempt.baseline, attempt.project, attempt.branch, attempt.host)),
        day_from_time(attempt.started_at),
    )


def clean(value: str) -> str:
    """Return text that every database accepts: a vendor's message can have a NUL or half a character."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode(errors="replace").decode()


def decode(row: Row) -> Attempt:
    """Return the attempt of a row."""
    return Attempt(
        call_id=text(row[0]),
        number=whole(row[1]),
        session=text(row[2]),
        client=text(row[3]),
        use_case=text(row[4]),
        budget_tier=text(row[5]),
        complexity=text(row[6]),
        inferred=text(row[7]),
        model=text(row[8]),
        why=text(row[9]),
        started_at=real(row[10]),
        seconds=whole(row[11]) / 1_000_000,
        outcome=cast("Outcome", text(row[12])),  # only `encode` writes it
        error=text_or_none(row[13]),
        detail=text_or_none(row[14]),
        finish_reason=text_or_none(row[15]),
        input_tokens=whole_or_none(row[16]),
        output_tokens=whole_or_none(row[17]),
        cache_read_tokens=whole_or_none(row[18]),
        cache_write_tokens=whole_or_none(row[19]),
        reasoning_tokens=whole_or_none(row[20]),
        searches=whole_or_none(row[21]),
        cost_usd=None if row[22] is None else usd_from_nano(whole(row[22])),
        cost_source=cast("CostSource", text(row[23])),  # only `encode` writes it
        baseline_usd=None if row[24] is None else usd_from_nano(whole(row[24])),
        baseline=text(row[25]),
        project=text(row[26]),
        branch=text(row[27]),
        host=text(row[28]),
    )


def delete_lost(attempt: Attempt) -> Statement:
    """Return the statement that deletes the `lost` row of an attempt and yields it."""
    return Statement(_DELETE_LOST, (clean(attempt.call_id), attempt.number))


def read_call(call_id: str) -> Script[list[Attempt]]:
    """Return a call's attempts in order."""
    rows = yield from ask(_OF_CALL, clean(call_id))
    return [decode(row) for row in rows]


def read_recent(limit: int, before: float | None, client: str | None = None) -> Script[list[Attempt]]:
    """Return the latest attempts, newest first."""
    end = _EVER if before is None else before
    if client is None:
        rows = yield from ask(_RECENT, end, max(0, limit))
    else:
        rows = yield from ask(_RECENT_OF, end, clean(client), max(0, limit))
    return [decode(row) for row in rows]


def read_calls(since: float | None, until: float | None, after: RecordedCall | None) -> Script[list[RecordedCall]]:
    """Return the next calls of a period after the call `after`, oldest first; empty at its end."""
    began, last = (-_EVER, "") if after is None else (after.started_at, after.call_id)
    first = max(-_EVER if since is None else since, began)  # a bound for the index
    rows = yield from ask(_OF_CALLS, first, _EVER if until is None else until, began, last, _CHUNK)
    calls = groupby((decode(row) for row in rows), key=lambda attempt: attempt.call_id)
    return [_call(attempts) for _, attempts in calls]


def _call(rows: Iterable[Attempt]) -> RecordedCall:
    attempts = list(rows)
    last = attempts[-1]
    costs = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
    return RecordedCall(
        call_id=last.call_id,
        started_at=attempts[0].started_at,
        client=last.client,
        use_case=last.use_case,
        budget_tier=last.budget_tier,
        complexity=last.complexity,
        model=last.model,
        why=last.why,
        outcome=last.outcome,
        attempts=len(attempts),
        input_tokens=last.input_tokens,
        output_tokens=last.output_tokens,
        cache_read_tokens=last.cache_read_tokens,
        cache_write_tokens=last.cache_write_tokens,
        reasoning_tokens=last.reasoning_tokens,
        searches=last.searches,
        cost_usd=sum(costs, Decimal(0)) if len(costs) == len(attempts) else None,
    )
