"""`ask`: one subtask from the shell."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.arguments import collect_arguments
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_routing, parse_number
from mcp_router.operations import generate
from mcp_router.operations.arguments import GenerateArguments, parse_arguments
from mcp_router.text import to_compact_json


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `ask`."""
    add_routing(parser)
    parser.add_argument("--system", metavar="TEXT", help="set the system text (default none)")
    parser.add_argument(
        "--temperature", type=parse_number, metavar="NUMBER", help="set the temperature, 0 to 2 (default the model's)"
    )


async def run(app: App, given: Namespace) -> int:
    """Print the answer on standard output, and its cost on standard error."""
    app.connections.loads_fallback = False  # this process makes one call
    answer = await generate.generate(app, parse_arguments(GenerateArguments, collect_arguments(given)), client="cli")
    if given.json:
        print(to_compact_json(answer))
        return DONE
    print(answer["text"])
    console = Console(stderr=True, highlight=False)
    inferred = answer.get("inferred")
    names = inferred.values() if isinstance(inferred, dict) else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- made by `generate`
    guessed = "".join(f" · inferred {name}" for name in names)  # pyright: ignore[reportUnknownVariableType] -- made by `generate`
    console.print(
        f"[dim]{escape(str(answer['model']))} · {_format_cost(answer['cost_usd'])} · "
        f"saved {_format_cost(answer['saved_usd'])} against {app.baseline.model.id} · "
        f"call {answer['call_id']}{guessed}[/dim]"
    )
    if warning := answer.get("warning"):
        console.print(f"[yellow]{escape(str(warning))}[/yellow]")
    return DONE


def _format_cost(amount: object) -> str:
    return f"${amount:.6f}" if isinstance(amount, int | float) else "unknown"
