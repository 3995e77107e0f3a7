"""`init`: a guided first set-up: keys and local servers found, a configuration, one test call, a host."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import anyio

from mcp_router.app import App, run_app
from mcp_router.cli.exit_codes import DONE, FAILED
from mcp_router.cli.output import format_amount
from mcp_router.errors import BadInputError, RouterError
from mcp_router.operations import explain, generate
from mcp_router.operations.arguments import ExplainArguments, GenerateArguments, parse_arguments
from mcp_router.operations.configuration import locate
from mcp_router.operations.install import config_files
from mcp_router.operations.setup import Surroundings, find_surroundings, plan_configuration
from mcp_router.settings import load

_TEST_CALL: dict[str, object] = {
    "prompt": "Answer with one word: ok",
    "use_case": "conversation",
    "complexity": "simple",
    "max_output_tokens": 16,
}


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `init`."""
    parser.add_argument("--yes", action="store_true", help="answer every question with yes; for scripts")
    parser.add_argument("--daily-usd", metavar="USD", help="set the daily budget (default: asked; with --yes none)")
    parser.add_argument("--no-call", action="store_true", help="make no test call")
    parser.add_argument("--host", metavar="HOST", help="add this server to a host afterwards, as `install HOST` does")


def run_early(given: Namespace) -> None:
    """Let a configuration be named that is not there yet: it is the one to write."""
    given.target = locate(given.config)
    if not Path(given.target).exists():
        given.config = None
        os.environ.pop("MCP_ROUTER_CONFIG", None)


async def run(app: App, given: Namespace) -> int:
    """Set the router up, one question at a time."""
    if not given.yes and not sys.stdin.isatty():
        raise BadInputError("init asks questions, and standard input is not a terminal. Add --yes.")
    found = await find_surroundings(app)
    _print_surroundings(found)
    await _write_configuration(found, given)
    given.config = _find_config(given.target)
    code = DONE
    if not given.no_call:
        async with run_app(load(given.config)) as configured:
            code = await _call_once(configured, given)
    if given.host is not None:
        _install(given)
    return code


def _find_config(path: str) -> str | None:
    return path if Path(path).exists() else None


def _print_surroundings(found: Surroundings) -> None:
    print(f"keys: {', '.join(found.keys) or 'none in the environment'}")
    for server in found.servers:
        print(f"local server: {server.name} at {server.base_url}, {len(server.models)} models")
    if not found.servers:
        print("local servers: none at the usual ports of this machine")
    if not found.keys and not found.servers:
        print("Without a key the small embedded model answers. Set for example GROQ_API_KEY and run this again.")


async def _write_configuration(found: Surroundings, given: Namespace) -> None:
    change = plan_configuration(given.target, found, daily_usd=await _read_budget(given))
    if not change.needed:
        print(f"{change.path}: nothing to change.")
        return
    print(config_files.format_diff(change))
    if not await _confirm(f"Write {change.path}?", given):
        print("Nothing was written.")
        return
    backup = config_files.write_change(change)
    print(f"{change.path}: written." + (f" Backup: {backup}" if backup else ""))


async def _read_budget(given: Namespace) -> Decimal | None:
    answer = given.daily_usd
    if answer is None and not given.yes:
        answer = await _ask("Daily budget in USD (empty: no limit)? ")
    if not answer:
        return None
    try:
        budget = Decimal(answer.strip().removeprefix("$"))
    except InvalidOperation as exc:
        raise BadInputError(f"daily budget {answer!r}: is not an amount. Write for example 5 or 0.50.") from exc
    if not budget.is_finite() or budget < 0:
        raise BadInputError(f"daily budget {answer!r}: must be at least 0.")
    return budget


async def _call_once(app: App, given: Namespace) -> int:
    """Make one test call, after its price was shown."""
    plan = await explain.explain_plan(app, parse_arguments(ExplainArguments, _TEST_CALL))
    if not plan["candidates"]:
        print("test call: no model is available. Run mcp-llm-router doctor.", file=sys.stderr)
        return FAILED
    first = plan["candidates"][0]
    price = f"at most {format_amount(first['at_most_usd'])}"
    if not await _confirm(f"One test call to {first['model']}, {price}?", given):
        return DONE
    try:
        answer = await generate.generate(app, parse_arguments(GenerateArguments, _TEST_CALL), client="cli")
    except RouterError as error:
        print(f"test call failed: {error}", file=sys.stderr)
        return FAILED
    cost = answer["cost_usd"]
    print(f"{answer['model']} answered, {format_amount(cost if isinstance(cost, float) else None)}.")
    return DONE


def _install(given: Namespace) -> None:
    # Late import: only who names a host needs it.
    from mcp_router.cli.commands import install  # noqa: PLC0415

    options = Namespace(**vars(given), dry_run=False, uninstall=False)
    install.run(load(given.config), options)


async def _confirm(question: str, given: Namespace) -> bool:
    if given.yes:
        print(f"{question} yes")
        return True
    return (await _ask(f"{question} [y/N] ")).strip().lower() in ("y", "yes")


async def _ask(question: str) -> str:
    try:
        return await anyio.to_thread.run_sync(input, question, abandon_on_cancel=True)
    except EOFError:
        return ""
