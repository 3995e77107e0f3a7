"""Discovery of the models that servers on the user's machine offer.

The first call that could use one sends `GET /v1/models` to the configured address, or else to each program's usual
port concurrently. The result is cached.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic import BaseModel

from mcp_router.routing.catalog import Catalog, is_model_name
from providers.catalog import Feature, Model, Provider
from providers.transport.urls import is_http_url

LOOPBACK_TIMEOUT_S = 0.2
"""Seconds a server on this machine has to answer."""
_REMOTE_TIMEOUT_S = 1.0
"""Seconds a server at a configured address has to answer; it can be on another machine."""
_FRESH_S = 60.0
"""Seconds a result is cached."""
_FRESH_EMPTY_S = 10.0
"""Seconds an empty result is cached: a server may start at any time, and refused connections are fast."""
_MAX_LIST_BYTES = 1_000_000
_NO_CHAT = re.compile(r"embed|\bbge\b|rerank|whisper|\btts\b|stable-diffusion", re.IGNORECASE)
_USUAL_FEATURES: frozenset[Feature] = frozenset({"json_schema"})
_BILLIONS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
_DEFAULT_BILLIONS = 7.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalServerListing:
    """The models that one server listed."""

    name: str
    base_url: str
    models: tuple[Model, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscoveryResult:
    """The servers that answered one discovery."""

    servers: tuple[LocalServerListing, ...] = ()

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model once, largest first; the first server wins a name that two servers list."""
        every: dict[str, Model] = {}
        for model in (model for server in self.servers for model in server.models):
            every.setdefault(model.name, model)
        return tuple(sorted(every.values(), key=lambda model: -model.strength))


class Discovery:
    """A cached discovery for one provider."""

    def __init__(
        self,
        provider: Provider,
        *,
        address: str | None,
        key: str | None = None,
        join: Callable[[Provider], Catalog],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Discover nothing yet.

        Args:
            provider: The row of the local provider.
            address: The address that the user configured, or None for the usual ports.
            key: Sent to a configured address only.
            join: Makes a catalog in which the given row replaces the provider's.
            clock: Seconds, monotonic.
        """
        self.found: DiscoveryResult | None = None
        """The last result; None before the first discovery."""
        self._provider = provider
        self._address = address
        self._key = key
        self._join = join
        self._clock = clock
        self._until = 0.0
        self._refreshing = anyio.Lock()
        self._catalog: Catalog | None = None

    async def catalog(self) -> Catalog:
        """Return the catalog with the models that are served now."""
        if self._catalog is None or self._clock() >= self._until:
            async with self._refreshing:
                if self._catalog is None or self._clock() >= self._until:
                    self._catalog = await self._refresh()
        return self._catalog

    def unavailable_reason(self) -> str | None:
        """Return what to do to make it available; None if it is, or before the first discovery."""
        if self.found is None or self.found.servers or self._address is not None:
            return None
        where = format_usual_addresses(self._provider)
        return f"no server answers at {where}: start one, or set [providers.local] base_url"

    async def _refresh(self) -> Catalog:
        found = await discover_servers(self._provider, self._address, self._key, self.found)
        self._until = self._clock() + (_FRESH_S if found.servers or self._address is not None else _FRESH_EMPTY_S)
        if self._catalog is not None and found == self.found:
            return self._catalog
        self.found = found
        own = {model.name for model in self._provider.models}
        models = (*self._provider.models, *(model for model in found.models if model.name not in own))
        return self._join(replace(self._provider, models=models))


async def discover_servers(
    provider: Provider, address: str | None, key: str | None = None, before: DiscoveryResult | None = None
) -> DiscoveryResult:
    """Ask all servers in question for their models, concurrently.

    A server that is in `before` and only slow to answer keeps its models.
    """
    if address is not None:
        places = [(_name_server(provider, address), address, _REMOTE_TIMEOUT_S)]
    else:
        places = [(one.name, f"http://127.0.0.1:{one.port}/v1", LOOPBACK_TIMEOUT_S) for one in provider.servers]
    known = {server.base_url: server for server in before.servers} if before else {}
    served: dict[str, LocalServerListing] = {}

    async def ask(client: httpx2.AsyncClient, name: str, url: str, patience: float) -> None:
        try:
            with anyio.fail_after(patience):
                models = tuple(await _list_models(client, provider, url, guessed=address is None))
            served[url] = LocalServerListing(name=name, base_url=url, models=models)
        except TimeoutError:
            if url in known:
                served[url] = known[url]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            pass  # no server there, or one of another kind

    sent = key is not None and key.isascii() and key.isprintable() and address is not None
    headers = {"Authorization": f"Bearer {key}"} if sent else {}
    encrypted = address is not None and address.startswith("https:")
    async with (
        httpx2.AsyncClient(headers=headers, timeout=None, verify=encrypted, trust_env=address is not None) as client,
        anyio.create_task_group() as group,
    ):
        for name, url, patience in places:
            if is_http_url(url):
                group.start_soon(ask, client, name, url, patience)
    return DiscoveryResult(servers=tuple(served[url] for _, url, _ in places if url in served))


def format_usual_addresses(provider: Provider) -> str:
    """Format the usual addresses for people."""
    return ", ".join(f"127.0.0.1:{one.port} ({one.name})" for one in provider.servers)


class _LlamaMeta(BaseModel):
    """llama.cpp's addition to a listed model."""

    n_ctx: int | None = None
    n_params: int | None = None


class _ListedModel(BaseModel):
    """One listed model; `max_model_len` is vLLM's."""

    id: str
    max_model_len: int | None = None
    meta: _LlamaMeta | None = None


class _ModelList(BaseModel):
    """A list of models: https://developers.openai.com/api/reference/resources/models/methods/list."""

    object: Literal["list"]
    data: tuple[_ListedModel, ...] | None
    """Null if Ollama has no models."""


async def _list_models(client: httpx2.AsyncClient, provider: Provider, url: str, *, guessed: bool) -> Iterator[Model]:
    """List the models of one server.

    Raises:
        ValueError: The answer is not a list of models, or is too long.
    """
    async with client.stream("GET", f"{url}/models") as response:
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > _MAX_LIST_BYTES:
                raise ValueError(f"the list of models has more than {_MAX_LIST_BYTES:,} bytes")
    listed = _ModelList.model_validate_json(content).data or ()
    chat = (row for row in listed if is_model_name(row.id) and not _NO_CHAT.search(row.id))
    return (_to_model(provider, row, url, guessed=guessed) for row in chat)


def _to_model(provider: Provider, row: _ListedModel, url: str, *, guessed: bool) -> Model:
    meta = row.meta or _LlamaMeta()
    billions = meta.n_params / 1e9 if meta.n_params else _parse_billions(row.id)
    return Model(
        provider=provider.name,
        name=row.id,
        aliases=(row.id.removesuffix(":latest"),) if row.id.endswith(":latest") else (),
        context_window=row.max_model_len or meta.n_ctx or None,
        # The programs with a usual port enforce schemas; for others the configuration says so.
        features=provider.features or (_USUAL_FEATURES if guessed else frozenset()),
        strength=max(1, min(60, round(9 * math.log2(1 + billions)))),
        base_url=url,
    )


def _parse_billions(name: str) -> float:
    found = [float(size) for size in _BILLIONS.findall(name)]
    return max(found, default=_DEFAULT_BILLIONS)


def _name_server(provider: Provider, address: str) -> str:
    try:
        port = urlsplit(address).port
    except ValueError:
        port = None
    return next((one.name for one in provider.servers if one.port == port), "a server")
