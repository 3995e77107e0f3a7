"""Traces: sent where the standard variables say, below the caller's own, and without a word of a prompt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.collector import collecting
from tests.support.front import environment
from tests.vendors import Vendors, vendor_server

SECRET = "the prompt that nobody else may read"
TASK = {"prompt": SECRET, "use_case": "conversation", "budget_tier": "standard", "complexity": "medium"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NO_SDK = "import sys; sys.modules['opentelemetry.sdk'] = None; from mcp_router.cli import main; sys.exit(main())"


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def configuration(folder: Path) -> list[str]:
    path = folder / "config.toml"
    ledger = folder / "ledger.sqlite3"
    path.write_text(f'database_url = "sqlite:///{ledger}"\n[providers.embedded]\nenabled = false\n')
    return ["--config", str(path)]


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@asynccontextmanager
async def served(folder: Path, environ: dict[str, str]) -> AsyncGenerator[str]:
    command = [sys.executable, "-m", "mcp_router", "serve", *configuration(folder), "--transport", "http", "--port=0"]
    process = await anyio.open_process(command, stderr=subprocess.PIPE, env={**os.environ, **environ})
    async with process:
        assert process.stderr is not None
        yield (await process.stderr.receive()).decode().split("dashboard at ")[1].split("/,")[0]
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(15):
            assert await process.wait() == 0


async def test_a_call_is_traced_from_its_callers_span_to_every_attempt(tmp_path: Path, vendors: Vendors) -> None:
    pytest.importorskip("opentelemetry.sdk")
    vendors.fail("groq", status=500, times=1)
    async with collecting() as collector:
        environ = environment(vendors, "groq", "openai")
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.port}"
        async with served(tmp_path, environ) as url, httpx.AsyncClient(timeout=20) as http:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            await http.post(f"{url}/api/llm/generate", json=TASK, headers=headers)
        spans = collector.spans()

    request, failed, answered = (
        spans["POST /api/llm/generate"],
        spans["chat openai/gpt-oss-120b"],
        spans["chat gpt-6-luna"],
    )
    assert [span.trace_id.hex() for span in (request, failed, answered)] == [TRACE] * 3
    assert [span.parent_span_id.hex() for span in (request, failed, answered)] == [PARENT, *[request.span_id.hex()] * 2]
    assert (failed.status.code, answered.status.code) == (2, 0)
    assert attributes(failed)["error.type"] == "unavailable"
    told = attributes(answered)
    assert {name: told[name] for name in told if name.startswith("gen_ai.") and "finish" not in name} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-6-luna",
        "gen_ai.request.max_tokens": told["gen_ai.request.max_tokens"],
        "gen_ai.usage.input_tokens": told["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": told["gen_ai.usage.output_tokens"],
    } | {name: told[name] for name in told if name.startswith(("gen_ai.usage.cache", "gen_ai.usage.reasoning"))}
    assert (told["mcp_router.attempt"], told["mcp_router.cost_usd"] > 0) == (2, True)
    assert not any(SECRET.encode() in content or b"test-key" in content for content in collector.received)


async def test_attempts_hang_below_the_spans_of_the_mcp_sdk(tmp_path: Path, vendors: Vendors) -> None:
    pytest.importorskip("opentelemetry.sdk")
    async with collecting() as collector:
        environ = environment(vendors, "groq")
        environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"http://127.0.0.1:{collector.port}/v1/traces"
        async with served(tmp_path, environ) as url, Client(streamable_http_client(f"{url}/mcp")) as client:
            await client.call_tool("generate", TASK)
        spans = collector.spans()

    attempt, tool = spans["chat openai/gpt-oss-120b"], spans["tools/call generate"]
    assert attempt.parent_span_id == tool.span_id
    assert attributes(attempt)["gen_ai.provider.name"] == "groq"
    assert not any(SECRET.encode() in content for content in collector.received)


async def ask(folder: Path, environ: dict[str, str], *start: str) -> tuple[int, str]:
    command = [sys.executable, *start, "ask", SECRET, *configuration(folder), "--use-case", "conversation"]
    run = await anyio.run_process(command, check=False, env={**os.environ, **environ})
    return run.returncode, run.stderr.decode()


async def test_a_missing_extra_is_a_warning_and_the_call_goes_on(tmp_path: Path, vendors: Vendors) -> None:
    environ = environment(vendors, "groq") | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    code, said = await ask(tmp_path, environ, "-c", NO_SDK)

    assert (code, "install mcp-llm-router[otel]" in said) == (0, True)


async def test_a_collector_that_is_away_costs_a_warning_and_little_time(tmp_path: Path, vendors: Vendors) -> None:
    pytest.importorskip("opentelemetry.sdk")
    environ = environment(vendors, "groq") | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with anyio.fail_after(20):
        code, _ = await ask(tmp_path, environ, "-m", "mcp_router")

    assert code == 0


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}], ids=str
)
async def test_nothing_of_it_is_loaded_where_nobody_asks_for_traces(
    tmp_path: Path, vendors: Vendors, environ: dict[str, str]
) -> None:
    check = (
        "import sys; from mcp_router.cli import main; code = main(); "
        "sys.exit('opentelemetry.sdk' in sys.modules or 'opentelemetry.exporter' in sys.modules or code)"
    )
    code, _ = await ask(tmp_path, environment(vendors, "groq") | environ, "-c", check)

    assert code == 0
