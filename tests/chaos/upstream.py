"""The fake vendors, which a stranger wrote: llmock in a process and an environment of its own."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import anyio
import httpx

COMMAND = Path(__file__).parents[2] / ".venv" / "chaos" / "bin" / "llmock"
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vendor:
    """One of its paths, and who of ours is sent there."""

    name: str
    """Our provider."""
    model: str
    key: str
    path: str
    """Where it is, for us."""
    asked: str
    """The path of a request, as its scenarios match it."""
    cannot_say: tuple[str, ...] = ()
    """Endings that the fake knows and does not write here: it calls such an answer completed."""


VENDORS = (
    Vendor(name="openai", model="gpt-6-luna", key="OPENAI_API_KEY", path="/v1", asked="/v1/chat/*"),
    Vendor(name="claude", model="claude-haiku-5-5", key="ANTHROPIC_API_KEY", path="/anthropic", asked="/anthropic/*"),
    Vendor(name="mistral", model="mistral-small-2603", key="MISTRAL_API_KEY", path="/mistral", asked="/mistral/*"),
    Vendor(name="groq", model="openai/gpt-oss-120b", key="GROQ_API_KEY", path="/groq/openai/v1", asked="/groq/*"),
    Vendor(name="grok", model="grok-4.3", key="XAI_API_KEY", path="/xai/v1", asked="/xai/*"),
    Vendor(
        name="perplexity",
        model="perplexity/sonar",
        key="PERPLEXITY_API_KEY",
        path="/v1",
        asked="/v1/responses",
        cannot_say=("content_filter",),
    ),
    Vendor(name="native", model="gemini-3.8-flash", key="NATIVE_KEY", path="/gemini/v1beta", asked="/gemini/*"),
)
BACKUP = Vendor(name="backup", model="spare", key="BACKUP_KEY", path="/together/v1", asked="/together/*")
OWN = {"native": "gemini_generate", "backup": "openai_chat"}
"""Those that are no shipped provider, and the wire they speak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """Says how the fake vendors behave, and what they were asked."""

    url: str
    http: httpx.AsyncClient

    async def behave(self, *behaviors: Json) -> None:
        """Queue what goes wrong next."""
        (await self.http.post("/_llmock/scenario", json={"behaviors": behaviors})).raise_for_status()

    async def waiting(self) -> list[Json]:
        """What is queued and nobody met."""
        return (await self.http.get("/_llmock/scenario")).json()["pending"]

    async def meet(self, vendor: Vendor) -> None:
        """Take what is queued for a vendor, so that nobody else meets it."""
        with suppress(httpx.TransportError):
            await self.http.post(vendor.asked.replace("*", "x"), json={"model": vendor.model, "stream": True})

    async def recover(self) -> None:
        """Forget what is queued."""
        (await self.http.delete("/_llmock/scenario")).raise_for_status()

    async def forget(self) -> None:
        """Forget what is queued and what was asked."""
        (await self.http.post("/_llmock/reset")).raise_for_status()

    async def requests(self) -> list[Json]:
        """What was asked so far."""
        return (await self.http.get("/_llmock/requests")).json()["requests"]

    async def verdict(self) -> Json:
        """What it thinks of who asked."""
        return (await self.http.get("/_llmock/verdict")).json()


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Upstream]:
    """Start the fake vendors.

    Raises:
        FileNotFoundError: They are not installed.
    """
    if not COMMAND.exists():
        raise FileNotFoundError(f"{COMMAND} is not there: run `make install-dev`")
    port = _free_port()
    command = [str(COMMAND), "serve", "--host=127.0.0.1", f"--port={port}", "--response-style=static"]
    with (folder / "upstream.log").open("wb") as log:
        process = await anyio.open_process(command, stdout=log, stderr=subprocess.STDOUT, env={"HOME": str(folder)})
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            await _awake(http)
            yield Upstream(url=f"http://127.0.0.1:{port}", http=http)
    finally:
        process.kill()
        await process.aclose()


async def _awake(http: httpx.AsyncClient) -> None:
    with anyio.fail_after(60):
        while True:
            try:
                (await http.get("/health")).raise_for_status()
            except httpx.HTTPError:
                await anyio.sleep(0.05)
            else:
                return


def _free_port() -> int:
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
