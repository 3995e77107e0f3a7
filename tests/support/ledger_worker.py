"""One of several processes on a ledger: at noon it makes calls side by side and says what became of each.

`python ledger_worker.py URL NAME CALLS LIMIT_USD AMOUNT_USD LINGER_SECONDS LEASE_SECONDS`
"""

from __future__ import annotations

import sys

import anyio

from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import Ledger
from tests.support.ledgers import NOON, a_hold, an_attempt, daily


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def call(ledger: Ledger, name: str, argv: list[str]) -> None:
    limit, amount, linger, lease = argv[4], argv[5], float(argv[6]), float(argv[7])
    refusal = await ledger.hold(a_hold(name, amount, expires_at=NOON + lease), [daily(limit)], None)
    if refusal is not None:
        say("refused", name)
        return
    say("held", name)
    await anyio.sleep(linger * (hash(name) % 100) / 100)
    await ledger.settle(f"hold {name}", an_attempt(name, amount))
    say("settled", name)


async def work(argv: list[str]) -> None:
    ledger = await open_ledger(argv[1])
    async with anyio.create_task_group() as calls:
        for number in range(int(argv[3])):
            calls.start_soon(call, ledger, f"{argv[2]}-{number}", argv)
    await ledger.aclose()
    say("done")


if __name__ == "__main__":
    anyio.run(work, sys.argv)
