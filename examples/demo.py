"""Delegates one job to the server as an agent does: over stdio, with the official MCP client and no API key.

The job: label six support tickets. One call covers all files, a JSON Schema fixes the form of each answer, and the
answers go to files, so that neither tickets nor labels pass through the agent's context. The server starts with an
empty environment and a temporary data folder, so only the embedded model can answer. Run it with `make demo`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import TextContent
from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table

TICKETS = sorted((Path(__file__).parent / "tickets").glob("*.txt"))
TASK = {
    "prompt": "Classify this ticket as billing, bug or praise.",
    "files": ["tickets/*.txt"],
    "response_schema": {
        "type": "object",
        "properties": {"label": {"enum": ["billing", "bug", "praise"]}},
        "required": ["label"],
    },
}
CLOSING = """\
[bold]A model of 135 million parameters gave these answers.[/bold] It labels clear texts and little more. Set a key, \
for example GROQ_API_KEY, and the same call goes to models that know more. Next: [bold]mcp-llm-router install \
claude-code[/bold]
"""

Json = dict[str, Any]  # each tool's output schema describes it

console = Console(highlight=False)


class ToolError(Exception):
    """A tool call that failed; the text says why and what to do next."""


async def main() -> None:
    """Plan the call, run it, and show what it gave, cost and saved."""
    started = perf_counter()
    with TemporaryDirectory() as name:
        home = Path(name)
        copy_tickets(home / "tickets")
        async with Client(server_in(home)) as client:
            console.print(f"The server answered over stdio after {perf_counter() - started:.2f} s. No key is set.\n")
            show_plan(await call(client, "explain_route", TASK))
            delegated = TASK | {"per_file": True, "save_to": "labels"}
            result = await call(client, "generate", delegated)
            show_answers(home)
            show_context(delegated, result)
            show_costs(await call(client, "cost_summary", {"period": "session"}))
    console.print(Rule())
    console.print(CLOSING)


def server_in(home: Path) -> StdioServerParameters:
    """Return how to start the server in a folder, with an environment that holds no key."""
    return StdioServerParameters(
        command=str(Path(sys.executable).with_name("mcp-llm-router")),
        args=["serve"],
        cwd=home,
        env={
            "HOME": str(home / "home"),
            "MCP_ROUTER_CONFIG": str(home / "config.toml"),
            "MCP_ROUTER_DATABASE_URL": f"sqlite:///{home / 'ledger.sqlite3'}",
        },
    )


def copy_tickets(folder: Path) -> None:
    """Copy the tickets, and write a configuration that allows their folder."""
    folder.mkdir()
    (folder.parent / "home").mkdir()
    for ticket in TICKETS:
        shutil.copy(ticket, folder)
    (folder.parent / "config.toml").write_text(f"allowed_roots = [{json.dumps(str(folder.parent))}]\n", "utf-8")


async def call(client: Client, tool: str, arguments: Json) -> Json:
    """Call a tool and return its structured result.

    Raises:
        ToolError: The tool failed.
    """
    if not console.is_terminal:
        console.print(f"· {tool}", style="dim")
    with console.status(f"{tool} …") as status:

        async def show_progress(progress: float, total: float | None, message: str | None) -> None:
            status.update(f"{tool} … {message or f'{progress} of {total}'}")

        result = await client.call_tool(tool, arguments, progress_callback=show_progress)
    if result.is_error:
        raise ToolError(f"{tool}: {' '.join(block.text for block in result.content if isinstance(block, TextContent))}")
    return result.structured_content or {}


def show_plan(plan: Json) -> None:
    """Show the route, its reasons and the models left out, before anything is spent."""
    console.print(Rule("the plan, before anything is spent", align="left"))
    chosen = (
        f"{what.replace('_', ' ')} {plan[what]['value']}{' (inferred)' if plan[what].get('inferred') else ''}"
        for what in ("use_case", "complexity", "budget_tier")
    )
    console.print(f"[bold]route[/bold] {', '.join(chosen)}; at most {usd(plan['ceiling_usd'])} for each ticket")
    for number, candidate in enumerate(plan["candidates"], 1):
        console.print(f"  {number}. [green]{candidate['model']}[/green] [dim]{escape(candidate['why'])}[/dim]")
    for rejection in plan["rejected"][:3]:
        console.print(f"  [dim]not {rejection['model']}: {escape(rejection['reason'])}[/dim]")
    if more := plan["rejected"][3:]:
        console.print(f"  [dim]nor {len(more)} others[/dim]")
    console.print()


def show_answers(home: Path) -> None:
    """Show each ticket beside the answer that was saved for it."""
    console.print(Rule("the answers, saved as labels/tickets/*.json", align="left"))
    table = Table("ticket", "label", "begins with", box=None, pad_edge=False)
    for ticket in TICKETS:
        answer = json.loads((home / "labels" / "tickets" / f"{ticket.name}.json").read_text("utf-8"))
        table.add_row(
            ticket.name, f"[green]{answer['label']}[/green]", escape(ticket.read_text("utf-8").split("\n")[0])
        )
    console.print(table, "")


def show_context(arguments: Json, result: Json) -> None:
    """Show the tokens that the agent's context paid, beside those of pasting tickets and answers."""
    console.print(Rule("what the agent's context paid", align="left"))
    delegated = count_tokens(arguments) + count_tokens(result)
    pasted = sum(count_tokens(TASK["prompt"]) + count_tokens(ticket.read_text("utf-8")) for ticket in TICKETS)
    console.print(
        f"[bold]tokens[/bold] {delegated} for the call and its result, whatever the size of the files; "
        f"reading these six tickets itself: {pasted}, and it still has to write the labels"
    )
    console.print(
        "[dim]40 modules summarized into 40 files: 416 tokens instead of 139,765 (docs/delegation.md)[/dim]\n"
    )


def count_tokens(value: object) -> int:
    """Return the tokens of a value as compact JSON (o200k_base), or an estimate if the counter is not installed."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    try:
        bpe: Any = import_module("rs_bpe.bpe")
    except ImportError:
        return -(-len(text) // 4)
    return len(bpe.openai.o200k_base().encode(text))


def show_costs(costs: Mapping[str, Any]) -> None:
    """Show what the session cost and what the same tokens cost at the baseline model."""
    console.print(Rule("the cost summary", align="left"))
    console.print(
        f"{costs['calls']} calls, {costs['input_tokens']} tokens in, {costs['output_tokens']} out   "
        f"[bold]cost[/bold] {usd(costs['cost_usd'])}   [bold]baseline[/bold] {usd(costs['baseline_usd'])}   "
        f"[bold]saved[/bold] {usd(costs['saved_usd'])}\n"
    )


def usd(amount: float | None) -> str:
    """Format an amount; an unknown cost is not zero."""
    return "unknown" if amount is None else f"${amount:.6f}"


try:
    anyio.run(main)
except* (ToolError, MCPError) as failed:  # the client's tasks wrap what is raised inside them
    console.print(escape(str(failed.exceptions)), style="red")
    sys.exit(1)
