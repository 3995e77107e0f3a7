"""Connections to one vendor: few where few are needed, as many as calls at once, none lost to a call that was cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from providers import pooling
from providers.pooling import Pools


@dataclass(kw_only=True, slots=True)
class Vendor:
    url: str = ""
    connections: int = 0
    delay_seconds: float = 0.0

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while await buffered.receive_until(b"\r\n\r\n", 65_536):
                    await anyio.sleep(self.delay_seconds)
                    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return


@asynccontextmanager
async def vendor() -> AsyncGenerator[tuple[Vendor, httpx2.AsyncClient]]:
    there = Vendor()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    there.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, there.serve)
        async with httpx2.AsyncClient(transport=Pools(), base_url=there.url) as client:
            yield there, client
        serving.cancel_scope.cancel()


async def test_calls_one_after_the_other_share_a_connection() -> None:
    async with vendor() as (there, client):
        statuses = [(await client.get("/")).status_code for _ in range(10)]

    assert (statuses, there.connections) == ([200] * 10, 1)


async def test_calls_at_once_do_not_wait_for_each_other_and_their_connections_are_used_again() -> None:
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


def test_a_proxy_of_the_environment_is_the_clients_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    assert pooling.transport() is None
