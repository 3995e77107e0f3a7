"""Ledger over any database that can run a script as one transaction."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Literal, Protocol, TypeVar

from anyio import CancelScope, sleep

from mcp_router.ledger.alert_ledger import AlertLedger
from mcp_router.ledger.alerts import BudgetAlert, BudgetWatch
from mcp_router.ledger.calendar import DAY_SECONDS, day_from_time
from mcp_router.ledger.ledger import LedgerError, LedgerReplacedError, Settled
from mcp_router.ledger.measurement_ledger import MeasurementLedger
from mcp_router.ledger.queries import (
    attempts,
    breakers,
    call_lists,
    consistency,
    holds,
    lost,
    outcomes,
    settlement,
    summaries,
    texts,
    upkeep,
    vendor_limits,
)
from mcp_router.ledger.queries.consistency import Difference
from mcp_router.ledger.queries.statements import Mode, Script, end
from mcp_router.ledger.records import (
    Attempt,
    Availability,
    Breaker,
    Budget,
    BudgetRefusal,
    BudgetStatus,
    CallConditions,
    GroupBy,
    Hold,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
    RecordedCall,
    RouteOutcomes,
    Summary,
)
from mcp_router.ledger.spool import Settlement, Spool
from mcp_router.ledger.task_ledger import TaskLedger
from mcp_router.ledger.token_ledger import TokenLedger
from providers.completion import Limits

WhenLost = Literal["closed", "open"]
T = TypeVar("T")

_MAINTENANCE_INTERVAL_S = 2.0
_MAX_RECENT = 5_000
_log = logging.getLogger(__name__)

_AT_ONCE = 10
"""Days compared in one transaction: their rows fit into memory, and other transactions wait only briefly."""


class Database(Protocol):
    """Database that runs each script as one transaction, all or nothing."""

    async def run(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script and return its result. The script can be started over after a rollback. A `brief` script
        touches a few rows, however many there are.

        Raises:
            LedgerError: The database could not be read or written.
        """
        ...

    async def shrink(self) -> None:
        """Return the space of deleted rows to the disk, if the database does not do so by itself."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class DatabaseLedger:
    """Ledger in one database. A spool keeps attempts while the database is unavailable. During that time `closed`
    admits no call. `open` admits all, and their cost counts when the database is back.
    """

    def __init__(
        self,
        database: Database,
        *,
        spool: Spool | None = None,
        when_lost: WhenLost = "closed",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._spool = spool
        self._open = when_lost == "open"
        self._clock = clock
        self._is_used = False
        self._recent: deque[Settlement] = deque(maxlen=_MAX_RECENT)
        """Settlements to write again if an older file replaces the ledger's file."""
        self.tasks = TaskLedger(self._run_for_tasks)
        self.tokens = TokenLedger(self._run)
        self.measurements = MeasurementLedger(self._run)
        self.alerts = AlertLedger(self._run)
        self._watch: BudgetWatch | None = None

    def watch(self, watch: BudgetWatch | None) -> None:
        """Report the thresholds that attempts cross from now on; None reports none."""
        self._watch = watch

    async def hold(
        self, hold: Hold, budgets: Sequence[Budget], rate: RateLimit | None, *, client_rate: RateLimit | None = None
    ) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once, or return why not. Kept attempts are written first, because they are spent.

        Raises:
            LedgerError: The database is unavailable and budgets fail closed.
        """
        self._is_used = True
        if self._spool is not None:
            await self._spool.prepare()
        try:
            return await self._run("exclusive", lambda: holds.hold(hold, budgets, rate, client_rate), brief=True)
        except LedgerError as error:
            if not self._open:
                if self._spool is not None:
                    self._spool.doubt(hold.id)
                raise
            _log.warning("admitting a call without a budget: %s", error)
            return None

    async def settle(
        self,
        hold_id: str | None,
        attempt: Attempt,
        breakers: Sequence[Breaker] = (),
        counts: OutcomeCounts | None = None,
    ) -> Settled:
        """Record the attempt once, even if its caller is cancelled."""
        settlement = Settlement(hold_id=hold_id, attempt=attempt, breakers=tuple(breakers), counts=counts)
        with CancelScope(shield=True):
            try:
                await self._settle(settlement)
            except LedgerError as error:
                if self._spool is None:
                    raise
                _log.warning("keeping attempt %d of call %s: %s", attempt.number, attempt.call_id, error)
                return "kept" if await self._spool.keep(settlement) else "in_memory"
        return "written"

    async def catch_up(self) -> int:
        """Write kept attempts and return how many there were.

        Raises:
            LedgerError: The database is still unavailable. Nothing is lost.
        """
        if self._spool is None or not self._spool.has_work():
            return 0
        return await self._spool.write_all(self._settle, self._release)

    async def maintain(self) -> None:
        """Write attempts that any process kept when the database is back, and record lost ones; run until cancelled."""
        while True:
            await sleep(_MAINTENANCE_INTERVAL_S)
            try:
                await self.catch_up()
                if self._is_used:
                    await self._settle_lost(self._clock())
            except LedgerError as error:
                _log.info("kept attempts wait: %s", error)

    async def read_availability(self, now: float, counted: Sequence[str] | None = None) -> Availability:
        """Return open breakers, requests of the last minute and vendors' rate limits."""
        try:
            return await self._run("read", lambda: _read_availability(now, counted), brief=True)
        except LedgerError:
            if not self._open:
                raise
            return Availability()

    async def read_outcomes(self, now: float) -> list[RouteOutcomes]:
        """Return recent outcome counts of models by route; none while the database is unavailable."""
        try:
            return await self._run_in_database("read", lambda: outcomes.read_recent(now), brief=True)
        except LedgerError as error:
            if self._spool is None:
                raise
            _log.warning("ordering without feedback: %s", error)
            return []

    async def forget_outcomes(self) -> int:
        """Delete all outcome counts; return how many there were."""
        return await self._run("write", outcomes.forget)

    async def release(self, hold_id: str) -> None:
        """End a hold whose request was never sent; while the database is unavailable its lease ends it."""
        await self._advise(lambda: holds.release(hold_id))

    async def count_outcome(self, route: tuple[str, str, str], model: str, counts: OutcomeCounts, now: float) -> None:
        """Add outcome counts to a model in a route."""
        await self._advise(lambda: outcomes.add(route, model, now, counts))

    async def close_breaker(self, scope: str) -> None:
        """Close a breaker; while the database is unavailable its cooldown ends it."""
        await self._advise(lambda: breakers.close(scope))

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Claim the only probe of a half-open breaker; while the database is unavailable, any process can probe."""
        try:
            return await self._run_in_database("write", lambda: breakers.claim_probe(scope, now, until), brief=True)
        except LedgerError:
            if not self._open:
                raise
            return True

    async def store_vendor_limit(self, scope: str, limits: Limits, now: float) -> None:
        """Share a vendor's rate-limit headers."""
        await self._advise(lambda: vendor_limits.store(scope, limits, now))

    async def increase_budget(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Add to a budget in every process until it resets."""
        await self._run("write", lambda: holds.increase_budget(budget, extra_usd, until, now), brief=True)

    async def read_budgets(self, budgets: Sequence[Budget], now: float) -> list[BudgetStatus]:
        """Return each budget's spent and held money."""
        await self._settle_lost(now)
        return await self._run("read", lambda: holds.read_budgets(budgets, now), brief=True)

    async def read_attempts(self, call_id: str) -> list[Attempt]:
        """Return a call's attempts in order; empty if the call is unknown."""
        return await self._run("read", lambda: attempts.read_call(call_id), brief=True)

    async def summarize(
        self,
        *,
        since: float | None,
        until: float | None,
        session: str | None,
        group_by: GroupBy | None,
        then_by: GroupBy | None = None,
    ) -> Summary:
        """Return totals of every UTC day that the period touches."""
        await self._settle_lost(self._clock())
        return await self._run(
            "read",
            lambda: summaries.summarize(since=since, until=until, session=session, group_by=group_by, then_by=then_by),
        )

    async def summarize_by_day(
        self, *, since: float, session: str | None, group_by: GroupBy
    ) -> dict[str, dict[str, Decimal]]:
        """Return the cost of each group by UTC day."""
        await self._settle_lost(self._clock())
        return await self._run(
            "read", lambda: summaries.summarize_by_day(since=since, session=session, group_by=group_by)
        )

    async def read_recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """Return the latest attempts, newest first."""
        return await self._run("read", lambda: attempts.read_recent(limit, before, client))

    async def list_calls(self, filters: CallConditions, limit: int) -> list[list[Attempt]]:
        """Return the attempts of the latest calls that a filter admits, newest call first."""
        return await self._run("read", lambda: call_lists.read_filtered(filters, limit))

    async def read_calls(self, since: float | None, until: float | None) -> AsyncIterator[list[RecordedCall]]:
        """Yield the calls that began in a period, oldest first, in chunks."""
        last: RecordedCall | None = None
        while chunk := await self._run("read", partial(attempts.read_calls, since, until, last)):
            yield chunk
            last = chunk[-1]

    async def find_differences(self) -> list[str]:
        """Return where rows, rollups and budgets disagree; empty if they agree."""
        return [said for one in await self._differences() for said in one.describe()]

    async def rebuild_rollups(self) -> list[str]:
        """Recompute rollups that disagree with their rows, one day per transaction."""
        differing = sorted({one.day for one in await self._differences()})
        found = [await self._run_in_database("still", partial(upkeep.rebuild, day)) for day in differing]
        return [said for day in found for one in day for said in one.describe()]

    async def store_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Store a client's conversation up to a call, even if the caller is cancelled."""
        with CancelScope(shield=True):
            await self._run_in_database("write", lambda: texts.store(client, call_id, said, now))

    async def read_text(self, client: str, call_id: str) -> str | None:
        """Return a client's stored conversation up to a call."""
        return await self._run_in_database("read", lambda: texts.read(client, call_id))

    async def prune(self, before: float) -> int:
        """Delete rows and texts of UTC days that ended by `before`; rollups stay. Return the number of rows."""
        await self.catch_up()  # after pruning, a kept row of those days would look new
        day = day_from_time(before)
        await self._run_in_database("write", lambda: upkeep.mark_pruned(day))
        dropped = 0
        while chunk := await self._run_in_database("write", lambda: upkeep.drop(day * DAY_SECONDS)):
            dropped += chunk
        await self._database.shrink()
        return dropped

    async def aclose(self) -> None:
        """Try once more to write attempts that are only in memory, and close the database."""
        if self._spool is not None and self._spool.is_in_memory:
            try:
                await self.catch_up()
            except LedgerError as error:
                _log.error("attempts are lost, neither the ledger nor the disk takes them: %s", error)
        await self._database.aclose()

    async def _differences(self) -> list[Difference]:
        """Compare all days, a few per transaction."""
        await self._settle_lost(self._clock())
        days = await self._run("read", consistency.list_days)
        spans = (days[at : at + _AT_ONCE] for at in range(0, len(days), _AT_ONCE))
        found = [await self._run_in_database("read", partial(consistency.compare, each[0], each[-1])) for each in spans]
        return [one for span in found for one in span]

    async def _run(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script after writing kept attempts."""
        await self.catch_up()
        return await self._run_in_database(mode, script, brief=brief)

    async def _run_for_tasks(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script on tasks. A process that takes one over also records what its owner lost."""
        self._is_used = self._is_used or mode != "read"
        return await self._run(mode, script, brief=brief)

    async def _run_in_database(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script. If the ledger's file was replaced, first write this process's recent attempts again."""
        try:
            return await self._database.run(mode, script, brief=brief)
        except LedgerReplacedError:
            for one in tuple(self._recent):
                write = partial(_write_settlement, one, self._watch)
                self._report(await self._database.run("write", write, brief=True))
            return await self._database.run(mode, script, brief=brief)

    async def _advise(self, script: Callable[[], Script[None]]) -> None:
        """Write data that only helps later calls. With a spool, a failure is logged and does not fail the call."""
        try:
            await self._database.run("write", script, brief=True)
        except LedgerError as error:
            if self._spool is None:
                raise
            _log.warning("not shared with other processes: %s", error)

    async def _settle(self, one: Settlement) -> None:
        self._report(await self._run_in_database("write", partial(_write_settlement, one, self._watch), brief=True))
        self._recent.append(one)

    def _report(self, found: Sequence[BudgetAlert]) -> None:
        if found and self._watch is not None:
            self._watch.on_alerts(found)

    async def _settle_lost(self, now: float) -> None:
        await self.catch_up()  # a kept attempt is not lost
        if await self._run_in_database("read", lambda: lost.has_expired(now), brief=True):
            await self._run_in_database("write", lambda: lost.settle_expired(now))

    async def _release(self, hold_id: str) -> None:
        await self._run_in_database("write", lambda: holds.release(hold_id), brief=True)


def _read_availability(now: float, counted: Sequence[str] | None) -> Script[Availability]:
    """Read all three in one transaction and one round trip."""
    recent, usage, limits = yield from end(
        breakers.select_recent(now), holds.select_usage(now, counted), vendor_limits.select_all()
    )
    return Availability(
        breakers=breakers.parse_breakers(recent, now),
        rate_usage=holds.parse_usage(usage),
        vendor_limits=vendor_limits.parse_limits(limits, now),
    )


def _write_settlement(one: Settlement, watch: BudgetWatch | None) -> Script[list[BudgetAlert]]:
    return settlement.settle(one.hold_id, one.attempt, one.breakers, one.counts, watch)
