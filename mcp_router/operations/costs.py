"""What calls cost and saved, and the state of budgets, for MCP, HTTP and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NotRequired, TypedDict

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.ledger.origin import find_folder_name
from mcp_router.ledger.queries.rollups import format_client_book
from mcp_router.ledger.queries.summaries import SEPARATOR
from mcp_router.ledger.records import GroupBy, Totals
from mcp_router.money import to_number
from mcp_router.operations.arguments import CostArguments, Period
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.operations.periods import DateRange, next_month, parse_range

_MIN_ELAPSED_DAYS = 0.25
"""Less than this is no rate to forecast from."""


class LatencyView(TypedDict):
    """Seconds of attempts, in milliseconds; None without attempts."""

    mean: float | None
    p50: float | None
    p95: float | None


class TotalsView(TypedDict):
    """Sums over a period or a group, with the contract's names."""

    calls: int
    attempts: int
    failed_attempts: int
    fallback_rate: float | None
    """Between 0 and 1; None without calls, and for groups by model or provider."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    baseline_usd: float | None
    saved_usd: float | None
    latency_ms: LatencyView
    tokens_per_second: float | None
    uncertain_usd: NotRequired[float | None]
    """How much of the cost is an upper bound."""
    unpriced_attempts: NotRequired[int]
    lost_attempts: NotRequired[int]
    """Attempts whose process was killed, counted at their bound."""


class BudgetView(TypedDict):
    """A budget and what is left of it."""

    name: str
    limit_usd: float | None
    spent_usd: float | None
    held_usd: float | None
    resets_at: str
    """ISO 8601, UTC."""


class CostReport(TotalsView):
    """The answer of `cost_summary`."""

    period: str
    baseline: str
    forecast_usd: NotRequired[float | None]
    """Cost of the current month if the rest of it costs as much a day as the last 7 days."""
    groups: NotRequired[dict[str, TotalsView]]
    budgets: list[BudgetView]


async def summarize_costs(app: App, arguments: CostArguments, *, caller: Caller = LOCAL) -> CostReport:
    """Sum up a period, as far as the caller can see it.

    Raises:
        BadInputError: The period exists only for all clients together.
    """
    now = datetime.now(UTC)
    since, until = compute_period_bounds(arguments.period, now)
    rollup = choose_rollup(app, arguments.period, caller)
    span = DateRange(arguments.period, since, until)
    by: tuple[GroupBy, ...] = () if arguments.group_by is None else (arguments.group_by,)
    return await _build_report(app, span, rollup, by, caller=caller, now=now)


async def summarize_range(
    app: App, period: str, first: str | None, last: str | None, by: Sequence[GroupBy] = ()
) -> CostReport:
    """Sum up a period as `periods.parse_range` reads it; the current month with a forecast to its end.
    `by` has at most two dimensions.

    Raises:
        BadInputError: The period or a date is invalid.
    """
    now = datetime.now(UTC)
    span = parse_range(period, first, last, now.date())
    report = await _build_report(app, span, None, by, caller=LOCAL, now=now)
    if span.label == "month":
        report["forecast_usd"] = await _forecast(app, report["cost_usd"] or 0.0, now)
    return report


async def _forecast(app: App, spent_usd: float, now: datetime) -> float | None:
    """Return the month's cost at the rate of the last 7 days, or of the days since the first call among them."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    week = await app.ledger.summarize_by_day(
        since=(midnight - timedelta(days=6)).timestamp(), session=None, group_by="client"
    )
    days = [(date.fromisoformat(day), cost) for costs in week.values() for day, cost in costs.items()]
    days = [(day, cost) for day, cost in days if day <= now.date()]
    if not days:
        return None
    elapsed = (now.date() - min(day for day, _ in days)).days + (now - midnight) / timedelta(days=1)
    rate = float(sum(cost for _, cost in days)) / max(_MIN_ELAPSED_DAYS, elapsed)
    left = (datetime.combine(next_month(now.date()), time(), UTC) - now) / timedelta(days=1)
    return round(spent_usd + rate * left, 9)


