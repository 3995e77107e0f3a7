"""Commands, options and help texts."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import get_args

from mcp_router import __version__

HOSTS = ("claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini", "windsurf", "zed")
"""Those that `install` knows; what it knows of them is loaded when it is asked for."""


def create_parser() -> ArgumentParser:
    """Create the parser of the whole command line."""
    parser = ArgumentParser(
        prog="mcp-llm-router",
        description="Hands an agent's subtasks to the cheapest language model that can do them.",
        epilog="Without a command it serves MCP over stdio.",
    )
    parser.add_argument("--version", action="version", version=f"mcp-llm-router {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> ArgumentParser:
        added = subparsers.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        added.add_argument("--config", metavar="FILE", help="configuration file (TOML)")
        return added

    _serve(command("serve", "serve MCP over stdio or HTTP"))
    _ask(command("ask", "hand over one subtask and print the answer"))
    explain = command("explain", "show which models would be asked, and why, or what a past call did; spends nothing")
    explain.add_argument("--call", metavar="ID", help="a past call instead, attempt by attempt")
    _routing(explain)
    providers = command("providers", "show which providers can be asked")
    providers.add_argument("provider", nargs="?", help="one provider in full")
    providers.add_argument("--json", action="store_true", help="print JSON")
    _costs(command("costs", "show what calls cost and saved"))
    _replay(command("replay", "show what recorded calls would have cost under another routing table; spends nothing"))
    _ledger(command("ledger", "look after the ledger: prune drops old attempts, rebuild adds sums up anew"))
    doctor = command("doctor", "check configuration, keys, tables and ledger")
    doctor.add_argument("--live", action="store_true", help="ask each configured provider for one token")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    scored = command("eval", "score what is inferred from prompts, on the data that ships or on your own")
    scored.add_argument("--data", metavar="FILE", help="prompts to score instead: JSON lines, a text and a label each")
    scored.add_argument("--json", action="store_true", help="print JSON")
    command("forget", "unlearn what earlier answers taught about models")
    _install(command("install", "tell a client how to start this server"))
    return parser


def _serve(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--transport",
        choices=("stdio", "http", "sse"),
        default="stdio",
        help="stdio (default); http: streamable HTTP at /mcp, endpoints and dashboard; sse: with /sse beside it",
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="others than 127.0.0.1 need tokens")
    parser.add_argument(
        "--port", type=int, default=8000, metavar="NUMBER", help="8000 unless given; 0 takes a free one"
    )
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="a name it is reached by; repeatable"
    )


def _ask(parser: ArgumentParser) -> None:
    _routing(parser)
    parser.add_argument("--system", metavar="TEXT", help="system text")
    parser.add_argument("--temperature", type=float, metavar="NUMBER")


def _routing(parser: ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="?", help="the subtask; read from standard input where it is left out or -")
    parser.add_argument("--use-case", metavar="NAME", help="what kind of task it is; inferred otherwise")
    parser.add_argument("--tier", metavar="NAME", help="budget tier: what one call may cost")
    parser.add_argument("--complexity", metavar="NAME", help="simple, medium or complex")
    parser.add_argument("--model", metavar="NAME", help="pin provider:model or provider")
    parser.add_argument(
        "--file", action="append", default=[], metavar="PATH", help="a file or glob to read; repeatable"
    )
    parser.add_argument("--max-output-tokens", type=int, metavar="NUMBER")
    parser.add_argument("--max-cost-usd", metavar="USD", help="tighten the tier's ceiling for this call")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _install(parser: ArgumentParser) -> None:
    parser.add_argument("client", metavar="CLIENT", help=", ".join(HOSTS))
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    parser.add_argument("--uninstall", action="store_true", help="take the entry out again")


def _costs(parser: ArgumentParser) -> None:
    from mcp_router.ledger.records import GroupBy  # noqa: PLC0415

    parser.add_argument("--period", default="today", metavar="PERIOD", help="session, today, 7d, 30d, month or all")
    parser.add_argument("--group-by", metavar="WHAT", help=", ".join(get_args(GroupBy)))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--csv", action="store_true", help="print CSV")


def _replay(parser: ArgumentParser) -> None:
    parser.add_argument("--table", required=True, metavar="FILE", help="the other table: TOML with [routes.*]")
    parser.add_argument("--period", default="30d", metavar="PERIOD", help="today, 7d, 30d (default), month or all")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _ledger(parser: ArgumentParser) -> None:
    subparsers = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    prune = subparsers.add_parser("prune", help="drop the attempts of days before those to keep; what they cost stays")
    prune.add_argument("--keep", required=True, metavar="DAYS", help="how many days to keep, say 90d")
    rebuild = subparsers.add_parser(
        "rebuild", help="set sums and histograms to what the attempts add up to, where they disagree"
    )
    rebuild.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    for each in (prune, rebuild):
        each.add_argument("--config", metavar="FILE", default=SUPPRESS, help="configuration file (TOML)")
        each.add_argument("--json", action="store_true", help="print JSON")
