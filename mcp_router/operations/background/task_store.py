"""The store of background tasks: rows in the ledger, texts in a folder of their own.

A task is durable once `create` returns. Any process can read it and ask to cancel it. Only the process with its lease
runs it, and another takes it over when the lease ends.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import cast

from mcp_router.app import App
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_ledger import TaskLedger
from mcp_router.ledger.task_records import PastCall, Task, TaskState
from mcp_router.operations.background.task_files import TaskFiles, background_folder
from mcp_router.operations.caller import LOCAL, Caller

LEASE_S = 20.0
"""Seconds after its owner's last renewal at which another process can take a task over."""
KEEP_S = 24 * 3600.0
"""Seconds for which a task is kept, from its creation."""
KEEP_BATCH_S = 48 * 3600.0
"""The same for vendor batches."""

_MIN_ORPHAN_AGE_S = 3600.0
"""Seconds after which texts without a task are deleted: a task's texts are written before its row."""
_REQUEST, _RESULT = "request.json", "result.json"
Json = dict[str, object]


class TaskStore:
    """The tasks of one ledger, seen by one process."""

    def __init__(
        self,
        tasks: TaskLedger,
        files: TaskFiles,
        *,
        owner: str,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> None:
        """`owner` names this process in leases; `clock` returns seconds since the epoch."""
        self._tasks = tasks
        self.files = files
        self.owner = owner
        self.clock = clock
        self._lease_s = lease_s

    @classmethod
    def of(cls, app: App) -> TaskStore:
        """Return the store of an app's ledger."""
        return cls(app.ledger.tasks, TaskFiles(background_folder(app.settings.database_url)), owner=app.session)

    async def create(
        self, request: Mapping[str, object], *, kind: str, client: str, call_id: str, message: str, keep_s: float
    ) -> Task:
        """Record a task that this process runs. When this returns, a kill of the process does not lose it.

        Raises:
            LedgerError: The ledger or the disk refuses it.
        """
        now = self.clock()
        task = Task(
            id=secrets.token_urlsafe(24),
            client=client,
            call_id=call_id,
            kind=kind,
            state="working",
            message=message,
            made_at=now,
            updated_at=now,
            keep_until=now + keep_s,
            lease_owner=self.owner,
            lease_until=now + self._lease_s,
        )
        await self.write_json(task.id, _REQUEST, request)
        try:
            await self._tasks.insert(task)
        except LedgerError:
            await self.files.delete(task.id)
            raise
        return task

    async def read(self, name: str, caller: Caller = LOCAL) -> Task | None:
        """Return a task by its id or its call's id; None if it is unknown or expired, or the caller cannot see it."""
        task = await self._tasks.read(name)
        if task is None or task.keep_until <= self.clock() or not (caller.sees_all or task.client == caller.name):
            return None
        return task

    async def list_recent(self, caller: Caller = LOCAL) -> list[Task]:
        """Return the latest tasks that the caller can see, newest first."""
        now = self.clock()
        found = await self._tasks.read_recent(None if caller.sees_all else caller.name)
        return [task for task in found if task.keep_until > now]

    async def count_by_state(self, caller: Caller = LOCAL) -> dict[str, int]:
        """Return how many tasks that the caller can see are in each state."""
        return await self._tasks.count_by_state(None if caller.sees_all else caller.name)

    async def request_cancel(self, task: Task) -> bool:
        """Ask the process that runs a task to cancel it; return False if it has ended."""
        return await self._tasks.request_cancel(task.id)

    async def read_request(self, task: Task) -> Json | None:
        """Return what a task was created with; None if it has ended or this machine does not have it."""
        return await self.read_json(task.id, _REQUEST)

    async def read_result(self, task: Task) -> Json | None:
        """Return the result of a completed task; None if this machine does not have it."""
        return await self.read_json(task.id, _RESULT)

    async def report(self, task: Task, message: str, state: TaskState = "working") -> None:
        """Record how far a task of this process is."""
        await self._tasks.report(task.id, self.owner, state, message, self.clock())

    async def finish(self, task: Task, state: TaskState, message: str, result: Mapping[str, object] | None) -> bool:
        """End a task of this process: write its result, and delete the texts that it was made of. Return False if
        another process has taken it over.
        """
        if result is not None:
            await self.write_json(task.id, _RESULT, result)
        ended = await self._tasks.finish(task.id, self.owner, state, message, self.clock())
        if ended:
            await self.files.delete_except(task.id, _RESULT)
        return ended

    async def renew(self, task: Task) -> bool | None:
        """Extend the lease. Return whether cancelling was requested, or None if another process has the task."""
        return await self._tasks.renew(task.id, self.owner, self.clock() + self._lease_s)

    async def release(self, task: Task) -> None:
        """End the lease, so that any process can take the task over at once."""
        await self._tasks.release(task.id, self.owner)

    async def list_unowned(self) -> list[Task]:
        """Return running tasks whose owner is gone and whose texts this machine has, oldest first."""
        found = await self._tasks.read_unowned(self.clock())
        return [task for task in found if await self.files.has(task.id, _REQUEST)]

    async def claim(self, task: Task) -> Task | None:
        """Take a task over; return None if another process was first."""
        now = self.clock()
        return await self._tasks.claim(task.id, self.owner, now + self._lease_s, now)

    async def read_past(self, task: Task) -> dict[str, PastCall]:
        """Return what earlier processes did for a task's call and its files, by call id."""
        return await self._tasks.read_past(task.call_id)

    async def delete_expired(self) -> int:
        """Delete expired tasks with their texts, and texts without a task; return how many tasks there were."""
        expired = await self._tasks.read_expired(self.clock())
        for task in expired:
            await self.files.delete(task.id)
            await self._tasks.delete(task.id)
        for task_id in await self.files.list_older(time.time() - _MIN_ORPHAN_AGE_S):
            if await self._tasks.read(task_id) is None:
                await self.files.delete(task_id)
        return len(expired)

    async def write_json(self, task_id: str, name: str, value: Mapping[str, object]) -> None:
        """Write a JSON file of a task.

        Raises:
            LedgerError: The disk refuses it.
        """
        content = json.dumps(value, separators=(",", ":")).encode()
        try:
            await self.files.write(task_id, name, content)
        except OSError as error:
            problem = f"cannot write the texts of a background task ({error.strerror}): make room or check the folder"
            raise LedgerError(f"{problem} {background_folder('').parent}") from error

    async def read_json(self, task_id: str, name: str) -> Json | None:
        """Return a JSON file of a task, or None."""
        content = await self.files.read(task_id, name)
        return None if content is None else parse_json(content)


def parse_json(content: bytes) -> Json | None:
    """Return a JSON object; None for anything else."""
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast("Json", value) if isinstance(value, dict) else None
