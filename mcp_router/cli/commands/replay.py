"""`replay`: what recorded calls would have cost under another routing table, as tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.output import create_figures_table, create_table, format_usd, rows, to_amount
from mcp_router.operations import replay
from mcp_router.operations.arguments import CostArguments, parse_arguments
from mcp_router.text import to_compact_json


async def run(app: App, given: Namespace) -> int:
    """Print the comparison; nothing is spent."""
    period = parse_arguments(CostArguments, {"period": given.period}).period
    view = await replay.replay(app, Path(given.table), period)
    if given.json:
        print(to_compact_json(view))
    else:
        _show(view, Console(highlight=False))
    return DONE


def _show(view: dict[str, object], console: Console) -> None:
    (cells,) = rows([view["cells"]])
    console.print(
        f"[bold]{view['period']}[/bold]: {view['calls']} calls under {escape(str(view['table']))}: "
        f"{view['replayed']} compared, [red]{view['refused']} refused[/red], "
        f"{view['unanswered']} that nobody answered, {view['unknown_cost']} at an unknown cost"
    )
    if missing := view.get("keys_missing"):
        console.print(f"[yellow]as if there were keys for: {', '.join(map(str, rows(missing)))}[/yellow]")
    if not cells:
        console.print("no call was recorded in this period")
        return
    console.print(_costs({**cells, "all": view}))
    for change in _changes(cells):
        console.print(escape(change), soft_wrap=True)
    if refusals := rows(view["refusals"]):
        refused = create_table("refused call", "because", style="dim")
        for refusal in refusals:
            refused.add_row(escape(str(refusal["call_id"])), escape(str(refusal["reason"])))
        console.print(refused)
        console.print(f"what was paid for refused calls: {format_usd(view['refused_paid_usd'])}")


def _costs(cells: dict[str, object]) -> Table:
    shown = create_figures_table("cell", "calls", "refused", "paid USD", "would cost", "difference")
    for name, tally in _tallies(cells):
        difference = to_amount(tally["difference_usd"])
        colour = "green" if difference < 0 else "red" if difference > 0 else "dim"
        shown.add_row(
            escape(name),
            str(tally["calls"]),
            str(tally["refused"]),
            f"{to_amount(tally['paid_usd']):.6f}",
            f"{to_amount(tally['would_cost_usd']):.6f}",
            f"[{colour}]{difference:+.6f}[/{colour}]",
        )
    return shown


def _changes(cells: dict[str, object]) -> Iterator[str]:
    for name, tally in _tallies(cells):
        by, instead = rows([tally["answered_by"], tally["would_be_answered_by"]])
        if by != instead:
            yield f"{name}: {_counted(by)} -> {_counted(instead) or 'nobody'}"


def _tallies(cells: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    return zip(cells, rows(list(cells.values())), strict=True)


def _counted(models: dict[str, object]) -> str:
    return ", ".join(f"{count} {model}" for model, count in models.items())
