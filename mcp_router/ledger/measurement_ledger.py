"""The ledger's table of trial results, whichever database has it."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.ledger.queries import measurements
from mcp_router.ledger.records import Measurement
from mcp_router.ledger.task_ledger import Run


class MeasurementLedger:
    """Results of trials that processes share. Every method is one short transaction and raises `LedgerError` if it
    fails.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def store(self, measured: Sequence[Measurement]) -> None:
        """Replace the results of these models on their routes."""
        await self._run("write", lambda: measurements.store(measured), brief=True)

    async def read_all(self) -> list[Measurement]:
        """Return the newest result of every model on every route."""
        return await self._run("read", measurements.read_all, brief=True)
