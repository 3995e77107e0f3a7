"""Runs one prompt over many files: one call for each file, concurrently, each saved when it is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import PurePath

import anyio

from mcp_router.app import App
from mcp_router.errors import BudgetExceededError, NoCandidateError, RouterError
from mcp_router.execution.call import CallRequest, Generation, new_call_id
from mcp_router.files import (
    BatchTarget,
    SecretFileError,
    SourceFile,
    encode_text,
    read_file,
    save_or_copy,
    save_target,
    unwrap_code,
)
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_records import PastCall
from mcp_router.money import format_usd
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.background.kept_answer import KeptAnswer
from mcp_router.operations.background.recorder import TaskRecorder
from mcp_router.operations.batch.items import (
    MAX_CONCURRENT_CALLS,
    digest_task,
    name_pattern,
    number_as_before,
    plan_items,
)
from mcp_router.operations.batch.results import BatchItem, BatchResults, Json, format_failure
from mcp_router.operations.batch.shared_budget import Allotment, SharedBudget
from mcp_router.operations.prepare import (
    BatchPrompt,
    PreparedCall,
    limit_preparation,
    prepare_batch,
    to_call_request,
)

_MAX_WAIT_WITHOUT_ANSWER_S = 180.0
"""Seconds without any answer after which a batch gives up waiting for models at a limit or behind an open breaker."""
_MIN_WAIT_S = 0.25

Progress = Callable[[float, float | None, str], Awaitable[None]]


async def run_batch(
    app: App,
    arguments: GenerateArguments,
    *,
    client: str,
    on_progress: Progress | None,
    recorder: TaskRecorder | None = None,
) -> Json:
    """Answer a prompt for each file; a file that fails leaves the others alone. With a `recorder` another process can
    go on if this one ends.

    Raises:
        RouterError: Not one file could be answered.
    """
    each = await prepare_batch(app, arguments, client=client)
    await app.router.plan(each.task)  # reports an unknown name before anything starts
    with limit_preparation(app.settings.configuration.deadline_s):
        items = await plan_items(app, arguments, each)
    call_id, past = (new_call_id(), PastCall()) if recorder is None else (recorder.call_id, recorder.past_total)
    outcomes = BatchResults(id=call_id, total=len(items), pattern=name_pattern(items[0]))
    outcomes.add_past(past)
    if recorder is not None:
        items = await number_as_before(recorder, items, outcomes)
    run = _BatchRun(
        app=app,
        arguments=arguments,
        client=client,
        prompt=each,
        task_digest=digest_task(arguments),
        results=outcomes,
        shared_budget=SharedBudget(arguments.max_cost_usd, past.cost_usd),
        on_progress=on_progress,
        recorder=recorder,
        last_answer=anyio.current_time(),
    )
    waiting = iter(items)
    async with anyio.create_task_group() as group:
        if each.draft.shared_prefix:
            # The first one alone: what it has vendors cache, the others read.
            await run.work_through(waiting, at_most=1)
        for _ in range(MAX_CONCURRENT_CALLS):
            group.start_soon(run.work_through, waiting)
    return outcomes.to_json()


@dataclass(kw_only=True, slots=True)
class _BatchRun:
    """One call over many files while it runs."""

    app: App
    arguments: GenerateArguments
    client: str
    prompt: BatchPrompt
    task_digest: str
    """Names what the answers depend on besides their files."""
    results: BatchResults
    shared_budget: SharedBudget
    on_progress: Progress | None
    recorder: TaskRecorder | None
    last_answer: float
    """On the event loop's clock; the beginning, before there is one."""

    async def work_through(self, waiting: Iterator[BatchItem], at_most: int | None = None) -> None:
        """Answer one file after the other, as long as there are any."""
        for count, item in enumerate(waiting, 1):
            await self._process(item)
            if self.on_progress is not None:
                await self.on_progress(self.results.ended, self.results.total, self.results.format_progress())
            if count == at_most:
                return

    async def _process(self, item: BatchItem) -> None:
        try:
            if await self._use_kept(item):
                return
            if item.done:
                self.results.record_done_before(item)
                return
            if self.results.stop_reason is not None:
                self.results.record_not_begun(item)
                return
            await self._answer(item)
        except (RouterError, LedgerError) as error:
            if isinstance(error, SecretFileError) and item.found.globbed:
                self.results.record_skipped(item, error)
                return
            if isinstance(error, BudgetExceededError | LedgerError):
                self.results.stop_reason = self.results.stop_reason or str(error)
            await self._keep_failure(item, error)
            self.results.record_failure(item, error)

    async def _use_kept(self, item: BatchItem) -> bool:
        """Use the answer that an earlier process of the task paid for; return False if there is none."""
        kept = self.recorder.kept.get(item.number) if self.recorder is not None else None
        if kept is None:
            return False
        if kept.error is not None:
            self.results.record_kept_failure(item, kept.error)
        elif kept.text is None or item.target is None:
            self.results.record_answer(item, kept, None)
        else:
            source = await read_file(item.found)
            text = unwrap_code(kept.text, PurePath(item.target.place.path))
            saved_already = hashlib.sha256(encode_text(text)).hexdigest()
            if source.fingerprint.sha256 not in {kept.source_sha256, saved_already}:
                return False  # it answers another content of the file
            await self._save(item, item.target, kept, source)
        return True

    async def _keep_failure(self, item: BatchItem, error: RouterError | LedgerError) -> None:
        """Keep a failure that cost something: another process must not pay for it again."""
        if self.recorder is not None and isinstance(error, RouterError) and error.cost_usd != 0:
            await self.recorder.keep(item.number, KeptAnswer(error=format_failure(error)))

    async def _answer(self, item: BatchItem) -> None:
        ready, source = await self.prompt.prepare_for(item.found)
        ready = ready.add_check(self.prompt.check, item.target.place if item.target is not None else None)
        ask = to_call_request(ready, self.arguments, client=self.client, call_id=f"{self.results.id}.{item.number}")
        if self.recorder is not None:
            ask = self.recorder.attach(ask, item.number, source.fingerprint.sha256)
        generation = await self._generate_within_budget(ask, ready)
        self.last_answer = anyio.current_time()
        self.results.baseline_usd += generation.attempts[-1].baseline_usd or Decimal(0)
        answer = KeptAnswer.from_generation(generation, source.fingerprint.sha256)
        if item.target is not None:
            answer = answer.model_copy(
                update={"text": unwrap_code(answer.text or "", PurePath(item.target.place.path))}
            )
        if self.recorder is not None:
            await self.recorder.keep(item.number, answer)
        if item.target is None:
            self.results.record_answer(item, answer, None)
        else:
            await self._save(item, item.target, answer, source)

    async def _save(self, item: BatchItem, target: BatchTarget, answer: KeptAnswer, source: SourceFile) -> None:
        text = unwrap_code(answer.text or "", PurePath(target.place.path))
        task, overwrite = self.task_digest, self.arguments.overwrite
        kept = await save_or_copy(
            target.place,
            text,
            lambda: save_target(target, text, source=source.fingerprint, task=task, overwrite=overwrite),
            mark=f"{self.results.id}.{item.number}",
        )
        if kept.disk_refuses:
            self.results.stop_reason = self.results.stop_reason or kept.why
        if self.recorder is not None and kept.place is not None:
            saved = answer.model_copy(update={"text": None, "saved_to": kept.place.name})
            await self.recorder.keep(item.number, saved)
        self.results.record_answer(item, answer, kept)

    async def _generate_within_budget(self, ask: CallRequest, ready: PreparedCall) -> Generation:
        """Ask for one file within what is left, waiting for money and for rates: a batch has the time."""
        wanted = ready.task.ceiling_usd
        alone = False
        while True:
            await self.shared_budget.wait_until_available(wanted, alone=alone)
            with self.shared_budget.allot(wanted, alone=alone) as grant:
                task = replace(ask.task, ceiling_usd=grant.usd)
                try:
                    generation = await self.app.router.generate(replace(ask, task=task))
                except LedgerError:
                    grant.spent_usd = Decimal(0)  # it could not be held, so nothing was asked
                    raise
                except RouterError as error:
                    grant.spent_usd = error.cost_usd
                    failure = error
                else:
                    grant.spent_usd = generation.cost_usd
                    self.results.add_cost(generation.cost_usd)
                    return generation
            self.results.add_cost(grant.spent_usd)
            if grant.usd < wanted and isinstance(failure, NoCandidateError) and failure.retry_after is None:
                if alone:
                    raise BudgetExceededError(f"max_cost_usd leaves {format_usd(grant.usd)}: {failure}") from failure
                alone = True
            elif not await self._wait_to_try_again(failure, grant):
                raise failure

    async def _wait_to_try_again(self, failure: RouterError, grant: Allotment) -> bool:
        """Wait for what stands in the way, where that passes."""
        match failure:
            case NoCandidateError() if failure.retry_after is not None:
                if anyio.current_time() + failure.retry_after > self.last_answer + _MAX_WAIT_WITHOUT_ANSWER_S:
                    return False
                await anyio.sleep(max(_MIN_WAIT_S, failure.retry_after))
                return True
            case BudgetExceededError():
                # Calls in flight hold more than they will cost.
                if await self.shared_budget.wait_for_another_end(grant):
                    return True
                return self.recorder is not None and await self.recorder.approve(failure)
            case _:
                return False
