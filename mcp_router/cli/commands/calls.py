"""`calls`: recorded calls with filters, as a table, JSON or CSV; without prompts and answers."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import anyio
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_json, add_range, parse_count, parse_number
from mcp_router.cli.output import format_amount
from mcp_router.ledger.records import Outcome
from mcp_router.operations.calls import CallFilter, CallRow, list_calls
from mcp_router.operations.model_aliases import canonical_provider
from mcp_router.operations.periods import parse_range
from mcp_router.text import to_compact_json

_POLL_S = 1.0
_OVERLAP_S = 900.0
"""A call is recorded when it ends, so one that began this long ago can still appear."""
_MAX_POLLED = 200


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `calls`."""
    add_range(parser, default="7d")
    parser.add_argument("--model", metavar="TEXT", help="list calls whose last model contains this text")
    parser.add_argument("--provider", metavar="NAME", help="list calls whose last model is this provider's")
    parser.add_argument("--use-case", metavar="NAME", help="list calls of this use case")
    parser.add_argument("--client", metavar="NAME", help="list calls of this client")
    parser.add_argument("--outcome", choices=get_args(Outcome), help="list calls that ended like this")
    parser.add_argument("--min-cost", type=parse_number, metavar="USD", help="list calls that cost at least this much")
    parser.add_argument("--limit", type=parse_count, default=20, metavar="NUMBER", help="newest calls (default 20)")
    parser.add_argument("--follow", action="store_true", help="print new calls as they end, until Ctrl-C")
    add_json(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV")


async def run(app: App, given: Namespace) -> int:
    """Print the calls that pass, newest first; with --follow oldest first."""
    wanted = _read_filter(app, given)
    rows = await list_calls(app, wanted, given.limit)
    if not given.follow:
        _print_rows(rows, given)
        return DONE
    _print_rows(rows[::-1], given)
    await _follow(app, wanted, rows, given)
    return DONE


def _read_filter(app: App, given: Namespace) -> CallFilter:
    _, since, until = parse_range(given.period, given.from_day, given.to_day, datetime.now(UTC).date())
    return CallFilter(
        since=since,
        until=None if given.follow else until,
        model=given.model,
        provider=None if given.provider is None else canonical_provider(given.provider, app.catalog.providers),
        use_case=given.use_case,
        client=given.client,
        outcome=given.outcome,
        min_cost_usd=None if given.min_cost is None else Decimal(str(given.min_cost)),
    )


async def _follow(app: App, wanted: CallFilter, shown: Sequence[CallRow], given: Namespace) -> None:
    """Print each new call once, until the process is interrupted."""
    began = datetime.now(UTC).timestamp()
    seen = {row["call_id"] for row in await list_calls(app, _since(wanted, began - _OVERLAP_S), _MAX_POLLED)}
    seen |= {row["call_id"] for row in shown}
    while True:
        await anyio.sleep(_POLL_S)
        recent = _since(wanted, datetime.now(UTC).timestamp() - _OVERLAP_S)
        rows = await list_calls(app, recent, _MAX_POLLED)
        if new := [row for row in reversed(rows) if row["call_id"] not in seen]:
            _print_rows(new, given, heading=False)
            sys.stdout.flush()
        seen = (
            (seen | {row["call_id"] for row in new}) if len(seen) < 100 * _MAX_POLLED else {r["call_id"] for r in rows}
        )


def _since(wanted: CallFilter, since: float) -> CallFilter:
    return CallFilter(
        since=since,
        model=wanted.model,
        provider=wanted.provider,
        use_case=wanted.use_case,
        client=wanted.client,
        outcome=wanted.outcome,
        min_cost_usd=wanted.min_cost_usd,
    )


def _print_rows(rows: Sequence[CallRow], given: Namespace, *, heading: bool = True) -> None:
    if given.json:
        for row in rows:
            print(to_compact_json(row))
    elif given.csv:
        out = csv.DictWriter(sys.stdout, list(CallRow.__annotations__))
        if heading:
            out.writeheader()
        out.writerows(rows)
    elif rows:
        Console(highlight=False).print(_create_table(rows, heading=heading))
    elif heading:
        print("no calls in this period")


def _create_table(rows: Sequence[CallRow], *, heading: bool) -> Table:
    table = Table(
        Column("UTC", no_wrap=True),
        Column("call", no_wrap=True),
        Column("model", overflow="fold"),
        Column("s", justify="right", no_wrap=True),
        Column("cost", justify="right", no_wrap=True),
        box=None,
        show_header=heading,
    )
    for row in rows:
        outcome = "" if row["outcome"] == "answered" else f" [red]{row['outcome']}[/red]"
        table.add_row(
            row["started_at"][5:16].replace("T", " "),
            row["call_id"],
            escape(row["model"]) + outcome,
            f"{row['seconds']:.1f}",
            format_amount(row["cost_usd"]),
        )
    return table
