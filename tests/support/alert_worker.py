"""One of several processes that settle attempts at once on a watched budget.

`python -m tests.support.alert_worker LEDGER_URL NAME CALLS WEBHOOK_URL`
"""

from __future__ import annotations

import sys

import anyio

from mcp_router.execution.alerts import Alerter
from mcp_router.ledger.alerts import BudgetWatch
from mcp_router.ledger.connect import open_ledger
from tests.support.ledgers import NOON, an_attempt, daily


async def work(argv: list[str]) -> None:
    ledger = await open_ledger(argv[1])
    alerter = Alerter(ledger=ledger, url=argv[4], body_format="all", clock=lambda: NOON)
    ledger.watch(BudgetWatch(budgets=[daily("0.05")], thresholds=[0.8, 1.0], on_alerts=alerter.report))
    async with anyio.create_task_group() as calls:
        for number in range(int(argv[3])):
            calls.start_soon(ledger.settle, None, an_attempt(f"{argv[2]}-{number}", "0.1"))
    await alerter.aclose()
    await ledger.aclose()


if __name__ == "__main__":
    anyio.run(work, sys.argv)
