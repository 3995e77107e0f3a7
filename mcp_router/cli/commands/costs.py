"""`costs`: what calls cost and saved, as tables, JSON, CSV or one line."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, get_args

from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_json, add_range
from mcp_router.cli.status_line import LineFigures, format_line, read_line
from mcp_router.errors import BadInputError
from mcp_router.ledger.records import GroupBy

if TYPE_CHECKING:
    from mcp_router.app import App

_MAX_DIMENSIONS = 2

# Imports of what builds the program are late: --line runs several times a minute and needs none of it.


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `costs`."""
    add_range(parser, default="today")
    parser.add_argument(
        "--group-by", metavar="WHAT[,WHAT]", help=f"group by one or two of {', '.join(get_args(GroupBy))}"
    )
    add_json(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument(
        "--line", action="store_true", help="print today's cost and budget in one line, for status lines"
    )


def run_early(given: Namespace) -> int | None:
    """Print the line of --line, if it can be read without building the program."""
    line = read_line(given.config) if given.line else None
    if line is None:
        return None
    print(line)
    return DONE


async def run(app: App, given: Namespace) -> int:
    """Print the costs of a period."""
    from rich.console import Console  # noqa: PLC0415

    from mcp_router.cli.cost_tables import print_csv, print_report  # noqa: PLC0415
    from mcp_router.operations import costs  # noqa: PLC0415
    from mcp_router.operations.arguments import CostArguments, parse_arguments  # noqa: PLC0415
    from mcp_router.text import to_compact_json  # noqa: PLC0415

    if given.line:
        print(format_line(await _read_figures(app)))
        return DONE
    parts = [part.strip() for part in given.group_by.split(",")] if given.group_by else []
    parsed = [parse_arguments(CostArguments, {"period": "session", "group_by": part}) for part in parts]
    by: list[GroupBy] = [one.group_by for one in parsed if one.group_by is not None]
    if len(parts) > _MAX_DIMENSIONS or len(set(by)) != len(parts):
        raise BadInputError(f"--group-by {given.group_by}: must be one name, or two different ones with a comma.")
    if given.period == "session":
        if len(parts) > 1:
            raise BadInputError(f"--group-by {given.group_by}: the period session groups by one name. Leave one out.")
        report = await costs.summarize_costs(app, parsed[0] if parsed else CostArguments(period="session"))
    else:
        report = await costs.summarize_range(app, given.period, given.from_day, given.to_day, by)
    if given.json:
        print(to_compact_json(report))
    elif given.csv:
        print_csv(report, str(given.group_by or "period"))
    else:
        print_report(report, Console(highlight=False), given.group_by)
    return DONE


async def _read_figures(app: App) -> LineFigures:
    """Read the figures of the line from a ledger that is not a plain SQLite file."""
    from mcp_router.operations import costs  # noqa: PLC0415
    from mcp_router.operations.arguments import CostArguments  # noqa: PLC0415

    report = await costs.summarize_costs(app, CostArguments(period="today"))
    budget = next(iter(report["budgets"]), None)
    return LineFigures(
        spent=_to_nano(report["cost_usd"]),
        saved=_to_nano(report["saved_usd"]),
        limit=None if budget is None else _to_nano(budget["limit_usd"]),
        limit_spent=0 if budget is None else _to_nano(budget["spent_usd"]),
    )


def _to_nano(amount: float | None) -> int:
    return round((amount or 0.0) * 1_000_000_000)
