"""`trial`: one's own samples over candidate models, with the price first and a verdict last."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from decimal import Decimal
from pathlib import Path

import anyio
from anyio import to_thread
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE, FAILED
from mcp_router.cli.options import add_json, parse_number
from mcp_router.cli.output import create_figures_table, format_count, format_usd
from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.operations.install.config_files import FileChange, format_diff, plan_entry, write_change
from mcp_router.operations.trial.prepare import Trial, TrialOptions, prepare_trial
from mcp_router.operations.trial.report import TrialReport, describe_trial
from mcp_router.operations.trial.run import TrialRun
from mcp_router.routing.routes import TIERS, USE_CASES, Tier, UseCase
from mcp_router.settings import default_path
from mcp_router.text import to_compact_json

_ROUTES = "routes"


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `trial`."""
    parser.add_argument("samples", metavar="SAMPLES.jsonl", help="read samples, one JSON object per line")
    parser.add_argument("--use-case", metavar="NAME", help="set the use case (default inferred from the samples)")
    parser.add_argument("--tier", metavar="NAME", help="set the budget tier (default the use case's)")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="measure this provider:model; repeatable (default the models of the route)",
    )
    parser.add_argument(
        "--criterion",
        metavar="NAME",
        help="exact, schema or judge:PROVIDER:MODEL (default exact if every sample has expected, else schema)",
    )
    parser.add_argument(
        "--at-least", type=_parse_rate, metavar="RATE", help="want this pass rate, 0 to 1 (default the best model's)"
    )
    parser.add_argument("--yes", action="store_true", help="accept the price, and with --write the change, unasked")
    parser.add_argument("--write", action="store_true", help="write the supported route to the configuration file")
    parser.add_argument("--fresh", action="store_true", help="ignore stored results (default go on from them)")
    add_json(parser)


def _parse_rate(text: str) -> float:
    rate = parse_number(text.removesuffix("%"))
    rate = rate / 100 if text.endswith("%") else rate
    if not 0 < rate <= 1:
        raise ArgumentTypeError(f"{text!r}: must be greater than 0 and at most 1, such as 0.9 or 90%")
    return rate


async def run(app: App, given: Namespace) -> int:
    """Show the price, run the trial, and print its figures and the verdict."""
    console = Console(stderr=True, highlight=False)
    trial = await prepare_trial(app, _read_options(given))
    if not await _accept_price(trial, console, given):
        return FAILED
    with _create_progress(console) as bar:
        task = bar.add_task("trial", total=len(trial.pending), spent="$0.000000")
        running = TrialRun(
            trial=trial, on_progress=lambda ended, usd: bar.update(task, completed=ended, spent=_format_amount(usd))
        )
        try:
            await running.run()
        except anyio.get_cancelled_exc_class():
            bar.stop()
            console.print(f"Stopped. {_format_spent(running)} To go on, run the same command without --fresh.")
            raise
    report = describe_trial(running)
    if given.json:
        print(to_compact_json(report))
    else:
        _print_report(report, Console(highlight=False))
    if running.stop_reason is not None:
        spent = _format_spent(running)
        console.print(escape(f"Stopped: {running.stop_reason} {spent} To go on, run the same command."), soft_wrap=True)
        return FAILED
    return await _write_route(app, report, console, given) if given.write else DONE


def _read_options(given: Namespace) -> TrialOptions:
    use_case: UseCase | None = None
    tier: Tier | None = None
    if given.use_case is not None:
        use_case = next((name for name in USE_CASES if name == given.use_case), None)
        if use_case is None:
            raise UnknownNameError("use case", given.use_case, USE_CASES)
    if given.tier is not None:
        tier = next((name for name in TIERS if name == given.tier), None)
        if tier is None:
            raise UnknownNameError("budget tier", given.tier, TIERS)
    return TrialOptions(
        path=Path(given.samples),
        use_case=use_case,
        tier=tier,
        models=tuple(given.model),
        criterion=given.criterion,
        at_least=given.at_least,
        fresh=given.fresh,
    )


