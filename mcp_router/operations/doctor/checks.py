"""Looks over configuration, keys, tables, models and ledger, and says what is amiss."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import anyio

from mcp_router.app import App
from mcp_router.errors import ConfigError, RouterError
from mcp_router.execution.call import CallRequest
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.classify import classify, to_conversation
from mcp_router.operations.doctor.companions import find_companions
from mcp_router.operations.doctor.finding import Finding
from mcp_router.routing.plan import retires_soon
from mcp_router.settings import default_path

_SHOWN = 5
_MENDING = (
    "Costs and budgets read the rollups, and something else than mcp-llm-router wrote to one of the two. Where the "
    "rows are right, set the rollups to them: `mcp-llm-router ledger rebuild`, with --dry-run to see it first. Where "
    "rows are missing, restore a backup"
)


async def examine(app: App, *, live: bool) -> list[Finding]:
    """Look at everything; `live` also asks each provider that can be asked for one token."""
    beside = await find_companions(app)
    findings = [
        *_check_configuration(app),
        *_check_providers(app),
        *_check_routes(app),
        await _check_ledger(app),
        *beside,
    ]
    if live:
        findings += await _ask_every_provider(app)
    return findings


def _check_configuration(app: App) -> Iterator[Finding]:
    path = app.settings.path
    yield Finding(state="ok", what="configuration", found=str(path) if path else f"defaults; none at {default_path()}")
    roots = [root for root in app.settings.allowed_roots if not root.is_dir()]
    for root in roots:
        yield Finding(state="wrong", what="allowed_roots", found=f"{root} is no folder: create it, or take it out")
    try:
        yield Finding(state="ok", what="baseline", found=app.baseline.model.id)
    except ConfigError as error:
        yield Finding(state="wrong", what="baseline", found=str(error))


def _check_providers(app: App) -> Iterator[Finding]:
    access = app.access()
    can = [name for name in app.catalog.providers if access[name].available]
    paid = [name for name in can if name != "embedded"]
    if paid:
        yield Finding(state="ok", what="providers", found=", ".join(can))
    else:
        found = f"only {', '.join(can)}" if can else "none can be asked"
        yield Finding(state="note", what="providers", found=f"{found}; set a key, see `mcp-llm-router providers`")
    today = datetime.now(UTC).date()
    for model in app.catalog.models():
        if access[model.provider].available and retires_soon(model, today):
            yield Finding(state="note", what=model.id, found=f"retires on {model.retires}")


def _check_routes(app: App) -> Iterator[Finding]:
    try:
        app.routes.check(app.catalog, unlisted=app.unlisted)
    except ConfigError as error:
        yield Finding(state="wrong", what="routing tables", found=str(error))
        return
    yield Finding(state="ok", what="routing tables", found=f"{len(app.routes.routes)} cells, every model known")
    today = datetime.now(UTC).date()
    for (use_case, tier), cell in app.routes.routes.items():
        for entry in cell.entries:
            if entry.name is None:
                continue
            model = app.catalog.model_or_unlisted(entry.model)
            if model.retires is not None and model.retires <= today:
                found = f"{entry.model} retired on {model.retires}; it is skipped"
                yield Finding(state="note", what=f"routes.{use_case}.{tier}", found=found)


async def _check_ledger(app: App) -> Finding:
    try:
        problems = await app.ledger.find_differences()
    except LedgerError as error:
        return Finding(state="wrong", what="ledger", found=str(error))
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        return Finding(state="wrong", what="ledger", found=f"{'; '.join(problems[:_SHOWN])}{more}. {_MENDING}")
    lost = (await app.ledger.summarize(since=None, until=None, session=None, group_by=None)).total.lost_attempts
    more = f"; {lost} lost attempts (their process was killed) are counted at their bound" if lost else ""
    return Finding(state="ok", what="ledger", found=f"rows, sums and budgets agree{more}")


async def _ask_every_provider(app: App) -> list[Finding]:
    """Ask every provider that can be asked for one token, side by side."""
    found: list[Finding] = []
    access = app.access()

    async def ask(name: str) -> None:
        found.append(await _ask_for_one_token(app, name))

    async with anyio.create_task_group() as group:
        for name in app.catalog.providers:
            if access[name].available:
                group.start_soon(ask, name)
    return sorted(found, key=lambda finding: finding.what)


async def _ask_for_one_token(app: App, name: str) -> Finding:
    arguments = RouteArguments(
        prompt="Answer with one word: ok",
        use_case="conversation",
        complexity="simple",
        model=name,
        max_output_tokens=16,
    )
    said = to_conversation(arguments)
    task = classify(arguments, said, app.routes, providers=app.catalog.providers)
    try:
        generation = await app.router.generate(CallRequest(task=task, messages=said[1], client="doctor"))
    except (RouterError, LedgerError) as error:
        return Finding(state="wrong", what=f"{name}, live", found=str(error))
    seconds = sum(attempt.seconds for attempt in generation.attempts)
    return Finding(
        state="ok", what=f"{name}, live", found=f"{generation.candidate.model.id} answered in {seconds:.1f} s"
    )
