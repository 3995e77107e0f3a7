"""Runs background tasks in this process, and takes over those whose owner is gone.

Every task runs under a lease that a heartbeat renews. When the process ends in order, it parks its tasks: it cancels
them and ends their leases, so that another process can take them over at once. After a kill the lease runs out.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

import anyio
import anyio.lowlevel

from mcp_router.app import App
from mcp_router.errors import BudgetExceededError, RouterError, Shortfall
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_records import PastCall, Task
from mcp_router.money import format_usd
from mcp_router.operations.background.task_store import Json, TaskStore

_HEARTBEAT_S = 2.0
_SCAN_INTERVAL_S = 10.0
"""Seconds between two searches for tasks whose owner is gone, and for expired ones."""
_MIN_REPORT_INTERVAL_S = 1.0
_MAX_PARKING_S = 3.0
QUESTIONS = "questions.json"
RESPONSES = "responses.json"

Stopped = Literal["cancelled", "parked", "lost"]
_log = logging.getLogger(__name__)


class BudgetQuestions(Protocol):
    """Puts the question whether a task can go over a budget into words, and records the answer."""

    def ask(self, short: Shortfall, refusal: str) -> Json | None:
        """Return the request that asks the user; None if the user cannot be asked."""
        ...

    async def record(self, short: Shortfall, response: object) -> bool:
        """Record the user's answer; return whether it approves the call."""
        ...


@dataclass(kw_only=True, slots=True)
class TaskRun:
    """One task while this process runs it."""

    app: App
    store: TaskStore
    task: Task
    request: Json
    questions: BudgetQuestions | None
    message: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    stopped: Stopped | None = None
    answered: anyio.Event = field(default_factory=anyio.Event)
    """Set when a response to a question arrives."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    _reported_at: float = 0.0
    _asking: anyio.Lock = field(default_factory=anyio.Lock)
    _answers: int = 0

    async def report(self, _done: float, _total: float | None, said: str) -> None:
        """Record how far the task is; at most once a second reaches the ledger."""
        self.message = said
        if (now := anyio.current_time()) - self._reported_at >= _MIN_REPORT_INTERVAL_S:
            self._reported_at = now
            with suppress(LedgerError):  # the next report can succeed
                await self.store.report(self.task, said)

    async def approve(self, error: BudgetExceededError) -> bool:
        """Ask the user whether the task can go over a budget, and wait for the answer; calls share the question."""
        short, before = error.shortfall, self._answers
        if short is None or self.questions is None or not self.request.get("can_ask"):
            return False
        async with self._asking:
            if self._answers != before:
                return True  # another call asked, and the answer may cover this one too
            question = self.questions.ask(short, str(error))
            if question is None:
                return False
            response = await self._wait_for_answer(short.budget, question)
            approved = await self.questions.record(short, response)
            self._answers += approved
            return approved

    def stop(self, why: Stopped) -> None:
        """Cancel the task."""
        self.stopped = self.stopped or why
        self.scope.cancel()

    async def _wait_for_answer(self, budget: str, question: Json) -> object:
        """Return the answer to a question. One that an earlier process asked and did not use the answer of stays open:
        a used answer must not count again.
        """
        asked = await self.store.read_json(self.task.id, QUESTIONS) or {}
        key = next((key for key in asked if key.startswith(f"{budget}:")), f"{budget}:{secrets.token_urlsafe(16)}")
        responses = await self.store.read_json(self.task.id, RESPONSES) or {}
        await self.store.write_json(self.task.id, QUESTIONS, {key: asked.get(key, question)})
        await self.store.report(self.task, self.message, "input_required")
        while key not in responses:
            with anyio.move_on_after(_HEARTBEAT_S):  # another process can have taken the response
                await self.answered.wait()
            self.answered = anyio.Event()
            responses = await self.store.read_json(self.task.id, RESPONSES) or {}
        await self.store.write_json(self.task.id, QUESTIONS, {})
        await self.store.report(self.task, self.message)
        return responses[key]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of a task."""

    message: str
    result: Json
    """`answer` as the tool gives it or `error` as its text, and `full`: what the resource of the call shows."""


Worker = Callable[[TaskRun], Awaitable[Outcome]]
"""Does a task's work. It raises `RouterError` or `LedgerError` for a failure, which becomes a tool error."""


