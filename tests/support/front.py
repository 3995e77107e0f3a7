"""The whole house behind its front door: an MCP client on one side, every vendor on the other."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client

from mcp_router.app import App, run_app
from mcp_router.server import create_server
from mcp_router.settings import load
from providers.registry import load_providers
from tests.vendors import Vendors

KEYS = {row.name: (row.key_env[0], f"test-key-of-{row.name}-0123456789") for row in load_providers() if row.key_env}


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """A connected client, and the app it talks to."""

    client: Client
    app: App

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool that is expected to answer."""
        result = await self.client.call_tool(tool, dict(arguments))
        assert not result.is_error, result.content
        return result.structured_content

    async def refused(self, tool: str, **arguments: object) -> str:
        """Call a tool that is expected to refuse, and return what it said."""
        result = await self.client.call_tool(tool, dict(arguments))
        assert result.is_error, result.structured_content
        return result.content[0].text


def environment(vendors: Vendors, *providers: str, **extra: str) -> dict[str, str]:
    """Keys for these providers, each pointed at its fake."""
    pointed = {f"{name.upper()}_BASE_URL": vendors.url(name) for name in providers}
    return {KEYS[name][0]: KEYS[name][1] for name in providers if name in KEYS} | pointed | extra


@asynccontextmanager
async def front(
    folder: Path, environ: Mapping[str, str], config: str = "", *, embedded: bool = False, **person: Any
) -> AsyncGenerator[Front, None]:
    """Open the house with this configuration; without `embedded` no model answers but the vendors'. `person` is what
    the client does besides: how it connects, and how it answers questions.
    """
    path = folder / "config.toml"
    path.write_text(f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n{config}')
    if not embedded and "[providers.embedded]" not in config:
        path.write_text(path.read_text() + "\n[providers.embedded]\nenabled = false\n")
    os.chdir(folder)
    async with run_app(load(path, environ)) as app, Client(create_server(app), **person) as client:
        yield Front(client=client, app=app)
