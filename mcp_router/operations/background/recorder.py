"""What a task keeps while it runs, so that another process can go on without paying for an answer twice.

An answer is on the disk before its attempt is recorded. If the process ends in between, the hold becomes a lost attempt
and the answer is used, so it is paid for once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import ValidationError

from mcp_router.errors import BudgetExceededError
from mcp_router.execution.call import CallRequest, RejectedError, Validator
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_records import PastCall, Task
from mcp_router.operations.background.kept_answer import KeptAnswer
from mcp_router.operations.background.task_store import Json, TaskStore, parse_json
from providers.completion import Completion

_FILES = "files.json"
_ANSWER = "answer-"
_log = logging.getLogger(__name__)

Approve = Callable[[BudgetExceededError], Awaitable[bool]]
"""Asks the user whether a call can go over a budget; returns False if it cannot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRecorder:
    """The answers of one task, by number: file N of a batch, or 0 for a single call."""

    store: TaskStore
    task: Task
    past: Mapping[str, PastCall]
    """What earlier processes did, by call id."""
    kept: dict[int, KeptAnswer] = field(default_factory=dict[int, KeptAnswer])
    """What earlier processes kept."""
    approve: Approve

    @classmethod
    async def open(cls, store: TaskStore, task: Task, approve: Approve) -> TaskRecorder:
        """Read what earlier processes kept of a task."""
        kept: dict[int, KeptAnswer] = {}
        for name, content in (await store.files.read_all(task.id, _ANSWER)).items():
            number = name.removeprefix(_ANSWER).removesuffix(".json")
            if number.isdecimal() and (answer := _parse(content)) is not None:
                kept[int(number)] = answer
        return cls(store=store, task=task, past=await store.read_past(task), kept=kept, approve=approve)

    @property
    def call_id(self) -> str:
        """Return the id of the task's call."""
        return self.task.call_id

    @property
    def past_total(self) -> PastCall:
        """Return what earlier processes did, all calls together."""
        return sum(self.past.values(), PastCall())

    @property
    def past_cost_usd(self) -> Decimal:
        """Return what earlier processes spent or still hold, in USD."""
        return self.past_total.cost_usd

    async def number_files(self, paths: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each file by its path. The first process decides: files that came later have none.

        Raises:
            LedgerError: The disk refuses the list.
        """
        stored = await self.store.read_json(self.task.id, _FILES)
        if stored is None:
            stored = {path: number for number, path in enumerate(paths, 1)}
            await self.store.write_json(self.task.id, _FILES, stored)
        return {path: number for path, number in stored.items() if isinstance(number, int)}

    def attach(self, request: CallRequest, number: int, source_sha256: str | None = None) -> CallRequest:
        """Return the request with its answer kept before its attempt is recorded, and its attempts counted on."""
        past = self.past.get(request.call_id or "", PastCall())
        if request.task.needs_agreement:  # one model's answer is not the call's answer
            return replace(request, earlier_attempts=past.attempts)

        async def keep_valid(completion: Completion) -> Completion | RejectedError:
            judged = await _validate(request.validate, completion)
            if isinstance(judged, Completion):
                await self._keep_early(number, KeptAnswer.from_completion(judged, source_sha256))
            return judged

        return replace(request, earlier_attempts=past.attempts, validate=keep_valid)

    async def keep(self, number: int, answer: KeptAnswer) -> None:
        """Keep an answer until the task ends.

        Raises:
            LedgerError: The disk refuses it.
        """
        await self.store.write_json(self.task.id, f"{_ANSWER}{number}.json", answer.model_dump())

    async def _keep_early(self, number: int, answer: KeptAnswer) -> None:
        """Keep an answer that is already billed: a disk that refuses it must not lose its attempt."""
        try:
            await self.keep(number, answer)
        except LedgerError as error:
            _log.warning("an answer of task %s is in memory only: %s", self.task.call_id, error)


async def _validate(validate: Validator | None, completion: Completion) -> Completion | RejectedError:
    return completion if validate is None else await validate(completion)


def _parse(content: bytes) -> KeptAnswer | None:
    value: Json | None = parse_json(content)
    try:
        return None if value is None else KeptAnswer.model_validate(value)
    except ValidationError:
        return None