class TaskRunner:
    """The tasks that run in this process."""

    def __init__(
        self, app: App, store: TaskStore, workers: Mapping[str, Worker], questions: BudgetQuestions | None = None
    ) -> None:
        """`workers` are by kind of task; tasks of other kinds are left to other processes."""
        self._app = app
        self.store = store
        self._workers = workers
        self._questions = questions
        self._runs: dict[str, TaskRun] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._users = 0
        self._watch: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Look after tasks while any such context is open; at the end of the last, park them."""
        self._users += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_forever(), name="background tasks")
            self._watch.add_done_callback(self._forget)
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                with anyio.CancelScope(shield=True):
                    await self._park()

    def start(self, task: Task, request: Json) -> None:
        """Run a task whose lease this process has."""
        run = TaskRun(
            app=self._app,
            store=self.store,
            task=task,
            request=request,
            questions=self._questions,
            message=task.message,
        )
        self._runs[task.id] = run
        job = asyncio.create_task(self._run(run), name=f"task {task.call_id}")
        self._jobs.add(job)
        job.add_done_callback(self._forget)

    def find(self, task: Task) -> TaskRun | None:
        """Return a task's run if this process runs it."""
        return self._runs.get(task.id)

    async def cancel(self, task: Task) -> None:
        """Ask for a task to be cancelled; here at once, in another process at its next heartbeat."""
        if await self.store.request_cancel(task) and (run := self._runs.get(task.id)) is not None:
            run.stop("cancelled")

    async def scan(self) -> None:
        """Take over tasks whose owner is gone, and delete expired ones. Without texts of tasks on this machine there is
        nothing to do, and the ledger stays closed.
        """
        if not await self.store.files.has_any():
            return
        await self.store.delete_expired()
        for found in await self.store.list_unowned():
            request = await self.store.read_request(found) if found.kind in self._workers else None
            if request is None or not is_runnable_here(request, self._app):
                continue
            if (task := await self.store.claim(found)) is not None:
                self.start(task, request)

    async def _watch_forever(self) -> None:
        scanned_at = -_SCAN_INTERVAL_S
        while True:
            try:
                if (now := anyio.current_time()) - scanned_at >= _SCAN_INTERVAL_S:
                    scanned_at = now
                    await self.scan()
                await self._renew_leases()
            except LedgerError as error:
                _log.info("background tasks wait: %s", error)
            await anyio.sleep(_HEARTBEAT_S)

    async def _renew_leases(self) -> None:
        for run in list(self._runs.values()):
            if run.stopped is not None:
                continue
            cancelling = await self.store.renew(run.task)
            if cancelling is None and not run.ended.is_set():
                run.stop("lost")
            elif cancelling:
                run.stop("cancelled")

    async def _run(self, run: TaskRun) -> None:
        """Run a task to its end; a fault of the program ends it as failed."""
        outcome: Outcome | None = None
        try:
            with run.scope:
                if run.task.cancel_requested:
                    run.stop("cancelled")
                outcome = await self._work(run)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await self._end(run, outcome)
                except LedgerError as error:
                    _log.warning("task %s goes on when its lease ends: %s", run.task.call_id, error)
                del self._runs[run.task.id]
                run.ended.set()

    async def _work(self, run: TaskRun) -> Outcome:
        await anyio.lowlevel.checkpoint()
        try:
            return await self._workers[run.task.kind](run)
        except (RouterError, LedgerError) as error:
            return to_failure(error, await _format_spent(run))

    async def _end(self, run: TaskRun, outcome: Outcome | None) -> None:
        if outcome is not None:
            await self.store.finish(run.task, "completed", outcome.message, outcome.result)
        elif run.stopped == "cancelled":
            # Attempts in flight are recorded by now, and their holds ended.
            message = f"cancelled after {run.message}; {await _format_spent(run)} spent"
            await self.store.finish(run.task, "cancelled", message, None)
        elif run.stopped == "parked":
            await self.store.report(run.task, run.message)
            await self.store.release(run.task)
        elif run.stopped is None:
            await self.store.finish(run.task, "failed", "internal error; see the server log", None)

    def _forget(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            _log.error("%s failed", job.get_name(), exc_info=error)

    async def _park(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        runs = list(self._runs.values())
        for run in runs:
            run.stop("parked")
        with anyio.move_on_after(_MAX_PARKING_S):
            for run in runs:
                await run.ended.wait()


def to_failure(error: RouterError | LedgerError, spent: str) -> Outcome:
    """Return the end of a task whose tool failed: completed, with a tool error."""
    kind = getattr(error, "kind", "ledger")
    trail = f" Attempts: router://calls/{error.call_id}" if isinstance(error, RouterError) and error.call_id else ""
    text = f"{kind}: {error}{trail}"
    return Outcome(message=f"failed ({kind}); {spent} spent", result={"error": text, "full": {"error": text}})


def describe_place(app: App) -> Json:
    """Return what a task's process must share with the one that takes it over: configuration and rights."""
    settings = app.settings
    configuration = "" if settings.path is None else str(settings.path.resolve())
    return {"configuration": configuration, "for_others": settings.for_others}


def is_runnable_here(request: Json, app: App) -> bool:
    """Whether a task can be run with this process's configuration and rights."""
    return request.get("place") == describe_place(app)


async def _format_spent(run: TaskRun) -> str:
    past = sum((await run.store.read_past(run.task)).values(), PastCall())
    return format_usd(past.cost_usd)
