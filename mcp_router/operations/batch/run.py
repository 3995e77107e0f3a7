"""Runs one prompt over many files: one call for each file, concurrently, each saved when it is answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import PurePath

import anyio

from mcp_router.app import App
from mcp_router.errors import BadInputError, BudgetExceededError, NoCandidateError, RouterError
from mcp_router.execution.call import CallRequest, Generation, new_call_id
from mcp_router.files import SecretFileError, find_files, plan_targets, save_or_copy, save_target, unwrap_code
from mcp_router.ledger.ledger import LedgerError
from mcp_router.money import format_usd
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.batch.results import MAX_LISTED_FILES, BatchItem, BatchResults, Json
from mcp_router.operations.batch.shared_budget import Allotment, SharedBudget
from mcp_router.operations.prepare import (
    BatchPrompt,
    PreparedCall,
    allowed_roots,
    limit_preparation,
    prepare_batch,
    to_call_request,
)
from mcp_router.text import strip_controls

MAX_CONCURRENT_CALLS = 8
"""Calls in flight at the same time."""

_MAX_WAIT_WITHOUT_ANSWER_S = 180.0
"""Seconds without any answer after which a batch gives up waiting for models at a limit or behind an open breaker."""
_MIN_WAIT_S = 0.25
_MAX_RESULT_TOKENS = 20_000
"""Tokens of answers that one result may hold: hosts refuse results not much longer."""
_IRRELEVANT_TO_ANSWER = {
    *("files", "save_to", "per_file", "resume", "overwrite"),
    *("use_case", "complexity", "budget_tier", "model", "max_cost_usd"),
}
"""What an answer does not depend on: with another model or more money a resumed call does only what is missing, too."""

Progress = Callable[[float, float | None, str], Awaitable[None]]


async def run_batch(app: App, arguments: GenerateArguments, *, client: str, on_progress: Progress | None) -> Json:
    """Answer a prompt for each file; a file that fails leaves the others alone.

    Raises:
        RouterError: Not one file could be answered.
    """
    each = await prepare_batch(app, arguments, client=client)
    await app.router.plan(each.task)  # reports an unknown name before anything starts
    with limit_preparation(app.settings.configuration.deadline_s):
        items = await _plan_items(app, arguments, each)
    outcomes = BatchResults(id=new_call_id(), total=len(items), pattern=_name_pattern(items[0]))
    run = _BatchRun(
        app=app,
        arguments=arguments,
        client=client,
        prompt=each,
        task_digest=_digest_task(arguments),
        results=outcomes,
        shared_budget=SharedBudget(arguments.max_cost_usd),
        on_progress=on_progress,
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


async def _plan_items(app: App, arguments: GenerateArguments, each: BatchPrompt) -> list[BatchItem]:
    base = app.settings.working_folder
    found = await find_files(arguments.files, allowed_roots(app), base=base)
    if arguments.save_to is None:
        _require_listable(len(found), each)
        return [BatchItem(number=number, found=one, target=None) for number, one in enumerate(found, 1)]
    targets = await plan_targets(
        found,
        arguments.save_to,
        allowed_roots(app),
        base=base,
        task=_digest_task(arguments),
        suffix=_choose_suffix(arguments),
        resume=arguments.resume,
    )
    return [BatchItem(number=number, found=target.source, target=target) for number, target in enumerate(targets, 1)]


def _name_pattern(item: BatchItem) -> str | None:
    """Say how answers are named after their files, say `notes/*.md`."""
    if item.target is None:
        return None
    name, source = "/" + item.target.place.name, "/" + item.found.name
    before, found, after = name.rpartition(source)
    return f"{before}/*{after}"[1:] if found else item.target.place.name


def _require_listable(count: int, each: BatchPrompt) -> None:
    """Keep answers that together no host would show out of a result: they would be paid for and lost."""
    need = each.task.requirements
    length = need.max_output_tokens or need.typical_usage.output_tokens
    most = min(MAX_LISTED_FILES, max(MAX_CONCURRENT_CALLS, _MAX_RESULT_TOKENS // length))
    if count > most:
        raise BadInputError(
            f"{count} answers of about {length} tokens are too much for one result: name a folder in save_to, "
            f"or at most {most} files."
        )


def _choose_suffix(arguments: GenerateArguments) -> str:
    return ".md" if arguments.response_schema is None else ".json"


def _digest_task(arguments: GenerateArguments) -> str:
    """Name everything an answer's words depend on besides its file."""
    what = arguments.model_dump(mode="json", exclude=_IRRELEVANT_TO_ANSWER)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


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
    last_answer: float
    """On the event loop's clock; the beginning, before there is one."""

    async def work_through(self, waiting: Iterator[BatchItem], at_most: int | None = None) -> None:
        """Answer one file after the other, as long as there are any."""
        for count, item in enumerate(waiting, 1):
            await self._process(item)
            if self.on_progress is not None:
                ended, total = self.results.ended, self.results.total
                await self.on_progress(ended, total, f"{ended} of {total} files, {format_usd(self.results.cost_usd)}")
            if count == at_most:
                return

    async def _process(self, item: BatchItem) -> None:
        if item.done:
            self.results.record_done_before(item)
        elif self.results.stop_reason is not None:
            self.results.record_not_begun(item)
        else:
            try:
                await self._answer(item)
            except (RouterError, LedgerError) as error:
                if isinstance(error, SecretFileError) and item.found.globbed:
                    self.results.record_skipped(item, error)
                    return
                if isinstance(error, BudgetExceededError | LedgerError):
                    self.results.stop_reason = self.results.stop_reason or str(error)
                self.results.record_failure(item, error)

    async def _answer(self, item: BatchItem) -> None:
        ready, source = await self.prompt.prepare_for(item.found)
        ask = to_call_request(ready, self.arguments, client=self.client, call_id=f"{self.results.id}.{item.number}")
        generation = await self._generate_within_budget(ask, ready)
        self.last_answer = anyio.current_time()
        text = strip_controls(generation.completion.text)
        target = item.target
        if target is None:
            self.results.record_answer(item, generation, text, None)
            return
        text = unwrap_code(text, PurePath(target.place.path))
        task, overwrite = self.task_digest, self.arguments.overwrite
        kept = await save_or_copy(
            target.place,
            text,
            lambda: save_target(target, text, source=source.fingerprint, task=task, overwrite=overwrite),
            mark=f"{self.results.id}.{item.number}",
        )
        if kept.disk_refuses:
            self.results.stop_reason = self.results.stop_reason or kept.why
        self.results.record_answer(item, generation, text, kept)

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
                return await self.shared_budget.wait_for_another_end(grant)
            case _:
                return False
