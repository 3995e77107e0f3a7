"""Finds out which models are served on the user's own machine, at the first call that could use one.

`GET /v1/models` at the address the user gave, or at every program's usual port at once. Never at the start; what was
found is remembered for a while, so that calls do not pay for it.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import anyio
import httpx2
from pydantic import BaseModel

from mcp_router.routing.catalog import Catalog
from providers.catalog import Model, Provider
from providers.transport.urls import well_formed

PATIENCE = 0.2
"""Seconds that a program on this machine has to answer; nobody is there where it does not."""
_PATIENCE_ELSEWHERE = 1.0
"""The same for an address that the user gave, which may be on another machine."""
_FRESH = 60.0
"""Seconds until the models are asked for again."""
_FRESH_NOTHING = 10.0
"""The same where nobody answered at a usual port, which is quickly told: one may just have been started."""
_LONGEST = 1_000_000
_NO_CHAT = re.compile(r"embed|\bbge\b|rerank|whisper|\btts\b|stable-diffusion", re.IGNORECASE)
_BILLIONS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
_UNKNOWN_SIZE = 7.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """One program that answered."""

    name: str
    base_url: str
    models: tuple[Model, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one look around found."""

    servers: tuple[Served, ...] = ()

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model once, the largest first; of two servers with the same one the first."""
        every: dict[str, Model] = {}
        for model in (model for server in self.servers for model in server.models):
            every.setdefault(model.name, model)
        return tuple(sorted(every.values(), key=lambda model: -model.strength))


class Discovery:
    """Looks around for one provider, and remembers what it saw."""

    def __init__(
        self,
        provider: Provider,
        *,
        address: str | None,
        key: str | None = None,
        join: Callable[[Provider], Catalog],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`address` is where the user says it is; `join` makes a catalog in which this row stands for its name."""
        self.found: Found | None = None
        """What the last look found; None before the first."""
        self._provider = provider
        self._address = address
        self._key = key
        self._join = join
        self._clock = clock
        self._until = 0.0
        self._looking = anyio.Lock()
        self._catalog: Catalog | None = None

    async def catalog(self) -> Catalog:
        """The catalog with what is served at the moment."""
        if self._catalog is None or self._clock() >= self._until:
            async with self._looking:
                if self._catalog is None or self._clock() >= self._until:
                    self._catalog = await self._looked()
        return self._catalog

    def why_closed(self) -> str | None:
        """What to do so that it can be asked; None where it can, or where nobody has looked yet."""
        if self.found is None or self.found.servers or self._address is not None:
            return None
        return f"no server answers at {usual(self._provider)}: start one, or set [providers.local] base_url"

    async def _looked(self) -> Catalog:
        found = await look(self._provider, self._address, self._key, self.found)
        self._until = self._clock() + (_FRESH if found.servers or self._address is not None else _FRESH_NOTHING)
        if self._catalog is not None and found == self.found:
            return self._catalog
        self.found = found
        own = {model.name for model in self._provider.models}
        models = (*self._provider.models, *(model for model in found.models if model.name not in own))
        return self._join(replace(self._provider, models=models))


async def look(provider: Provider, address: str | None, key: str | None = None, before: Found | None = None) -> Found:
    """Ask everybody in question at once. One who was there `before` and is only slow now still counts."""
    if address is not None:
        places = [(_at(provider, address), address, _PATIENCE_ELSEWHERE)]
    else:
        places = [(one.name, f"http://127.0.0.1:{one.port}/v1", PATIENCE) for one in provider.servers]
    known = {server.base_url: server for server in before.servers} if before else {}
    served: dict[str, Served] = {}

    async def ask(client: httpx2.AsyncClient, name: str, url: str, patience: float) -> None:
        try:
            with anyio.fail_after(patience):
                models = tuple(await _models(client, provider, url, guessed=address is None))
            served[url] = Served(name=name, base_url=url, models=models)
        except TimeoutError:
            if url in known:
                served[url] = known[url]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            pass  # nobody, or somebody who serves something else

    sent = key is not None and key.isascii() and key.isprintable() and address is not None
    headers = {"Authorization": f"Bearer {key}"} if sent else {}
    encrypted = address is not None and address.startswith("https:")
    async with (
        httpx2.AsyncClient(headers=headers, timeout=None, verify=encrypted, trust_env=address is not None) as client,
        anyio.create_task_group() as group,
    ):
        for name, url, patience in places:
            if well_formed(url):
                group.start_soon(ask, client, name, url, patience)
    return Found(servers=tuple(served[url] for _, url, _ in places if url in served))


def normalised(said: str, provider: Provider) -> str:
    """An address as a client needs it: people write a host alone, or the one that a server listens on."""
    text = said.strip().rstrip("/")
    bare = "://" not in text
    try:
        parts = urlsplit(f"http://{text}" if bare else text)
        port = parts.port
    except ValueError:
        return said
    host = parts.hostname or "127.0.0.1"
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - one listens there, nobody answers there
    if port is None and bare and provider.servers:
        port = provider.servers[0].port
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    path = "/v1" if parts.path in ("", "/api") else parts.path
    return SplitResult(parts.scheme, place, path, "", "").geturl()


def usual(provider: Provider) -> str:
    """Where one would look, for people to read."""
    return ", ".join(f"127.0.0.1:{one.port} ({one.name})" for one in provider.servers)


class _Meta(BaseModel):
    """What llama.cpp adds."""

    n_ctx: int | None = None
    n_params: int | None = None


class _Row(BaseModel):
    """One model; `max_model_len` is vLLM's."""

    id: str
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Listed(BaseModel):
    """https://developers.openai.com/api/reference/resources/models/methods/list."""

    object: Literal["list"]
    data: tuple[_Row, ...] | None
    """Ollama's is null where it has none."""


async def _models(client: httpx2.AsyncClient, provider: Provider, url: str, *, guessed: bool) -> Iterator[Model]:
    """Ask for the models.

    Raises:
        ValueError: The answer is none of a server of models.
    """
    async with client.stream("GET", f"{url}/models") as response:
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > _LONGEST:
                raise ValueError("no list is that long")
    listed = _Listed.model_validate_json(content).data or ()
    return (_model(provider, row, url, guessed=guessed) for row in listed if not _NO_CHAT.search(row.id))


def _model(provider: Provider, row: _Row, url: str, *, guessed: bool) -> Model:
    meta = row.meta or _Meta()
    billions = meta.n_params / 1e9 if meta.n_params else _billions(row.id)
    return Model(
        provider=provider.name,
        name=row.id,
        aliases=(row.id.removesuffix(":latest"),) if row.id.endswith(":latest") else (),
        context_window=row.max_model_len or meta.n_ctx or None,
        # Each of those whose port this is can hold an answer to a schema; nobody knows of anybody else.
        features=frozenset({"json_schema"}) if guessed else frozenset(),
        strength=max(1, min(60, round(9 * math.log2(1 + billions)))),
        base_url=url,
    )


def _billions(name: str) -> float:
    found = [float(size) for size in _BILLIONS.findall(name)]
    return max(found, default=_UNKNOWN_SIZE)


def _at(provider: Provider, address: str) -> str:
    try:
        port = urlsplit(address).port
    except ValueError:
        port = None
    return next((one.name for one in provider.servers if one.port == port), "a server")
