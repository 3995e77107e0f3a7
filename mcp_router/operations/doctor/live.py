"""One token from every provider, to see whether keys and addresses work."""

from __future__ import annotations

import anyio

from mcp_router.app import App
from mcp_router.errors import RouterError
from mcp_router.execution.call import CallRequest
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.classify import classify, to_conversation
from mcp_router.operations.doctor.finding import Finding


async def request_tokens(app: App) -> list[Finding]:
    """Request one token from each available provider, concurrently, even if its circuit breaker is open."""
    findings: list[Finding] = []
    access = app.access()

    async def request(name: str) -> None:
        findings.append(await _request_token(app, name))

    async with anyio.create_task_group() as group:
        for name in app.catalog.providers:
            if access[name].available:
                group.start_soon(request, name)
    return sorted(findings, key=lambda finding: finding.what)


async def _request_token(app: App, name: str) -> Finding:
    arguments = RouteArguments(
        prompt="Answer with one word: ok",
        use_case="conversation",
        complexity="simple",
        model=name,
        max_output_tokens=16,
    )
    conversation = to_conversation(arguments)
    task = classify(arguments, conversation, app.routes, providers=app.catalog.providers)
    request = CallRequest(task=task, messages=conversation[1], client="doctor", ignores_breakers=True)
    try:
        generation = await app.router.generate(request)
    except (RouterError, LedgerError) as error:
        return Finding(state="wrong", what=f"{name}, live", found=str(error))
    seconds = sum(attempt.seconds for attempt in generation.attempts)
    return Finding(
        state="ok", what=f"{name}, live", found=f"{generation.candidate.model.id} answered in {seconds:.1f} s"
    )
