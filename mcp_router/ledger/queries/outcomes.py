"""Outcome counts of attempts by route and model, without prompts and clients."""

from __future__ import annotations

from mcp_router.ledger.calendar import day_from_time
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Row, Script, Statement, ask, end, text, whole
from mcp_router.ledger.records import OutcomeCounts, RouteOutcomes

SEASON_DAYS = 30
SEASONS = 3
"""Seasons that count, including the current one. Older ones do not, because models change."""

_COUNT = (
    "INSERT INTO outcomes (use_case, budget_tier, complexity, model, season, kept, rejected, pinned) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (use_case, budget_tier, complexity, model, season) DO UPDATE SET "
    "kept = outcomes.kept + excluded.kept, rejected = outcomes.rejected + excluded.rejected, "
    "pinned = outcomes.pinned + excluded.pinned"
)
_SUMS = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in ("kept", "rejected", "pinned"))
_ALL = (
    f"SELECT use_case, budget_tier, complexity, model, {_SUMS} FROM outcomes WHERE season > ? AND season <= ? "  # noqa: S608 - only our own names
    "GROUP BY use_case, budget_tier, complexity, model ORDER BY use_case, budget_tier, complexity, model"
)


def count(cell: tuple[str, str, str], model: str, at: float, counts: OutcomeCounts) -> Statement:
    """Return the statement that adds counts to a model in a route: use case, budget tier, complexity."""
    return Statement(_COUNT, (*cell, model, _season(at), counts.kept, counts.rejected, counts.pinned))


def add(cell: tuple[str, str, str], model: str, at: float, counts: OutcomeCounts) -> Script[None]:
    """Add counts to a model in a route."""
    names = (clean(cell[0]), clean(cell[1]), clean(cell[2]))
    yield from end(count(names, clean(model), at, counts))


def read_recent(now: float) -> Script[list[RouteOutcomes]]:
    """Return recent outcome counts in every route."""
    season = _season(now)
    rows = yield from ask(_ALL, season - SEASONS, season)
    return [_parse(row) for row in rows]


def forget() -> Script[int]:
    """Delete all outcome counts; return how many there were."""
    return len((yield from ask("DELETE FROM outcomes RETURNING model")))


def _season(at: float) -> int:
    return day_from_time(at) // SEASON_DAYS


def _parse(row: Row) -> RouteOutcomes:
    return RouteOutcomes(
        use_case=text(row[0]),
        budget_tier=text(row[1]),
        complexity=text(row[2]),
        model=text(row[3]),
        counts=OutcomeCounts(kept=whole(row[4]), rejected=whole(row[5]), pinned=whole(row[6])),
    )
