"""Commands, options and help texts."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import get_args

from mcp_router import __version__

HOSTS = ("claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini", "windsurf", "zed")
"""Names for `install`; their data is loaded by that command alone."""

_GROUPS: dict[str, dict[str, str]] = {
    "run": {
        "serve": "serve MCP over stdio or HTTP",
        "ask": "send one subtask and print the answer",
        "explain": "show the plan for a subtask, or the attempts of a past call; spends nothing",
    },
    "inspect": {
        "providers": "show providers and models, and how to enable the others",
        "costs": "show what calls cost and saved",
        "doctor": "check configuration, keys, routes, ledger and hosts",
    },
    "maintain": {
        "install": "add this server to an MCP host's configuration",
        "ledger": "prune old attempts, or rebuild sums",
        "replay": "show what recorded calls would cost under another routing table; spends nothing",
        "eval": "score the inference of use case and difficulty on the shipped data or yours",
        "forget": "delete the feedback that earlier answers gave about models",
    },
}
"""Every command with its help, by what people want."""
_MAX_PORT = 65_535


def create_parser() -> ArgumentParser:
    """Create the parser of the whole command line."""
    parser = ArgumentParser(
        prog="mcp-llm-router",
        usage="%(prog)s [--config FILE] COMMAND [OPTIONS]",
        description="An MCP server that lets your coding agent hand subtasks to cheaper models, within a budget.",
        epilog=f"{_format_groups()}\n\nWithout a command it runs serve. `COMMAND --help` shows a command's options.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mcp-llm-router {__version__}")
    _add_config(parser, default=None)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help=SUPPRESS)
    add = {
        "serve": _add_serve,
        "ask": _add_ask,
        "explain": _add_explain,
        "providers": _add_providers,
        "costs": _add_costs,
        "doctor": _add_doctor,
        "install": _add_install,
        "ledger": _add_ledger,
        "replay": _add_replay,
        "eval": _add_eval,
    }
    for commands in _GROUPS.values():
        for name, about in commands.items():
            command = subparsers.add_parser(name, description=about[0].upper() + about[1:] + ".")
            _add_config(command)
            if name in add:
                add[name](command)
    return parser


def _format_groups() -> str:
    lines: list[str] = []
    for group, commands in _GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:10} {about}" for name, about in commands.items())]
    return "\n".join(lines[1:])


def _add_config(parser: ArgumentParser, default: str | None = SUPPRESS) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="configuration file, TOML (default $MCP_ROUTER_CONFIG, or config.toml in the user's folder)",
    )


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_serve(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--transport",
        choices=("stdio", "http", "sse"),
        default="stdio",
        help="stdio, http (streamable HTTP at /mcp, API and dashboard) or sse (http with /sse beside it) "
        "(default stdio)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to bind (default 127.0.0.1); other addresses require client tokens",
    )
    parser.add_argument(
        "--port",
        type=_parse_port,
        default=8000,
        metavar="NUMBER",
        help="port to bind (default 8000; 0 picks a free port)",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests for this host name too; repeatable (default: the address itself)",
    )


def _add_ask(parser: ArgumentParser) -> None:
    _add_routing(parser)
    parser.add_argument("--system", metavar="TEXT", help="set the system text (default none)")
    parser.add_argument(
        "--temperature", type=_parse_number, metavar="NUMBER", help="set the temperature, 0 to 2 (default the model's)"
    )


def _add_explain(parser: ArgumentParser) -> None:
    parser.add_argument("--call", metavar="ID", help="show a past call instead, attempt by attempt")
    _add_routing(parser)


def _add_routing(parser: ArgumentParser) -> None:
    parser.add_argument(
        "prompt",
        nargs="?",
        help="the subtask; piped input is appended (default standard input, also with -)",
    )
    parser.add_argument("--use-case", metavar="NAME", help="set the use case (default inferred)")
    parser.add_argument("--tier", metavar="NAME", help="set the budget tier, the most one call may cost")
    parser.add_argument("--complexity", metavar="NAME", help="set simple, medium or complex (default inferred)")
    parser.add_argument("--model", metavar="NAME", help="pin provider:model or a provider")
    parser.add_argument("--file", action="append", default=[], metavar="PATH", help="read a file or glob; repeatable")
    parser.add_argument(
        "--max-output-tokens", type=_parse_count, metavar="NUMBER", help="limit the answer (default by use case)"
    )
    parser.add_argument("--max-cost-usd", metavar="USD", help="tighten the tier's ceiling for this call")
    _add_json(parser)


def _add_providers(parser: ArgumentParser) -> None:
    parser.add_argument("provider", nargs="?", help="show one provider in full")
    _add_json(parser)


def _add_doctor(parser: ArgumentParser) -> None:
    parser.add_argument("--live", action="store_true", help="request one token from each configured provider")
    _add_json(parser)


def _add_eval(parser: ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="score your prompts: JSON lines with text and label")
    _add_json(parser)


def _add_install(parser: ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help=", ".join(HOSTS))
    parser.add_argument("--dry-run", action="store_true", help="show the change without writing it")
    parser.add_argument("--uninstall", action="store_true", help="remove the entry")


def _add_costs(parser: ArgumentParser) -> None:
    from mcp_router.ledger.records import GroupBy  # noqa: PLC0415

    parser.add_argument(
        "--period", default="today", metavar="PERIOD", help="session, today, 7d, 30d, month or all (default today)"
    )
    parser.add_argument("--group-by", metavar="WHAT", help=f"group by {', '.join(get_args(GroupBy))}")
    _add_json(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV")


def _add_replay(parser: ArgumentParser) -> None:
    parser.add_argument("--table", required=True, metavar="FILE", help="read the other table: TOML with [routes.*]")
    parser.add_argument("--period", default="30d", metavar="PERIOD", help="today, 7d, 30d, month or all (default 30d)")
    _add_json(parser)


def _add_ledger(parser: ArgumentParser) -> None:
    subparsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prune = subparsers.add_parser("prune", help="delete the attempts of old days; their costs stay in the sums")
    prune.add_argument("--keep", required=True, metavar="DAYS", help="keep this many days, for example 90d")
    rebuild = subparsers.add_parser("rebuild", help="recompute sums and histograms from the attempts")
    rebuild.add_argument("--dry-run", action="store_true", help="show the differences without writing them")
    for each in (prune, rebuild):
        _add_config(each)
        _add_json(each)


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:9]) > _MAX_PORT:
        raise ArgumentTypeError(f"{text!r}: must be a number from 0 to {_MAX_PORT}")
    return int(text)


def _parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(10**9)) or int(text) == 0:
        raise ArgumentTypeError(f"{text!r}: must be a whole number greater than 0")
    return int(text)


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r}: must be a number") from exc
