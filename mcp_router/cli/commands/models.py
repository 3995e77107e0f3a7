"""`models`: models with prices, windows and features, as a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import get_args

from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_json, parse_count, parse_number
from mcp_router.cli.output import create_figures_table
from mcp_router.operations.models import ListedModel, ModelFilter, SortKey, select_models
from mcp_router.text import to_compact_json
from providers.catalog import Feature

_MILLION = 1_000_000


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `models`."""
    parser.add_argument("provider", nargs="?", help="list only this provider's models")
    parser.add_argument("--available", action="store_true", help="list only models that can be asked now")
    parser.add_argument(
        "--max-price",
        type=parse_number,
        metavar="USD",
        help="list models of at most this price per million output tokens",
    )
    parser.add_argument("--min-window", type=parse_count, metavar="TOKENS", help="list models of at least this window")
    parser.add_argument(
        "--feature",
        action="append",
        default=[],
        choices=get_args(Feature),
        help="list models with this feature; repeatable",
    )
    parser.add_argument(
        "--vision", action="append_const", dest="feature", const="vision", help="same as --feature vision"
    )
    parser.add_argument(
        "--sort", choices=get_args(SortKey), default="name", help="name, price, window or strength (default name)"
    )
    add_json(parser)


async def run(app: App, given: Namespace) -> int:
    """Print the models that pass the filters."""
    wanted = ModelFilter(
        provider=given.provider,
        max_price=given.max_price,
        min_window=given.min_window,
        features=frozenset(given.feature),
        available=given.available,
    )
    models = await select_models(app, wanted, given.sort)
    if given.json:
        print(to_compact_json({"models": models}))
    elif not models:
        print("no model passes these filters")
    else:
        _print_table(models, Console(highlight=False))
    return DONE


def _print_table(models: Sequence[ListedModel], console: Console) -> None:
    table = create_figures_table("model", "window", "in $/M", "out $/M", "rank")
    for model in models:
        figures = (
            _format_window(model["context_window"]),
            _format_price(model["input_mtok"]),
            _format_price(model["output_mtok"]),
            str(model["strength"] or "-"),
        )
        table.add_row(escape(model["model"]), *figures, style="" if model["available"] else "dim")
    console.print(table)
    available = sum(model["available"] for model in models)
    console.print(f"[dim]{len(models)} models, {available} available now; prices per million tokens[/dim]")


def _format_window(tokens: int | None) -> str:
    if tokens is None:
        return "?"
    return f"{tokens / _MILLION:.3g}M" if tokens >= _MILLION else f"{tokens / 1000:.0f}k"


def _format_price(price: float | None) -> str:
    return "?" if price is None else f"{price:.3f}"
