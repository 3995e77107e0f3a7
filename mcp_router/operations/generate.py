"""Runs `generate`: reads files, runs the call, saves the answer, returns a small result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mcp_router.app import App
from mcp_router.errors import BudgetExceededError
from mcp_router.execution.call import CallRequest, Generation
from mcp_router.execution.conversations import Conversation
from mcp_router.files import (
    Fingerprint,
    ResolvedPath,
    inspect_target,
    save,
    save_or_copy,
    unwrap_code,
    warn_of_execution,
)
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.money import to_number
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.background.kept_answer import KeptAnswer
from mcp_router.operations.background.recorder import TaskRecorder
from mcp_router.operations.batch import run
from mcp_router.operations.checks import find_check
from mcp_router.operations.prepare import PreparedCall, allowed_roots, limit_preparation, prepare_call, to_call_request
from mcp_router.text import StreamCleaner, strip_controls
from providers.completion import RESTART, Message, OnText

Json = dict[str, object]
Target = tuple[ResolvedPath, Fingerprint | None]
Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Told how far a call is: done, of how many, and in words."""


async def generate(
    app: App,
    arguments: GenerateArguments,
    *,
    client: str = "local",
    on_text: OnText | None = None,
    on_progress: Progress | None = None,
    recorder: TaskRecorder | None = None,
) -> Json:
    """Get a subtask done. With a `recorder` it runs in the background, and another process can go on if this one ends.

    Raises:
        RouterError: It was not; the text says why and what to do.
        LedgerError: Nothing can be written down, so nothing was asked.
    """
    if arguments.per_file:
        return await run.run_batch(app, arguments, client=client, on_progress=on_progress, recorder=recorder)
    target: Target | None = None
    check = find_check(app, arguments, client)
    with limit_preparation(app.settings.configuration.deadline_s):
        ready = await prepare_call(app, arguments, client=client)
        if arguments.save_to is not None:
            target = await inspect_target(arguments.save_to, allowed_roots(app), base=app.settings.working_folder)
        ready = ready.add_check(check, target[0] if target is not None else None)
    if recorder is not None and (kept := recorder.kept.get(0)) is not None:
        return await _use_kept(kept, recorder, target, arguments)
    generation = await _generate(app, ready, arguments, client, on_text=on_text, recorder=recorder)
    warnings = [*generation.warnings, *_warnings_for(generation)]
    warnings += app.alerter.take_warnings(client, CURRENT_ORIGIN.get().project)
    if ready.skipped:
        count = len(ready.skipped)
        warnings += [f"{count} file{'s' * (count > 1)} skipped", *ready.skipped[:3]]
    answer = to_result(generation)
    if target is not None:
        answer = await _save_answer(answer, *target, overwrite=arguments.overwrite, warnings=warnings)
    await _remember(app, client, ready, generation, warnings)
    if arguments.conversation_id is not None:
        answer["conversation_id"] = generation.call_id
    if warnings:
        answer["warning"] = "; ".join(warnings)
    return answer


def to_result(generation: Generation) -> Json:
    """Put an answer into as few tokens as tell it all; the rest is `router://calls/{call_id}`."""
    completion = generation.completion
    answer: Json = {
        "text": completion.text,
        "model": generation.candidate.model.id,
        "cost_usd": to_number(generation.cost_usd),
        "saved_usd": to_number(generation.saved_usd),
        "call_id": generation.call_id,
        "finish_reason": completion.finish_reason,
    }
    task = generation.plan.task
    if task.inferred:
        answer["inferred"] = {what: getattr(task, what) for what in task.inferred}
    if generation.fallbacks:
        answer["fallbacks"] = generation.fallbacks
    if generation.escalations:
        answer["escalations"] = generation.escalations
    if generation.proof is not None:
        answer["checked"] = generation.proof
    if completion.citations:
        answer["citations"] = [strip_controls(citation) for citation in completion.citations]
    return answer


