"""The ledger's table of background tasks, whichever database has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from mcp_router.ledger.queries import tasks
from mcp_router.ledger.queries.statements import Mode, Script
from mcp_router.ledger.task_records import PastCall, Task, TaskState

T = TypeVar("T")

_MAX_RECENT = 1_000


class Run(Protocol):
    """Runs a script as one transaction."""

    async def __call__(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Return the script's result.

        Raises:
            LedgerError: The database could not be read or written.
        """
        ...


class TaskLedger:
    """Tasks that processes share. Every method is one short transaction and raises `LedgerError` if it fails."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def insert(self, task: Task) -> None:
        """Record a new task."""
        await self._run("write", lambda: tasks.insert(task), brief=True)

    async def read(self, task_id: str) -> Task | None:
        """Return a task by its id, or by the id of its call; None if it is unknown."""
        return await self._run("read", lambda: tasks.read(task_id), brief=True)

    async def read_recent(self, client: str | None = None, limit: int = _MAX_RECENT) -> list[Task]:
        """Return the latest tasks, newest first; `client` selects one client's."""
        return await self._run("read", lambda: tasks.read_recent(client, limit))

    async def read_unowned(self, now: float) -> list[Task]:
        """Return running tasks whose lease has ended, oldest first."""
        return await self._run("read", lambda: tasks.read_unowned(now))

    async def read_expired(self, now: float) -> list[Task]:
        """Return tasks that are kept no longer."""
        return await self._run("read", lambda: tasks.read_expired(now))

    async def claim(self, task_id: str, owner: str, until: float, now: float) -> Task | None:
        """Lease a task that no process owns; return None if another process has it, or it has ended."""
        return await self._run("write", lambda: tasks.claim(task_id, owner, until, now), brief=True)

    async def renew(self, task_id: str, owner: str, until: float) -> bool | None:
        """Extend a lease. Return whether cancelling was requested, or None if the lease is lost."""
        return await self._run("write", lambda: tasks.renew(task_id, owner, until), brief=True)

    async def report(self, task_id: str, owner: str, state: TaskState, message: str, now: float) -> None:
        """Record how far a task is, if `owner` still has its lease."""
        await self._run("write", lambda: tasks.report(task_id, owner, state, message, now), brief=True)

    async def finish(self, task_id: str, owner: str, state: TaskState, message: str, now: float) -> bool:
        """End a task and its lease. Return False if `owner` no longer has it."""
        return await self._run("write", lambda: tasks.finish(task_id, owner, state, message, now), brief=True)

    async def release(self, task_id: str, owner: str) -> None:
        """End a lease, so that any process can take the task over at once."""
        await self._run("write", lambda: tasks.release(task_id, owner), brief=True)

    async def request_cancel(self, task_id: str) -> bool:
        """Ask the owner of a running task to cancel it; return False if the task has ended."""
        return await self._run("write", lambda: tasks.request_cancel(task_id), brief=True)

    async def delete(self, task_id: str) -> None:
        """Delete a task."""
        await self._run("write", lambda: tasks.delete(task_id), brief=True)

    async def count_by_state(self, client: str | None = None) -> dict[str, int]:
        """Return how many tasks are in each state; `client` selects one client's."""
        return await self._run("read", lambda: tasks.count_by_state(client))

    async def read_past(self, call_id: str) -> dict[str, PastCall]:
        """Return what was done so far for a call and for its files, by call id; a hold counts in full."""
        return await self._run("read", lambda: tasks.read_past(call_id))
