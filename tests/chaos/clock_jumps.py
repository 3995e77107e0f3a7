"""A clock that jumps: days ahead, days back, in the middle of calls."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio

from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground

HOUR, DAY = 3_600, 86_400
JUMPS = (0, DAY, -DAY, 40 * DAY, HOUR, 0, -2 * HOUR, 0)
"""Seconds beside the true time, one after the other."""
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
_AT_ONCE = 6
_DAILY_USD = Decimal("0.05")


async def run(ground: Ground) -> Figures:
    """Turn the server's clock while calls are under way."""
    figures = Figures(part="clock jumps")
    if not _LIBRARIES:
        figures.did, figures.found = "nothing: Debian's package faketime is not installed", "-"
        return figures
    room = ground.room("clock_jumps")
    config = servers.configured(ground, room, budget=f"daily_usd = {_DAILY_USD}")
    clock = room / "clock"
    _set(clock, 0)
    await ground.upstream.forget()
    await ground.upstream.behave({"type": "delay", "seconds": 0.2, "times": None})
    answered: set[str] = set()
    refused: list[str] = []
    more = {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    jumps = JUMPS if ground.size.every_fault else JUMPS[:3]
    async with servers.stdio(ground, room, config, more=more) as server:

        async def one(number: int, turn: int) -> None:
            vendor = ground.vendors[(number + turn) % len(ground.vendors)]
            said = await server.call("generate", servers.asking(ground, vendor, f"{number} {turn}"))
            refused.append(said.text) if said.error else answered.add(said.answer["call_id"])

        answered |= await servers.warmed_up(ground, server.call)
        for turn, jump in enumerate(jumps):
            async with anyio.create_task_group() as calls:
                for number in range(_AT_ONCE):
                    calls.start_soon(one, number, turn)
                await anyio.sleep(0.1)
                _set(clock, jump)
    await ground.upstream.recover()
    read = await books.opened(ground, room, config)
    books.demand_whole(figures, read, answered)
    asked = await ground.upstream.requests()
    books.demand_a_row_each(figures, read, len(asked))
    figures.demand(not refused, f"{len(refused)} calls were refused: {refused[:1]}")
    figures.demand(
        all(0 <= row.seconds < servers.PATIENCE_SECONDS for row in read.rows), "an attempt took no time at all"
    )
    days: dict[object, Decimal] = {}
    for row in read.rows:
        day = datetime.fromtimestamp(row.started_at, UTC).date()
        days[day] = days.get(day, Decimal(0)) + (row.cost_usd or Decimal(0))
    figures.demand(len(days) > 1, "the clock never moved")
    figures.demand(max(days.values()) <= _DAILY_USD, f"{max(days.values())} USD spent on a day of {_DAILY_USD}")
    figures.did = f"{len(jumps)} jumps of up to 40 days, both ways, each with {_AT_ONCE} calls in flight"
    figures.found = (
        f"{len(answered)} calls answered, in the ledger on {len(days)} days; no budget overrun, nothing on hold"
    )
    return figures


def _set(clock: Path, beside: int) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + beside))
    draft = clock.with_suffix(".draft")
    draft.write_text(f"@{moment}\n")
    draft.replace(clock)
