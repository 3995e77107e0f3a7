"""SIGHUP: another configuration without a failed call."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest

from tests.http.test_logs import TASK, serving
from tests.support.front import KEYS, environment
from tests.support.site import bearing
from tests.vendors import Vendors, vendor_server

CONFIG = """
key_file = "keys.env"
[clients.alice]
token_env = "TOKEN_ALICE"
"""
OLD, NEW = "old-token-0123456789abcdef", "new-token-0123456789abcdef"


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def write_keys(folder: Path, key: str, token: str, mode: int = 0o600) -> None:
    path = folder / "keys.env"
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(f"# keys\n{KEYS['groq'][0]}={key}\nexport TOKEN_ALICE='{token}'\n")
    path.chmod(mode)


async def test_reload_under_load_fails_no_call_and_uses_new_keys_and_clients(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 0.05)
    write_keys(tmp_path, "first-key-of-groq-0123456789", OLD)
    environ = environment(vendors, "groq") | {KEYS["groq"][0]: "key-of-the-environment-0123456789"}
    statuses: list[int] = []
    before: list[int] = []
    after: list[int] = []
    kept = 0
    done = False
    config = CONFIG + '[clients.bob]\ntoken_env = "TOKEN_BOB"\n'
    async with serving(tmp_path, environ | {"TOKEN_BOB": "bob" * 10}, config) as (process, url, log):

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=30, headers=bearing("bob" * 10)) as http:
                while not done:
                    statuses.append((await http.post("/api/llm/generate", json=TASK)).status_code)

        async with anyio.create_task_group() as calls, httpx.AsyncClient(base_url=url, timeout=30) as http:
            for _ in range(8):
                calls.start_soon(ask)
            await anyio.sleep(0.5)
            before = [(await http.get("/api/llm/providers", headers=bearing(each))).status_code for each in (OLD, NEW)]
            for number in range(10):
                write_keys(tmp_path, f"key-{number}-of-groq-0123456789", NEW)
                process.send_signal(signal.SIGHUP)
                await anyio.sleep(0.2)
            after = [(await http.get("/api/llm/providers", headers=bearing(each))).status_code for each in (OLD, NEW)]
            (tmp_path / "config.toml").write_text("[budgets]\ndaily_usd = -1\n")
            process.send_signal(signal.SIGHUP)
            await anyio.sleep(0.3)
            kept = (await http.get("/api/llm/providers", headers=bearing(NEW))).status_code
            done = True
        text = log.read_text()

    keys = {request.headers["authorization"] for request in vendors.requests("groq")}
    assert set(statuses) == {200}
    assert len(statuses) > 50
    assert (before, after, kept) == ([200, 401], [401, 200], 200)
    assert {"Bearer first-key-of-groq-0123456789", "Bearer key-9-of-groq-0123456789"} <= keys
    assert "Bearer key-of-the-environment-0123456789" not in keys
    assert text.count("the configuration is reloaded from") == 10
    assert "is not reloaded, the former one stays" in text
    assert "budgets.daily_usd = -1: must be at least 0." in text
    assert "0123456789" not in text


async def test_key_file_that_others_can_read_is_refused(tmp_path: Path, vendors: Vendors) -> None:
    write_keys(tmp_path, "first-key-of-groq-0123456789", OLD)
    async with serving(tmp_path, environment(vendors, "groq"), CONFIG) as (process, url, log):
        write_keys(tmp_path, "other-key-of-groq-0123456789", NEW, mode=0o644)
        process.send_signal(signal.SIGHUP)
        await anyio.sleep(0.5)
        async with httpx.AsyncClient(base_url=url) as http:
            kept = await http.get("/api/llm/providers", headers=bearing(OLD))
        text = log.read_text()

    assert kept.status_code == 200
    assert "has mode 644, so others can use it. Run `chmod 600" in text
