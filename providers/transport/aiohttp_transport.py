"""Carries the SDKs' requests over aiohttp: half the time of their own HTTP library, and no slower with many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast
from urllib.request import getproxies

import aiohttp
import httpx2
from yarl import URL

_IDLE_SECONDS = 4.0
"""For a connection that nobody uses: servers such as uvicorn and Node.js close theirs after five."""
_LONGEST_HEADER = 64 * 1024


def create_transport() -> httpx2.AsyncBaseTransport | None:
    """What an SDK's client sends through; None where the environment names a proxy, which is the client's to find."""
    return None if _has_proxy() else AiohttpTransport()


def create_client() -> httpx2.AsyncClient | None:
    """What an SDK builds and sends its requests with; None where the environment names a proxy."""
    return None if _has_proxy() else AiohttpClient()


def _has_proxy() -> bool:
    """Whether the environment names a proxy; what it leaves out of all proxies (`NO_PROXY`) is none."""
    return not getproxies().keys() <= {"no"}


class AiohttpClient(httpx2.AsyncClient):
    """Leaves out what an SDK's request never has: base addresses, cookies, hooks, an authentication of its own.

    Anything else goes the long way, and so does an answer that sends elsewhere.
    """

    def __init__(self) -> None:
        self._carrier = AiohttpTransport()
        super().__init__(transport=self._carrier, timeout=None, follow_redirects=True)

    def build_request(self, method: str, url: httpx2.URL | str, **given: Any) -> httpx2.Request:  # noqa: ANN401 - as httpx2 has it
        """Build a request of its content and headers alone, where there is nothing else."""
        if any(value is not None for name, value in given.items() if name not in _PLAIN):
            return super().build_request(method, url, **given)
        headers = given.get("headers")
        pairs = cast("Pairs", headers) if isinstance(headers, list) else httpx2.Headers(headers).multi_items()
        said = [pair for pair in pairs if not pair[0].lower().startswith(_OF_THE_MACHINE)]
        content = given.get("content") or b""
        if not isinstance(content, bytes):
            return super().build_request(method, url, **given)
        # As a stream it is not looked through for lengths and hosts: aiohttp writes those.
        body = httpx2.ByteStream(content)
        return httpx2.Request(method, _parse_url(str(url)), headers=[*said, _ACCEPTED], stream=body)

    async def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:  # noqa: ANN401
        """Send one request, and follow where it is sent to."""
        response = await self._carrier.handle_async_request(request)
        response.request = request
        try:
            if response.has_redirect_location:
                await response.aclose()
                return await super().send(request, stream=stream, **given)
            if not stream:
                await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response


class UrlCacheMixin:
    """Mixed into an SDK's client that is given whole addresses, the same ones over and over: each is parsed once."""

    def _prepare_url(self, url: str) -> httpx2.URL:
        return _parse_url(url)


Pairs = list[tuple[str, str]]
_PLAIN = frozenset({"content", "headers", "timeout"})
"""Time is the router's: no limit is set here."""
_ACCEPTED = ("Accept-Encoding", "gzip, deflate")
_OF_THE_MACHINE = "x-stainless-"
"""Headers by which an SDK tells a vendor what machine and Python this is: not its business, and each takes time."""


@lru_cache(maxsize=64)
def _parse_url(url: str) -> httpx2.URL:
    return httpx2.URL(url)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends httpx2's requests with aiohttp, and raises httpx2's errors."""

    def __init__(self) -> None:
        self._tls = httpx2.create_ssl_context()
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, whose body is there; its connection is taken until the answer is read or closed."""
        session = self._session or self._opened()
        with _translate_exceptions():
            answer = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await _read_content(request) or None,
                allow_redirects=False,
            )
        return _Response(answer)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        # Time, redirects, cookies and encodings are the client's business above; so many at once is the router's.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        return self._session


async def _read_content(request: httpx2.Request) -> bytes:
    if isinstance(request.stream, httpx2.ByteStream):
        return request.read()
    return await request.aread()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translate_exceptions():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def whole(self) -> bytes:
        with _translate_exceptions():
            return await self._answer.read()

    async def aclose(self) -> None:
        self._answer.close()  # one that was read to its end has given its connection back


class _Response(httpx2.Response):
    """An answer that is read in one go where it is wanted whole and was not packed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        reason = (answer.reason or "").encode("ascii", "ignore")
        super().__init__(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )
        self._is_packed = "Content-Encoding" in answer.headers
        self._whole: bytes | None = None

    @property
    def content(self) -> bytes:
        return super().content if self._whole is None else self._whole

    async def aread(self) -> bytes:
        if self._whole is None and not self._is_packed and not self.is_closed and isinstance(self.stream, _Body):
            self._whole = await self.stream.whole()
            self.is_closed = self.is_stream_consumed = True
        return await super().aread() if self._whole is None else self._whole


@contextmanager
def _translate_exceptions() -> Generator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
        raise httpx2.ConnectError(str(exc)) from exc
    except (aiohttp.InvalidURL, ValueError) as exc:
        raise httpx2.UnsupportedProtocol(str(exc)) from exc
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise httpx2.ReadError(str(exc)) from exc
