"""`providers`: which providers are available, or one of them in full."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_json
from mcp_router.cli.output import create_table
from mcp_router.operations.providers import (
    ModelView,
    ProviderDetails,
    ProviderView,
    list_providers,
    show_provider,
)
from mcp_router.text import to_compact_json

_COLOURS = {"active": "green", "degraded": "yellow", "inactive": "dim", "retired": "dim"}


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `providers`."""
    parser.add_argument("provider", nargs="?", help="show one provider in full")
    add_json(parser)


async def run(app: App, given: Namespace) -> int:
    """Print all providers, or one in full."""
    console = Console(highlight=False)
    if given.provider is None:
        listed = await list_providers(app)
        if given.json:
            print(to_compact_json(listed))
        else:
            console.print(_create_overview(listed["providers"]))
        return DONE
    shown = await show_provider(app, given.provider)
    if given.json:
        print(to_compact_json(shown))
    else:
        for provider in shown["providers"]:
            _print_provider(provider, console)
    return DONE


def _create_overview(providers: Sequence[ProviderView]) -> Table:
    table = create_table("provider", "status", "models", "what to do")
    for provider in providers:
        status = provider["status"]
        count = len(provider["models"]) + provider.get("more_models", 0)
        reason = escape(provider.get("reason", ""))
        table.add_row(provider["name"], f"[{_COLOURS[status]}]{status}[/]", str(count) if count else "", reason)
    return table


def _print_provider(provider: ProviderDetails, console: Console) -> None:
    reason = escape(provider.get("reason", ""))
    console.print(f"[bold]{provider['title']}[/bold] ({provider['name']}): {provider['status']} {reason}")
    console.print(f"[dim]{provider['docs']}[/dim]")
    console.print(_create_model_table(provider["models"]))
    for model in provider["models"]:
        if remark := model.get("warning", model.get("note")):
            console.print(f"[dim]{escape(model['model'])}: {escape(remark)}[/dim]")


def _create_model_table(models: Sequence[ModelView]) -> Table:
    table = create_table("model", "window", "in $/M", "out $/M", "checked")
    for model in models:
        figures = (model["context_window"], model["input_mtok"], model["output_mtok"], model["checked"])
        table.add_row(escape(model["model"]), *("?" if figure is None else str(figure) for figure in figures))
    return table
