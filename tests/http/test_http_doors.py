"""Who gets in over HTTP, how much one of them may take, and how it ends."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import Message, Receive, Scope, Send

from mcp_router.app import run_app
from mcp_router.errors import ConfigError
from mcp_router.http.admission import AdmissionControl, AdmissionLimits
from mcp_router.http.request_guard import Address
from mcp_router.http.serve import serve
from mcp_router.settings import load
from tests.support.front import environment
from tests.support.site import ALICE, BOB, BOSS, CLIENTS, TOKENS, Site, bearing, site, until
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
}
PATHS = [
    ("POST", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages/"),
    ("POST", "/api/llm/generate"),
    ("POST", "/api/llm/explain"),
    ("GET", "/api/llm/providers"),
    ("GET", "/api/llm/use-cases"),
    ("GET", "/api/llm/cost-summary"),
    ("GET", "/api/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/api/dashboard/overview"),
    ("GET", "/nothing/here"),
]


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def team(vendors: Vendors) -> dict[str, str]:
    return environment(vendors, "groq") | TOKENS


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer", f"Basic {ALICE}", ALICE], ids=str)
async def test_without_a_clients_token_nothing_answers_but_health(
    tmp_path: Path, vendors: Vendors, given: str | None
) -> None:
    headers = {} if given is None else {"Authorization": given}
    async with site(tmp_path, team(vendors), CLIENTS, sse=True) as there:
        answers = {path: await there.http.request(method, path, headers=headers) for method, path in PATHS}
        health = await there.http.get("/health")

    assert {path: answer.status_code for path, answer in answers.items()} == {path: 401 for _, path in PATHS}
    assert all(answer.headers["www-authenticate"].startswith("Bearer ") for answer in answers.values())
    assert health.status_code == 200
    assert vendors.requests("groq") == []


async def test_a_token_names_the_client_in_the_ledger_over_http_and_mcp(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, team(vendors), CLIENTS) as there:
        await there.http.post("/api/llm/generate", json=TASK, headers=bearing(ALICE))
        async with (
            httpx.AsyncClient(headers=bearing(BOB)) as http,
            Client(streamable_http_client(f"{there.url}/mcp", http_client=http)) as client,
        ):
            await client.call_tool("generate", TASK)
        attempts = await there.app.ledger.read_recent(5)
        disagreements = await there.app.ledger.find_differences()

    assert [attempt.client for attempt in attempts] == ["bob", "alice"]
    assert disagreements == []


async def test_a_client_sees_its_own_spending_and_one_who_may_sees_all(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, team(vendors), CLIENTS) as there:
        calls = {
            token: (await there.http.post("/api/llm/generate", json=TASK, headers=bearing(token))).json()["call_id"]
            for token in (ALICE, BOB)
        }

        async def seen(token: str) -> dict[str, Any]:
            asked = {"period": "7d", "group_by": "model"}
            return (await there.http.get("/api/llm/cost-summary", params=asked, headers=bearing(token))).json()

        async def past(token: str, call: str) -> int:
            body = {"call_id": call}
            return (await there.http.post("/api/llm/explain", json=body, headers=bearing(token))).status_code

        alice, bob, boss = await seen(ALICE), await seen(BOB), await seen(BOSS)
        statuses = [await past(ALICE, calls[ALICE]), await past(ALICE, calls[BOB]), await past(BOSS, calls[BOB])]

    assert [view["calls"] for view in (alice, bob, boss)] == [1, 1, 2]
    assert [list(view["groups"]) for view in (alice, boss)] == [["groq:openai/gpt-oss-120b"]] * 2
    assert [[budget["name"] for budget in view["budgets"]] for view in (alice, bob, boss)] == [
        ["alice daily"],
        [],
        ["alice daily"],
    ]
    assert statuses == [200, 400, 200]


async def test_a_client_sees_of_a_provider_what_is_its_own_or_everybodys_to_know(
    tmp_path: Path, vendors: Vendors
) -> None:
    async def over_http(there: Site, token: str) -> dict[str, Any]:
        asked = {"provider": "groq"}
        answer = await there.http.get("/api/llm/providers", params=asked, headers=bearing(token))
        return answer.json()["providers"][0]

    async def over_mcp(there: Site, token: str) -> dict[str, Any]:
        async with (
            httpx.AsyncClient(headers=bearing(token)) as http,
            Client(streamable_http_client(f"{there.url}/mcp", http_client=http)) as client,
        ):
            found = (await client.call_tool("list_providers", {"provider": "groq"})).structured_content
        assert found is not None
        return found["providers"][0]

    async with site(tmp_path, team(vendors), CLIENTS) as there:
        await there.http.post("/api/llm/generate", json=TASK, headers=bearing(ALICE))
        views = {token: await over_http(there, token) for token in (ALICE, BOB, BOSS)}
        over_the_protocol = [await over_mcp(there, token) for token in (ALICE, BOB, BOSS)]

    assert [view["latency_ms"] for view in over_the_protocol] == [view["latency_ms"] for view in views.values()]
    assert views[ALICE]["latency_ms"] == views[BOSS]["latency_ms"] is not None
    assert views[BOB]["latency_ms"] is None
    assert "requests_last_minute" not in views[ALICE]["limits"]
    assert views[BOSS]["limits"]["requests_last_minute"] == 1


async def test_a_token_may_be_configured_as_its_hash(tmp_path: Path, vendors: Vendors) -> None:
    config = f'[clients.carol]\ntoken_sha256 = "{hashlib.sha256(b"a-secret").hexdigest()}"\n'
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        with_token = await there.http.get("/api/llm/providers", headers=bearing("a-secret"))
        without = await there.http.get("/api/llm/providers")

    assert (with_token.status_code, without.status_code) == (200, 401)


@pytest.mark.parametrize(("allowed", "status"), [("", 400), ('allowed_roots = ["."]', 200)], ids=["unsaid", "said"])
async def test_clients_read_files_only_where_the_configuration_says_so(
    tmp_path: Path, vendors: Vendors, allowed: str, status: int
) -> None:
    (tmp_path / "secret.txt").write_text("nobody's business")
    config = f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\n{allowed}\n{CLIENTS}'
    async with site(tmp_path, team(vendors), config) as there:
        body = TASK | {"files": ["secret.txt"]}
        response = await there.http.post("/api/llm/generate", json=body, headers=bearing(ALICE))

    assert response.status_code == status
    assert len(vendors.requests("groq")) == (status == 200)


@pytest.mark.parametrize(
    ("host", "config", "environ", "said"),
    [
        ("0.0.0.0", "", {}, "--host 0.0.0.0 can be reached by others"),  # noqa: S104 - refused
        ("::", "", {}, "--host :: can be reached by others"),
        ("0.0.0.0", "[clients.alice]\ndaily_usd = 1\n", {}, "none has one"),  # noqa: S104 - refused
        (
            "127.0.0.1",
            '[clients.alice]\ntoken_env = "NOWHERE"\n',
            {},
            "clients.alice: token_env NOWHERE is not set",
        ),
        ("127.0.0.1", '[clients.cli]\ntoken_env = "T"\n', {"T": ALICE}, "clients.cli: the name is reserved"),
        (
            "127.0.0.1",
            '[clients.a]\ntoken_env = "T"\n[clients.b]\ntoken_env = "T"\n',
            {"T": ALICE},
            "clients.b: has the same token as a",
        ),
        (
            "127.0.0.1",
            f'[clients.a]\ntoken_env = "T"\ntoken_sha256 = "{"0" * 64}"\n',
            {"T": ALICE},
            "clients.a: has token_sha256 and token_env",
        ),
    ],
)
async def test_an_open_address_without_tokens_is_refused_before_it_is_served(
    tmp_path: Path, host: str, config: str, environ: dict[str, str], said: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'database_url = "sqlite:///{tmp_path / "l.sqlite3"}"\n{config}')
    told: list[str] = []

    async with run_app(load(path, environ)) as app:
        with pytest.raises(ConfigError) as refused:
            await serve(app, Address(host=host, port=0), on_listening=told.append)

    assert said in str(refused.value)
    assert told == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8000"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1234"}, 200),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/api/llm/use-cases", "/", "/metrics"])
async def test_other_sites_cannot_speak_to_it(
    tmp_path: Path, vendors: Vendors, path: str, headers: dict[str, str], status: int
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        response = await there.http.get(path, headers=headers)

    assert response.status_code == status


async def test_an_open_address_takes_its_own_pages_and_no_others(tmp_path: Path, vendors: Vendors) -> None:
    address = Address(host="0.0.0.0", port=0)  # noqa: S104 - with tokens
    async with site(tmp_path, team(vendors), CLIENTS, address=address) as there:
        headers = {"Host": "router.example", **bearing(ALICE)}
        own = await there.http.get("/api/llm/use-cases", headers=headers | {"Origin": "https://router.example"})
        other = await there.http.get("/api/llm/use-cases", headers=headers | {"Origin": "https://evil.example"})

    assert (own.status_code, other.status_code) == (200, 403)


async def test_a_balancer_probes_it_by_address_whatever_names_are_allowed(tmp_path: Path, vendors: Vendors) -> None:
    address = Address(host="0.0.0.0", port=0, allowed_hosts=("router.example",))  # noqa: S104 - with tokens
    async with site(tmp_path, team(vendors), CLIENTS, address=address) as there:
        probe = await there.http.get("/health?ready=1", headers={"Host": "10.1.2.3:8000"})
        other = await there.http.get("/metrics", headers={"Host": "10.1.2.3:8000", **bearing(BOSS)})

    assert (probe.status_code, other.status_code) == (200, 421)


async def test_a_host_that_looks_like_a_path_opens_nothing(tmp_path: Path, vendors: Vendors) -> None:
    address = Address(host="0.0.0.0", port=0)  # noqa: S104 - with tokens
    async with site(tmp_path, team(vendors), CLIENTS, address=address) as there:
        port, answers = int(there.url.rpartition(":")[2]), list[bytes]()
        for host in (b"a/health?", b"a/health#", b"a/?"):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"GET /metrics HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
                answers.append(b"".join([piece async for piece in stream])[:12])

    assert answers == [b"HTTP/1.1 401"] * 3


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
async def test_it_is_reached_by_the_address_it_is_served_at(tmp_path: Path, vendors: Vendors, host: str) -> None:
    async with site(tmp_path, environment(vendors, "groq"), address=Address(host=host, port=0)) as there:
        response = await there.http.get("/api/llm/use-cases")

    assert response.status_code == 200


async def test_an_answer_does_not_wait_for_the_network_to_fill_a_packet(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        await there.http.get("/health")
        began = anyio.current_time()
        for _ in range(25):
            await there.http.get("/health")

    # With Nagle's algorithm on, each would take the 40 ms that the other side may put off saying it has the head.
    assert anyio.current_time() - began < 0.7


async def test_a_name_it_is_reached_by_can_be_allowed(tmp_path: Path, vendors: Vendors) -> None:
    address = Address(host="127.0.0.1", port=0, allowed_hosts=("router.example",))
    async with site(tmp_path, environment(vendors, "groq"), address=address) as there:
        response = await there.http.get("/api/llm/use-cases", headers={"Host": "router.example"})

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/llm/use-cases", "/health", "/nothing"])
async def test_every_answer_carries_security_headers(tmp_path: Path, vendors: Vendors, path: str) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        headers = (await there.http.get(path)).headers

    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/mcp", "/api/llm/generate"])
@pytest.mark.parametrize("declared", [True, False])
async def test_an_oversized_body_is_refused(tmp_path: Path, vendors: Vendors, path: str, declared: bool) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000

    async with site(tmp_path, environment(vendors, "groq"), limits=AdmissionLimits(body_bytes=10_000)) as there:
        content = b"x" * 20_000 if declared else pieces()
        headers = {"Content-Type": "application/json"}
        response = await there.http.post(path, content=content, headers=headers)

    assert response.status_code == 413


async def test_one_client_cannot_take_every_place(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    limits = AdmissionLimits(requests=4)
    environ = environment(vendors, "groq", **TOKENS)
    async with (
        site(tmp_path, environ, CLIENTS, limits=limits) as there,
        anyio.create_task_group() as calls,
    ):
        for _ in range(2):
            calls.start_soon(lambda: there.http.post("/api/llm/generate", json=TASK, headers=bearing(BOB)))
        await until(lambda: len(vendors.requests("groq")) == 2)
        refused = await there.http.get("/api/llm/use-cases", headers=bearing(BOB))
        served = await there.http.get("/api/llm/use-cases", headers=bearing(ALICE))
        calls.cancel_scope.cancel()

    assert (refused.status_code, served.status_code) == (503, 200)
    assert "Client bob has 2 requests in flight" in refused.json()["error"]["message"]


async def test_more_requests_than_admitted_are_told_to_come_back(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 5)
    async with (
        site(tmp_path, environment(vendors, "groq"), limits=AdmissionLimits(requests=2)) as there,
        anyio.create_task_group() as calls,
    ):
        for _ in range(2):
            calls.start_soon(lambda: there.http.post("/api/llm/generate", json=TASK))
        await until(lambda: len(vendors.requests("groq")) == 2)
        refused = await there.http.get("/api/llm/use-cases")
        health = await there.http.get("/health")
        calls.cancel_scope.cancel()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert health.status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n|GET /health HTTP/1.1\r\nX-Slow: ",
    ],
    ids=["nothing", "half a head", "half a second head"],
)
async def test_a_client_that_never_finishes_its_head_is_hung_up_on(
    tmp_path: Path, vendors: Vendors, sent: bytes
) -> None:
    async with site(tmp_path, environment(vendors, "groq"), limits=AdmissionLimits(head_seconds=0.5)) as there:
        port = int(there.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            first, _, second = sent.partition(b"|")
            await stream.send(first)
            if second:
                assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
                await stream.send(second)
            with anyio.fail_after(5):
                rest = [piece async for piece in stream]

    assert rest == []


async def test_a_client_that_never_finishes_its_body_is_told_so(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq"), limits=AdmissionLimits(body_seconds=0.3)) as there:
        port = int(there.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(
                b"POST /api/llm/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b'Content-Length: 1000\r\n\r\n{"prompt'
            )
            with anyio.fail_after(5):
                answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.fixture
def served(tmp_path: Path) -> list[str]:
    path = tmp_path / "config.toml"
    ledger = tmp_path / "ledger.sqlite3"
    path.write_text(f'database_url = "sqlite:///{ledger}"\n[providers.embedded]\nenabled = false\n')
    return [sys.executable, "-m", "mcp_router", "serve", "--config", str(path), "--transport", "http", "--port", "0"]


async def test_a_server_told_to_stop_lets_calls_under_way_end(
    tmp_path: Path, vendors: Vendors, served: list[str]
) -> None:
    vendors.delay("groq", 1)
    environ = {**os.environ, **environment(vendors, "groq")}
    process = await anyio.open_process(served, stderr=subprocess.PIPE, env=environ)
    async with process:
        assert process.stderr is not None
        url = (await process.stderr.receive()).decode().split("dashboard at ")[1].split("/,")[0]
        answers: list[int] = []

        async def call() -> None:
            async with httpx.AsyncClient(timeout=20) as http:
                answers.append((await http.post(f"{url}/api/llm/generate", json=TASK)).status_code)

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await until(lambda: bool(vendors.requests("groq")))
            process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            code = await process.wait()

    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as ledger:
        rows = ledger.execute("SELECT outcome FROM attempts").fetchall()
    assert (code, answers, rows) == (0, [200], [("answered",)])


async def test_a_call_that_outlasts_the_stop_is_cut_and_written_down(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 30)
    answers: list[int] = []
    async with anyio.create_task_group() as calls:  # noqa: SIM117 - the call outlives the site
        async with site(tmp_path, environment(vendors, "groq"), limits=AdmissionLimits(grace_seconds=1)) as there:

            async def call() -> None:
                async with httpx.AsyncClient(timeout=20) as http:
                    answers.append((await http.post(f"{there.url}/api/llm/generate", json=TASK)).status_code)

            calls.start_soon(call)
            await until(lambda: bool(vendors.requests("groq")))

    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as ledger:
        rows = ledger.execute("SELECT outcome, cost_source FROM attempts").fetchall()
    assert (answers, rows) == ([503], [("cancelled", "bound")])


async def test_a_server_told_to_stop_answers_over_the_older_transport_and_does_not_wait_for_who_only_listens(
    tmp_path: Path, vendors: Vendors
) -> None:
    vendors.delay("groq", 1)
    patient = AdmissionLimits(grace_seconds=600)
    answers: list[object] = []
    async with anyio.create_task_group() as clients:
        with anyio.fail_after(30):
            async with site(tmp_path, environment(vendors, "groq"), sse=True, limits=patient) as there:

                async def call(listening: anyio.Event) -> None:
                    async with Client(sse_client(f"{there.url}/sse"), mode="legacy") as client:
                        await client.list_tools()
                        listening.set()
                        answers.append((await client.call_tool("generate", TASK)).structured_content)

                async def listen(listening: anyio.Event) -> None:
                    async with Client(sse_client(f"{there.url}/sse"), mode="legacy") as client:
                        await client.list_tools()
                        listening.set()
                        await anyio.sleep_forever()

                for start in (call, listen):
                    clients.start_soon(start, listening := anyio.Event())
                    await listening.wait()
                await until(lambda: bool(vendors.requests("groq")))
        clients.cancel_scope.cancel()

    assert [answer["text"] for answer in answers if isinstance(answer, dict)] == ["Hello from groq."]


async def test_a_client_that_takes_nothing_is_given_up_and_one_that_is_slow_is_not() -> None:
    sent: list[str] = []

    async def streams(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep(0.4)  # a model's time is not the client's
        for piece in (b"1", b"2", b"3"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def asks() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def takes(message: Message) -> None:
        await anyio.sleep_forever() if message.get("body") == b"2" else await anyio.sleep(0.05)
        sent.append(message["type"])

    admission = AdmissionControl(streams, limits=AdmissionLimits(requests=1, stalled_seconds=0.3), free=frozenset())
    with anyio.fail_after(5):
        for _ in range(2):  # the second is admitted only when the first is over
            await admission({"type": "http", "path": "/", "method": "GET", "headers": []}, asks, takes)

    assert sent == ["http.response.start", "http.response.body"] * 2
