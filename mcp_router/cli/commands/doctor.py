"""`doctor`: what is wrong with the installation, and how to fix it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE, FAILED
from mcp_router.cli.options import add_json
from mcp_router.operations.doctor import checks
from mcp_router.text import to_compact_json

_SIGNS = {"ok": "[green]✓[/green]", "note": "[yellow]![/yellow]", "wrong": "[red]✗[/red]"}


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument("--live", action="store_true", help="request one token from each configured provider")
    add_json(parser)


async def run(app: App, given: Namespace) -> int:
    """Print the findings; return 1 if something is wrong."""
    findings = await checks.examine(app, live=given.live)
    if given.json:
        print(to_compact_json([{"state": one.state, "what": one.what, "found": one.found} for one in findings]))
    else:
        console = Console(highlight=False)
        for finding in findings:
            console.print(f"{_SIGNS[finding.state]} {escape(finding.what)}: {escape(finding.found)}")
    return FAILED if any(finding.state == "wrong" for finding in findings) else DONE
