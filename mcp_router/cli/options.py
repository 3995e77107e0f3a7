"""Options that several commands share, and parsers of their values."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError

_MAX_PORT = 65_535


def add_config(parser: ArgumentParser, default: str | None = SUPPRESS) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="configuration file, TOML (default $MCP_ROUTER_CONFIG, or config.toml in the user's folder)",
    )


def add_json(parser: ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_routing(parser: ArgumentParser) -> None:
    """Add the prompt and what decides its plan."""
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
    parser.add_argument("--per-file", action="store_true", help="run the prompt once for each file")
    parser.add_argument("--schema", metavar="FILE", help="require an answer that is valid under this JSON Schema")
    parser.add_argument(
        "--max-output-tokens", type=parse_count, metavar="NUMBER", help="limit the answer (default by use case)"
    )
    parser.add_argument("--check", metavar="NAME", help="prove the answer: agree, or a check of the configuration")
    parser.add_argument("--patience", metavar="TIME", help="now or minutes (default now)")
    parser.add_argument("--max-cost-usd", metavar="USD", help="tighten the tier's ceiling for this call")
    add_json(parser)


def add_range(parser: ArgumentParser, default: str) -> None:
    """Add `--period`, `--from` and `--to`."""
    parser.add_argument(
        "--period",
        default=default,
        metavar="PERIOD",
        help=f"today, yesterday, 7d, 30d, month, last-month, 2026-11, 2026-11-24, all (default {default}); UTC",
    )
    parser.add_argument("--from", dest="from_day", metavar="DATE", help="first day, instead of --period")
    parser.add_argument("--to", dest="to_day", metavar="DATE", help="last day (default today)")


def parse_port(text: str) -> int:
    """Parse a port, 0 to 65535."""
    if not text.isascii() or not text.isdigit() or int(text[:9]) > _MAX_PORT:
        raise ArgumentTypeError(f"{text!r}: must be a number from 0 to {_MAX_PORT}")
    return int(text)


def parse_count(text: str) -> int:
    """Parse a whole number greater than 0."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(10**9)) or int(text) == 0:
        raise ArgumentTypeError(f"{text!r}: must be a whole number greater than 0")
    return int(text)


def parse_number(text: str) -> float:
    """Parse a number."""
    try:
        return float(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r}: must be a number") from exc
