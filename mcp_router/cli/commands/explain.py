"""`explain`: the plan for a subtask, or a past call, as tables."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from mcp_router.app import App
from mcp_router.cli.arguments import collect_arguments
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_routing
from mcp_router.cli.output import create_table, format_usd
from mcp_router.operations import explain
from mcp_router.operations.arguments import ExplainArguments, parse_arguments
from mcp_router.operations.explain import AttemptView, CallView, CandidateView, ChoiceView, PlanView, TaskView
from mcp_router.text import to_compact_json


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `explain`."""
    parser.add_argument("--call", metavar="ID", help="show a past call instead, attempt by attempt")
    add_routing(parser)


async def run(app: App, given: Namespace) -> int:
    """Print a plan or a past call; spends nothing."""
    console = Console(highlight=False)
    if given.call is not None:
        call = await explain.explain_call(app, given.call)
        if given.json:
            print(to_compact_json(call))
        else:
            _print_call(call, console)
        return DONE
    plan = await explain.explain_plan(app, parse_arguments(ExplainArguments, collect_arguments(given)))
    if given.json:
        print(to_compact_json(plan))
    else:
        print_plan(plan, console)
    return DONE


def _print_call(call: CallView | TaskView, console: Console) -> None:
    if "attempts" not in call:
        console.print(f"call {call['call_id']} in the background, {call['status']}: {escape(call['message'])}")
        return
    table = create_table("", "model", "outcome", "s", "tokens in", "out", "USD", "detail")
    for attempt in call["attempts"]:
        table.add_row(*_format_attempt(attempt))
    console.print(f"call {call['call_id']}")
    console.print(table)


def _format_attempt(attempt: AttemptView) -> tuple[str, ...]:
    figures = (attempt["seconds"], attempt["input_tokens"], attempt["output_tokens"], attempt["cost_usd"])
    return (
        str(attempt["number"]),
        escape(attempt["model"]),
        attempt["outcome"],
        *("?" if figure is None else str(figure) for figure in figures),
        escape(attempt.get("detail") or attempt["why"]),
    )


def print_plan(plan: PlanView, console: Console) -> None:
    """Print a plan as `explain_route` gives it."""
    if "files" in plan:
        console.print(f"files: {escape(plan['files'])}")
    _print_choice("use case", plan["use_case"], console)
    _print_choice("complexity", plan["complexity"], console)
    _print_choice("budget tier", plan["budget_tier"], console)
    console.print(f"ceiling: ${plan['ceiling_usd']}, baseline: {plan['baseline']}")
    for reason in plan["reasons"]:
        console.print(f"[dim]{escape(reason)}[/dim]")
    for number, candidate in enumerate(plan["candidates"], 1):
        console.print(f"{number:2}. [bold]{escape(candidate['model'])}[/bold]")
        line = f"{_format_figures(candidate)}; {escape(candidate['why'])}"
        console.print(Padding(line, (0, 0, 0, 4), style="dim", expand=False))
    if plan["rejected"]:
        table = create_table("rejected", "reason", style="dim")
        for rejection in plan["rejected"]:
            table.add_row(escape(rejection["model"]), escape(rejection["reason"]))
        console.print(table)


def _print_choice(title: str, choice: ChoiceView, console: Console) -> None:
    inferred = f" [dim](inferred, confidence {choice['confidence']})[/dim]" if "confidence" in choice else ""
    console.print(f"{title}: [bold]{choice['value']}[/bold]{inferred}")


def _format_figures(candidate: CandidateView) -> str:
    thinking = candidate["thinking"]
    return (
        f"about {format_usd(candidate['estimated_usd'])}, at most {format_usd(candidate['at_most_usd'])}, "
        f"{candidate['max_output_tokens']} tokens out{'' if thinking == 'off' else f', thinking {thinking}'}"
    )
