"""Connections to one vendor in several small pools: a large one looks at every idle connection at every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.request import getproxies

import httpx2

_EACH = 8
"""Connections of one pool."""


def transport() -> httpx2.AsyncBaseTransport | None:
    """What the SDK's client sends through; None where the environment names a proxy, which is the client's to find."""
    return None if getproxies() else Pools()


class Pools(httpx2.AsyncBaseTransport):
    """Sends over the first pool that has room, so that few connections are used and those stay open."""

    def __init__(self) -> None:
        self._tls = httpx2.create_ssl_context()
        self._pools: list[_Pool] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; its connection is taken until the answer is closed."""
        pool = next((one for one in self._pools if one.taken < _EACH), None)
        if pool is None:
            pool = _Pool(httpx2.AsyncHTTPTransport(verify=self._tls, limits=_LIMITS))
            self._pools.append(pool)
        return await pool.send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        while self._pools:
            await self._pools.pop().transport.aclose()


_LIMITS = httpx2.Limits(max_connections=_EACH, max_keepalive_connections=_EACH)


class _Pool:
    def __init__(self, transport: httpx2.AsyncHTTPTransport) -> None:
        self.transport = transport
        self.taken = 0

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        self.taken += 1
        try:
            response = await self.transport.handle_async_request(request)
        except BaseException:
            self.taken -= 1
            raise
        body = response.stream
        if not isinstance(body, httpx2.AsyncByteStream):
            raise TypeError("an asynchronous transport answers with an asynchronous body")
        response.stream = _Body(body, self)
        return response


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, pool: _Pool) -> None:
        self._body = body
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            if self._pool is not None:
                self._pool.taken -= 1
                self._pool = None
