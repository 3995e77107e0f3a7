"""Tells subscribers that costs or providers changed, in both of the protocol's ways.

It looks while anybody is subscribed: so it also sees what other processes on the same ledger did, and benches that
have ended by themselves, and a call pays nothing for it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, get_args

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError

from mcp_router.app import App
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.arguments import Period

EVERY = 1.0
"""Seconds between two looks."""
PROVIDERS = "router://providers"
COSTS = tuple(f"router://costs/{period}" for period in get_args(Period))
_MOST = 256
"""Subscriptions of earlier clients that are kept: a client that goes without a word is not heard of again."""

Context = ServerRequestContext[Any, Any]  # the SDK's own type parameters


class Announcer:
    """Who wants to know of changes, and what was last seen."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._bus = _Bus(self._wake)
        self._listen = ListenHandler(self._bus)
        self._subscribed: OrderedDict[tuple[Hashable, str], Context] = OrderedDict()
        self._seen: dict[str, object] = {}
        self._wanted = anyio.Event()
        self._looking = anyio.Lock()

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream of events (2026-07-28)."""
        await self._look_first()
        return await self._listen(ctx, params)

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Note that a client wants to know of a resource (handshake revisions)."""
        uri = str(params.uri)
        if uri != PROVIDERS and uri not in COSTS:
            there_are = ", ".join((PROVIDERS, *COSTS))
            raise MCPError(types.INVALID_PARAMS, f"{uri} announces no changes. Those that do: {there_are}")
        if ctx.session.client_params is None:
            told = "This transport keeps no connection to announce on: use subscriptions/listen (2026-07-28)."
            raise MCPError(types.INVALID_REQUEST, told)
        await self._look_first()
        self._subscribed[_client(ctx), uri] = ctx
        if len(self._subscribed) > _MOST:
            self._subscribed.popitem(last=False)
        self._wake()
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Note that it does not any more."""
        self._subscribed.pop((_client(ctx), str(params.uri)), None)
        return types.EmptyResult()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Look and tell as long as the server runs."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._run)
            yield
            group.cancel_scope.cancel()

    async def _run(self) -> None:
        async with self._looking:  # some transports run the server once a connection: one of them looks for all
            while True:
                if not self._is_wanted:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                await anyio.sleep(EVERY)
                for uri in await self._look():
                    await self._tell(uri)

    def _wake(self) -> None:
        self._wanted.set()

    @property
    def _is_wanted(self) -> bool:
        return bool(self._subscribed or self._bus.listeners)

    async def _look_first(self) -> None:
        """See how things stand, unless that is looked after already."""
        if not self._is_wanted:
            await self._look()

    async def _look(self) -> list[str]:
        """See what changed since the last look."""
        now = time.time()
        try:
            spent = (await self._app.ledger.summary(since=None, until=None, session=None, group_by=None)).total
            standing = await self._app.ledger.standing(now)
        except LedgerError:
            return []  # it is told when the ledger is back
        benched = tuple(bench.scope for bench in standing.benches if bench.until > now)
        closed = tuple(name for name, access in self._app.access().items() if not access.open)
        # At midnight a day's costs begin anew.
        costs = (spent.attempts, spent.cost_usd, datetime.fromtimestamp(now, UTC).date())
        seen: dict[str, object] = {PROVIDERS: (benched, closed), **dict.fromkeys(COSTS, costs)}
        changed = [uri for uri in seen if uri in self._seen and self._seen[uri] != seen[uri]]
        self._seen = seen
        return changed

    async def _tell(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri=uri))
        for (client, wanted), ctx in list(self._subscribed.items()):
            if wanted == uri:
                try:
                    await ctx.session.send_resource_updated(uri)
                except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                    self._subscribed.pop((client, wanted), None)


class _Bus(InMemorySubscriptionBus):
    """Knows how many listen."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake
        self.listeners = 0

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        leave = super().subscribe(listener)
        self.listeners += 1
        self._wake()
        gone = anyio.Event()

        def unsubscribe() -> None:
            if not gone.is_set():
                gone.set()
                self.listeners -= 1
                leave()

        return unsubscribe


def _client(ctx: Context) -> Hashable:
    """Tell one connection from another: what a client said at the handshake is kept as long as it is connected."""
    return id(ctx.session.client_params)
