"""A proxy that the environment names carries every wire's calls, except to addresses that it leaves out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from providers.catalog import Model
from providers.completion import Message, Prompt
from providers.connect import connect
from providers.errors import ProviderError
from providers.registry import load_providers
from tests.vendors import Vendors, vendor_server

PROMPT = Prompt(messages=(Message(role="user", content="Say hello."),), max_output_tokens=50)
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
ONE_OF_A_WIRE = list({row.wire: row for row in load_providers() if row.models and row.wire != "embedded"}.values())
WIRES = pytest.mark.parametrize("name", [row.name for row in ONE_OF_A_WIRE])


@dataclass(kw_only=True, slots=True)
class Proxy:
    """Hands requests on to one address whatever they name, and opens no tunnel."""

    port: int
    """Where requests go."""
    url: str = ""
    asked: list[str] = field(default_factory=list[str])
    """Method and target of each."""

    async def serve(self, stream: SocketStream) -> None:
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            head = await buffered.receive_until(b"\r\n\r\n", 65_536)
            method, target, rest = head.decode().split(" ", 2)
            self.asked.append(f"{method} {target}")
            if method == "CONNECT":
                await stream.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                return
            path = "/" + target.split("/", 3)[3]
            async with await anyio.connect_tcp("127.0.0.1", self.port) as there, anyio.create_task_group() as group:
                await there.send(f"{method} {path} {rest}\r\n\r\n".encode())
                group.start_soon(_copied, buffered, there)
                await _copied(there, stream)
                group.cancel_scope.cancel()


async def _copied(one: BufferedByteReceiveStream | SocketStream, other: SocketStream) -> None:
    try:
        while True:
            await other.send(await one.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return


@asynccontextmanager
async def proxy(port: int) -> AsyncGenerator[Proxy]:
    between = Proxy(port=port)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    between.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, between.serve)
        yield between
        serving.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def a_model(name: str) -> Model:
    return next(row.models[0] for row in load_providers() if row.name == name)


async def ask(name: str, url: str | None) -> str:
    row = next(row for row in load_providers() if row.name == name)
    connection = connect(row, key="test-key-0123456789", base_url=url)
    try:
        return (await connection.complete(a_model(name), PROMPT)).text
    finally:
        await connection.aclose()


@WIRES
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_a_call_goes_through_the_proxy(
    name: str, variable: str, vendors: Vendors, environ: pytest.MonkeyPatch
) -> None:
    there = vendors.url(name)
    async with proxy(int(there.split(":")[2].split("/")[0])) as between:
        environ.setenv(variable, between.url)
        text = await ask(name, there.replace("127.0.0.1", "vendor.invalid"))

    assert text == f"Hello from {name}."
    assert [one.split("/")[2].split(":")[0] for one in between.asked] == ["vendor.invalid"]


@WIRES
async def test_a_call_over_tls_asks_the_proxy_for_a_tunnel_to_the_vendor(
    name: str, environ: pytest.MonkeyPatch
) -> None:
    async with proxy(1) as between:
        environ.setenv("HTTPS_PROXY", between.url)
        with pytest.raises(ProviderError):
            await ask(name, None)

    (asked,) = between.asked
    assert asked.startswith("CONNECT ")
    assert asked.endswith(":443")


@WIRES
async def test_an_address_that_is_left_out_is_reached_directly(
    name: str, vendors: Vendors, environ: pytest.MonkeyPatch
) -> None:
    async with proxy(1) as between:
        environ.setenv("ALL_PROXY", between.url)
        environ.setenv("NO_PROXY", "127.0.0.1,localhost")
        text = await ask(name, vendors.url(name))

    assert text == f"Hello from {name}."
    assert between.asked == []
