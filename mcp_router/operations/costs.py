"""What calls cost and saved, and how budgets stand, as JSON for MCP, HTTP and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.ledger.queries.rollups import format_client_book
from mcp_router.ledger.records import Totals
from mcp_router.money import to_number
from mcp_router.operations.arguments import CostArguments, Period
from mcp_router.operations.caller import LOCAL, Caller

Json = dict[str, object]


async def summarize_costs(app: App, arguments: CostArguments, *, caller: Caller = LOCAL) -> Json:
    """Sum up a period, as far as it is the caller's to see.

    Raises:
        BadInputError: The period is kept for all clients together only.
    """
    now = datetime.now(UTC)
    (since, until), book = compute_period_bounds(arguments.period, now), choose_rollup(app, arguments.period, caller)
    summary = await app.ledger.summarize(since=since, until=until, session=book, group_by=arguments.group_by)
    view = {"period": arguments.period, **describe_totals(summary.total), "baseline": app.baseline.model.id}
    if arguments.group_by is not None:
        # A call falls back from one model to another: it is no model's rate, nor a provider's.
        changes = {"fallback_rate": None} if arguments.group_by in ("model", "provider") else {}
        view["groups"] = {name: describe_totals(totals) | changes for name, totals in summary.groups.items()}
    view["budgets"] = await describe_budgets(app, caller, now)
    return view


def choose_rollup(app: App, period: Period, caller: Caller) -> str | None:
    """Say which sums a caller's figures are read from: everybody's (None), a session's, or their own.

    Raises:
        BadInputError: The period is kept for all clients together only.
    """
    if caller.sees_all:
        return app.session if period == "session" else None
    if period == "session":
        raise BadInputError("The session is everybody's here: take today, 7d, 30d, month or all.")
    return format_client_book(caller.name)


async def describe_budgets(app: App, caller: Caller, now: datetime) -> list[Json]:
    """Say how budgets stand: all of them, or those of the caller alone."""
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
    """Say when a period began, and that it ends with today: what was written before the clock was set back is in none
    but `all`.
    """
    since = compute_period_start(period, now)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return since, None if since is None else tomorrow.timestamp()


def compute_period_start(period: Period, now: datetime) -> float | None:
    """Say when a period began; None where it has no beginning, or its sums are kept apart."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = {
        "today": midnight,
        "7d": midnight - timedelta(days=6),
        "30d": midnight - timedelta(days=29),
        "month": midnight.replace(day=1),
    }.get(period)
    return None if begins is None else begins.timestamp()


def describe_totals(totals: Totals) -> Json:
    """Show sums as the contract names them."""
    view: Json = {
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


def describe_latency(totals: Totals) -> Mapping[str, float | None]:
    """Show how long attempts took, in milliseconds."""
    found = {"mean": totals.latency_mean_ms, "p50": totals.latency_p50_ms, "p95": totals.latency_p95_ms}
    return {name: _round(value) for name, value in found.items()}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
