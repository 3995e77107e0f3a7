"""`serve --workers`: several processes on one address."""

import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client

from mcp_router.cli.main import main
from tests.http.test_logs import TASK, serving
from tests.support.front import environment
from tests.vendors import Vendors, vendor_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers need descriptors")


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def workers_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds workers by /proc")
async def test_workers_share_address_metrics_and_are_restarted(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 0.05)
    statuses: list[int] = []
    async with serving(tmp_path, environment(vendors, "groq"), "", "--workers", "2") as (process, url, log):

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=30) as http:
                statuses.extend([(await http.post("/api/llm/generate", json=TASK)).status_code for _ in range(5)])

        async with anyio.create_task_group() as calls:
            for _ in range(8):
                calls.start_soon(ask)
        async with Client(f"{url}/mcp", mode="legacy") as host:
            answered = await host.call_tool("generate", TASK)
        first = workers_of(process.pid)
        os.kill(first[0], signal.SIGKILL)
        with anyio.fail_after(30):
            while len(workers_of(process.pid)) < 2 or first[0] in workers_of(process.pid):
                await anyio.sleep(0.1)
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            metrics = (await http.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(30):
            code = await process.wait()
        text = log.read_text()

    counted = re.findall(
        r'mcp_router_http_requests_total\{.*route="/api/llm/generate".*status="200"\} ([\d.]+)', metrics
    )
    assert statuses == [200] * 40
    assert not answered.is_error
    assert [float(each) for each in counted] == [40.0]
    assert (len(first), code) == (2, 0)
    assert "worker 0 ended with code -9" in text or "worker 1 ended with code -9" in text
    assert "2 workers. Stop with Ctrl-C." in text
    assert "store_text = true shares conversations." in text
    assert not any(os.path.exists(f"/proc/{pid}") for pid in first)  # noqa: ASYNC240, PTH110 - at once, in a test


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--transport", "sse"], "--transport sse needs one worker"),
        ([], "needs --transport http"),
        (["--transport", "http", "--config", "missing.toml"], "missing.toml does not exist"),
    ],
)
def test_workers_are_refused_where_one_is_needed(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--workers", "2", *options]) == 2
    assert said in capsys.readouterr().err
