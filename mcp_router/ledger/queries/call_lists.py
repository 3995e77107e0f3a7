"""Lists of past calls, by what their last attempt was."""

from __future__ import annotations

from itertools import groupby

from mcp_router.ledger.queries.attempts import COLUMNS, clean, decode
from mcp_router.ledger.queries.statements import Script, Statement, Value, end, tell, text
from mcp_router.ledger.records import Attempt, CallConditions

_IS_LAST = "number = (SELECT MAX(number) FROM attempts AS others WHERE others.call_id = attempts.call_id)"
_EVER = 1e300


def read_filtered(filters: CallConditions, limit: int) -> Script[list[list[Attempt]]]:
    """Return the attempts of the latest calls that a filter admits, newest call first."""
    where, values = _to_condition(filters)
    latest = f"SELECT call_id FROM attempts WHERE {where} ORDER BY started_at DESC, call_id LIMIT ?"  # noqa: S608 - only our own names
    (found,) = yield from tell(Statement(latest, (*values, limit)))
    ids = [text(row[0]) for row in found]
    if not ids:
        return []
    marks = ", ".join("?" * len(ids))
    of_calls = f"SELECT {COLUMNS} FROM attempts WHERE call_id IN ({marks}) ORDER BY call_id, number"  # noqa: S608 - only our own names
    (rows,) = yield from end(Statement(of_calls, ids))
    calls = {call_id: list(several) for call_id, several in groupby(map(decode, rows), key=lambda one: one.call_id)}
    return [calls[call_id] for call_id in ids if call_id in calls]


def _to_condition(filters: CallConditions) -> tuple[str, list[Value]]:
    parts = ["started_at < ?", "started_at >= ?", _IS_LAST]
    values: list[Value] = [
        _EVER if filters.until is None else filters.until,
        -_EVER if filters.since is None else filters.since,
    ]
    for column in ("client", "use_case", "budget_tier", "outcome"):
        if (value := getattr(filters, column)) is not None:
            parts.append(f"{column} = ?")
            values.append(clean(value))
    if filters.model is not None:
        parts.append("(model = ? OR substr(model, 1, ?) = ?)")
        provider = f"{clean(filters.model)}:"
        values += [clean(filters.model), len(provider), provider]
    return " AND ".join(parts), values
