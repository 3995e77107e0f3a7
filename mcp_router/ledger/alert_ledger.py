"""The part of the ledger that alerts need."""

from __future__ import annotations

from mcp_router.ledger.queries import alerts
from mcp_router.ledger.task_ledger import Run


class AlertLedger:
    """Alerts of all processes. Every method is one short transaction and raises `LedgerError` if it fails."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def claim_event(self, subject: str, day: int, now: float) -> bool:
        """Claim an alert that is not about a budget, on a UTC day; False if a process has claimed it."""
        return await self._run("write", lambda: alerts.claim_event(subject, day, now), brief=True)

    async def mark_sent(self, subject: str, day: int, threshold: float, now: float) -> None:
        """Record that the message of an alert was delivered."""
        await self._run("write", lambda: alerts.mark_sent(subject, day, threshold, now), brief=True)

    async def read_unsent(self, before: float, since: float) -> list[tuple[str, int, float]]:
        """Return subject, day and threshold of alerts claimed in a time whose message was not delivered."""
        return await self._run("read", lambda: alerts.read_unsent(before, since), brief=True)
