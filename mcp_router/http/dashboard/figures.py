"""Data of the dashboard, read from rollups, so that its cost does not grow with the number of attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from starlette.requests import Request

from mcp_router.app import App
from mcp_router.http.api import View
from mcp_router.http.responses import Json
from mcp_router.ledger.records import Attempt, CallConditions, GroupBy, Totals
from mcp_router.money import to_number
from mcp_router.operations import costs as cost_reports
from mcp_router.operations import providers as provider_views
from mcp_router.operations import routes as route_views
from mcp_router.operations.arguments import Arguments, CostArguments, Period, parse_arguments
from mcp_router.operations.background.task_store import TaskStore
from mcp_router.operations.caller import Caller
from mcp_router.operations.explain import describe_attempt
from mcp_router.routing.routes import COMPLEXITIES, TIERS, USE_CASES
from mcp_router.server.callers import caller_from_request

_GROUPS: tuple[GroupBy, ...] = ("provider", "model", "use_case", "budget_tier", "client")
_MAX_DAYS = 366
_MAX_GROUPS = 6
_MAX_TASKS = 50


class DailyArguments(Arguments):
    """Arguments of the spending by day."""

    tool: ClassVar[str] = "daily"

    period: Literal["today", "7d", "30d", "month", "all"] = "7d"
    group_by: Literal["provider", "model", "use_case", "budget_tier", "client"] = "provider"


class PageArguments(Arguments):
    """Arguments of a page of past attempts."""

    tool: ClassVar[str] = "calls"

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    before: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    outcome: Literal["answered", "failed", "cancelled", "lost"] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    client: Annotated[str, Field(max_length=200)] | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether a filter leaves calls out."""
        return (self.outcome, self.model, self.client) != (None, None, None)


def create_views(app: App) -> Mapping[str, View]:
    """Return the views by the last part of their path."""

    async def overview(request: Request) -> Json:
        period = parse_arguments(CostArguments, dict(request.query_params)).period
        return await _build_overview(app, caller_from_request(request), period)

    async def daily(request: Request) -> Json:
        return await _build_daily(
            app, caller_from_request(request), parse_arguments(DailyArguments, dict(request.query_params))
        )

    async def calls(request: Request) -> Json:
        page = parse_arguments(PageArguments, dict(request.query_params))
        return await _build_calls(app, caller_from_request(request), page)

    async def tasks(request: Request) -> Json:
        return await _build_tasks(app, caller_from_request(request))

    async def providers(_request: Request) -> Mapping[str, object]:
        return await provider_views.list_providers(app)

    async def table(_request: Request) -> Json:
        return _build_routing_table(app)

    return {
        "overview": overview,
        "daily": daily,
        "calls": calls,
        "tasks": tasks,
        "providers": providers,
        "routes": table,
    }


async def _build_overview(app: App, caller: Caller, period: Period) -> Json:
    now = datetime.now(UTC)
    (since, until), book = (
        cost_reports.compute_period_bounds(period, now),
        cost_reports.choose_rollup(app, period, caller),
    )

    async def by(group: GroupBy) -> tuple[Totals, Mapping[str, Totals]]:
        summary = await app.ledger.summarize(since=since, until=until, session=book, group_by=group)
        return summary.total, summary.groups

    total, days = await by("day")
    before = await _read_before(app, since, until, book)
    return {
        "period": period,
        "caller": {"name": caller.name, "sees_all": caller.sees_all},
        "baseline": app.baseline.model.id,
        "totals": cost_reports.describe_totals(total),
        **before,
        "forecast_usd": _forecast(total, now) if period == "month" else None,
        "days": _build_days(days, since, now.date()),
        "groups": {
            group: {name: cost_reports.describe_totals(totals) for name, totals in (await by(group))[1].items()}
            for group in _GROUPS
            if group != "client" or caller.sees_all
        },
        "budgets": await cost_reports.describe_budgets(app, caller, now),
    }


async def _read_before(app: App, since: float | None, until: float | None, book: str | None) -> Json:
    """Return the totals of as many days before a period, if it has a beginning."""
    if since is None or until is None:
        return {"before": None, "before_days": None}
    earlier = await app.ledger.summarize(since=2 * since - until, until=since, session=book, group_by=None)
    days = round((until - since) / timedelta(days=1).total_seconds())
    return {"before": cost_reports.describe_totals(earlier.total), "before_days": days}


