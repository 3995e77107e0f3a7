"""Tokens from the ledger, and what each client can use."""

import io
import json
from collections.abc import AsyncGenerator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_router.cli.main import main
from tests.support.front import environment
from tests.support.site import Site, bearing, site
from tests.vendors import Vendors, vendor_server

CLIENTS = """
[clients.carol]
[clients.boss]
sees_all = true
"""
TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "budget_tier": "standard"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def run_token(folder: Path, *words: str) -> Any:
    """Run `token` in this process, on the configuration of the site."""

    def run() -> str:
        out = io.StringIO()
        with redirect_stdout(out):
            assert main(["--config", str(folder / "config.toml"), "token", *words, "--json"]) == 0
        return out.getvalue()

    return json.loads(await anyio.to_thread.run_sync(run))


async def ask(there: Site, token: str, **task: object) -> tuple[int, str]:
    answer = await there.http.post("/api/llm/generate", json=TASK | task, headers=bearing(token))
    return answer.status_code, answer.text


async def test_token_is_refused_within_a_second_of_revoking(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq"), CLIENTS) as there:
        first = await run_token(tmp_path, "new", "carol")
        second = await run_token(tmp_path, "new", "carol")
        await anyio.sleep(0.6)
        before = [(await ask(there, made["token"]))[0] for made in (first, second)]
        revoked = await run_token(tmp_path, "revoke", "carol", "--id", first["id"])
        await anyio.sleep(0.9)
        after = [(await ask(there, made["token"]))[0] for made in (first, second)]
        await run_token(tmp_path, "revoke", "carol")
        await anyio.sleep(0.9)
        without = await there.http.get("/api/llm/providers")
        listed = await run_token(tmp_path, "list", "carol")
    stored = (tmp_path / "ledger.sqlite3").read_bytes()

    assert (before, revoked["revoked"], after) == ([200, 200], [first["id"]], [401, 200])
    assert without.status_code == 401  # the last token is revoked: the server is not open again
    assert [row["state"].partition(" ")[0] for row in listed["tokens"]] == ["revoked", "revoked"]
    assert not any(made["token"].encode() in stored or made["token"] in str(listed) for made in (first, second))


def test_token_new_refuses_a_third_token_and_an_unknown_client(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\n[clients.carol]\n')
    codes = [main(["--config", str(config), "token", "new", "carol"]) for _ in range(3)]
    unknown = main(["--config", str(config), "token", "new", "dave"])
    said = capsys.readouterr()

    assert (codes, unknown) == ([0, 0, 2], 2)
    assert "it has two valid tokens" in said.err
    assert f"Add the line [clients.dave] to {config}" in said.err


async def test_client_over_its_rpm_or_tpm_gets_429_and_others_do_not(tmp_path: Path, vendors: Vendors) -> None:
    config = CLIENTS.replace("[clients.boss]", "rpm = 2\n[clients.small]\ntpm = 50\n[clients.boss]")
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        carol, boss, small = [(await run_token(tmp_path, "new", name))["token"] for name in ("carol", "boss", "small")]
        await anyio.sleep(0.6)
        codes = [(await ask(there, carol))[0] for _ in range(2)]
        refused = await there.http.post("/api/llm/generate", json=TASK, headers=bearing(carol))
        others = [(await ask(there, boss))[0] for _ in range(4)]
        too_large = await ask(there, small)

    assert (codes, refused.status_code, others, too_large[0]) == ([200, 200], 429, [200] * 4, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "Client carol is at its limit of 2 requests a minute (clients.carol.rpm): call again in" in refused.text
    assert "clients.small.tpm is 50 tokens a minute: this call alone is more than that" in too_large[1]


async def test_client_uses_only_its_models(tmp_path: Path, vendors: Vendors) -> None:
    config = CLIENTS.replace("[clients.boss]", 'models = ["groq:openai/*", "mistral"]\n[clients.boss]')
    async with site(tmp_path, environment(vendors, "groq", "deepseek"), config) as there:
        carol, boss = [(await run_token(tmp_path, "new", name))["token"] for name in ("carol", "boss")]
        await anyio.sleep(0.6)
        allowed = await ask(there, carol)
        refused = await ask(there, carol, model="deepseek")
        free = await ask(there, boss, model="deepseek")

    assert (allowed[0], refused[0], free[0]) == (200, 403, 200)
    assert json.loads(allowed[1])["model"].startswith("groq:openai/")
    assert "Client carol cannot use deepseek:" in refused[1]
    assert "Its models are: groq:openai/*, mistral." in refused[1]
    assert "clients.carol.models" in refused[1]
