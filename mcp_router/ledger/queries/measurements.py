"""Results of trials, one row per model and route."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Script, Statement, ask, end, real, text, whole
from mcp_router.ledger.records import Measurement

_COLUMNS = "use_case, budget_tier, model, criterion, passed, total, measured_at"
_STORE = (
    f"INSERT INTO measurements ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - only our own names
    "ON CONFLICT (use_case, budget_tier, model) DO UPDATE SET criterion = excluded.criterion, "
    "passed = excluded.passed, total = excluded.total, measured_at = excluded.measured_at"
)
_ALL = f"SELECT {_COLUMNS} FROM measurements ORDER BY use_case, budget_tier, model"  # noqa: S608 - only our own names


def store(measured: Sequence[Measurement]) -> Script[None]:
    """Insert results, or replace older ones of the same model and route."""
    # One order for all writers prevents deadlocks.
    ordered = sorted(measured, key=lambda one: (one.use_case, one.budget_tier, one.model))
    yield from end(*(Statement(_STORE, _encode(one)) for one in ordered))


def read_all() -> Script[list[Measurement]]:
    """Return every result."""
    rows = yield from ask(_ALL)
    return [
        Measurement(
            use_case=text(row[0]),
            budget_tier=text(row[1]),
            model=text(row[2]),
            criterion=text(row[3]),
            passed=whole(row[4]),
            total=whole(row[5]),
            measured_at=real(row[6]),
        )
        for row in rows
    ]


def _encode(one: Measurement) -> tuple[str | int | float, ...]:
    names = (one.use_case, one.budget_tier, one.model, one.criterion)
    return (*map(clean, names), one.passed, one.total, one.measured_at)
