"""The log: request ids, and the cause of every refusal, without prompts and keys."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.support.front import KEYS, environment
from tests.support.site import ALICE, BOB, TOKENS, bearing, site
from tests.vendors import Vendors, vendor_server

PROMPT = "zanzibar marmalade quokka"
TASK = {"prompt": f"Write of {PROMPT}.", "use_case": "conversation", "budget_tier": "standard"}
CONFIG = """
[clients.alice]
token_env = "TOKEN_ALICE"
models = ["groq"]
[clients.bob]
token_env = "TOKEN_BOB"
daily_usd = 0.0000001
[clients.boss]
token_env = "TOKEN_BOSS"
rpm = 1
"""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


@asynccontextmanager
async def serving(folder: Path, environ: dict[str, str], config: str, *options: str) -> AsyncGenerator[Any]:
    """Run `serve` as a process; yield it, its URL, and the file of its log."""
    path, log = folder / "config.toml", folder / "log"
    head = f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n'
    path.write_text(f"{head}{config}\n[providers.embedded]\nenabled = false\n")
    command = [sys.executable, "-m", "mcp_router", "serve", "--config", str(path), "--transport", "http"]
    with log.open("wb") as out:
        process = await anyio.open_process(
            [*command, "--port", "0", *options], stderr=out, env={**os.environ, **environ}, cwd=folder
        )
        try:
            with anyio.fail_after(30):
                while "dashboard at " not in log.read_text():
                    await anyio.sleep(0.05)
            yield process, log.read_text().split("dashboard at ")[1].split("/,")[0], log
        finally:
            if process.returncode is None:
                process.terminate()
            with anyio.fail_after(30):
                await process.wait()


def kinds_of_request(number: int) -> tuple[str, dict[str, Any], int | None]:
    """Return the kind of refusal, a request, and its status, by turns."""
    generate: dict[str, Any] = {"method": "POST", "url": "/api/llm/generate", "headers": bearing(ALICE)}
    mcp = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    accept = {"Accept": "application/json, text/event-stream"}
    cases: Sequence[tuple[str, dict[str, Any], int | None]] = [
        ("", generate | {"json": TASK}, 200),
        ("", {"method": "GET", "url": "/health"}, 200),
        ("unauthorized", generate | {"json": TASK, "headers": bearing(PROMPT.replace(" ", "-"))}, 401),
        ("budget_exceeded", generate | {"json": TASK, "headers": bearing(BOB)}, 402),
        ("forbidden_model", generate | {"json": TASK | {"model": "mistral"}}, 403),
        ("unknown_name", generate | {"json": TASK | {"use_case": PROMPT}}, 400),
        ("unknown_name", generate | {"json": TASK | {"model": f"groq:{PROMPT}' = it's: {PROMPT}"}}, 400),
        ("bad_input", generate | {"json": TASK | {"temperature": PROMPT}}, 400),
        ("bad_input", generate | {"content": f'{{"prompt": "{PROMPT}'.encode()}, 415),
        ("not_found", {"method": "GET", "url": f"/{PROMPT}", "headers": bearing(ALICE)}, 404),
        (
            "unknown_name",
            {
                "method": "POST",
                "url": "/mcp",
                "headers": bearing(ALICE) | accept,
                "json": mcp | {"params": {"name": "generate", "arguments": TASK | {"budget_tier": PROMPT}}},
            },
            200,
        ),
        ("forbidden_model", generate | {"url": "/v1/chat/completions", "json": {
            "model": "mistral", "messages": [{"role": "user", "content": PROMPT}]}}, 403),
    ]  # fmt: skip
    return cases[number % len(cases)]


@pytest.mark.slow
async def test_each_refusal_of_1000_calls_is_found_in_the_log_by_its_id(tmp_path: Path, vendors: Vendors) -> None:
    environ = environment(vendors, "groq", "mistral") | TOKENS
    expected: dict[str, tuple[str, int]] = {}
    numbers = iter(range(1_000))
    async with serving(tmp_path, environ, CONFIG, "--log-format", "json", "--access-log") as (_, url, log):

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                for number in numbers:
                    kind, request, status = kinds_of_request(number)
                    headers = request.get("headers", {}) | {"X-Request-Id": f"call-{number}"}
                    answer = await http.request(**(request | {"headers": headers}))
                    assert answer.headers["x-request-id"] == f"call-{number}"
                    assert answer.status_code == status, (kind, answer.text)
                    expected[f"call-{number}"] = (kind, answer.status_code)

        async with anyio.create_task_group() as calls:
            for _ in range(8):
                calls.start_soon(ask)
        vendors.fail("groq", status=500, body={"error": {"message": f"no {PROMPT}"}})
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            failed = await http.post(
                "/api/llm/generate", json=TASK, headers=bearing(ALICE) | {"X-Request-Id": "two\twords"}
            )
            metrics = (await http.get("/metrics", headers=bearing(ALICE))).text
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    refused = {line["request_id"]: line for line in lines if line["logger"] == "mcp_router.refusals"}
    accessed = Counter(line["request_id"] for line in lines if line["logger"] == "mcp_router.access")

    wanted = {name: kind for name, (kind, _) in expected.items() if kind}
    made = failed.headers["x-request-id"]
    assert {name: line["kind"] for name, line in refused.items()} == wanted | {made: "all_failed"}
    assert all(line["cause"] and line["status"] == expected[name][1] for name, line in refused.items() if name != made)
    assert failed.status_code == 502
    assert "groq:" in refused[made]["cause"]
    assert refused[made]["call_id"] == failed.json()["error"]["call_id"]
    assert refused[made]["client"] == "alice"
    assert all(accessed[name] == 1 for name in expected)
    words = [PROMPT, *PROMPT.split(), *TOKENS.values(), *(KEYS[name][1] for name in ("groq", "mistral"))]
    assert [word for word in words if word in text] == []
    forbidden = sum(kind == "forbidden_model" for kind in wanted.values())
    assert f'mcp_router_refusals_total{{kind="forbidden_model"}} {forbidden}.0' in metrics
    assert "mcp_router_http_requests_in_flight 1.0" in metrics
    assert "mcp_router_build_info{" in metrics


async def test_unsafe_request_id_is_replaced_and_a_safe_one_kept(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        answers = [
            (await there.http.get("/health", headers={"X-Request-Id": given})).headers["x-request-id"]
            for given in ("abc-1.2:3_4", "with space", "x" * 129, '{"level":"error"}')
        ]

    assert answers[0] == "abc-1.2:3_4"
    assert all(len(answer) == 16 for answer in answers[1:])
    assert len(set(answers)) == 4
