"""`explain`: the plan for a subtask, as tables."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router import explaining
from mcp_router.app import App
from mcp_router.cli import DONE
from mcp_router.cli.words import arguments, rows
from mcp_router.requests import ExplainArguments, checked
from mcp_router.wording import dumped


async def run(app: App, given: Namespace) -> int:
    """Print the plan; nothing is spent."""
    view = await explaining.explanation(app, checked(ExplainArguments, arguments(given)))
    if given.json:
        print(dumped(view))
        return DONE
    show(view, Console(highlight=False))
    return DONE


def show(view: dict[str, object], console: Console) -> None:
    """Print a plan as `explain_route` gives it."""
    for what in ("use_case", "complexity", "budget_tier"):
        (chosen,) = rows([view[what]])
        guess = f" [dim](inferred, confidence {chosen['confidence']})[/dim]" if chosen["inferred"] else ""
        console.print(f"{what.replace('_', ' ')}: [bold]{chosen['value']}[/bold]{guess}")
    console.print(f"ceiling: {view['ceiling_usd']} USD, baseline: {view['baseline']}")
    candidates = Table("", "model", "thinking", "estimated USD", "at most USD", "tokens out", "why", box=None)
    for number, candidate in enumerate(rows(view["candidates"]), 1):
        keys = ("model", "thinking", "estimated_usd", "at_most_usd", "max_output_tokens", "why")
        candidates.add_row(str(number), *(escape(str(candidate[key])) for key in keys))
    console.print(candidates)
    if rejected := rows(view["rejected"]):
        table = Table("not asked", "because", box=None, style="dim")
        for rejection in rejected:
            table.add_row(str(rejection["model"]), escape(str(rejection["reason"])))
        console.print(table)
