"""Runs `generate` for whoever asks: reads what it names, asks the router, hands back little."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mcp_router.app import App
from mcp_router.attempts import Ask
from mcp_router.money import number
from mcp_router.requests import GenerateArguments
from mcp_router.router import Generation
from mcp_router.understanding import conversation, understood
from providers.completion import OnText

Json = dict[str, object]
Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Told how far a call is: done, of how many, and in words."""


async def generate(
    app: App, arguments: GenerateArguments, *, client: str = "local", on_text: OnText | None = None
) -> Json:
    """Get a subtask done.

    Raises:
        RouterError: It was not; the text says why and what to do.
    """
    said = conversation(arguments)
    per_call = app.settings.configuration.budgets.per_call_usd
    task = understood(arguments, said, app.routes, most_per_call_usd=per_call)
    system, messages = said
    ask = Ask(
        task=task,
        messages=messages,
        system=system,
        temperature=arguments.temperature,
        response_schema=arguments.response_schema,
        client=client,
        on_text=on_text,
    )
    return result(await app.router.generate(ask))


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
    if len(generation.attempts) > 1:
        answer["fallbacks"] = len(generation.attempts) - 1
    if generation.warnings:
        answer["warning"] = "; ".join(generation.warnings)
    return answer
