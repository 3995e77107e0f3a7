"""Connections to one vendor: few where few are needed, as many as calls at once, none lost to a call that was cut."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from providers.transport.aiohttp_transport import AiohttpClient, AiohttpTransport, create_client, create_transport


@dataclass(kw_only=True, slots=True)
class Vendor:
    url: str = ""
    connections: int = 0
    delay_seconds: float = 0.0
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    hangs_up: bool = False
    paths: list[bytes] = field(default_factory=list[bytes])
    heads: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while head := await buffered.receive_until(b"\r\n\r\n", 65_536):
                    self.heads.append(head.lower())
                    self.paths.append(head.split()[1])
                    await buffered.receive_exactly(2 if head.startswith(b"POST") else 0)
                    await anyio.sleep(self.delay_seconds)
                    await stream.send(self.answer)
                    if self.hangs_up:
                        return
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return


@asynccontextmanager
async def vendor() -> AsyncGenerator[tuple[Vendor, httpx2.AsyncClient]]:
    there = Vendor()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    there.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, there.serve)
        async with httpx2.AsyncClient(transport=AiohttpTransport(), base_url=there.url) as client:
            yield there, client
        serving.cancel_scope.cancel()


async def test_sequential_calls_share_a_connection() -> None:
    async with vendor() as (there, client):
        statuses = [(await client.get("/")).status_code for _ in range(10)]

    assert (statuses, there.connections) == ([200] * 10, 1)


async def test_concurrent_calls_do_not_wait_and_reuse_connections() -> None:
    async with vendor() as (there, client):
        there.delay_seconds = 0.2
        with anyio.fail_after(5):
            for _ in range(2):
                async with anyio.create_task_group() as calls:
                    for _ in range(30):
                        calls.start_soon(client.get, "/")

    assert there.connections == 30


async def test_a_call_that_was_cut_gives_its_place_back() -> None:
    async with vendor() as (there, client):
        there.delay_seconds = 10
        for _ in range(20):
            with anyio.move_on_after(0.01):
                await client.get("/")
        there.delay_seconds = 0
        before = there.connections
        for _ in range(20):
            await client.get("/")

    assert there.connections == before + 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"no HTTP at all",
    ],
)
async def test_cut_answer_may_be_billed_and_refused_connection_is_not(answer: bytes) -> None:
    async with vendor() as (there, client):
        there.answer, there.hangs_up = answer, True
        with pytest.raises(httpx2.ReadError):
            await client.post("/", content=b"{}")

    async with httpx2.AsyncClient(transport=AiohttpTransport()) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.post(there.url, content=b"{}")


async def test_a_path_is_sent_as_it_is_and_headers_may_be_long() -> None:
    async with vendor() as (there, client):
        there.answer = b"HTTP/1.1 200 OK\r\nx-policy: " + b"a" * 30_000 + b"\r\ncontent-length: 2\r\n\r\n{}"
        answer = await client.post("/models/a%2Fb:generate?alt=sse", content=b"{}")

    assert len(answer.headers["x-policy"]) == 30_000
    assert there.paths == [b"/models/a%2Fb:generate?alt=sse"]


def test_a_proxy_of_the_environment_is_the_clients_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    assert (create_transport(), create_client()) == (None, None)


def test_addresses_left_out_of_proxies_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    assert (type(create_transport()), type(create_client())) == (AiohttpTransport, AiohttpClient)


async def test_an_sdks_client_sends_what_it_is_given_and_nothing_of_the_machine() -> None:
    async with vendor() as (there, _), AiohttpClient() as sdk:
        asked = {"authorization": "Bearer k", "x-stainless-os": "Linux", "x-stainless-retry-count": "0"}
        requests = [
            sdk.build_request("POST", there.url + "/a%2Fb", content=b"{}", headers=list(asked.items()), timeout=None),
            sdk.build_request("POST", httpx2.URL(there.url), content=b"{}", headers=httpx2.Headers(asked), params=None),
            sdk.build_request("POST", there.url, content=b"{}", params={"page": "2"}),
        ]
        answers = [await sdk.send(request) for request in requests]

    assert [(one.status_code, one.content, one.request.method) for one in answers] == [(200, b"{}", "POST")] * 3
    assert there.paths == [b"/a%2Fb", b"/", b"/?page=2"]
    assert [b"authorization: bearer k" in head for head in there.heads] == [True, True, False]
    assert not any(b"stainless" in head for head in there.heads[:2])
    assert all(b"accept-encoding: gzip, deflate" in head for head in there.heads)


async def test_an_sdks_client_reads_packed_answers_and_hands_on_an_open_one() -> None:
    packed = gzip.compress(b'{"ok": true}')
    async with vendor() as (there, _), AiohttpClient() as sdk:
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
        there.answer = head.encode() + packed
        request = sdk.build_request("POST", there.url, content=b"{}")
        answer = await sdk.send(request, stream=True)
        was_read = answer.is_stream_consumed
        content = await answer.aread()

    assert (was_read, content) == (False, b'{"ok": true}')


async def test_answer_read_twice_is_the_same() -> None:
    async with vendor() as (there, _), AiohttpClient() as sdk:
        answer = await sdk.send(sdk.build_request("POST", there.url, content=b"{}"))
        again = await answer.aread()
        await answer.aclose()
        await sdk.send(sdk.build_request("POST", there.url, content=b"{}"))

    assert (answer.is_closed, answer.content, again, answer.json()) == (True, b"{}", b"{}", {})
    assert there.connections == 1
    assert all(b"content-length: 2\r\n" in head and b"host: 127.0.0.1:" in head for head in there.heads)


async def test_an_sdks_client_sends_a_body_that_is_still_being_written() -> None:
    async def written() -> AsyncGenerator[bytes]:
        yield b"{"
        yield b"}"

    async with vendor() as (there, _), AiohttpClient() as sdk:
        answer = await sdk.send(sdk.build_request("POST", there.url, content=written()))

    assert (answer.content, len(there.heads)) == (b"{}", 1)


async def test_redirect_is_not_followed() -> None:
    async with vendor() as (there, _), vendor() as (elsewhere, _), AiohttpClient() as sdk:
        there.answer = (
            f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere.url}/v2\r\ncontent-length: 0\r\n\r\n".encode()
        )
        key = [("Authorization", "Bearer k")]
        answer = await sdk.send(sdk.build_request("POST", there.url + "/v1", content=b"{}", headers=key))

    assert (answer.status_code, elsewhere.paths) == (307, [])
