"""`providers`: who can be asked, as a table."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.output import create_table, rows
from mcp_router.operations.providers import list_providers
from mcp_router.text import to_compact_json

_COLOURS = {"active": "green", "degraded": "yellow", "inactive": "dim", "retired": "dim"}


async def run(app: App, given: Namespace) -> int:
    """Print the providers, or one in full."""
    view = await list_providers(app, given.provider)
    if given.json:
        print(to_compact_json(view))
        return DONE
    console = Console(highlight=False)
    if given.provider is None:
        console.print(_overview(rows(view["providers"])))
        return DONE
    (one,) = rows(view["providers"])
    console.print(f"[bold]{one['title']}[/bold] ({one['name']}): {one['status']} {escape(str(one.get('reason', '')))}")
    console.print(f"[dim]{one['docs']}[/dim]")
    models = rows(one["models"])
    console.print(_models(models))
    for model in models:
        if said := model.get("warning", model.get("note")):
            console.print(f"[dim]{escape(str(model['model']))}: {escape(str(said))}[/dim]")
    return DONE


def _overview(providers: list[dict[str, object]]) -> Table:
    overview = create_table("provider", "status", "models", "what to do")
    for provider in providers:
        status = str(provider["status"])
        models = provider.get("models")
        count = str(len(models)) if isinstance(models, list) else ""  # pyright: ignore[reportUnknownArgumentType] -- a list of names
        reason = escape(str(provider.get("reason", "")))
        overview.add_row(str(provider["name"]), f"[{_COLOURS[status]}]{status}[/]", count, reason)
    return overview


def _models(models: list[dict[str, object]]) -> Table:
    listed = create_table("model", "window", "in $/M", "out $/M", "checked")
    for model in models:
        keys = ("model", "context_window", "input_mtok", "output_mtok", "checked")
        listed.add_row(*("?" if model[key] is None else str(model[key]) for key in keys))
    return listed