def _forecast(total: Totals, now: datetime) -> float | None:
    """Return what this month costs at the rate so far, in USD; None on its first day."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = (first + timedelta(days=32)).replace(day=1)
    if now - first < timedelta(days=1):
        return None
    return to_number(total.cost_usd * Decimal((after - first) / (now - first)))


def _build_days(days: Mapping[str, Totals], since: float | None, today: date) -> list[Json]:
    return [_build_day(day, days.get(day)) for day in _list_days(days, since, today)]


def _list_days(days: Iterable[str], since: float | None, today: date) -> list[str]:
    """Return every day of the period, also those without calls."""
    first = min((date.fromisoformat(day) for day in days), default=today)
    if since is not None:
        first = datetime.fromtimestamp(since, UTC).date()
    first = max(first, today - timedelta(days=_MAX_DAYS))
    return [(first + timedelta(days=number)).isoformat() for number in range((today - first).days + 1)]


def _build_day(day: str, totals: Totals | None) -> Json:
    if totals is None:
        return {"day": day, "calls": 0, "cost_usd": 0.0, "baseline_usd": 0.0}
    return {
        "day": day,
        "calls": totals.calls,
        "cost_usd": to_number(totals.cost_usd),
        "baseline_usd": to_number(totals.baseline_usd),
    }


async def _build_daily(app: App, caller: Caller, asked: DailyArguments) -> Json:
    """Return the spending by day of the most expensive groups, and of all others together."""
    now = datetime.now(UTC)
    since, book = (
        cost_reports.compute_period_start(asked.period, now),
        cost_reports.choose_rollup(app, asked.period, caller),
    )
    earliest = (now - timedelta(days=_MAX_DAYS)).timestamp()
    costs = await app.ledger.summarize_by_day(since=since or earliest, session=book, group_by=asked.group_by)
    days = _list_days({day for spent in costs.values() for day in spent}, since, now.date())
    names = sorted(costs, key=lambda name: (-sum(costs[name].values()), name))
    rest = defaultdict[str, Decimal](Decimal)
    for name in names[_MAX_GROUPS:]:
        for day, cost in costs[name].items():
            rest[day] += cost
    shown = {name: costs[name] for name in names[:_MAX_GROUPS]}
    return {
        "days": days,
        "groups": [{"name": name, "cost_usd": _by_day(spent, days)} for name, spent in shown.items()],
        "others": _by_day(rest, days) if rest else None,
    }


def _by_day(spent: Mapping[str, Decimal], days: Sequence[str]) -> list[float]:
    return [float(spent.get(day, 0)) for day in days]


async def _build_calls(app: App, caller: Caller, page: PageArguments) -> Json:
    client = None if caller.sees_all else caller.name
    if page.is_filtered:
        return await _build_filtered_calls(app, page, page.client if caller.sees_all else client)
    attempts = await app.ledger.read_recent(page.limit, page.before, client)
    more = len(attempts) == page.limit
    return {
        "attempts": [_build_attempt(attempt) for attempt in [*attempts, *await _fetch_missing_attempts(app, attempts)]],
        "before": attempts[-1].started_at if more else None,
    }


async def _build_tasks(app: App, caller: Caller) -> Json:
    found = await TaskStore.of(app).list_recent(caller)
    listed = sorted(found, key=lambda task: (task.has_ended, -task.made_at))[:_MAX_TASKS]
    return {
        "running": sum(not task.has_ended for task in found),
        "tasks": [
            {
                "call_id": task.call_id,
                "client": task.client,
                "status": task.state,
                "message": task.message,
                "created_at": datetime.fromtimestamp(task.made_at, UTC).isoformat(timespec="seconds"),
            }
            for task in listed
        ],
    }


async def _build_filtered_calls(app: App, page: PageArguments, client: str | None) -> Json:
    filters = CallConditions(until=page.before, client=client, model=page.model, outcome=page.outcome)
    calls = await app.ledger.list_calls(filters, page.limit)
    return {
        "attempts": [_build_attempt(attempt) for call in calls for attempt in call],
        "before": calls[-1][-1].started_at if len(calls) == page.limit else None,
    }


async def _fetch_missing_attempts(app: App, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the earlier attempts of calls that a page would cut in two."""
    there = {(attempt.call_id, attempt.number) for attempt in attempts}
    begun = [call_id for call_id in dict.fromkeys(attempt.call_id for attempt in attempts) if (call_id, 1) not in there]
    found = [attempt for call_id in begun for attempt in await app.ledger.read_attempts(call_id)]
    return [attempt for attempt in found if (attempt.call_id, attempt.number) not in there]


def _build_attempt(attempt: Attempt) -> Json:
    return {
        **describe_attempt(attempt),
        "call_id": attempt.call_id,
        "client": attempt.client,
        "use_case": attempt.use_case,
        "budget_tier": attempt.budget_tier,
        "complexity": attempt.complexity,
        "inferred": attempt.inferred.split(",") if attempt.inferred else [],
    }


def _build_routing_table(app: App) -> Json:
    about = {name: row.about for name, row in app.routes.use_cases.items()}
    return {
        "routes": [{**route_views.describe_routes(app, name), "about": about[name]} for name in USE_CASES],
        **route_views.list_budget_tiers(app),
        "use_cases": list(USE_CASES),
        "tiers": list(TIERS),
        "complexities": list(COMPLEXITIES),
        "models": [model.id for model in app.catalog.models()],
        "baseline": app.baseline.model.id,
    }
