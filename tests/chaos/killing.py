"""kill -9 in the middle of calls: what a caller was told is in the ledger, and money on hold comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import anyio

from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import GoneError, Http, Stdio
from tests.chaos.upstream import VENDORS

_VENDORS = (VENDORS[0], VENDORS[4])
"""Two that share an SDK: servers are started often here."""
_IN_FLIGHT = 8
_BUDGET_USD = Decimal("0.02")


@dataclass(kw_only=True, slots=True)
class _Seen:
    answered: set[str] = field(default_factory=set[str])
    refused: int = 0
    gone: int = 0
    this_round: int = 0


async def run(ground: Ground) -> Figures:
    """Kill one of two servers on one ledger, start it anew, and so on."""
    figures, seen = Figures(part="kill -9 during calls"), _Seen()
    room = ground.room("killing")
    config = servers.configured(ground, room, budget=f"daily_usd = {_BUDGET_USD}")
    await ground.upstream.forget()
    await ground.upstream.behave({"type": "delay", "seconds": 0.05, "times": None})
    for number in range(ground.size.kills // 2):
        await _round(ground, number, seen)
    await ground.upstream.recover()
    read = await books.opened(ground, room, config)
    books.demand_whole(figures, read, seen.answered)
    figures.demand(read.spent_usd <= _BUDGET_USD, f"{read.spent_usd} USD spent of {_BUDGET_USD}")
    figures.demand(seen.answered, "nobody was answered at all")
    figures.did = f"{ground.size.kills} servers killed, each with {_IN_FLIGHT} calls in flight; two on one ledger"
    figures.found = (
        f"{len(seen.answered)} calls answered, all in the ledger; {seen.gone} died with their server; "
        f"{seen.refused} refused by the budget; {read.spent_usd} of {_BUDGET_USD} USD spent, nothing left on hold"
    )
    return figures


async def _round(ground: Ground, number: int, seen: _Seen) -> None:
    room = ground.room("killing")
    config = room / "config.toml"
    seen.this_round = 0
    async with (
        servers.stdio(ground, room, config, name=f"stdio{number}") as stdio,
        servers.http(ground, room, config, name=f"http{number}") as http,
        anyio.create_task_group() as load,
    ):
        for caller in range(_IN_FLIGHT):
            load.start_soon(_caller, ground, stdio, caller, seen)
            load.start_soon(_caller, ground, http, caller, seen)
        with anyio.move_on_after(20):
            while seen.this_round < _IN_FLIGHT + 3 * number:
                await anyio.sleep(0.01)
        stdio.kill()
        with anyio.move_on_after(0.1 + 0.02 * number):  # the other goes on for a moment, alone
            await anyio.sleep_forever()
        http.kill()


async def _caller(ground: Ground, server: Stdio | Http, caller: int, seen: _Seen) -> None:
    for turn in range(200):
        vendor = _VENDORS[(caller + turn) % len(_VENDORS)]
        arguments = servers.asking(ground, vendor, f"{caller} {turn}")
        try:
            said = await server.call("generate", arguments)
        except GoneError:
            seen.gone += 1
            return
        seen.this_round += 1
        if said.error:
            seen.refused += 1
            await anyio.sleep(0.02)
            continue
        seen.answered.add(said.answer["call_id"])
