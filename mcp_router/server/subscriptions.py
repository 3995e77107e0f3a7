"""Notifications to subscribers that costs or providers changed, in both eras of the protocol.

It polls the ledger while there are subscribers. So it also finds what other processes on the same ledger did, and
breakers that closed by themselves, and a call costs no extra time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar
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

POLL_INTERVAL_S = 1.0
"""Seconds between two polls."""
PROVIDERS = "router://providers"
COSTS = tuple(f"router://costs/{period}" for period in get_args(Period))
_MAX_SUBSCRIPTIONS = 256
"""Subscriptions that are kept: clients can disconnect without unsubscribing."""

CAN_SUBSCRIBE: ContextVar[bool] = ContextVar("CAN_SUBSCRIBE", default=True)
"""Whether the connection of the current request lasts, so that a subscriber can hear of changes."""

Context = ServerRequestContext[Any, Any]  # the SDK's own type parameters


class SubscriptionManager:
    """The subscribers, and the state that they know."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._bus = _CountingBus(self._wake)
        self._listen = ListenHandler(self._bus)
        self._subscribed: OrderedDict[tuple[Hashable, str], Context] = OrderedDict()
        self._seen: dict[str, object] = {}
        self._subscriber_added = anyio.Event()
        self._poll_lock = anyio.Lock()

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream of events (2026-07-28)."""
        await self._record_baseline()
        return await self._listen(ctx, params)

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Subscribe a client to a resource (handshake revisions)."""
        uri = str(params.uri)
        if uri != PROVIDERS and uri not in COSTS:
            there_are = ", ".join((PROVIDERS, *COSTS))
            raise MCPError(types.INVALID_PARAMS, f"{uri} announces no changes. Those that do: {there_are}")
        if ctx.session.client_params is None:
            problem = "No session to notify: initialize one, or use subscriptions/listen (2026-07-28)."
            raise MCPError(types.INVALID_REQUEST, problem)
        await self._record_baseline()
        self._subscribed[_connection_key(ctx), uri] = ctx
        if len(self._subscribed) > _MAX_SUBSCRIPTIONS:
            self._subscribed.popitem(last=False)
        self._wake()
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """End a subscription."""
        self._subscribed.pop((_connection_key(ctx), str(params.uri)), None)
        return types.EmptyResult()

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Poll and notify while the context is open."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._poll_forever)
            yield
            group.cancel_scope.cancel()

    async def _poll_forever(self) -> None:
        async with self._poll_lock:  # some transports run the server once a connection: one of them looks for all
            while True:
                if not self._has_subscribers:
                    self._subscriber_added = anyio.Event()
                    await self._subscriber_added.wait()
                await anyio.sleep(POLL_INTERVAL_S)
                for uri in await self._find_changes():
                    await self._notify(uri)

    def _wake(self) -> None:
        self._subscriber_added.set()

    @property
    def _has_subscribers(self) -> bool:
        return bool(self._subscribed or self._bus.listeners)

    async def _record_baseline(self) -> None:
        """Record the current state unless it is already polled."""
        if not self._has_subscribers:
            await self._find_changes()

    async def _find_changes(self) -> list[str]:
        """Return the resources that changed since the last poll."""
        now = time.time()
        try:
            spent = (await self._app.ledger.summarize(since=None, until=None, session=None, group_by=None)).total
            standing = await self._app.ledger.read_availability(now)
        except LedgerError:
            return []  # changes are found once the ledger is back
        open_breakers = tuple(breaker.scope for breaker in standing.breakers if breaker.open_until > now)
        closed = tuple(name for name, access in self._app.access().items() if not access.available)
        # At midnight the costs of a day start at 0.
        costs = (spent.attempts, spent.cost_usd, datetime.fromtimestamp(now, UTC).date())
        seen: dict[str, object] = {PROVIDERS: (open_breakers, closed), **dict.fromkeys(COSTS, costs)}
        changed = [uri for uri in seen if uri in self._seen and self._seen[uri] != seen[uri]]
        self._seen = seen
        return changed

    async def _notify(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri=uri))
        for (client, wanted), ctx in list(self._subscribed.items()):
            if wanted == uri:
                try:
                    await ctx.session.send_resource_updated(uri)
                except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                    self._subscribed.pop((client, wanted), None)


class _CountingBus(InMemorySubscriptionBus):
    """A bus that counts its listeners."""

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


def _connection_key(ctx: Context) -> Hashable:
    """Return a key of the connection: the handshake's parameters live as long as it does."""
    return id(ctx.session.client_params)
