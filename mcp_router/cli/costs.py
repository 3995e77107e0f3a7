"""`costs`: what calls cost and saved, as tables with small bars."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router import accounting
from mcp_router.app import App
from mcp_router.cli import DONE
from mcp_router.cli.words import amount, rows, usd
from mcp_router.requests import CostArguments, checked
from mcp_router.wording import dumped

_BAR = 24
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


async def run(app: App, given: Namespace) -> int:
    """Print the accounts of a period."""
    wanted = {"period": given.period} | ({"group_by": given.group_by} if given.group_by else {})
    view = await accounting.costs(app, checked(CostArguments, wanted))
    if given.json:
        print(dumped(view))
    elif given.csv:
        _print_csv(view, str(given.group_by or "period"))
    else:
        _show(view, Console(highlight=False), given.group_by)
    return DONE


def _print_csv(view: dict[str, object], key: str) -> None:
    """Print a line a group, or one for the whole period."""
    out = csv.writer(sys.stdout)
    out.writerow([key, *_COLUMNS, "latency_p50_ms", "latency_p95_ms"])
    lines = _groups(view) or {str(view["period"]): view}
    for name, totals in lines.items():
        (latency,) = rows([totals["latency_ms"]])
        out.writerow([name, *(totals[column] for column in _COLUMNS), latency["p50"], latency["p95"]])


def _groups(view: dict[str, object]) -> dict[str, dict[str, object]]:
    (groups,) = rows([view.get("groups", {})])
    return {name: rows([totals])[0] for name, totals in groups.items()}


def _show(view: dict[str, object], console: Console, group_by: str | None) -> None:
    (latency,) = rows([view["latency_ms"]])
    console.print(
        f"[bold]{view['period']}[/bold]: {view['calls']} calls, {view['attempts']} attempts, "
        f"{view['failed_attempts']} failed"
    )
    console.print(
        f"cost [bold]{usd(view['cost_usd'])}[/bold], saved [green]{usd(view['saved_usd'])}[/green] "
        f"against {view['baseline']} at {usd(view['baseline_usd'])}"
    )
    if "uncertain_usd" in view:
        console.print(f"[yellow]{usd(view['uncertain_usd'])} of the cost are upper bounds[/yellow]")
    if "unpriced_attempts" in view:
        console.print(f"[yellow]{view['unpriced_attempts']} attempts have an unknown cost and are not counted[/yellow]")
    console.print(
        f"latency p50 {latency['p50'] or '-'} ms, p95 {latency['p95'] or '-'} ms, "
        f"{view['tokens_per_second'] or '-'} tokens/s"
    )
    if group_by is not None:
        console.print(_table(_groups(view), group_by))
    if budgets := rows(view["budgets"]):
        console.print(_budgets(budgets))


def _table(groups: dict[str, dict[str, object]], group_by: str) -> Table:
    table = Table(group_by.replace("_", " "), "calls", "failed", "tokens in/out", "cost", "", "saved", box=None)
    most = max((amount(totals["cost_usd"]) for totals in groups.values()), default=0.0)
    for name, totals in groups.items():
        table.add_row(
            escape(name),
            str(totals["calls"]),
            str(totals["failed_attempts"]),
            f"{totals['input_tokens']}/{totals['output_tokens']}",
            usd(totals["cost_usd"]),
            f"[cyan]{_bar(amount(totals['cost_usd']), most)}[/cyan]",
            usd(totals["saved_usd"]),
        )
    return table


def _budgets(budgets: list[dict[str, object]]) -> Table:
    table = Table("budget", "limit", "spent", "held", "", "resets", box=None)
    for budget in budgets:
        limit, spent = amount(budget["limit_usd"]), amount(budget["spent_usd"])
        table.add_row(
            escape(str(budget["name"])),
            usd(limit),
            usd(spent),
            usd(budget["held_usd"]),
            f"[magenta]{_bar(spent, limit)}[/magenta]",
            str(budget["resets_at"]),
        )
    return table


def _bar(part: float, whole: float) -> str:
    """Draw a share of the longest bar, to an eighth of a character."""
    eighths = round(_BAR * 8 * min(1.0, part / whole)) if whole > 0 else 0
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8].strip())
