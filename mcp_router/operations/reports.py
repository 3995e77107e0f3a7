"""Past calls, days and budgets, for programs that read them over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import date as Date  # noqa: N812 - pydantic reads it
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.execution.call import sum_costs_usd
from mcp_router.ledger.records import Attempt, CallConditions
from mcp_router.money import to_number
from mcp_router.operations import costs
from mcp_router.operations.arguments import Arguments
from mcp_router.operations.caller import Caller
from mcp_router.routing.routes import Tier, UseCase

_MAX_DAYS = 366


class CallListArguments(Arguments):
    """Filters of a list of past calls."""

    tool: ClassVar[str] = "calls"

    since: Annotated[Date | None, Field(description="First UTC day")] = None
    until: Annotated[Date | None, Field(description="Last UTC day")] = None
    client: Annotated[str | None, Field(max_length=200, description="Only with sees_all")] = None
    model: Annotated[str | None, Field(max_length=200, description="provider:model, or a provider")] = None
    use_case: UseCase | None = None
    budget_tier: Tier | None = None
    outcome: Literal["answered", "failed", "cancelled", "lost"] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    before: Annotated[float | None, Field(ge=0, allow_inf_nan=False, description="`before` of the page before")] = None


class DayArguments(Arguments):
    """The days of a report."""

    tool: ClassVar[str] = "days"

    since: Annotated[Date | None, Field(description="First UTC day; default 29 days before `until`")] = None
    until: Annotated[Date | None, Field(description="Last UTC day; default today")] = None


class CallSummary(TypedDict):
    """One past call, as its attempts add up."""

    call_id: str
    started_at: str
    """ISO 8601, UTC."""
    client: str
    use_case: str
    budget_tier: str
    complexity: str
    model: str
    """The model that answered, or was tried last."""
    outcome: str
    attempts: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None if the cost of an attempt is unknown."""
    error: NotRequired[str]


class CallPage(TypedDict):
    """A page of past calls, newest first."""

    calls: list[CallSummary]
    before: float | None
    """For the next page; None on the last one."""


class DayTotals(costs.TotalsView):
    """The sums of one UTC day."""

    day: str


async def list_calls(app: App, asked: CallListArguments, *, caller: Caller) -> CallPage:
    """Return a page of past calls; a client without `sees_all` gets its own."""
    if not caller.sees_all and asked.client not in (None, caller.name):
        raise BadInputError(f"client: {caller.name} can read its own calls only. Leave client out.")
    until = None if asked.until is None else _start_of(asked.until + timedelta(days=1))
    filters = CallConditions(
        since=None if asked.since is None else _start_of(asked.since),
        until=min((bound for bound in (until, asked.before) if bound is not None), default=None),
        client=asked.client if caller.sees_all else caller.name,
        model=asked.model,
        use_case=asked.use_case,
        budget_tier=asked.budget_tier,
        outcome=asked.outcome,
    )
    found = await app.ledger.list_calls(filters, asked.limit)
    more = len(found) == asked.limit
    return {
        "calls": [describe_call(attempts) for attempts in found],
        "before": found[-1][-1].started_at if more else None,
    }


def describe_call(attempts: Sequence[Attempt]) -> CallSummary:
    """Add the attempts of a call up."""
    first, last = attempts[0], attempts[-1]
    cost: Decimal | None = sum_costs_usd(attempts)
    view: CallSummary = {
        "call_id": last.call_id,
        "started_at": datetime.fromtimestamp(first.started_at, UTC).isoformat(timespec="milliseconds"),
        "client": last.client,
        "use_case": last.use_case,
        "budget_tier": last.budget_tier,
        "complexity": last.complexity,
        "model": last.model,
        "outcome": last.outcome,
        "attempts": len(attempts),
        "seconds": round(last.started_at + last.seconds - first.started_at, 3),
        "input_tokens": sum(one.input_tokens or 0 for one in attempts),
        "output_tokens": sum(one.output_tokens or 0 for one in attempts),
        "cost_usd": to_number(cost),
    }
    if last.error is not None:
        view["error"] = last.error
    return view


async def list_days(app: App, asked: DayArguments, *, caller: Caller) -> dict[str, object]:
    """Return the sums of every UTC day of a range that has calls."""
    until = asked.until or datetime.now(UTC).date()
    since = asked.since or until - timedelta(days=29)
    if not 0 <= (until - since).days < _MAX_DAYS:
        raise BadInputError(f"since {since} until {until}: must be 1 to {_MAX_DAYS} days.")
    summary = await app.ledger.summarize(
        since=_start_of(since),
        until=_start_of(until + timedelta(days=1)),
        session=costs.choose_rollup(app, "all", caller),
        group_by="day",
    )
    names = [(since + timedelta(days=number)).isoformat() for number in range((until - since).days + 1)]
    days: list[DayTotals] = [
        {"day": name, **costs.describe_totals(summary.groups[name])} for name in names if name in summary.groups
    ]
    return {"since": since.isoformat(), "until": until.isoformat(), "days": days}


async def list_budgets(app: App, *, caller: Caller) -> dict[str, object]:
    """Return the budgets as they stand; a client without `sees_all` gets its own."""
    return {"budgets": await costs.describe_budgets(app, caller, datetime.now(UTC))}


def _start_of(day: Date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
