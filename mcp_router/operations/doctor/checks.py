"""Checks of configuration, clients, keys, routes and ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from mcp_router.app import App
from mcp_router.errors import ConfigError
from mcp_router.ledger.connect import list_files
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.doctor.alerts import check_alerts
from mcp_router.operations.doctor.companions import find_companions
from mcp_router.operations.doctor.finding import Finding
from mcp_router.operations.doctor.live import request_tokens
from mcp_router.operations.providers import describe_trouble
from mcp_router.routing.plan import retires_soon
from mcp_router.settings import default_path

_MAX_LISTED_DIFFERENCES = 5
_REPAIR_ADVICE = (
    "Another program than mcp-llm-router changed the attempts or the rollups, which costs and budgets are read from. "
    "If the attempts are right, run `mcp-llm-router ledger rebuild` (--dry-run shows the changes). If attempts are "
    "missing, restore a backup"
)


async def examine(app: App, *, live: bool) -> list[Finding]:
    """Run every check; `live` also requests one token from each available provider."""
    findings = [
        *_check_configuration(app),
        *_check_clients(app, await _list_with_tokens(app)),
        *_check_variables(app),
        *_check_providers(app),
        *_check_routes(app),
        await _check_ledger(app),
        *await _check_degraded(app),
        *await check_alerts(app),
        *await find_companions(app),
    ]
    if live:
        findings += await request_tokens(app)
    return findings


def _check_configuration(app: App) -> Iterator[Finding]:
    path = app.settings.path
    yield Finding(state="ok", what="configuration", found=str(path) if path else f"defaults; no {default_path()}")
    for root in app.settings.allowed_roots:
        if not root.is_dir():
            found = f"{root} is not a directory. Create it, or remove it from the list"
            yield Finding(state="wrong", what="allowed_roots", found=found)
    try:
        yield Finding(state="ok", what="baseline", found=app.baseline.model.id)
    except ConfigError as error:
        yield Finding(state="wrong", what="baseline", found=str(error))


async def _list_with_tokens(app: App) -> frozenset[str]:
    """Return the clients with a valid token in the ledger."""
    try:
        return frozenset(row.client for row in await app.ledger.tokens.read_all() if row.revoked_at is None)
    except LedgerError:
        return frozenset()  # reported by the check of the ledger


def _check_clients(app: App, with_tokens: frozenset[str]) -> Iterator[Finding]:
    """Check that every client has a token: one without can never connect."""
    for name, client in app.settings.configuration.clients.items():
        what = f"clients.{name}"
        if client.token_env is None and client.token_sha256 is None:
            if name not in with_tokens:
                found = f"has no token. Run `mcp-llm-router token new {name}`, or set token_env or token_sha256"
                yield Finding(state="wrong", what=what, found=found)
        elif client.token_env is not None and not app.settings.environ.get(client.token_env, "").strip():
            found = f"token_env = {client.token_env!r}: the variable is not set. Set it before `serve`"
            yield Finding(state="wrong", what=what, found=found)


def _check_variables(app: App) -> Iterator[Finding]:
    """Check the variables that the configuration names, and values that a host has not expanded."""
    for name, provider in app.catalog.providers.items():
        chosen = app.settings.provider(name).api_key_env
        for variable in (chosen,) if chosen else provider.key_env:
            value = app.settings.environ.get(variable, "").strip()
            if not value and chosen:
                found = f"{variable} is not set. Set it, or change api_key_env"
                yield Finding(state="note", what=f"providers.{name}.api_key_env", found=found)
            elif value and app.settings.key(name, (variable,)) is None:
                found = "holds a placeholder instead of a key. Set it where the host is started"
                yield Finding(state="note", what=variable, found=found)


def _check_providers(app: App) -> Iterator[Finding]:
    access = app.access()
    available = [name for name in app.catalog.providers if access[name].available]
    if any(name != "embedded" for name in available):
        yield Finding(state="ok", what="providers", found=", ".join(available))
    else:
        found = f"only {', '.join(available)}" if available else "none is available"
        yield Finding(state="note", what="providers", found=f"{found}. Set a key, see `mcp-llm-router providers`")
    today = datetime.now(UTC).date()
    for model in app.catalog.models():
        if access[model.provider].available and retires_soon(model, today):
            yield Finding(state="note", what=model.id, found=f"retires on {model.retires}")


async def _check_degraded(app: App) -> list[Finding]:
    """Check circuit breakers and rate limits of the available providers."""
    try:
        state, _ = await app.router.read_state()
    except LedgerError:
        return []  # `_check_ledger` reports it
    troubles = {
        name: describe_trouble(provider, state)
        for name, provider in state.catalog.providers.items()
        if state.access[name].available
    }
    return [Finding(state="note", what=name, found=f"degraded: {found}") for name, found in troubles.items() if found]


def _check_routes(app: App) -> Iterator[Finding]:
    try:
        app.routes.check(app.catalog, unlisted=app.unlisted)
    except ConfigError as error:
        yield Finding(state="wrong", what="routing tables", found=str(error))
        return
    yield Finding(state="ok", what="routing tables", found=f"{len(app.routes.routes)} routes, every model known")
    today = datetime.now(UTC).date()
    for (use_case, tier), route in app.routes.routes.items():
        for entry in route.entries:
            if entry.name is None:
                continue
            model = app.catalog.model_or_unlisted(entry.model)
            if model.retires is not None and model.retires <= today:
                found = f"{entry.model} retired on {model.retires} and is skipped"
                yield Finding(state="note", what=f"routes.{use_case}.{tier}", found=found)


async def _check_ledger(app: App) -> Finding:
    place = _format_ledger_place(app.settings.database_url)
    try:
        differences = await app.ledger.find_differences()
    except LedgerError as error:
        return Finding(state="wrong", what="ledger", found=f"{place}: {error}")
    if differences:
        listed = "; ".join(differences[:_MAX_LISTED_DIFFERENCES])
        hidden = len(differences) - _MAX_LISTED_DIFFERENCES
        more = f"; and {hidden} more" if hidden > 0 else ""
        return Finding(state="wrong", what="ledger", found=f"{place}: {listed}{more}. {_REPAIR_ADVICE}")
    lost = (await app.ledger.summarize(since=None, until=None, session=None, group_by=None)).total.lost_attempts
    more = f"; {lost} lost attempts (their process was killed) are counted at their bound" if lost else ""
    return Finding(state="ok", what="ledger", found=f"{place}: attempts, rollups and budgets agree{more}")


def _format_ledger_place(url: str) -> str:
    """Format the ledger's file, or its server and database without user and password."""
    if files := list_files(url):
        return str(files[0].absolute())
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
