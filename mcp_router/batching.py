"""Runs one prompt on many files at once: a call a file, side by side, each saved as it is answered."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePath

import anyio

from mcp_router.app import App
from mcp_router.calls import new_call_id
from mcp_router.errors import BudgetExceededError, NoCandidateError, RouterError
from mcp_router.files import FoundFile, Target, find_files, save_target, targets_of, unwrapped
from mcp_router.generation import Generation
from mcp_router.ledger import LedgerError
from mcp_router.money import number, usd
from mcp_router.preparing import ask_of, prepared_for, roots
from mcp_router.requests import GenerateArguments

AT_ONCE = 8
"""Calls under way at the same time."""
LISTED = 100
"""Beyond so many files the result lists only what did not go well."""

_LONGEST_WAIT = 65.0
_MOST_WAITS = 60

Json = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    """One file, and where its answer goes."""

    number: int
    found: FoundFile
    target: Target | None


@dataclass(kw_only=True, slots=True)
class _Batch:
    """What came of each file so far."""

    id: str
    outcomes: dict[int, Json] = field(default_factory=dict[int, Json])
    answered: int = 0
    failed: int = 0
    skipped: int = 0
    fallbacks: int = 0
    escalations: int = 0
    models: Counter[str] = field(default_factory=Counter[str])
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    stop: str | None = None
    """Why no further file is begun."""


async def generate(
    app: App,
    arguments: GenerateArguments,
    *,
    client: str,
    on_progress: Callable[[float, float | None, str], Awaitable[None]] | None,
) -> Json:
    """Answer a prompt for each file; a file that fails leaves the others alone.

    Raises:
        RouterError: Not one file could be answered.
    """
    items = await _items(app, arguments)
    batch = _Batch(id=new_call_id())
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(item: _Item) -> None:
        async with limiter:
            await _run(app, arguments, item, batch, client)
        if on_progress is not None:
            done = len(batch.outcomes)
            await on_progress(done, len(items), f"{done} of {len(items)} files, {usd(batch.cost_usd)}")

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(one, item)
    if batch.failed == len(items):
        first = batch.outcomes[items[0].number]
        raise NoCandidateError(f"None of {len(items)} files was answered. {first['file']}: {first['error']}")
    return _result(batch, [batch.outcomes[item.number] for item in items])


async def _items(app: App, arguments: GenerateArguments) -> list[_Item]:
    base = app.settings.working_folder
    found = await find_files(arguments.files, roots(app), base=base)
    if arguments.save_to is None:
        return [_Item(number=number, found=one, target=None) for number, one in enumerate(found, 1)]
    targets = await targets_of(
        found, arguments.save_to, roots(app), base=base, task=_digest(arguments), resume=arguments.resume
    )
    return [_Item(number=number, found=target.source, target=target) for number, target in enumerate(targets, 1)]


def _digest(arguments: GenerateArguments) -> str:
    """Name everything an answer depends on besides its file."""
    what = arguments.model_dump(mode="json", exclude={"files", "save_to", "resume", "per_file", "overwrite"})
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


async def _run(app: App, arguments: GenerateArguments, item: _Item, batch: _Batch, client: str) -> None:
    name = item.found.name
    if item.target is not None and item.target.done:
        batch.skipped += 1
        batch.outcomes[item.number] = {"file": name, "done": "before"}
        return
    try:
        if batch.stop is not None:
            raise BudgetExceededError(batch.stop)
        batch.outcomes[item.number] = {"file": name} | await _answered(app, arguments, item, batch, client)
        batch.answered += 1
    except (RouterError, LedgerError) as error:
        batch.failed += 1
        if isinstance(error, BudgetExceededError):
            batch.stop = str(error)
        batch.outcomes[item.number] = {"file": name, "error": f"{getattr(error, 'kind', 'ledger')}: {error}"}


async def _answered(app: App, arguments: GenerateArguments, item: _Item, batch: _Batch, client: str) -> Json:
    ready, source = await prepared_for(app, _within(arguments, batch), item.found)
    ask = ask_of(ready, arguments, client=client, call_id=f"{batch.id}.{item.number}")
    generation = await _patiently(lambda: app.router.generate(ask))
    _count(batch, generation)
    text = generation.completion.text
    if item.target is None:
        return {"text": text}
    target = item.target
    text = unwrapped(text, PurePath(target.place.path))
    await save_target(target, text, source=source.fingerprint, task=_digest(arguments), overwrite=arguments.overwrite)
    return {"saved_to": target.place.name}


def _within(arguments: GenerateArguments, batch: _Batch) -> GenerateArguments:
    """Let no file spend more than is left of what the caller allows for all of them."""
    if arguments.max_cost_usd is None:
        return arguments
    left = arguments.max_cost_usd - batch.cost_usd
    if left <= 0:
        raise BudgetExceededError(f"max_cost_usd of {usd(arguments.max_cost_usd)} is spent")
    return arguments.model_copy(update={"max_cost_usd": left / AT_ONCE})


async def _patiently(generate: Callable[[], Awaitable[Generation]]) -> Generation:
    """Wait for a rate limit as often as it takes: a batch has the time that a single call has not."""
    for _ in range(_MOST_WAITS):
        try:
            return await generate()
        except NoCandidateError as error:
            if error.retry_after is None or error.retry_after > _LONGEST_WAIT:
                raise
            await anyio.sleep(error.retry_after)
    return await generate()


def _count(batch: _Batch, generation: Generation) -> None:
    batch.models[generation.candidate.model.id] += 1
    batch.fallbacks += generation.fallbacks
    batch.escalations += generation.escalations
    if generation.cost_usd is None:
        batch.unknown_costs += 1
    batch.cost_usd += generation.cost_usd or Decimal(0)
    batch.saved_usd += generation.saved_usd or Decimal(0)


def _result(batch: _Batch, outcomes: Sequence[Json]) -> Json:
    answer: Json = {
        "model": ", ".join(name for name, _ in batch.models.most_common(3)),
        "cost_usd": number(batch.cost_usd) if not batch.unknown_costs else None,
        "saved_usd": number(batch.saved_usd),
        "call_id": batch.id,
        "answered": batch.answered,
    }
    if batch.failed:
        answer["failed"] = batch.failed
    if batch.skipped:
        answer["done_before"] = batch.skipped
    if batch.fallbacks:
        answer["fallbacks"] = batch.fallbacks
    if batch.escalations:
        answer["escalations"] = batch.escalations
    if batch.stop is not None:
        answer["warning"] = batch.stop
    listed = outcomes if len(outcomes) <= LISTED else [one for one in outcomes if "error" in one or "text" in one]
    answer["files"] = list(listed)
    return answer
