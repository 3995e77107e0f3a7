"""The measured figures of routes, from trials, as `explain_route` and `replay` show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mcp_router.ledger.records import Measurement


def format_measurement(one: Measurement) -> str:
    """Return a result for people: `passed 19 of 20 on 2026-12-03`."""
    day = datetime.fromtimestamp(one.measured_at, UTC).date()
    return f"passed {one.passed} of {one.total} on {day}"


def select_route(measured: Sequence[Measurement], use_case: str, tier: str) -> dict[str, str]:
    """Return the results of one route for people, by model."""
    return {
        one.model: format_measurement(one) for one in measured if (one.use_case, one.budget_tier) == (use_case, tier)
    }
