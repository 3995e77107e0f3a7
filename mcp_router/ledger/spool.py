"""Keeps attempts beside the database while it is away, and writes them down when it is back.

One small file an attempt, written whole and renamed into place: nothing to lock, no torn line, and any process may
write any file down, twice too, because settling is idempotent. It holds what a ledger row holds, never a prompt.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

from anyio import CancelScope, Lock, to_thread
from pydantic import TypeAdapter, ValidationError

from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.ledger.records import (
    Attempt,
    Availability,
    Breaker,
    Budget,
    BudgetRefusal,
    BudgetStatus,
    GroupBy,
    Hold,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
    RecordedCall,
    RouteOutcomes,
    Summary,
)
from providers.completion import Limits

WhenLost = Literal["closed", "open"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unwritten:
    """What a settling would have written."""

    hold_id: str | None
    attempt: Attempt
    benches: tuple[Breaker, ...]
    lesson: OutcomeCounts | None = None


class SpoolingLedger:
    """A ledger that keeps what it cannot write. `closed` admits no call while the database is away;
    `open` admits them all, and their cost counts once it is back. What another living process keeps is on
    the budgets as its hold until that expires, then again once that process makes its next call.
    """

    def __init__(self, ledger: Ledger, folder: Path, *, when_lost: WhenLost = "closed") -> None:
        self._ledger = ledger
        self._folder = folder
        self._open = when_lost == "open"
        self._behind = True
        """Something may be waiting: an earlier process may have left it."""
        self._kept = 0
        """How often something was kept: more may be while we catch up."""
        self._in_memory: list[Unwritten] = []
        """What the folder did not take either."""
        self._catching_up = Lock()

    async def hold(
        self, hold: Hold, limits: Sequence[Budget], rate: RateLimit | None
    ) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once. What was kept is written first: it is spent, and must be on the budgets.

        Raises:
            LedgerError: The database is away and budgets fail closed.
        """
        try:
            await self.catch_up()
            return await self._ledger.hold(hold, limits, rate)
        except LedgerError as error:
            if not self._open:
                raise
            _log.warning("admitting a call without a budget: %s", error)
            return None

    async def settle(
        self,
        hold_id: str | None,
        attempt: Attempt,
        benches: Sequence[Breaker] = (),
        lesson: OutcomeCounts | None = None,
    ) -> bool:
        """Write the attempt; False: it is kept and will be written when the database is back."""
        with CancelScope(shield=True):
            try:
                return await self._ledger.settle(hold_id, attempt, benches, lesson)
            except LedgerError as error:
                _log.warning("keeping attempt %d of call %s: %s", attempt.number, attempt.call_id, error)
            await self._keep(Unwritten(hold_id=hold_id, attempt=attempt, benches=tuple(benches), lesson=lesson))
        return False

    async def catch_up(self) -> int:
        """Write down what was kept and say how much it was.

        Raises:
            LedgerError: The database is still away; nothing is lost.
        """
        if not self._behind:
            return 0
        async with self._catching_up:  # whoever comes meanwhile waits: it must not be admitted on an old balance
            if not self._behind:
                return 0
            seen = self._kept
            written = await self._write_kept()
            self._behind = self._kept != seen
        return written

    async def read_availability(self, now: float, counted: Sequence[str] | None = None) -> Availability:
        """How everybody stands, as far as anyone knows."""
        try:
            await self.catch_up()
            return await self._ledger.read_availability(now, counted)
        except LedgerError:
            if not self._open:
                raise
            return Availability()

    async def read_outcomes(self, now: float) -> list[RouteOutcomes]:
        """What was learnt of late; nothing while the database is away."""
        try:
            return await self._ledger.read_outcomes(now)
        except LedgerError as error:
            _log.warning("ordering without what was learnt: %s", error)
            return []

    async def forget_outcomes(self) -> int:
        """Unlearn all that."""
        await self.catch_up()
        return await self._ledger.forget_outcomes()

    async def close_breaker(self, scope: str) -> None:
        """It answered again; while the database is away the bench ends by itself."""
        try:
            await self._ledger.close_breaker(scope)
        except LedgerError as error:
            _log.warning("left %s on the bench: %s", scope, error)

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Be the one call that tries again; while the database is away, every process may try."""
        try:
            return await self._ledger.claim_probe(scope, now, until)
        except LedgerError:
            if not self._open:
                raise
            return True

    async def store_vendor_limit(self, scope: str, limits: Limits, now: float) -> None:
        """Share what a vendor's headers said; while the database is away nobody hears it."""
        try:
            await self._ledger.store_vendor_limit(scope, limits, now)
        except LedgerError as error:
            _log.warning("did not share the limits of %s: %s", scope, error)

    async def increase_budget(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Let so much more be spent than a budget says until it resets."""
        await self._ledger.increase_budget(budget, extra_usd, until, now)

    async def read_budgets(self, limits: Sequence[Budget], now: float) -> list[BudgetStatus]:
        """How each budget stands."""
        await self.catch_up()
        return await self._ledger.read_budgets(limits, now)

    async def read_attempts(self, call_id: str) -> list[Attempt]:
        """A call's attempts, first one first."""
        await self.catch_up()
        return await self._ledger.read_attempts(call_id)

    async def summarize(
        self, *, since: float | None, until: float | None, session: str | None, group_by: GroupBy | None
    ) -> Summary:
        """Totals of every UTC day that the period touches."""
        await self.catch_up()
        return await self._ledger.summarize(since=since, until=until, session=session, group_by=group_by)

    async def summarize_by_day(
        self, *, since: float, session: str | None, group_by: GroupBy
    ) -> dict[str, dict[str, Decimal]]:
        """What each group cost on each UTC day."""
        await self.catch_up()
        return await self._ledger.summarize_by_day(since=since, session=session, group_by=group_by)

    async def read_recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """The latest attempts, newest first."""
        await self.catch_up()
        return await self._ledger.read_recent(limit, before, client)

    async def read_calls(self, since: float | None, until: float | None) -> AsyncIterator[list[RecordedCall]]:
        """Every recorded call that began in the period, oldest first, a chunk at a time."""
        await self.catch_up()
        async for chunk in self._ledger.read_calls(since, until):
            yield chunk

    async def find_differences(self) -> list[str]:
        """Where rows, rollups and balances disagree, in words."""
        await self.catch_up()
        return await self._ledger.find_differences()

    async def rebuild_rollups(self) -> list[str]:
        """Set every rollup that disagrees with its rows to what they add up to."""
        await self.catch_up()
        return await self._ledger.rebuild_rollups()

    async def store_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Keep what a client said and heard up to a call."""
        await self._ledger.store_text(client, call_id, said, now)

    async def read_text(self, client: str, call_id: str) -> str | None:
        """What was kept of a client's call."""
        return await self._ledger.read_text(client, call_id)

    async def prune(self, before: float) -> int:
        """Drop the rows of the UTC days that ended by then; rollups stay."""
        await self.catch_up()  # afterwards a kept row of those days could no longer be told from a new one
        return await self._ledger.prune(before)

    async def aclose(self) -> None:
        """Close the database. What is kept stays for the next process."""
        await self._ledger.aclose()

    async def _keep(self, unwritten: Unwritten) -> None:
        try:
            await to_thread.run_sync(_save, self._folder, unwritten)
        except OSError:
            _log.exception("could not keep call %s on disk either", unwritten.attempt.call_id)
            self._in_memory.append(unwritten)
        self._kept += 1
        self._behind = True

    async def _write_kept(self) -> int:
        written = 0
        while self._in_memory:
            await self._settle(self._in_memory[0])
            del self._in_memory[0]
            written += 1
        for path, unwritten in await to_thread.run_sync(_saved, self._folder):
            await self._settle(unwritten)
            await to_thread.run_sync(_forget, path)
            written += 1
        return written

    async def _settle(self, unwritten: Unwritten) -> None:
        await self._ledger.settle(unwritten.hold_id, unwritten.attempt, unwritten.benches, unwritten.lesson)


@cache
def _json() -> TypeAdapter[Unwritten]:
    return TypeAdapter(Unwritten)


def _save(folder: Path, unwritten: Unwritten) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    attempt = unwritten.attempt
    name = hashlib.sha256(f"{attempt.number}:{attempt.call_id}".encode(errors="replace")).hexdigest()[:32]
    draft = folder / f"{name}.{os.getpid()}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_json().dump_json(unwritten))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / f"{name}.json")


def _saved(folder: Path) -> list[tuple[Path, Unwritten]]:
    found: list[tuple[Path, Unwritten]] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append((path, _json().validate_json(path.read_bytes())))
        except FileNotFoundError:
            continue  # another process wrote it down meanwhile
        except (ValidationError, OSError) as error:
            _log.warning("cannot read the kept attempt %s (%s): it stays where it is", path, type(error).__name__)
    return found


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
