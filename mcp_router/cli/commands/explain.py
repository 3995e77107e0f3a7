"""`explain`: the plan for a subtask, as tables."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.output import collect_arguments, create_table, rows, texts
from mcp_router.operations import explain
from mcp_router.operations.arguments import ExplainArguments, parse_arguments
from mcp_router.text import to_compact_json


async def run(app: App, given: Namespace) -> int:
    """Print the plan; nothing is spent."""
    said = {"call_id": given.call} if given.call is not None else collect_arguments(given)
    view = await explain.explain_route(app, parse_arguments(ExplainArguments, said))
    if given.json:
        print(to_compact_json(view))
        return DONE
    (_show_call if given.call is not None else show)(view, Console(highlight=False))
    return DONE


def _show_call(view: dict[str, object], console: Console) -> None:
    attempts = create_table("", "model", "outcome", "s", "tokens in", "out", "USD", "detail")
    for attempt in rows(view["attempts"]):
        keys = ("number", "model", "outcome", "seconds", "input_tokens", "output_tokens", "cost_usd")
        detail = attempt.get("detail") or attempt["why"]
        attempts.add_row(*("?" if attempt[key] is None else str(attempt[key]) for key in keys), escape(str(detail)))
    console.print(f"call {view['call_id']}")
    console.print(attempts)


def show(view: dict[str, object], console: Console) -> None:
    """Print a plan as `explain_route` gives it."""
    for what in ("use_case", "complexity", "budget_tier"):
        (chosen,) = rows([view[what]])
        guess = f" [dim](inferred, confidence {chosen['confidence']})[/dim]" if chosen["inferred"] else ""
        console.print(f"{what.replace('_', ' ')}: [bold]{chosen['value']}[/bold]{guess}")
    console.print(f"ceiling: {view['ceiling_usd']} USD, baseline: {view['baseline']}")
    for reason in texts(view["reasons"]):
        console.print(f"[dim]{escape(reason)}[/dim]")
    for number, candidate in enumerate(rows(view["candidates"]), 1):
        console.print(f"{number:2}. [bold]{escape(str(candidate['model']))}[/bold]")
        told = f"{_figures(candidate)}; {escape(str(candidate['why']))}"
        console.print(Padding(told, (0, 0, 0, 4), style="dim", expand=False))
    if rejected := rows(view["rejected"]):
        others = create_table("not asked", "because", style="dim")
        for rejection in rejected:
            others.add_row(str(rejection["model"]), escape(str(rejection["reason"])))
        console.print(others)


def _figures(candidate: dict[str, object]) -> str:
    thinking = candidate["thinking"]
    return (
        f"about {_usd(candidate['estimated_usd'])}, at most {_usd(candidate['at_most_usd'])}, "
        f"{candidate['max_output_tokens']} tokens out{'' if thinking == 'off' else f', thinking {thinking}'}"
    )


def _usd(amount: object) -> str:
    return f"{amount:.6f} USD" if isinstance(amount, int | float) else "unknown USD"
