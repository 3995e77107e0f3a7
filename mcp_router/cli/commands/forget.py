"""`forget`: deletes the feedback of earlier answers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `forget`: none."""


async def run(app: App, given: Namespace) -> int:  # noqa: ARG001 - every command has the same signature
    """Delete the feedback, and print how much there was."""
    count = await app.ledger.forget_outcomes()
    print(f"deleted the feedback about {count} models of routes; calls and their costs stay")
    return DONE
