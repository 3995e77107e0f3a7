"""Builds everything from the settings; the only room that knows every other."""

from __future__ import annotations

import asyncio
import copy
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import anyio

from mcp_router.errors import ConfigError, UnknownNameError
from mcp_router.execution import tracing
from mcp_router.execution.adapters import AdapterPool, ProviderConnection
from mcp_router.execution.alerts import Alerter
from mcp_router.execution.attempt import AttemptRunner
from mcp_router.execution.conversations import Conversations, Prefixes
from mcp_router.execution.router import Router, RouterConfig
from mcp_router.execution.webhook import find_url_problem
from mcp_router.ledger.alerts import BudgetWatch
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.ledger.records import RateLimit
from mcp_router.routing import routes as tables
from mcp_router.routing.access import Access, AccessRules
from mcp_router.routing.baseline import Baseline
from mcp_router.routing.catalog import Catalog, read_user_providers
from mcp_router.routing.feedback import Feedback
from mcp_router.routing.policy import read_policies
from mcp_router.routing.routes import RoutingTable
from mcp_router.settings import Settings
from providers.catalog import Provider

if TYPE_CHECKING:
    from mcp_router.routing.local_servers import Discovery

_LONGEST_CALL_S = 3_600.0
"""The most that `deadline_s` can be."""
DEFAULT_TIMEOUT_S = 60.0
"""Seconds one attempt may take where the configuration says nothing."""


