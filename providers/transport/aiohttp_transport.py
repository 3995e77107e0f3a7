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

_IDLE_TIMEOUT_S = 4.0
"""For an idle connection: servers such as uvicorn and Node.js close theirs after five."""
_MAX_HEADER_BYTES = 64 * 1024
_MAX_ERROR_BYTES = 2**20
_MAX_ANSWER_BYTES = 128 * 2**20
_MIN_ERROR_STATUS = 300
_OF_THE_ENCODING = frozenset((b"content-encoding", b"content-length"))


def create_transport() -> httpx2.AsyncBaseTransport | None:
    """Return the client for an SDK; None if the environment names a proxy, which the SDK finds itself."""
    return None if _has_proxy() else AiohttpTransport()


def create_client() -> httpx2.AsyncClient | None:
    """Return the transport for an SDK's requests; None if the environment names a proxy."""
    return None if _has_proxy() else AiohttpClient()


def _has_proxy() -> bool:
    """Whether the environment names a proxy; what it leaves out of all proxies (`NO_PROXY`) is none."""
    return not getproxies().keys() <= {"no"}


class AiohttpClient(httpx2.AsyncClient):
    """Leaves out what an SDK's request never has: base addresses, cookies, hooks, an authentication of its own.

    Anything else goes the long way. Redirects are not followed: the key and the prompt would go along.
    """

    def __init__(self) -> None:
        self._transport = AiohttpTransport()
        super().__init__(transport=self._transport, timeout=None, follow_redirects=False)

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

    async def send(self, request: httpx2.Request, *, stream: bool = False, **_given: Any) -> httpx2.Response:  # noqa: ANN401
        """Send one request."""
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
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
        # Time and cookies are the client's business above; concurrency is the router's.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_TIMEOUT_S, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,  # in bounded steps: a small body must not unpack to gigabytes at once
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        return self._session


async def _read_content(request: httpx2.Request) -> bytes:
    if isinstance(request.stream, httpx2.ByteStream):
        return request.read()
    return await request.aread()


class _Body(httpx2.AsyncByteStream):
    """A body as it arrives, unpacked by aiohttp in bounded steps."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        is_error = self._answer.status >= _MIN_ERROR_STATUS
        with _translate_exceptions():
            async for piece in self._answer.content.iter_any():
                length += len(piece)
                if is_error and length > _MAX_ERROR_BYTES:
                    return  # enough to read the reason
                if length > _MAX_ANSWER_BYTES:
                    raise httpx2.ReadError(f"the answer is longer than {_MAX_ANSWER_BYTES} bytes")
                yield piece

    async def aclose(self) -> None:
        self._answer.close()  # one that was read to its end has given its connection back


class _Response(httpx2.Response):
    """An answer whose body is joined without the steps httpx2 has for encodings."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        reason = (answer.reason or "").encode("ascii", "ignore")
        headers = answer.raw_headers
        if "Content-Encoding" in answer.headers:
            headers = tuple(pair for pair in headers if pair[0].lower() not in _OF_THE_ENCODING)
        super().__init__(
            answer.status,
            headers=headers,
            stream=_Body(answer),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )
        self._whole: bytes | None = None

    @property
    def content(self) -> bytes:
        return super().content if self._whole is None else self._whole

    async def aread(self) -> bytes:
        if self._whole is None and not self.is_closed and isinstance(self.stream, _Body):
            self._whole = b"".join([piece async for piece in self.stream])
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
