"""`ask`: one subtask from the shell, or one prompt over many files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from typing import cast

import anyio
from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.answer_display import AnswerStream, AnswerView, print_answer, show_progress
from mcp_router.cli.arguments import collect_arguments
from mcp_router.cli.exit_codes import DONE, FAILED
from mcp_router.cli.options import add_routing, parse_number
from mcp_router.cli.output import format_amount
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations import costs, generate
from mcp_router.operations.arguments import CostArguments, GenerateArguments, parse_arguments
from mcp_router.text import to_compact_json


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `ask`."""
    add_routing(parser)
    parser.add_argument("--system", metavar="TEXT", help="set the system text (default none)")
    parser.add_argument(
        "--temperature", type=parse_number, metavar="NUMBER", help="set the temperature, 0 to 2 (default the model's)"
    )
    parser.add_argument(
        "--save-to", metavar="PATH", help="save the answer to this file, or with --per-file to this folder"
    )
    parser.add_argument(
        "--resume", action="store_true", help="answer only what an interrupted --per-file run left in --save-to"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file even if it changed during the call")
    parser.add_argument(
        "--conversation", metavar="ID", help="go on from the call with this ID; requires store_text = true"
    )


async def run(app: App, given: Namespace) -> int:
    """Print the answer on standard output, and its cost on standard error."""
    app.connections.loads_fallback = False  # this process makes one call
    arguments = parse_arguments(GenerateArguments, collect_arguments(given))
    streams = sys.stdout.isatty() and not (given.json or arguments.per_file or arguments.save_to)
    stream = AnswerStream() if streams else None
    progress = show_progress() if arguments.per_file and sys.stderr.isatty() else nullcontext()
    try:
        with progress as on_progress:
            result = await generate.generate(
                app,
                arguments,
                client="cli",
                on_text=None if stream is None else stream.receive,
                on_progress=on_progress,
            )
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await _report_interruption(app, resumable=arguments.per_file and arguments.save_to is not None)
        raise
    if given.json:
        print(to_compact_json(result))
    answer = cast("AnswerView", result)
    if not given.json:
        print_answer(answer, stream)
        _print_cost(answer, app.baseline.model.id)
    return FAILED if answer.get("failed") or answer.get("not_begun") else DONE


def _print_cost(answer: AnswerView, baseline: str) -> None:
    console = Console(stderr=True, highlight=False)
    inferred = "".join(f" · inferred {name}" for name in answer.get("inferred", {}).values())
    model = answer["model"] or "no model"
    console.print(
        f"[dim]{escape(model)} · {format_amount(answer['cost_usd'])} · "
        f"saved {format_amount(answer['saved_usd'])} against {baseline} · call {answer['call_id']}{inferred}[/dim]"
    )
    if warning := answer.get("warning"):
        console.print(f"[yellow]{escape(warning)}[/yellow]")


async def _report_interruption(app: App, *, resumable: bool) -> None:
    """Say on standard error what this process spent before it was interrupted."""
    try:
        spent = await costs.summarize_costs(app, CostArguments(period="session"))
    except LedgerError as error:
        print(f"mcp-llm-router: interrupted. What was spent is unknown: {error}", file=sys.stderr)
        return
    amount = "nothing" if not spent["attempts"] else format_amount(spent["cost_usd"])
    bound = "at most " if spent.get("uncertain_usd") else ""
    attempts = spent["attempts"]
    unpriced = f", {spent['unpriced_attempts']} of unknown cost" if "unpriced_attempts" in spent else ""
    then = " Saved answers stay; the same command with --resume does the rest." if resumable else ""
    print(
        f"\nmcp-llm-router: interrupted. Spent: {bound}{amount} "
        f"({attempts} attempt{'' if attempts == 1 else 's'}{unpriced}).{then}",
        file=sys.stderr,
    )
