"""Every way of misbehaving that the fake vendors know, at every wire, through every door."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import anyio

from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import Said
from tests.chaos.upstream import Vendor

Json = dict[str, Any]
Ask = Callable[[str, Json], Awaitable[Said]]

_SPARE = "/together/"
_TIMEOUT = 8
"""Seconds that one attempt may take here."""
_UNNAMED_MISTAKES = (400, 422)
"""Tried once at another provider: nothing says that the caller is to blame."""
_TOO_LONG = 413
"""Only somebody with a larger window may take it, if there is one."""
_BENCHED = (401, 402, 403, 404, 408, 409, 410, 500, 502, 503, 504, 529)

REFUSALS: tuple[Json, ...] = (
    *({"type": "fail", "status": status} for status in (*_UNNAMED_MISTAKES, _TOO_LONG, *_BENCHED)),
    {"type": "fail", "status": 429, "retry_after": 0.3},
    {"type": "fail", "status": 429, "retry_after": 30},
    {"type": "delay", "seconds": 0.2},
    {"type": "delay", "seconds": _TIMEOUT + 1},
    {"type": "reply", "text": ""},
    {"type": "reply", "text": "half an ans", "finish_reason": "length"},
    {"type": "reply", "text": "half an ans", "finish_reason": "content_filter"},
    {"type": "reply", "tool_calls": [{"name": "unasked", "arguments": {"for": 1}}]},
)
STREAMS: tuple[Json, ...] = (
    *(
        {"type": "stream_fault", "kind": kind, "after_chunks": chunks}
        for kind in ("disconnect", "truncate", "malformed")
        for chunks in (0, 1, 3)
    ),
    {"type": "stream_fault", "kind": "stall", "after_chunks": 1, "stall_seconds": _TIMEOUT + 1},
    {"type": "slow_first_token", "seconds": 0.2},
    {"type": "slow_first_token", "seconds": _TIMEOUT + 1},
)
_SOME_REFUSALS = (REFUSALS[0], REFUSALS[3], REFUSALS[12], REFUSALS[15], REFUSALS[19])
_SOME_STREAMS = (STREAMS[1], STREAMS[4], STREAMS[7])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Door:
    name: str
    ask: Ask
    faults: tuple[Json, ...]


@dataclass(kw_only=True, slots=True)
class _Seen:
    calls: int = 0
    answered: set[str] = field(default_factory=set[str])
    fell_back: int = 0
    told: Counter[str] = field(default_factory=Counter[str])


async def run(ground: Ground) -> Figures:
    """Make them fail one by one and look at what callers get."""
    figures, seen = Figures(part="vendors that misbehave"), _Seen()
    room = ground.room("misbehaving")
    config = servers.configured(ground, room, timeout=_TIMEOUT, learning=False)
    await ground.upstream.forget()
    async with _doors(ground, room, config) as doors:
        for door in doors:
            seen.answered |= await servers.warmed_up(ground, door.ask)
        for door in doors:
            async with anyio.create_task_group() as side_by_side:
                for vendor in ground.vendors:
                    side_by_side.start_soon(_at_one, ground, room, vendor, door, (seen, figures))
    asked = await ground.upstream.requests()
    read = await books.opened(ground, room, config)
    books.demand_whole(figures, read, seen.answered)
    books.demand_a_row_each(figures, read, len(asked))
    await _judged(ground, figures)
    kinds = ", ".join(f"{count} {kind}" for kind, count in seen.told.most_common())
    figures.did = (
        f"{len(REFUSALS) + len(STREAMS)} kinds of faults at {len(ground.vendors)} vendors "
        f"through {len(doors)} entry points: {seen.calls} calls, {len(asked)} requests"
    )
    figures.found = (
        f"{len(seen.answered)} answered ({seen.fell_back} by another model or at the second try; the next was asked "
        f"{_fallback_ms(asked):.0f} ms after a refusal, at the median), the others told in words: {kinds}; "
        f"{len(read.rows)} rows; no half answer taken for a whole one"
    )
    return figures


@asynccontextmanager
async def _doors(ground: Ground, room: Path, config: Path) -> AsyncGenerator[list[_Door]]:
    refusals = REFUSALS if ground.size.every_fault else _SOME_REFUSALS
    streams = STREAMS if ground.size.every_fault else _SOME_STREAMS
    async with servers.stdio(ground, room, config) as stdio, servers.http(ground, room, config) as http:
        doors = [_Door(name="stdio", ask=stdio.call, faults=refusals)]
        if ground.size.every_fault:
            doors.append(_Door(name="http", ask=http.call, faults=refusals))
        yield [*doors, _Door(name="stream", ask=partial(http.call, stream=True), faults=streams)]


async def _at_one(ground: Ground, room: Path, vendor: Vendor, door: _Door, to: tuple[_Seen, Figures]) -> None:
    alone = servers.asking(ground, vendor, "")
    backed = {**alone, "model": None, "use_case": servers.routed()[vendor.name]}
    for number, fault in enumerate(door.faults):
        if fault.get("finish_reason") in vendor.cannot_say:
            continue
        for how, arguments in (("alone", alone), ("backed", backed)):
            _off_the_bench(room, vendor)
            await ground.upstream.behave({**fault, "match": {"path": vendor.asked}})
            prompt = f"{ground.prompt} {door.name} {vendor.name} {number} {how}"
            said = await door.ask("generate", {**arguments, "prompt": prompt})
            where = f"{vendor.name} over {door.name}, {how}, {fault}"
            if not await _met(ground, vendor):
                to[1].broken.append(f"{where}: nobody met it: {said.text[:200]}")
                continue
            _judge(*to, fault, said, where)


async def _met(ground: Ground, vendor: Vendor) -> bool:
    """Whether somebody met the fault; it is out of the way in any case."""
    waiting = [one for one in await ground.upstream.waiting() if one["match"].get("path") == vendor.asked]
    for _ in waiting:
        await ground.upstream.meet(vendor)
    return not waiting


def _judge(seen: _Seen, figures: Figures, fault: Json, said: Said, where: str) -> None:
    seen.calls += 1
    if said.error:
        seen.told[said.answer.get("error", {}).get("kind") or said.text.partition(":")[0]] += 1
        figures.demand(said.text.strip() and "Traceback" not in said.text, f"{where}: no words but {said.text[:80]!r}")
        nobody_else = fault.get("status") == _TOO_LONG or ", alone," in where
        figures.demand(nobody_else, f"{where}: nobody else was asked: {said.text[:160]}")
        return
    seen.answered.add(said.answer["call_id"])
    seen.fell_back += bool(said.answer.get("fallbacks"))
    whole = said.answer["text"] == f"Mock response from {said.answer['model'].partition(':')[2]}."
    owned_up = said.answer["finish_reason"] == "length"
    figures.demand(whole or owned_up, f"{where}: {said.answer['text']!r} was taken for an answer")


def _off_the_bench(room: Path, vendor: Vendor) -> None:
    """Otherwise the next fault would meet nobody."""
    with sqlite3.connect(room / "ledger.sqlite3", timeout=20, isolation_level=None) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'breakers'").fetchone():
            connection.execute("DELETE FROM breakers WHERE scope LIKE ?", (f"%:{vendor.name}%",))
    connection.close()


async def _judged(ground: Ground, figures: Figures) -> None:
    """What the fake thinks of us. It does not see that a cut stream went to another vendor: we look at that above."""
    verdict = await ground.upstream.verdict()
    wrong = Counter(
        finding["code"]
        for finding in verdict["findings"]
        if finding["severity"] == "error" and finding["code"] != "truncated_stream_accepted"
    )
    figures.demand(not wrong, f"the fake's verdict: {dict(wrong)}")


def _fallback_ms(asked: list[Json]) -> float:
    """From a refusal to the next request of the same call, which the backup got."""
    by_end = sorted(asked, key=lambda one: one["started_at"])
    gaps = [
        1_000 * (after["started_at"] - before["ended_at"])
        for before, after in pairwise(by_end)
        if before["status"] >= 500
        and after["path"].startswith("/together/")
        and after["started_at"] > before["ended_at"]
    ]
    return median(gaps) if gaps else 0.0
