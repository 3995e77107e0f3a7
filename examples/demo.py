"""Drives the server as an agent's host would: over stdio, with the official MCP client and no key at all.

The server runs as a subprocess with an empty environment and a throw-away data folder, so the only model it can
ask is the embedded one, which is very small. Run it with `make demo`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import TextContent, TextResourceContents
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

SUMMARY = {
    "prompt": (
        "Summarize this text in two sentences.\n\n"
        "Bees carry pollen from flower to flower. Without them, many fruits and vegetables would not grow. In the last "
        "twenty years the number of bees has fallen, mainly because of pesticides, disease and the loss of wild "
        "flowers. Farmers can help by planting strips of flowers along their fields, and by spraying at night, when "
        "bees are in the hive."
    ),
    "max_output_tokens": 90,
}
CLASSIFICATION = {
    "prompt": (
        "Classify this ticket as billing, bug or praise.\n\n"
        "Ticket: The app crashes as soon as I open the settings page."
    ),
    "use_case": "classification",
}
CLOSING = """\
[bold]These answers come from a very small model[/bold] (135 million parameters). It labels clear texts and drafts \
short ones, and it invents facts. Give the server a provider's key, such as GROQ_API_KEY, and the same calls go to \
models that know more.
"""

Json = dict[str, Any]  # each tool's output schema says what is in it

console = Console(highlight=False)


class ToolError(Exception):
    """A tool could not do what it was asked; the text says why and what to do."""


def server(home: Path) -> StdioServerParameters:
    """Say how the server is started. The client hands on PATH and the like and nothing else, so no key either."""
    return StdioServerParameters(
        command=str(Path(sys.executable).with_name("mcp-llm-router")),
        args=["serve"],
        env={"HOME": str(home), "MCP_ROUTER_DATABASE_URL": f"sqlite:///{home / 'ledger.sqlite3'}"},
    )


async def main() -> None:
    """See who is there, delegate twice, look at the bill."""
    began = perf_counter()
    with TemporaryDirectory() as home:
        async with Client(server(Path(home))) as client:
            console.print(f"The server answers over stdio after {perf_counter() - began:.2f} s. It was given no key.")
            show_providers(await call(client, "list_providers"))
            await delegate(client, SUMMARY)
            await delegate(client, CLASSIFICATION)
            show_costs(await call(client, "cost_summary", {"period": "session", "group_by": "use_case"}))
            await show_resource(client, "router://routes/classification")
    console.print(Rule())
    console.print(CLOSING)


async def call(client: Client, tool: str, arguments: Json | None = None) -> Json:
    """Call a tool and take its structured result. A failure is a text that says what to do next."""
    if not console.is_terminal:
        console.print(f"· {tool}", style="dim")
    with console.status(f"{tool} …") as status:

        async def told(progress: float, total: float | None, message: str | None) -> None:
            status.update(f"{tool} … {message or f'{progress} of {total}'}")

        result = await client.call_tool(tool, arguments or {}, progress_callback=told)
    if result.is_error:
        raise ToolError(f"{tool}: {' '.join(block.text for block in result.content if isinstance(block, TextContent))}")
    return result.structured_content or {}


async def delegate(client: Client, task: Json) -> None:
    """Ask where a subtask would go, hand it over, and show what came back."""
    plan = await call(client, "explain_route", task)
    answer = await call(client, "generate", task)
    story = await call(client, "explain_route", {"call_id": answer["call_id"]})
    console.print(Rule(f"generate: {plan['use_case']['value']}", align="left"))
    console.print(Text(task["prompt"], style="dim"), "")
    show_route(plan)
    console.print(Panel(Text(answer["text"]), title="answer", subtitle=f"by {answer['model']}", title_align="left"))
    last = story["attempts"][-1]
    console.print(
        f"[bold]tokens[/bold] {last['input_tokens']} in, {last['output_tokens']} out in {last['seconds']:.2f} s   "
        f"[bold]cost[/bold] {usd(answer['cost_usd'])}   "
        f"[bold]saved[/bold] {usd(answer['saved_usd'])} against {plan['baseline']}\n"
    )


def show_route(plan: Json) -> None:
    """Show who is asked and why, and who is not and why not."""
    chosen = (
        f"{what.replace('_', ' ')} {plan[what]['value']}{' (inferred)' if plan[what]['inferred'] else ''}"
        for what in ("use_case", "complexity", "budget_tier")
    )
    console.print(f"[bold]route[/bold] {', '.join(chosen)}; at most {usd(plan['ceiling_usd'])} for the call")
    for number, candidate in enumerate(plan["candidates"], 1):
        console.print(f"  {number}. [green]{candidate['model']}[/green] [dim]{escape(candidate['why'])}[/dim]")
    for rejection in plan["rejected"][:4]:
        console.print(f"  [dim]not {rejection['model']}: {escape(rejection['reason'])}[/dim]")
    if more := plan["rejected"][4:]:
        console.print(f"  [dim]nor {len(more)} others[/dim]")


def show_providers(listing: Json) -> None:
    """Show which providers could be asked, and what the others need."""
    table = Table(title="list_providers", title_justify="left", box=None, pad_edge=False)
    for column in ("provider", "status", "models", "what to do"):
        table.add_column(column)
    for provider in listing["providers"]:
        style = "green" if provider["status"] == "active" else "dim"
        count, reason = str(len(provider.get("models", ()))), escape(provider.get("reason", ""))
        table.add_row(provider["name"], provider["status"], count, reason, style=style)
    console.print(table, "")


def show_costs(costs: Json) -> None:
    """Show what the session cost, and what the same tokens would have cost at the baseline."""
    table = Table(title="cost_summary of this session", title_justify="left", box=None, pad_edge=False)
    for column in ("", "calls", "tokens in", "tokens out", "cost", "baseline", "saved"):
        table.add_column(column)
    for name, row in (*costs["groups"].items(), ("all", costs)):
        counts = (str(row[key]) for key in ("calls", "input_tokens", "output_tokens"))
        table.add_row(name, *counts, *(usd(row[key]) for key in ("cost_usd", "baseline_usd", "saved_usd")))
    console.print(table, "")


async def show_resource(client: Client, uri: str) -> None:
    """Read a resource: here, a row of the routing table."""
    (contents,) = (await client.read_resource(uri)).contents
    tiers: Json = json.loads(contents.text)["tiers"] if isinstance(contents, TextResourceContents) else {}
    table = Table(title=uri, title_justify="left", box=None, pad_edge=False)
    table.add_column("tier")
    table.add_column("asked in this order")
    for tier, entries in tiers.items():
        table.add_row(tier, ", ".join(entry["model"] for entry in entries))
    console.print(table)


def usd(amount: float | None) -> str:
    """Write money out; an unknown cost is not zero."""
    return "unknown" if amount is None else f"${amount:.6f}"


try:
    anyio.run(main)
except* (ToolError, MCPError) as failed:  # the client's tasks wrap what is raised among them
    console.print(escape(str(failed.exceptions)), style="red")
    sys.exit(1)
