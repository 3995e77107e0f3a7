"""Runs one prompt on many files at once: a call a file, side by side, each saved as it is answered."""

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
from mcp_router.files import find_files, keep, save_target, targets_of, unwrapped
from mcp_router.ledger.ledger import LedgerError
from mcp_router.money import usd
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.batch.outcomes import LISTED, Item, Json, Outcomes
from mcp_router.operations.batch.shared_budget import Grant, Purse
from mcp_router.operations.prepare import EachFile, Prepared, ask_of, each_file, roots
from mcp_router.text import cleaned

AT_ONCE = 8
"""Calls under way at the same time."""

_PATIENCE = 180.0
"""Seconds without any answer after which a batch gives up waiting for models at their limit or benched."""
_SHORTEST_WAIT = 0.25
_MOST_IN_RESULT = 20_000
"""Tokens of answers that one result may hold: hosts refuse results not much longer."""
_NOT_WORDS = {
    *("files", "save_to", "per_file", "resume", "overwrite"),
    *("use_case", "complexity", "budget_tier", "model", "max_cost_usd"),
}
"""What an answer does not depend on: with another model or more money a resumed call does only what is missing, too."""

Progress = Callable[[float, float | None, str], Awaitable[None]]


async def generate(app: App, arguments: GenerateArguments, *, client: str, on_progress: Progress | None) -> Json:
    """Answer a prompt for each file; a file that fails leaves the others alone.

    Raises:
        RouterError: Not one file could be answered.
    """
    each = await each_file(app, arguments, client=client)
    await app.router.plan(each.task)  # an unknown name is told before anything is begun
    items = await _items(app, arguments, each)
    outcomes = Outcomes(id=new_call_id(), total=len(items), pattern=_pattern(items[0]))
    run = _Run(
        app=app,
        arguments=arguments,
        client=client,
        each=each,
        words=_digest(arguments),
        outcomes=outcomes,
        purse=Purse(arguments.max_cost_usd),
        on_progress=on_progress,
        last_answer=anyio.current_time(),
    )
    waiting = iter(items)
    async with anyio.create_task_group() as group:
        if each.begun.shared_prefix:
            # The first one alone: what it has vendors cache, the others read.
            await run.through(waiting, at_most=1)
        for _ in range(AT_ONCE):
            group.start_soon(run.through, waiting)
    return outcomes.result()


async def _items(app: App, arguments: GenerateArguments, each: EachFile) -> list[Item]:
    base = app.settings.working_folder
    found = await find_files(arguments.files, roots(app), base=base)
    if arguments.save_to is None:
        _refuse_too_much(len(found), each)
        return [Item(number=number, found=one, target=None) for number, one in enumerate(found, 1)]
    targets = await targets_of(
        found,
        arguments.save_to,
        roots(app),
        base=base,
        task=_digest(arguments),
        suffix=_suffix(arguments),
        resume=arguments.resume,
    )
    return [Item(number=number, found=target.source, target=target) for number, target in enumerate(targets, 1)]


def _pattern(item: Item) -> str | None:
    """Say how answers are named after their files, say `notes/*.md`."""
    if item.target is None:
        return None
    name, source = "/" + item.target.place.name, "/" + item.found.name
    before, found, after = name.rpartition(source)
    return f"{before}/*{after}"[1:] if found else item.target.place.name


def _refuse_too_much(count: int, each: EachFile) -> None:
    """Keep answers that together no host would show out of a result: they would be paid for and lost."""
    need = each.task.requirements
    length = need.max_output_tokens or need.typical_usage.output_tokens
    most = min(LISTED, max(AT_ONCE, _MOST_IN_RESULT // length))
    if count > most:
        raise BadInputError(
            f"{count} answers of about {length} tokens are too much for one result: name a folder in save_to, "
            f"or at most {most} files."
        )


def _suffix(arguments: GenerateArguments) -> str:
    return ".md" if arguments.response_schema is None else ".json"


def _digest(arguments: GenerateArguments) -> str:
    """Name everything an answer's words depend on besides its file."""
    what = arguments.model_dump(mode="json", exclude=_NOT_WORDS)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(kw_only=True, slots=True)
class _Run:
    """One call over many files while it runs."""

    app: App
    arguments: GenerateArguments
    client: str
    each: EachFile
    words: str
    """Names what the answers depend on besides their files."""
    outcomes: Outcomes
    purse: Purse
    on_progress: Progress | None
    last_answer: float
    """On the event loop's clock; the beginning, before there is one."""

    async def through(self, waiting: Iterator[Item], at_most: int | None = None) -> None:
        """Answer one file after the other, as long as there are any."""
        for count, item in enumerate(waiting, 1):
            await self._one(item)
            if self.on_progress is not None:
                ended, total = self.outcomes.ended, self.outcomes.total
                await self.on_progress(ended, total, f"{ended} of {total} files, {usd(self.outcomes.cost_usd)}")
            if count == at_most:
                return

    async def _one(self, item: Item) -> None:
        if item.done:
            self.outcomes.note_done_before(item)
        elif self.outcomes.stop is not None:
            self.outcomes.note_not_begun(item)
        else:
            try:
                await self._answer(item)
            except (RouterError, LedgerError) as error:
                if isinstance(error, BudgetExceededError | LedgerError):
                    self.outcomes.stop = self.outcomes.stop or str(error)
                self.outcomes.note_failed(item, error)

    async def _answer(self, item: Item) -> None:
        ready, source = await self.each.prepared(item.found)
        ask = ask_of(ready, self.arguments, client=self.client, call_id=f"{self.outcomes.id}.{item.number}")
        generation = await self._paid(ask, ready)
        self.last_answer = anyio.current_time()
        text = cleaned(generation.completion.text)
        target = item.target
        if target is None:
            self.outcomes.note_answered(item, generation, text, None)
            return
        text = unwrapped(text, PurePath(target.place.path))
        task, overwrite = self.words, self.arguments.overwrite
        kept = await keep(
            target.place,
            text,
            lambda: save_target(target, text, source=source.fingerprint, task=task, overwrite=overwrite),
            mark=f"{self.outcomes.id}.{item.number}",
        )
        if kept.disk_refuses:
            self.outcomes.stop = self.outcomes.stop or kept.why
        self.outcomes.note_answered(item, generation, text, kept)

    async def _paid(self, ask: CallRequest, ready: Prepared) -> Generation:
        """Ask for one file within what is left, waiting for money and for rates: a batch has the time."""
        wanted = ready.task.ceiling_usd
        alone = False
        while True:
            await self.purse.wait_for(wanted, alone=alone)
            with self.purse.grant(wanted, alone=alone) as grant:
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
                    self.outcomes.spent(generation.cost_usd)
                    return generation
            self.outcomes.spent(grant.spent_usd)
            if grant.usd < wanted and isinstance(failure, NoCandidateError) and failure.retry_after is None:
                if alone:
                    raise BudgetExceededError(f"max_cost_usd leaves {usd(grant.usd)}: {failure}") from failure
                alone = True
            elif not await self._may_try_again(failure, grant):
                raise failure

    async def _may_try_again(self, failure: RouterError, grant: Grant) -> bool:
        """Wait for what stands in the way, where that passes."""
        match failure:
            case NoCandidateError() if failure.retry_after is not None:
                if anyio.current_time() + failure.retry_after > self.last_answer + _PATIENCE:
                    return False
                await anyio.sleep(max(_SHORTEST_WAIT, failure.retry_after))
                return True
            case BudgetExceededError():
                # What calls under way hold is more than they will cost.
                return await self.purse.another_ended(grant)
            case _:
                return False
