"""The whole house behind its HTTP door, on a loopback port."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx

from mcp_router.app import App, run_app
from mcp_router.http.admission import AdmissionLimits
from mcp_router.http.app import HttpOptions
from mcp_router.http.request_guard import Address
from mcp_router.http.serve import serve
from mcp_router.settings import load

ALICE, BOB, BOSS = "alice-token-0123456789abcdef", "bob-token-0123456789abcdef", "boss-token-0123456789abcdef"
CLIENTS = """
[clients.alice]
token_env = "TOKEN_ALICE"
daily_usd = 1
[clients.bob]
token_env = "TOKEN_BOB"
[clients.boss]
token_env = "TOKEN_BOSS"
sees_all = true
"""
TOKENS = {"TOKEN_ALICE": ALICE, "TOKEN_BOB": BOB, "TOKEN_BOSS": BOSS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A running server, a plain HTTP client, and the app behind them."""

    url: str
    http: httpx.AsyncClient
    app: App


def bearing(token: str) -> dict[str, str]:
    """The header that a client's token comes in."""
    return {"Authorization": f"Bearer {token}"}


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something that happens elsewhere: in another process, or at a vendor's."""
    with anyio.fail_after(seconds):
        while not true():
            await anyio.sleep(0.01)


@asynccontextmanager
async def site(
    folder: Path,
    environ: Mapping[str, str],
    config: str = "",
    *,
    sse: bool = False,
    access_log: bool = False,
    limits: AdmissionLimits | None = None,
    address: Address | None = None,
) -> AsyncGenerator[Site]:
    """Serve this configuration; no model answers but the vendors'."""
    path = folder / "config.toml"
    head = "" if "database_url" in config else f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n'
    path.write_text(f"{head}{config}\n[providers.embedded]\nenabled = false\n")
    os.chdir(folder)
    urls: list[str] = []
    async with run_app(load(path, environ)) as app, anyio.create_task_group() as serving:

        async def served() -> None:
            where = address or Address(host="127.0.0.1", port=0)
            await serve(
                app, where, options=HttpOptions(sse=sse, access_log=access_log), limits=limits, on_listening=urls.append
            )

        serving.start_soon(served)
        await until(lambda: bool(urls))
        async with httpx.AsyncClient(base_url=urls[0], timeout=20) as http:
            yield Site(url=urls[0], http=http, app=app)
        serving.cancel_scope.cancel()
