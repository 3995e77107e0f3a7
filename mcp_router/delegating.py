"""Runs `generate` for whoever asks: reads what it names, asks the router, saves where told, hands back little."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mcp_router import batching
from mcp_router.app import App
from mcp_router.conversations import Conversation
from mcp_router.files import look, save, unwrapped
from mcp_router.generation import Generation
from mcp_router.money import number
from mcp_router.preparing import Prepared, ask_of, prepared, roots
from mcp_router.requests import GenerateArguments
from providers.completion import Message, OnText

Json = dict[str, object]
Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Told how far a call is: done, of how many, and in words."""


async def generate(
    app: App,
    arguments: GenerateArguments,
    *,
    client: str = "local",
    on_text: OnText | None = None,
    on_progress: Progress | None = None,
) -> Json:
    """Get a subtask done.

    Raises:
        RouterError: It was not; the text says why and what to do.
        LedgerError: Nothing can be written down, so nothing was asked.
    """
    if arguments.per_file:
        return await batching.generate(app, arguments, client=client, on_progress=on_progress)
    ready = await prepared(app, arguments, client=client)
    target = None
    if arguments.save_to is not None:
        target = await look(arguments.save_to, roots(app), base=app.settings.working_folder)
    generation = await app.router.generate(ask_of(ready, arguments, client=client, on_text=on_text))
    _remember(app, client, ready, generation)
    answer = result(generation)
    if target is not None:
        place, before = target
        text = unwrapped(generation.completion.text, place.path)
        saved = await save(place, text, expect=before, overwrite=arguments.overwrite)
        del answer["text"]
        answer |= {"saved_to": place.name, "bytes": saved.bytes, "preview": saved.preview}
    if arguments.conversation_id is not None:
        answer["conversation_id"] = generation.call_id
    if ready.skipped:
        answer["warning"] = "; ".join([*generation.warnings, f"{len(ready.skipped)} files skipped", *ready.skipped[:3]])
    return answer


def result(generation: Generation) -> Json:
    """Put an answer into as few tokens as tell it all; the rest is `router://calls/{call_id}`."""
    completion = generation.completion
    answer: Json = {
        "text": completion.text,
        "model": generation.candidate.model.id,
        "cost_usd": number(generation.cost_usd),
        "saved_usd": number(generation.saved_usd),
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
    if completion.citations:
        answer["citations"] = list(completion.citations)
    warnings = [*generation.warnings, *_unsaid(generation)]
    if warnings:
        answer["warning"] = "; ".join(warnings)
    return answer


def _unsaid(generation: Generation) -> list[str]:
    """Warn of what the caller would not guess."""
    model = generation.candidate.model
    said: list[str] = []
    if model.provider == "embedded" and generation.plan.task.pin is None:
        said.append("answered by the small embedded model: set a provider's key for better answers")
    if generation.cost_usd is None:
        said.append(f"the price of {model.id} is unknown")
    return said


def _remember(app: App, client: str, ready: Prepared, generation: Generation) -> None:
    said = Message(role="assistant", content=generation.completion.text)
    app.conversations.keep(
        client,
        generation.call_id,
        Conversation(system=ready.system, messages=(*ready.messages, said), model=generation.candidate.model.id),
    )
