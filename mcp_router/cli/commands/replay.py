"""`replay`: what recorded calls would cost under another routing table, as tables."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_json
from mcp_router.cli.output import create_figures_table, create_table, format_usd
from mcp_router.operations import replay
from mcp_router.operations.arguments import CostArguments, parse_arguments
from mcp_router.operations.replay import ReplayReport, TallyView
from mcp_router.text import to_compact_json


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `replay`."""
    parser.add_argument("--table", required=True, metavar="FILE", help="read the other table: TOML with [routes.*]")
    parser.add_argument("--period", default="30d", metavar="PERIOD", help="today, 7d, 30d, month or all (default 30d)")
    add_json(parser)


async def run(app: App, given: Namespace) -> int:
    """Print the comparison; spends nothing."""
    period = parse_arguments(CostArguments, {"period": given.period}).period
    report = await replay.replay(app, Path(given.table), period)
    if given.json:
        print(to_compact_json(report))
    else:
        _print_report(report, Console(highlight=False))
    return DONE


def _print_report(report: ReplayReport, console: Console) -> None:
    console.print(
        f"[bold]{report['period']}[/bold]: {report['calls']} calls under {escape(report['table'])}: "
        f"{report['replayed']} compared, [red]{report['refused']} refused[/red], "
        f"{report['unanswered']} without an answer, {report['unknown_cost']} at an unknown cost"
    )
    if missing := report.get("keys_missing"):
        console.print(f"[yellow]as if there were keys for: {', '.join(missing)}[/yellow]")
    if not report["cells"]:
        console.print("no calls in this period")
        return
    console.print(_create_cost_table({**report["cells"], "all": report}))
    for change in _format_changes(report["cells"]):
        console.print(escape(change), soft_wrap=True)
    for name, models in report.get("measured", {}).items():
        for model, figures in models.items():
            console.print(escape(f"{name}: {model} {figures} (trial)"), soft_wrap=True)
    if report["refusals"]:
        table = create_table("refused call", "reason", style="dim")
        for refusal in report["refusals"]:
            table.add_row(escape(refusal["call_id"]), escape(refusal["reason"]))
        console.print(table)
        console.print(f"paid for refused calls: {format_usd(report['refused_paid_usd'])}")


def _create_cost_table(routes: Mapping[str, TallyView]) -> Table:
    table = create_figures_table("route", "calls", "refused", "paid USD", "would cost", "difference")
    for name, tally in routes.items():
        difference = tally["difference_usd"] or 0.0
        colour = "green" if difference < 0 else "red" if difference > 0 else "dim"
        table.add_row(
            escape(name),
            str(tally["calls"]),
            str(tally["refused"]),
            f"{tally['paid_usd'] or 0.0:.6f}",
            f"{tally['would_cost_usd'] or 0.0:.6f}",
            f"[{colour}]{difference:+.6f}[/{colour}]",
        )
    return table


def _format_changes(routes: Mapping[str, TallyView]) -> Iterator[str]:
    for name, tally in routes.items():
        before, after = tally["answered_by"], tally["would_be_answered_by"]
        if before != after:
            yield f"{name}: {_format_counts(before)} -> {_format_counts(after) or 'no model'}"


def _format_counts(models: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {model}" for model, count in models.items())
