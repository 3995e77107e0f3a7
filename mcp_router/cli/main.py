"""Entry point of the command line: parses the arguments and runs the command."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from mcp_router.cli.parser import create_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 the call failed, 2 usage or configuration."""
    gc.disable()  # all that is imported stays: looking through it again and again is a tenth of a start
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        given = create_parser().parse_args(_add_serve(_move_config_last(words)))
        # Imported here, not above: hosts start one process a session, and `serve` needs none of the others.
        from mcp_router.cli.run import run  # noqa: PLC0415

        return run(given)
    finally:
        gc.enable()


def _move_config_last(arguments: list[str]) -> list[str]:
    """Let `--config FILE` stand before the command too: it means the same everywhere."""
    if arguments[:1] == ["--config"] and len(arguments) > 1:
        return [*arguments[2:], *arguments[:2]]
    if arguments and arguments[0].startswith("--config="):
        return [*arguments[1:], arguments[0]]
    return arguments


def _add_serve(arguments: list[str]) -> list[str]:
    """`mcp-llm-router` alone, or with options only, means `serve`."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        return ["serve", *arguments]
    return arguments