async def _build_report(
    app: App, span: DateRange, rollup: str | None, by: Sequence[GroupBy], *, caller: Caller, now: datetime
) -> CostReport:
    group_by, then_by = (by[0] if by else None), (by[1] if len(by) > 1 else None)
    summary = await app.ledger.summarize(
        since=span.since, until=span.until, session=rollup, group_by=group_by, then_by=then_by
    )
    report: CostReport = {
        "period": span.label,
        **describe_totals(summary.total),
        "baseline": app.baseline.model.id,
        "budgets": [],
    }
    if by:
        names = name_groups(tuple(summary.groups), by)
        report["groups"] = {names[name]: describe_totals(totals) for name, totals in summary.groups.items()}
        if not {"model", "provider"}.isdisjoint(by):
            # A call falls back from one model to another, so the rate belongs to neither.
            for totals in report["groups"].values():
                totals["fallback_rate"] = None
    report["budgets"] = await describe_budgets(app, caller, now)
    return report


def name_groups(groups: Sequence[str], by: Sequence[GroupBy]) -> dict[str, str]:
    """Return what to show for each group: projects by folder name, with digits only if two folders have the same."""
    parts = [group.split(SEPARATOR, len(by) - 1) for group in groups]
    shown = [
        _name_projects(column) if what == "project" else column
        for what, column in zip(by, zip(*parts, strict=True), strict=False)
    ]
    empty = "(none)"
    return {
        group: SEPARATOR.join(part or empty for part in names)
        for group, names in zip(groups, zip(*shown, strict=True), strict=True)
    }


def _name_projects(projects: Sequence[str]) -> list[str]:
    folders = [find_folder_name(project) for project in set(projects)]
    return [name if folders.count(name := find_folder_name(project)) == 1 else project for project in projects]


def choose_rollup(app: App, period: Period, caller: Caller) -> str | None:
    """Return the rollup that a caller's figures come from: a session, a client, or None for everything.

    Raises:
        BadInputError: The period exists only for all clients together.
    """
    if caller.sees_all:
        return app.session if period == "session" else None
    if period == "session":
        raise BadInputError("period 'session' covers all clients. Use today, 7d, 30d, month or all.")
    return format_client_book(caller.name)


async def describe_budgets(app: App, caller: Caller, now: datetime) -> list[BudgetView]:
    """Describe every budget, or only the caller's own."""
    limits = [limit for limit in app.settings.limits() if caller.sees_all or limit.client == caller.name]
    return [
        {
            "name": state.budget.name,
            "limit_usd": to_number(state.budget.limit_usd),
            "spent_usd": to_number(state.spent_usd),
            "held_usd": to_number(state.held_usd),
            "resets_at": datetime.fromtimestamp(state.resets_at, UTC).isoformat(),
        }
        for state in await app.ledger.read_budgets(limits, now.timestamp())
    ]


def compute_period_bounds(period: Period, now: datetime) -> tuple[float | None, float | None]:
    """Return start (inclusive) and end (exclusive) of a period, in seconds since the epoch; None is unbounded.

    A period ends with today, so that attempts from before the clock was set back count under `all` only.
    """
    since = compute_period_start(period, now)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return since, None if since is None else tomorrow.timestamp()


def compute_period_start(period: Period, now: datetime) -> float | None:
    """Return when a period began, in seconds since the epoch; None for `all` and `session`."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "today": midnight,
        "7d": midnight - timedelta(days=6),
        "30d": midnight - timedelta(days=29),
        "month": midnight.replace(day=1),
    }
    return starts[period].timestamp() if period in starts else None


def describe_totals(totals: Totals) -> TotalsView:
    """Describe sums with the contract's names."""
    view: TotalsView = {
        "calls": totals.calls,
        "attempts": totals.attempts,
        "failed_attempts": totals.failed_attempts,
        "fallback_rate": round(totals.fallback_calls / totals.calls, 4) if totals.calls else None,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost_usd": to_number(totals.cost_usd),
        "baseline_usd": to_number(totals.baseline_usd),
        "saved_usd": to_number(totals.saved_usd),
        "latency_ms": describe_latency(totals),
        "tokens_per_second": _round(totals.tokens_per_second),
    }
    if totals.lost_attempts:
        view["lost_attempts"] = totals.lost_attempts
    if totals.uncertain_usd:
        view["uncertain_usd"] = to_number(totals.uncertain_usd)
    if totals.unpriced_attempts:
        view["unpriced_attempts"] = totals.unpriced_attempts
    return view


def describe_latency(totals: Totals) -> LatencyView:
    """Describe how long attempts took."""
    return {
        "mean": _round(totals.latency_mean_ms),
        "p50": _round(totals.latency_p50_ms),
        "p95": _round(totals.latency_p95_ms),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