class App:
    """The parts of one running server, each made when it is first needed."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        """Check what can be checked without opening anything. The ledger opens itself at its first use.

        Raises:
            ConfigError: The configuration names what there is not.
        """
        self.settings = settings
        self.ledger = ledger
        self.conversations = Conversations(ledger if settings.configuration.store_text else None, time.time)
        self.prefixes = Prefixes()
        self._closing: dict[asyncio.Task[None], AdapterPool] = {}
        """Connections of former settings, which calls in flight still use."""
        self.session = f"{int(time.time()):x}{secrets.token_hex(3)}"
        configuration = settings.configuration
        if configuration.providers:
            _ = self.catalog
        if configuration.routes:
            self.routes.check(self.catalog, unlisted=self.unlisted)
        if configuration.baseline != type(configuration).model_fields["baseline"].default:
            _ = self.baseline

    @cached_property
    def catalog(self) -> Catalog:
        """Shipped providers, changed and joined by the user's."""
        return Catalog.with_shipped(read_user_providers(self.settings))

    @cached_property
    def rules(self) -> AccessRules:
        """The rules for access to providers."""
        return AccessRules(settings=self.settings, catalog=self.catalog)

    @cached_property
    def routes(self) -> RoutingTable:
        """The shipped table with the user's cells."""
        where = str(self.settings.path or "config.toml")
        return tables.load_shipped().merge(self.settings.configuration.routes, file=where)

    @cached_property
    def baseline(self) -> Baseline:
        """The model that savings are measured against."""
        name = self.settings.configuration.baseline
        try:
            model = self.catalog.model(name)
        except UnknownNameError as exc:
            raise ConfigError(f"{self.settings.locate('baseline')}: {exc}") from exc
        return Baseline(provider=self.catalog.provider(model.provider), model=model)

    @cached_property
    def alerter(self) -> Alerter:
        """Sends alerts.

        Raises:
            ConfigError: The webhook's URL cannot be used.
        """
        said = self.settings.configuration.alerts
        url = self.settings.environ.get(said.webhook_env or "", "").strip() or None
        if url is not None and (problem := find_url_problem(url)) is not None:
            where = self.settings.locate("alerts", "webhook_env")
            raise ConfigError(f"{where}: the value of {said.webhook_env} {problem}.")
        return Alerter(ledger=self.ledger, url=url, body_format=said.format, clock=time.time)

    @cached_property
    def unlisted(self) -> frozenset[str]:
        """Providers whose unknown models can run at an unknown price."""
        return self.rules.list_unpriced()

    @cached_property
    def discovery(self) -> Discovery | None:
        """Looks for what local servers serve; None where they are not to be asked."""
        local = self.catalog.provider("local")
        if not self._access[local.name].available:
            return None
        from mcp_router.routing.local_servers import Discovery  # noqa: PLC0415 - only who has such a server needs it

        own = tuple(read_user_providers(self.settings))
        return Discovery(
            local,
            address=self.rules.base_url(local),
            key=self.rules.key(local),
            join=lambda row: Catalog.with_shipped((*own, row)),
        )

    async def current_catalog(self) -> Catalog:
        """Return the catalog with the models of local servers at the moment."""
        return self.catalog if self.discovery is None else await self.discovery.catalog()

    @cached_property
    def connections(self) -> AdapterPool:
        """Adapters, each opened at first use."""
        # Calls in flight keep their settings while others are used.
        return AdapterPool(copy.copy(self).provider_connection)

    @cached_property
    def learning(self) -> Feedback | None:
        """What earlier answers teach; None where the user wants none of it."""
        wanted = self.settings.configuration.learn_from_outcomes
        return Feedback(ledger=self.ledger, clock=time.time) if wanted else None

    @cached_property
    def router(self) -> Router:
        """The router over all of it."""
        runner = AttemptRunner(
            ledger=self.ledger,
            adapters=self.connections,
            budgets=self.settings.limits(),
            rate_limits=self.rates,
            client_rates=self.client_rates,
            key_scope=self.rules.key_scope,
            baseline=self.baseline,
            session=self.session,
            clock=time.time,
            feedback=self.learning,
            tracer=tracing.create_tracer(self.settings.environ),
        )
        fixed = copy.copy(self)
        config = RouterConfig(
            catalog=fixed.current_catalog,
            routes=self.routes,
            access=fixed.access,
            unlisted=self.unlisted,
            deadline_seconds=self.settings.configuration.deadline_s,
            policies=read_policies(self.settings.configuration),
            facts={name: self.rules.find_facts(provider) for name, provider in self.catalog.providers.items()},
            client_models={
                name: client.models
                for name, client in self.settings.configuration.clients.items()
                if client.models is not None
            },
        )
        return Router(config=config, runner=runner)

    def provider_connection(self, name: str) -> ProviderConnection:
        """Return the key and address of a provider."""
        provider, said = self.catalog.provider(name), self.settings.provider(name)
        return ProviderConnection(
            provider=provider,
            key=self.rules.key(provider),
            base_url=self.rules.base_url(provider) or self._discovered_base_url(provider),
            model_path=said.model_path,
            timeout_seconds=said.timeout_s or DEFAULT_TIMEOUT_S,
        )

    def _discovered_base_url(self, provider: Provider) -> str | None:
        """Return the address for an unlisted local model: the first server that was found."""
        found = self.discovery.found if provider.servers and self.discovery else None
        return found.servers[0].base_url if found and found.servers else None

    @cached_property
    def rates(self) -> Mapping[str, RateLimit]:
        """What the configuration lets providers be asked a minute; those it says nothing of are not in it."""
        return {
            name: RateLimit(provider=name, requests_per_minute=said.rpm, tokens_per_minute=said.tpm)
            for name, said in self.settings.configuration.providers.items()
            if said.rpm is not None or said.tpm is not None
        }

    @cached_property
    def client_rates(self) -> Mapping[str, RateLimit]:
        """The calls and tokens a minute of clients that have a limit."""
        return {
            name: RateLimit(provider=f"client:{name}", requests_per_minute=said.rpm, tokens_per_minute=said.tpm)
            for name, said in self.settings.configuration.clients.items()
            if said.rpm is not None or said.tpm is not None
        }

    def access(self) -> Mapping[str, Access]:
        """Who can be asked, and what to do about the others."""
        if self.discovery is None or (reason := self.discovery.unavailable_reason()) is None:
            return self._access
        return {**self._access, "local": replace(self._access["local"], reason=reason)}

    @cached_property
    def _access(self) -> Mapping[str, Access]:
        return self.rules.find_access(datetime.now(UTC).date())

    def use_settings(self, settings: Settings) -> None:
        """Use other settings for calls that begin from now on; those in flight end with the former ones.

        Raises:
            ConfigError: The settings name what there is not; the former ones stay.
        """
        checked = App(settings, self.ledger)
        _ = checked.catalog, checked.routes, checked.baseline, checked.rates, checked.alerter
        former = self.__dict__.get("connections")
        self.settings = settings
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                self.__dict__.pop(name, None)
        self.watch_budgets()
        if former is not None:
            closing = asyncio.create_task(_close_later(former))
            self._closing[closing] = former
            closing.add_done_callback(lambda done: self._closing.pop(done, None))

    def watch_budgets(self) -> None:
        """Report crossed parts of budgets from now on, as the settings say.

        Raises:
            ConfigError: The webhook's URL cannot be used.
        """
        at, report = self.settings.configuration.alerts.at, self.alerter.report
        self.ledger.watch(BudgetWatch(budgets=self.settings.limits(), thresholds=at, on_alerts=report) if at else None)

    async def aclose(self) -> None:
        """Close what was opened."""
        for closing, former in list(self._closing.items()):
            closing.cancel()
            await former.aclose()
        if "connections" in self.__dict__:
            await self.connections.aclose()
        await self.alerter.aclose()
        await self.ledger.aclose()


async def _close_later(former: AdapterPool) -> None:
    """Close connections when no call can use them any more."""
    await asyncio.sleep(_LONGEST_CALL_S)
    await former.aclose()


@asynccontextmanager
async def run_app(settings: Settings) -> AsyncGenerator[App]:
    """Build an app, and close what it opened when it is done.

    Raises:
        ConfigError: The configuration names what there is not.
    """
    try:
        ledger = await open_ledger(
            settings.database_url,
            unwritten=settings.unwritten_folder,
            when_lost=settings.configuration.budgets.when_ledger_is_lost,
        )
    except LedgerError as exc:
        raise ConfigError(f"{settings.locate('database_url')}: {exc}") from exc
    app = App(settings, ledger)
    app.watch_budgets()
    async with tracing.export_spans(settings.environ):
        maintenance = asyncio.create_task(ledger.maintain())
        try:
            yield app
        finally:
            maintenance.cancel()
            with anyio.CancelScope(shield=True):
                await app.aclose()
