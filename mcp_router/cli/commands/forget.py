"""`forget`: unlearn what earlier answers taught about models."""

from __future__ import annotations

from argparse import Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE


async def run(app: App, given: Namespace) -> int:  # noqa: ARG001 - every command is run the same way
    """Forget, and say how much there was."""
    known = await app.ledger.forget_outcomes()
    print(f"forgot what was learnt of {known} models in cells; the calls themselves and their costs stay")
    return DONE
