"""Progress notifications of a call, and a heartbeat, in numbers that only grow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio

HEARTBEAT_INTERVAL_S = 5.0
"""Seconds between notifications: hosts cut a call that is silent for a minute."""
_STEP = 0.01
"""What a heartbeat adds to the count of things done: every number must be higher than the last (MCP), and the next real
one higher still.
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
        """Report how much is done."""
        self._total, self._said = total, said
        await self._send(done, said)

    async def report_alive(self) -> None:
        """Report that the call still runs."""
        seconds = anyio.current_time() - self._began
        done = self._last + _STEP
        await self._send(done if self._total is None else min(done, self._total), f"{self._said}, {seconds:.0f} s")

    async def _send(self, done: float, said: str) -> None:
        if done <= self._last:
            return
        self._last = done
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the host has disconnected
            await self._report(done, self._total, said)


@asynccontextmanager
async def heartbeat(report: Report) -> AsyncGenerator[ProgressReporter]:
    """Report every few seconds that a call runs, and yield the reporter of its progress."""
    progress = ProgressReporter(report)

    async def tick() -> None:
        while True:
            await anyio.sleep(HEARTBEAT_INTERVAL_S)
            await progress.report_alive()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        yield progress
        group.cancel_scope.cancel()
