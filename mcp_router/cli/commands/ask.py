"""`ask`: one subtask from the shell."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.output import collect_arguments, rows
from mcp_router.operations import generate
from mcp_router.operations.arguments import GenerateArguments, parse_arguments
from mcp_router.text import to_compact_json


async def run(app: App, given: Namespace) -> int:
    """Print the answer on standard output, and what it cost on standard error."""
    app.connections.loads_fallback = False  # this process makes one call
    answer = await generate.generate(app, parse_arguments(GenerateArguments, collect_arguments(given)), client="cli")
    if given.json:
        print(to_compact_json(answer))
        return DONE
    print(answer["text"])
    console = Console(stderr=True, highlight=False)
    (inferred,) = rows([answer.get("inferred", {})])
    guessed = "".join(f" · inferred {value}" for value in inferred.values())
    console.print(
        f"[dim]{answer['model']} · {_usd(answer['cost_usd'])} · saved {_usd(answer['saved_usd'])} against "
        f"{app.baseline.model.id} · call {answer['call_id']}{guessed}[/dim]"
    )
    if warning := answer.get("warning"):
        console.print(f"[yellow]{escape(str(warning))}[/yellow]")
    return DONE


def _usd(amount: object) -> str:
    return f"{amount:.6f} USD" if isinstance(amount, int | float) else "cost unknown"
