"""Tells a caller how far its call is, and that it still lives, in numbers that only grow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio

HEARTBEAT_INTERVAL_S = 5.0
"""Seconds between signs of life: hosts cut a call that is silent for a minute."""
_STEP = 0.01
"""What a sign of life adds to the count of things done: the protocol wants every number higher than the last, and what
is done next must still be higher.
"""

Report = Callable[[float, float | None, str], Awaitable[None]]


class ProgressReporter:
    """The progress of one call."""

    def __init__(self, report: Report) -> None:
        """`report` sends one notification."""
        self._report = report
        self._began = anyio.current_time()
        self._last = 0.0
        self._total: float | None = None
        self._said = "waiting for the model"

    async def report(self, done: float, total: float | None, said: str) -> None:
        """Say how much is done."""
        self._total, self._said = total, said
        await self._send(done, said)

    async def report_alive(self) -> None:
        """Say that it still runs."""
        seconds = anyio.current_time() - self._began
        done = self._last + _STEP
        await self._send(done if self._total is None else min(done, self._total), f"{self._said}, {seconds:.0f} s")

    async def _send(self, done: float, said: str) -> None:
        if done <= self._last:
            return
        self._last = done
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # nobody listens any more
            await self._report(done, self._total, said)


@asynccontextmanager
async def heartbeat(report: Report) -> AsyncGenerator[ProgressReporter]:
    """Report every few seconds that a call runs; what it yields tells how far it is."""
    progress = ProgressReporter(report)

    async def tick() -> None:
        while True:
            await anyio.sleep(HEARTBEAT_INTERVAL_S)
            await progress.report_alive()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        yield progress
        group.cancel_scope.cancel()
