"""`costs`: what calls cost and saved, as tables with small bars."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.output import create_figures_table, format_usd, rows, to_amount
from mcp_router.operations import costs
from mcp_router.operations.arguments import CostArguments, parse_arguments
from mcp_router.text import to_compact_json

_BAR = 16
_LEAST_BAR = 4
_FIGURES = 48
"""What calls, tokens and amounts take of a line."""
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
    view = await costs.summarize_costs(app, parse_arguments(CostArguments, wanted))
    if given.json:
        print(to_compact_json(view))
    elif given.csv:
        _print_csv(view, str(given.group_by or "period"))
    else:
        _show(view, Console(highlight=False), given.group_by)
    return DONE


def _print_csv(view: dict[str, object], key: str) -> None:
    """Print a line a group, or one for the whole period."""
    out = csv.writer(sys.stdout)
    out.writerow([key, *_COLUMNS, "baseline", "latency_mean_ms", "latency_p50_ms", "latency_p95_ms"])
    lines = _groups(view) or {str(view["period"]): view}
    for name, totals in lines.items():
        (latency,) = rows([totals["latency_ms"]])
        measures = (latency["mean"], latency["p50"], latency["p95"])
        out.writerow([name, *(totals[column] for column in _COLUMNS), view["baseline"], *measures])


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
        f"cost [bold]{format_usd(view['cost_usd'])}[/bold], saved [green]{format_usd(view['saved_usd'])}[/green] "
        f"against {view['baseline']} at {format_usd(view['baseline_usd'])}"
    )
    if "uncertain_usd" in view:
        console.print(f"[yellow]{format_usd(view['uncertain_usd'])} of the cost are upper bounds[/yellow]")
    if "unpriced_attempts" in view:
        console.print(f"[yellow]{view['unpriced_attempts']} attempts have an unknown cost and are not counted[/yellow]")
    console.print(
        f"latency mean {_whole(latency['mean'])} ms, p95 {_whole(latency['p95'])} ms, "
        f"{_whole(view['tokens_per_second'])} tokens/s, {_part(view['fallback_rate'])} of calls fell back"
    )
    if group_by is not None:
        console.print(_spending(_groups(view), group_by, console.width))
        console.print(_measures(_groups(view), group_by))
    if budgets := rows(view["budgets"]):
        console.print(_budgets(budgets))


def _spending(groups: dict[str, dict[str, object]], group_by: str, width: int) -> Table:
    most = max((to_amount(totals["cost_usd"]) for totals in groups.values()), default=0.0)
    room = width - max(map(len, groups), default=0) - _FIGURES
    bars = [""] if room >= _LEAST_BAR else []
    shown = create_figures_table(group_by.replace("_", " "), "calls", "tokens in/out", "cost USD", "saved USD", *bars)
    for name, totals in groups.items():
        shown.add_row(
            escape(name),
            str(totals["calls"]),
            f"{totals['input_tokens']}/{totals['output_tokens']}",
            f"{to_amount(totals['cost_usd']):.6f}",
            f"{to_amount(totals['saved_usd']):.6f}",
            *(f"[cyan]{_bar(to_amount(totals['cost_usd']), most, room)}[/cyan]" for _ in bars),
        )
    return shown


def _measures(groups: dict[str, dict[str, object]], group_by: str) -> Table:
    falls = ["fell back"] if any(totals["fallback_rate"] is not None for totals in groups.values()) else []
    shown = create_figures_table(
        group_by.replace("_", " "), "attempts", "failed", *falls, "mean ms", "p95 ms", "tokens/s"
    )
    for name, totals in groups.items():
        (latency,) = rows([totals["latency_ms"]])
        shown.add_row(
            escape(name),
            str(totals["attempts"]),
            str(totals["failed_attempts"]),
            *(_part(totals["fallback_rate"]) for _ in falls),
            _whole(latency["mean"]),
            _whole(latency["p95"]),
            _whole(totals["tokens_per_second"]),
        )
    return shown


def _budgets(budgets: list[dict[str, object]]) -> Table:
    shown = create_figures_table("budget", "limit USD", "spent USD", "held USD", "resets", "")
    for budget in budgets:
        limit, spent = to_amount(budget["limit_usd"]), to_amount(budget["spent_usd"])
        shown.add_row(
            escape(str(budget["name"])),
            f"{limit:.6f}",
            f"{spent:.6f}",
            f"{to_amount(budget['held_usd']):.6f}",
            str(budget["resets_at"])[:16].replace("T", " "),
            f"[magenta]{_bar(spent, limit)}[/magenta]",
        )
    return shown


def _whole(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "-"


def _part(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "-"


def _bar(part: float, whole: float, room: int = _BAR) -> str:
    """Draw a share of the longest bar, to an eighth of a character."""
    eighths = round(min(_BAR, room) * 8 * min(1.0, part / whole)) if whole > 0 else 0
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8].strip())
