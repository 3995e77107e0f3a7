"""What other routers and other MCP servers were seen to get wrong, and this one shall not; each line here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_router.execution import breaker
from mcp_router.ledger.records import Breaker
from mcp_router.server import progress
from providers.errors import RateLimitError, UnavailableError
from tests.support.front import environment, front
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium"}
CHATTER = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "groq":
            print("a library says hello", flush=True)
            os.write(1, b"and so does its C code\\n")

sys.meta_path.insert(0, Finder())
"""

FALLING_BACK = """
import sys
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute
from tests.support.front import environment, front
from tests.vendors import vendor_server

CELL = '[routes.conversation]\\nstandard = ["openai:gpt-6-luna", "claude:claude-haiku-5-5"]'

async def main():
    assert "anthropic" not in sys.modules
    loaded = []

    async def hang_up(stream):
        loaded.append(hasattr(sys.modules.get("anthropic"), "AsyncAnthropic"))
        await stream.aclose()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1"
    async with vendor_server() as vendors, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, hang_up)
        environ = environment(vendors, "openai", "claude", OPENAI_BASE_URL=url)
        async with front(Path(sys.argv[1]), environ, CELL) as house:
            answer = await house.call("generate", prompt="Hello.", use_case="conversation", complexity="medium")
        group.cancel_scope.cancel()
    print(answer["model"], loaded)

anyio.run(main)
"""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def test_the_tools_take_no_more_of_an_agents_context_than_promised(tmp_path: Path) -> None:
    bpe: Any = pytest.importorskip("rs_bpe.bpe", reason="counts tokens")

    def tokens(value: object) -> int:
        return len(bpe.openai.o200k_base().encode(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))

    async with front(tmp_path, {}) as house:
        listed = await house.client.list_tools()
    whole = listed.model_dump(mode="json", by_alias=True, exclude_none=True)
    shown = [{name: tool[name] for name in ("name", "description", "inputSchema")} for tool in whole["tools"]]

    assert tokens(shown) <= 1_300
    assert tokens(whole) <= 2_600


async def test_standard_output_belongs_to_the_protocol_whatever_a_library_prints(
    tmp_path: Path, vendors: Vendors
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "sitecustomize.py").write_text(CHATTER)
    environ = environment(vendors, "groq") | {"HOME": str(tmp_path), "PYTHONPATH": str(library)}
    command = [sys.executable, "-P", "-m", "mcp_router", "serve"]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "generate", "arguments": TASK | {"model": "groq"}},
        },
    ]

    process = await anyio.open_process(command, env={**os.environ, **environ}, cwd=tmp_path)
    async with process:
        assert process.stdin
        assert process.stdout
        await process.stdin.send("".join(f"{json.dumps(one)}\n" for one in messages).encode())
        said = b""
        with anyio.fail_after(60):
            while b'"id":2' not in said:
                said += await process.stdout.receive()
        await process.stdin.aclose()
        with anyio.fail_after(60):
            errors = b"".join([piece async for piece in process.stderr]) if process.stderr else b""

    answers = [json.loads(line) for line in said.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2]
    assert not answers[1]["result"].get("isError")
    assert b"a library says hello" in errors
    assert b"and so does its C code" in errors


def test_falling_back_waits_for_nobodys_sdk_not_even_in_the_first_call(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-W", "ignore", "-c", FALLING_BACK, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)

    assert done.stdout == "claude:claude-haiku-5-5 [True]\n", done.stderr


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_key_that_is_refused_is_left_alone_and_not_the_model(
    tmp_path: Path, vendors: Vendors, status: int
) -> None:
    vendors.fail("groq", status=status)
    async with front(tmp_path, environment(vendors, "groq", "openai")) as house:
        await house.call("generate", **TASK, budget_tier="standard")
        await house.call("generate", **TASK, budget_tier="standard")
        benches = (await house.app.ledger.read_availability(0)).breakers

    assert [bench.scope.rpartition(":")[0] for bench in benches] == ["key:groq"]
    assert len(vendors.requests("groq")) == 1


async def test_a_call_can_tighten_what_it_may_cost_and_never_raise_it(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq"), "[budgets]\ndaily_usd = 0\n") as house:
        plan = await house.call("explain_route", **TASK, budget_tier="economy", max_cost_usd=1_000)
        refused = await house.refused("generate", **TASK, budget_tier="enterprise", max_cost_usd=1_000)

    assert plan["ceiling_usd"] == 0.001
    assert refused.startswith("budget_exceeded: ")
    assert vendors.requests("groq") == []


def test_what_a_vendor_asks_for_is_the_least_and_the_longest_wait_wins() -> None:
    asked = breaker.count_failure(RateLimitError("", retry_after=90), scope="model:a:b", before=None, now=0)
    brief = breaker.count_failure(RateLimitError("", retry_after=1), scope="model:a:b", before=None, now=0)
    before = Breaker(scope="model:a:b", open_until=500, reason="rate_limit", failures=1)
    mad = breaker.count_failure(RateLimitError("", retry_after=1e12), scope="model:a:b", before=None, now=0)
    longest = breaker.count_failure(RateLimitError("", retry_after=1), scope="model:a:b", before=before, now=0)
    patient = breaker.count_failure(UnavailableError("", retry_after=None), scope="provider:a", before=None, now=0)

    assert (asked.open_until, brief.open_until, longest.open_until, patient.open_until) == (90, 10, 500, 0)
    assert mad.open_until == 86_400


def test_a_host_hears_from_a_call_at_least_every_ten_seconds() -> None:
    assert progress.HEARTBEAT_INTERVAL_S <= 10
