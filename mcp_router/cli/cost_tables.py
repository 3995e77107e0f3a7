"""Costs and savings as tables with small bars."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.cli.output import create_figures_table, format_amount, format_count, format_share, format_usd
from mcp_router.operations.costs import BudgetView, CostReport, TotalsView

_BAR_WIDTH = 16
_MIN_BAR_WIDTH = 4
_FIGURES_WIDTH = 48
"""Characters that calls, tokens and amounts take of a line."""
_COLUMNS = (
    "calls",
    "attempts",
    "failed_attempts",
    "fallback_rate",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "baseline_usd",
    "saved_usd",
    "tokens_per_second",
)


def print_csv(report: CostReport, key: str) -> None:
    """Print a line per group, or one for the whole period."""
    out = csv.writer(sys.stdout)
    out.writerow([key, *_COLUMNS, "baseline", "latency_mean_ms", "latency_p50_ms", "latency_p95_ms"])
    lines: Mapping[str, TotalsView] = report.get("groups") or {report["period"]: report}
    for name, totals in lines.items():
        latency = totals["latency_ms"]
        measures = (latency["mean"], latency["p50"], latency["p95"])
        out.writerow([name, *(totals[column] for column in _COLUMNS), report["baseline"], *measures])


def print_report(report: CostReport, console: Console, group_by: str | None) -> None:
    """Print totals, groups and budgets as tables."""
    if report["attempts"] == 0:
        console.print(f"[bold]{report['period']}[/bold]: no calls in this period")
    else:
        _print_totals(report, console)
    if group_by is not None and (groups := report.get("groups")):
        console.print(_create_spending_table(groups, group_by, console.width))
        console.print(_create_measures_table(groups, group_by))
    if (forecast := report.get("forecast_usd")) is not None:
        console.print(f"forecast to the month's end: {format_amount(forecast)}, at the rate of the last 7 days")
    if report["budgets"]:
        console.print(_create_budget_table(report["budgets"]))


def _print_totals(report: CostReport, console: Console) -> None:
    latency = report["latency_ms"]
    console.print(
        f"[bold]{report['period']}[/bold]: {report['calls']} calls, {report['attempts']} attempts, "
        f"{report['failed_attempts']} failed"
    )
    console.print(
        f"cost [bold]{format_usd(report['cost_usd'])}[/bold], saved [green]{format_usd(report['saved_usd'])}[/green] "
        f"against {report['baseline']} at {format_usd(report['baseline_usd'])}"
    )
    if "uncertain_usd" in report:
        console.print(f"[yellow]{format_usd(report['uncertain_usd'])} of the cost are upper bounds[/yellow]")
    if "unpriced_attempts" in report:
        console.print(f"[yellow]{report['unpriced_attempts']} attempts have no known cost and are not counted[/yellow]")
    console.print(
        f"latency mean {format_count(latency['mean'])} ms, p95 {format_count(latency['p95'])} ms, "
        f"{format_count(report['tokens_per_second'])} tokens/s, {format_share(report['fallback_rate'])} of calls fell "
        "back"
    )


def _create_spending_table(groups: Mapping[str, TotalsView], group_by: str, width: int) -> Table:
    most = max((totals["cost_usd"] or 0.0 for totals in groups.values()), default=0.0)
    bar_width = width - max(map(len, groups), default=0) - _FIGURES_WIDTH
    bars = [""] if bar_width >= _MIN_BAR_WIDTH else []
    table = create_figures_table(group_by.replace("_", " "), "calls", "tokens in/out", "cost USD", "saved USD", *bars)
    for name, totals in groups.items():
        cost = totals["cost_usd"] or 0.0
        table.add_row(
            escape(name),
            str(totals["calls"]),
            f"{totals['input_tokens']}/{totals['output_tokens']}",
            f"{cost:.6f}",
            f"{totals['saved_usd'] or 0.0:.6f}",
            *(f"[cyan]{_draw_bar(cost, most, bar_width)}[/cyan]" for _ in bars),
        )
    return table


def _create_measures_table(groups: Mapping[str, TotalsView], group_by: str) -> Table:
    falls = ["fell back"] if any(totals["fallback_rate"] is not None for totals in groups.values()) else []
    columns = ("attempts", "failed", *falls, "mean ms", "p95 ms", "tokens/s")
    table = create_figures_table(group_by.replace("_", " "), *columns)
    for name, totals in groups.items():
        table.add_row(
            escape(name),
            str(totals["attempts"]),
            str(totals["failed_attempts"]),
            *(format_share(totals["fallback_rate"]) for _ in falls),
            format_count(totals["latency_ms"]["mean"]),
            format_count(totals["latency_ms"]["p95"]),
            format_count(totals["tokens_per_second"]),
        )
    return table


def _create_budget_table(budgets: Sequence[BudgetView]) -> Table:
    table = create_figures_table("budget", "limit USD", "spent USD", "held USD", "resets", "")
    for budget in budgets:
        limit, spent = budget["limit_usd"] or 0.0, budget["spent_usd"] or 0.0
        table.add_row(
            escape(budget["name"]),
            f"{limit:.6f}",
            f"{spent:.6f}",
            f"{budget['held_usd'] or 0.0:.6f}",
            budget["resets_at"][:16].replace("T", " "),
            f"[magenta]{_draw_bar(spent, limit)}[/magenta]",
        )
    return table


def _draw_bar(part: float, whole: float, max_width: int = _BAR_WIDTH) -> str:
    """Draw a share of the longest bar, to an eighth of a character."""
    eighths = round(min(_BAR_WIDTH, max_width) * 8 * min(1.0, part / whole)) if whole > 0 else 0
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8].strip())
