"""Entry point of the command line: parses the arguments and runs the command."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from mcp_router.cli.parser import create_parser, load_command

_TOP_LEVEL = ("-h", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 the call failed, 2 usage or configuration."""
    gc.disable()  # everything imported stays alive: collecting during imports takes a tenth of the start
    try:
        words = _insert_serve(list(sys.argv[1:] if arguments is None else arguments))
        at = _count_config_words(words)
        given = create_parser(used=words[at : at + 1]).parse_args(words)
        run_early = getattr(load_command(given.command), "run_early", None)
        if run_early is not None and (code := run_early(given)) is not None:
            return code
        # Late import: `--help` and what runs early need none of it.
        from mcp_router.cli.run import run  # noqa: PLC0415

        return run(given)
    finally:
        gc.enable()


def _insert_serve(words: list[str]) -> list[str]:
    """Insert `serve` if no command is named: options alone mean `serve`."""
    at = _count_config_words(words)
    rest = words[at:]
    if not rest or (rest[0].startswith("-") and rest[0] not in _TOP_LEVEL):
        return [*words[:at], "serve", *rest]
    return words


def _count_config_words(words: list[str]) -> int:
    """Return how many leading words are `--config FILE` or `--config=FILE`."""
    at = 0
    while at < len(words):
        if words[at] == "--config" and at + 1 < len(words):
            at += 2
        elif words[at].startswith("--config="):
            at += 1
        else:
            break
    return at