async def _generate(
    app: App,
    ready: PreparedCall,
    arguments: GenerateArguments,
    client: str,
    *,
    on_text: OnText | None,
    recorder: TaskRecorder | None,
) -> Generation:
    """Ask the router; what comes out is clean, piece by piece and as a whole."""
    cleaned = None if on_text is None else _CleanText(on_text)
    ask = to_call_request(ready, arguments, client=client, on_text=None if cleaned is None else cleaned.push)
    generation = await _ask_within_budgets(app, ask, recorder)
    if cleaned is not None:
        await cleaned.flush()
    said = generation.completion
    text = strip_controls(said.text)
    return generation if text == said.text else replace(generation, completion=replace(said, text=text))


async def _ask_within_budgets(app: App, ask: CallRequest, recorder: TaskRecorder | None) -> Generation:
    """Ask the router. In the background, a question goes to the user about a budget that refuses the call."""
    if recorder is None:
        return await app.router.generate(ask)
    ask = recorder.attach(replace(ask, call_id=recorder.call_id), 0)
    while True:
        try:
            return await app.router.generate(ask)
        except BudgetExceededError as error:
            if not await recorder.approve(error):
                raise


async def _use_kept(
    kept: KeptAnswer, recorder: TaskRecorder, target: Target | None, arguments: GenerateArguments
) -> Json:
    """Return the answer that an earlier process of the task paid for."""
    past = recorder.past_total
    cost = None if past.unknown_costs else past.cost_usd
    answer: Json = {
        "text": kept.text,
        "model": kept.model,
        "cost_usd": to_number(cost),
        "saved_usd": to_number(past.baseline_usd - cost) if cost is not None and past.baseline_usd else None,
        "call_id": recorder.call_id,
        "finish_reason": kept.finish_reason,
    }
    if arguments.check is not None:
        answer["checked"] = arguments.check  # an answer is kept once it has passed
    if kept.citations:
        answer["citations"] = list(kept.citations)
    warnings = list(kept.warnings)
    if target is not None:
        answer = await _save_answer(answer, *target, overwrite=arguments.overwrite, warnings=warnings)
    if warnings:
        answer["warning"] = "; ".join(warnings)
    return answer


class _CleanText:
    """Passes a stream's text on without control sequences, and restarts only if text was passed on."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._cleaner = StreamCleaner()
        self._has_passed = False

    async def push(self, piece: str) -> None:
        if piece is RESTART:
            self._cleaner = StreamCleaner()
            if self._has_passed:
                await self._on_text(RESTART)
            self._has_passed = False
        else:
            await self._pass(self._cleaner.clean(piece))

    async def flush(self) -> None:
        await self._pass(self._cleaner.flush())

    async def _pass(self, text: str) -> None:
        if text:
            self._has_passed = True
            await self._on_text(text)


async def _save_answer(
    answer: Json, place: ResolvedPath, before: Fingerprint | None, *, overwrite: bool, warnings: list[str]
) -> Json:
    """Put a file's name in the place of the text; where no file took it the text stays."""
    text = unwrap_code(str(answer["text"]), place.path)
    kept = await save_or_copy(
        place,
        text,
        lambda: save(place, text, expect=before, overwrite=overwrite),
        mark=str(answer["call_id"]),
    )
    if kept.why is not None:
        warnings.append(kept.why)
    if kept.place is None or kept.saved is None:
        return answer
    if warning := warn_of_execution(kept.place):
        warnings.append(warning)
    del answer["text"]
    return {"saved_to": kept.place.name, "bytes": kept.saved.bytes, "preview": kept.saved.preview} | answer


def _warnings_for(generation: Generation) -> list[str]:
    """Warn of what the caller would not guess."""
    model = generation.candidate.model
    said: list[str] = []
    if model.provider == "embedded" and generation.plan.task.pin is None:
        said.append("small embedded model; set a provider key")
    if generation.cost_usd is None:
        said.append(f"the price of {model.id} is unknown")
    return said


async def _remember(app: App, client: str, ready: PreparedCall, generation: Generation, warnings: list[str]) -> None:
    said = Message(role="assistant", content=generation.completion.text)
    conversation = Conversation(
        system=ready.system, messages=(*ready.messages, said), model=generation.candidate.model.id
    )
    try:
        await app.conversations.keep(client, generation.call_id, conversation)
    except LedgerError as lost:
        warnings.append(f"the conversation is in memory only: {lost}")