async def _accept_price(trial: Trial, console: Console, given: Namespace) -> bool:
    """Show the price, and return whether the user accepts it.

    Raises:
        BadInputError: There is no terminal to ask at, and no --yes.
    """
    estimated, worst = trial.compute_price()
    console.print(f"{trial.use_case} at {trial.tier}, criterion {escape(trial.criterion)}")
    console.print(f"{len(trial.samples)} samples, {len(trial.models)} models: {escape(', '.join(trial.models))}")
    for model, reason in trial.left_out.items():
        console.print(f"[yellow]left out: {escape(model)}: {escape(reason)}[/yellow]")
    if not trial.pending:
        console.print("Every result is stored: this costs nothing.")
        return True
    if stored := len(trial.calls) - len(trial.pending):
        console.print(f"{stored} results are stored; {len(trial.pending)} are to be measured.")
    console.print(f"Price: about {_format_amount(estimated)}, at most {_format_amount(worst)}")
    if given.yes:
        return True
    if not _is_terminal():
        raise BadInputError("trial: no terminal to confirm the price at. Add --yes to accept it.")
    return await _confirm("Run the trial?")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


async def _confirm(question: str) -> bool:
    def ask() -> str:
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline()

    reply = await to_thread.run_sync(ask, abandon_on_cancel=True)
    return reply.strip().casefold() in {"y", "yes"}


def _create_progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[spent]}"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _format_amount(usd: Decimal | None) -> str:
    return format_usd(None if usd is None else float(usd))


def _format_spent(running: TrialRun) -> str:
    return f"{_format_amount(running.spent_usd)} spent, {running.ended} of {len(running.trial.pending)} calls ended."


def _print_report(report: TrialReport, console: Console) -> None:
    table = create_figures_table("model", "passed", "rate", "90 %", "USD/1000", "p50 ms", "p95 ms")
    for one in report["models"]:
        low, high = one["interval"]
        table.add_row(
            escape(one["model"]),
            f"{one['passed']}/{one['answered']}",
            "-" if one["pass_rate"] is None else f"{one['pass_rate']:.0%}",
            f"{low:.0%}-{high:.0%}",
            "unknown" if one["cost_per_1000_usd"] is None else f"{one['cost_per_1000_usd']:.4f}",
            format_count(one["latency_ms"]["p50"]),
            format_count(one["latency_ms"]["p95"]),
        )
    console.print(table)
    for one in report["models"]:
        if "failure" in one:
            console.print(
                f"[yellow]{escape(one['model'])}: not every sample answered: {escape(one['failure'])}[/yellow]"
            )
    if (judge := report.get("judge")) is not None:
        agreed = (
            f"agreed with {judge['agreed']} of {judge['labels']} of your labels" if judge["labels"] else "no labels"
        )
        line = f"judge {judge['model']}: {agreed}; {judge['contradictions']} answers depended on the order"
        console.print(escape(line), soft_wrap=True)
    console.print(f"spent: {format_usd(report['spent_usd'])}")
    _print_verdict(report, console)


def _print_verdict(report: TrialReport, console: Console) -> None:
    verdict = report["verdict"]
    names = {
        "chosen": "[green]Supported[/green]",
        "cannot_tell": "[yellow]Cannot tell[/yellow]",
        "none": "[red]None[/red]",
    }
    console.print(f"{names[verdict['kind']]}: {escape(verdict['reason'])}.", soft_wrap=True)
    if verdict["kind"] == "chosen":
        console.print(f"Route: {escape(', '.join(verdict['route']))}", soft_wrap=True)
    elif verdict["kind"] == "cannot_tell":
        more = verdict.get("more_samples")
        hint = (
            f"About {more} more samples would tell." if more else "The results are too close for more samples to tell."
        )
        console.print(hint)


async def _write_route(app: App, report: TrialReport, console: Console, given: Namespace) -> int:
    """Show the change of the configuration file, then write it."""
    verdict = report["verdict"]
    if verdict["kind"] != "chosen":
        console.print("--write: the results support no route. Nothing was written.")
        return FAILED
    path = app.settings.path or default_path()
    change = plan_entry(path, _ROUTES, report["use_case"], {report["budget_tier"]: verdict["route"]})
    if not change.needed:
        console.print(escape(f"{path}: nothing to change; it has this route."), soft_wrap=True)
        return DONE
    console.print(escape(format_diff(change)), soft_wrap=True)
    if not given.yes and _is_terminal() and not await _confirm(f"Write this to {path}?"):
        return FAILED
    return _write(change, console)


def _write(change: FileChange, console: Console) -> int:
    backup = write_change(change)
    console.print(escape(f"{change.path}: route written."), soft_wrap=True)
    if backup is not None:
        console.print(escape(f"Backup of the file from before: {backup}"), soft_wrap=True)
    return DONE
