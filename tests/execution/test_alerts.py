"""Alerts about budgets: one message for each crossing, by a webhook that cannot be turned inward."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from mcp_router.errors import ConfigError
from mcp_router.execution.webhook import find_url_problem, is_allowed_address
from mcp_router.operations.doctor.alerts import check_alerts
from tests.support.front import environment, front
from tests.support.site import until
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "complexity": "medium",
    "budget_tier": "standard",
    "model": "groq:openai/gpt-oss-120b",
    "max_output_tokens": 100,
}
CONFIG = '[budgets]\ndaily_usd = 0.0006\n[alerts]\nat = [0.01, 0.02, 10]\nwebhook_env = "HOOK"\n'
ROOT = Path(__file__).parents[2]


class Receiver:
    """A webhook's server, which answers each message with the next status."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[dict[str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(json.loads(await request.text()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": self.url} if status == 302 else {})


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncGenerator[Receiver]:
    found = Receiver(*statuses)
    site = web.Application()
    site.router.add_post("/secret", found.take)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/secret"
    yield found
    await runner.cleanup()


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


async def test_crossing_is_one_message_and_one_warning(tmp_path: Path, vendors: Vendors) -> None:
    async with receiver() as hook, front(tmp_path, environment(vendors, "groq", HOOK=hook.url), CONFIG) as house:
        answers = [await house.call("generate", **TASK) for _ in range(4)]
        await until(lambda: len(hook.bodies) >= 2)
        (finding,) = await check_alerts(house.app)
    warned = [answer.get("warning", "") for answer in answers]
    assert sum("1% of" in warning for warning in warned) == 1
    assert sum("2% of" in warning for warning in warned) == 1
    assert sorted(body["fraction"] for body in hook.bodies) == ["0.01", "0.02"]
    assert all(body["text"] == body["content"] and body["limit_usd"] == "0.0006" for body in hook.bodies)
    assert all("haiku" not in str(body) and str(tmp_path) not in str(body) for body in hook.bodies)
    assert finding.state == "ok"


async def test_failed_message_is_sent_once_more_then_doctor_says_so(
    tmp_path: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mcp_router.operations.doctor.alerts._GRACE_S", -60.0)
    config = CONFIG.replace("[0.01, 0.02, 10]", "[0.01]")
    async with (
        receiver(500, 302) as hook,
        front(tmp_path, environment(vendors, "groq", HOOK=hook.url), config) as house,
    ):
        answer = await house.call("generate", **TASK)
        await until(lambda: len(hook.bodies) == 2)
        await until(lambda: "302" in caplog.text)
        (finding,) = await check_alerts(house.app)
        await house.app.alerter.announce("task", "batch 1", "batch 1 has ended")
        await house.app.alerter.announce("task", "batch 1", "batch 1 has ended")
        await until(lambda: len(hook.bodies) == 3)
    assert answer["text"]
    assert (finding.state, "daily" in finding.found, hook.url in finding.found) == ("wrong", True, False)
    assert "/secret" not in caplog.text
    assert hook.bodies[2] == {
        "text": "mcp-llm-router: batch 1 has ended",
        "content": "mcp-llm-router: batch 1 has ended",
        "event": "task",
        "subject": "batch 1",
    }


async def test_64_parallel_crossings_of_4_processes_are_one_message(tmp_path: Path) -> None:
    async with receiver() as hook:

        async def work(name: int) -> None:
            url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
            command = [sys.executable, "-m", "tests.support.alert_worker", url, f"p{name}", "16", hook.url]
            done = await anyio.run_process(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
            assert done.returncode == 0

        async with anyio.create_task_group() as group:
            for name in range(4):
                group.start_soon(work, name)
    assert sorted(body["fraction"] for body in hook.bodies) == ["0.8", "1"]


async def test_webhook_reaches_no_inner_address(tmp_path: Path, vendors: Vendors) -> None:
    refused = (
        *("http://example.org/x", "https://169.254.169.254/latest", "https://[fe80::1]/", "ftp://example.org/"),
        *("https://[fd00:ec2::254]/", "https://[::ffff:169.254.169.254]/", "https://0.0.0.0/", "https://", "nonsense"),
    )
    accepted = ("https://hooks.slack.com/services/T/B/x", "http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/")
    names = [(address, host) for address in ("169.254.169.254", "127.0.0.1", "::1") for host in ("evil.example",)]
    assert [url for url in refused if find_url_problem(url) is None] == []
    assert [url for url in accepted if find_url_problem(url) is not None] == []
    assert [pair for pair in names if is_allowed_address(pair[0], host=pair[1])] == []
    with pytest.raises(ConfigError) as raised:
        async with front(tmp_path, environment(vendors, "groq", HOOK="http://example.org/s3cret"), CONFIG):
            pass
    assert "HOOK" in str(raised.value)
    assert "s3cret" not in str(raised.value)
