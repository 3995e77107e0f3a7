"""The ledger over any database that can run a script as one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeVar

from anyio import CancelScope

from mcp_router.ledger.calendar import DAY_SECONDS, day_from_time
from mcp_router.ledger.queries import (
    attempts,
    breakers,
    consistency,
    holds,
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

T = TypeVar("T")

_AT_ONCE = 10
"""Days compared in one transaction."""


class Database(Protocol):
    """Runs scripts: each one transaction, all or nothing."""

    async def run(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script and return what it found. It may be started over: nothing of the first run then remains.
        A `brief` one touches a handful of rows, however many there are.

        Raises:
            LedgerError: The database could not be read or written.
        """
        ...

    async def shrink(self) -> None:
        """Give room back that dropped rows left, where the database does not do so by itself."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class DatabaseLedger:
    """Attempts, budgets and rates in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(
        self, hold: Hold, limits: Sequence[Budget], rate: RateLimit | None
    ) -> BudgetRefusal | RateRefusal | None:
        """Claim money and rate at once, or say what stands in the way and claim nothing."""
        return await self._database.run("exclusive", lambda: holds.hold(hold, limits, rate), brief=True)

    async def settle(
        self,
        hold_id: str | None,
        attempt: Attempt,
        benches: Sequence[Breaker] = (),
        lesson: OutcomeCounts | None = None,
    ) -> bool:
        """Write the attempt once and all that hangs on it; a cancelled caller still pays for what it asked."""
        with CancelScope(shield=True):
            await self._database.run("write", lambda: settlement.settle(hold_id, attempt, benches, lesson), brief=True)
        return True

    async def read_availability(self, now: float, counted: Sequence[str] | None = None) -> Availability:
        """Who is benched, how busy each provider was, and what vendors said is left."""
        return await self._database.run("read", lambda: _read_availability(now, counted), brief=True)

    async def read_outcomes(self, now: float) -> list[RouteOutcomes]:
        """What was learnt of late of models in cells."""
        return await self._database.run("read", lambda: outcomes.read_recent(now), brief=True)

    async def forget_outcomes(self) -> int:
        """Unlearn all that."""
        return await self._database.run("write", outcomes.forget)

    async def close_breaker(self, scope: str) -> None:
        """It answered again."""
        await self._database.run("write", lambda: breakers.close(scope), brief=True)

    async def claim_probe(self, scope: str, now: float, until: float) -> bool:
        """Be the one call that tries again after a bench has ended."""
        return await self._database.run("write", lambda: breakers.claim_probe(scope, now, until), brief=True)

    async def store_vendor_limit(self, scope: str, limits: Limits, now: float) -> None:
        """Share what a vendor's headers said."""
        await self._database.run("write", lambda: vendor_limits.store(scope, limits, now), brief=True)

    async def increase_budget(self, budget: str, extra_usd: Decimal, until: float, now: float) -> None:
        """Let so much more be spent than a budget says until it resets."""
        await self._database.run("write", lambda: holds.increase_budget(budget, extra_usd, until, now), brief=True)

    async def read_budgets(self, limits: Sequence[Budget], now: float) -> list[BudgetStatus]:
        """How each budget stands."""
        return await self._database.run("read", lambda: holds.read_budgets(limits, now), brief=True)

    async def read_attempts(self, call_id: str) -> list[Attempt]:
        """A call's attempts, first one first; empty where there is no such call."""
        return await self._database.run("read", lambda: attempts.read_call(call_id), brief=True)

    async def summarize(
        self, *, since: float | None, until: float | None, session: str | None, group_by: GroupBy | None
    ) -> Summary:
        """Totals of every UTC day that the period touches."""
        return await self._database.run(
            "read", lambda: summaries.summarize(since=since, until=until, session=session, group_by=group_by)
        )

    async def summarize_by_day(
        self, *, since: float, session: str | None, group_by: GroupBy
    ) -> dict[str, dict[str, Decimal]]:
        """What each group cost on each UTC day."""
        return await self._database.run(
            "read", lambda: summaries.summarize_by_day(since=since, session=session, group_by=group_by)
        )

    async def read_recent(self, limit: int, before: float | None = None, client: str | None = None) -> list[Attempt]:
        """The latest attempts, newest first."""
        return await self._database.run("read", lambda: attempts.read_recent(limit, before, client))

    async def read_calls(self, since: float | None, until: float | None) -> AsyncIterator[list[RecordedCall]]:
        """Every recorded call that began in the period, oldest first, a chunk at a time."""
        last: RecordedCall | None = None
        while chunk := await self._recorded(since, until, last):
            yield chunk
            last = chunk[-1]

    async def find_differences(self) -> list[str]:
        """Where rows, rollups and balances disagree, in words; empty when all is well."""
        return [said for one in await self._differences() for said in one.describe()]

    async def rebuild_rollups(self) -> list[str]:
        """Set every rollup that disagrees with its rows to what they add up to, a day at a time."""
        differing = sorted({one.day for one in await self._differences()})
        found = [await self._database.run("still", partial(upkeep.rebuild, day)) for day in differing]
        return [said for day in found for one in day for said in one.describe()]

    async def store_text(self, client: str, call_id: str, said: str, now: float) -> None:
        """Keep what a client said and heard up to a call; a cancelled caller's answer is kept all the same."""
        with CancelScope(shield=True):
            await self._database.run("write", lambda: texts.store(client, call_id, said, now))

    async def read_text(self, client: str, call_id: str) -> str | None:
        """What was kept of a client's call."""
        return await self._database.run("read", lambda: texts.read(client, call_id))

    async def prune(self, before: float) -> int:
        """Drop the rows and texts of the UTC days that ended by then and say how many rows; rollups stay."""
        day = day_from_time(before)
        await self._database.run("write", lambda: upkeep.mark_pruned(day))
        dropped = 0
        while chunk := await self._database.run("write", lambda: upkeep.drop(day * DAY_SECONDS)):
            dropped += chunk
        await self._database.shrink()
        return dropped

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()

    async def _differences(self) -> list[Difference]:
        """Some days in one transaction: what is read of them fits into memory, and nobody waits for it long."""
        days = await self._database.run("read", consistency.list_days)
        spans = (days[at : at + _AT_ONCE] for at in range(0, len(days), _AT_ONCE))
        found = [await self._database.run("read", partial(consistency.compare, each[0], each[-1])) for each in spans]
        return [one for span in found for one in span]

    async def _recorded(
        self, since: float | None, until: float | None, after: RecordedCall | None
    ) -> list[RecordedCall]:
        return await self._database.run("read", lambda: attempts.read_calls(since, until, after))


def _read_availability(now: float, counted: Sequence[str] | None) -> Script[Availability]:
    """One moment for all three, and one way to the database."""
    benched, asked, said = yield from end(
        breakers.select_recent(now), holds.select_usage(now, counted), vendor_limits.select_all()
    )
    return Availability(
        breakers=breakers.parse_breakers(benched, now),
        rate_usage=holds.parse_usage(asked),
        vendor_limits=vendor_limits.parse_limits(said, now),
    )
