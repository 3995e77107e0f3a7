"""Attribution of calls to project, branch and host, and the budgets of projects."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client.context import ClientRequestContext

from mcp_router.cli.main import main
from mcp_router.ledger.records import Attempt
from mcp_router.operations.origins import find_origin_now
from tests.support.front import Front, environment, front
from tests.support.site import ALICE, BOB, TOKENS, bearing, site
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "complexity": "medium",
    "budget_tier": "standard",
    "model": "groq:openai/gpt-oss-120b",
    "max_output_tokens": 100,
}
CLAUDE = types.Implementation(name="claude-code", version="2.1")


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def git(folder: Path, *words: str) -> str:
    """Run git without the user's configuration."""
    named = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *named, *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return done.stdout.strip()


def repository(folder: Path, branch: str = "main") -> Path:
    """Make a repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", branch)
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def folders(base: Path) -> dict[Path, tuple[str, str]]:
    """Make one folder of each kind; return the project's name and the branch to expect."""
    shop = repository(base / "src" / "shop", "trunk")
    (shop / "deep" / "er").mkdir(parents=True)
    git(shop, "worktree", "add", "-q", "-b", "feature/cart", str(base / "elsewhere"))
    git(shop, "worktree", "add", "-q", "--detach", str(base / "lost-head"))
    commit = git(shop, "rev-parse", "HEAD")
    detached = repository(base / "detached")
    git(detached, "checkout", "-q", "--detach")
    outer = repository(base / "outer")
    git(outer, "submodule", "add", "-q", "-b", "trunk", str(shop), "inner")
    unborn = base / "unborn"
    unborn.mkdir()
    git(unborn, "init", "-q", "-b", "fresh")
    for name in ("plain", "broken", "odd head", "bad\x1b[31mname"):
        (base / name).mkdir()
    (base / "broken" / ".git").write_text("gitdir: /nowhere/at/all\n")
    (base / "odd head" / ".git").mkdir()
    (base / "odd head" / ".git" / "HEAD").write_bytes(b"\xff\xfe nonsense")
    os.mkfifo(base / "plain" / ".git")
    return {
        shop: ("shop", "trunk"),
        shop / "deep" / "er": ("shop", "trunk"),
        base / "elsewhere": ("shop", "feature/cart"),
        base / "lost-head": ("shop", commit[:7]),
        detached: ("detached", git(detached, "rev-parse", "HEAD")[:7]),
        outer: ("outer", "main"),
        outer / "inner": ("inner", "trunk"),
        unborn: ("unborn", "fresh"),
        base / "plain": ("plain", ""),
        base / "broken": ("broken", ""),
        base / "odd head": ("odd head", ""),
        base / "bad\x1b[31mname": ("badname", ""),
    }


async def attempts_of(house: Front, answer: dict[str, Any]) -> list[Attempt]:
    return await house.app.ledger.read_attempts(answer["call_id"])


async def test_call_is_attributed_in_every_kind_of_folder(tmp_path: Path, vendors: Vendors) -> None:
    wrong: list[object] = []
    for folder, (name, branch) in folders(tmp_path / "all").items():
        environ = environment(vendors, "groq", CLAUDE_PROJECT_DIR=str(folder))
        async with front(tmp_path, environ, client_info=CLAUDE) as house:
            rows = await attempts_of(house, await house.call("generate", **TASK))
        row = rows[0]
        found = (row.project.rpartition("~")[0], row.branch, row.host)
        wrong += [] if found == (name, branch, "claude-code") else [(folder, found)]
        wrong += [row] if str(tmp_path) in f"{row.project}{row.branch}" else []
    assert wrong == []


async def test_roots_of_the_host_name_the_project(tmp_path: Path, vendors: Vendors) -> None:
    shop = repository(tmp_path / "shop", "trunk")

    async def roots(_context: ClientRequestContext) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=shop.as_uri())])

    async def silent(_context: ClientRequestContext) -> types.ListRootsResult:
        await anyio.sleep_forever()
        raise AssertionError

    found: list[str] = []
    for answer in (roots, silent):
        async with front(tmp_path, environment(vendors, "groq"), list_roots_callback=answer, mode="legacy") as house:
            rows = await attempts_of(house, await house.call("generate", **TASK))
        found.append(rows[0].project.rpartition("~")[0])
    assert found == ["shop", tmp_path.name]


async def test_project_header_counts_only_from_trusted_clients(tmp_path: Path, vendors: Vendors) -> None:
    config = (
        '[clients.alice]\ntoken_env = "TOKEN_ALICE"\nproject_header = true\n[clients.bob]\ntoken_env = "TOKEN_BOB"\n'
        "[projects.web]\ndaily_usd = 0.000001\n"
    )
    async with site(tmp_path, environment(vendors, "groq", **TOKENS), config) as there:

        async def ask(token: str, project: str) -> tuple[int, str]:
            headers = bearing(token) | {"X-Router-Project": project}
            answer = await there.http.post("/api/llm/generate", json=TASK, headers=headers)
            return answer.status_code, answer.text

        trusted, plain = await ask(ALICE, "shop~1f9a03\x1b"), await ask(BOB, "web")
        refused = await ask(ALICE, "web")
        rows = await there.app.ledger.read_recent(10)
    assert (trusted[0], plain[0]) == (200, 200), (trusted, plain)
    assert "project web daily" in refused[1]
    assert [(row.client, row.project, row.host) for row in rows] == [
        ("bob", "", "http"),
        ("alice", "shop-1f9a03", "http"),
    ]


async def test_same_named_folders_are_told_apart_in_costs(tmp_path: Path, vendors: Vendors) -> None:
    for folder in (tmp_path / "a" / "shop", tmp_path / "b" / "shop", tmp_path / "c" / "blog"):
        repository(folder)
        environ = environment(vendors, "groq", CLAUDE_PROJECT_DIR=str(folder))
        async with front(tmp_path, environ) as house:
            await house.call("generate", **TASK)
            groups = (await house.call("cost_summary", group_by="project"))["groups"]
            hosts = (await house.call("cost_summary", group_by="branch"))["groups"]
            differences = await house.app.ledger.find_differences()
    assert "blog" in groups
    assert [name.rpartition("~")[0] for name in groups if name != "blog"] == ["shop", "shop"]
    assert {name: one["calls"] for name, one in hosts.items()} == {"main": 3}
    assert differences == []


async def test_costs_command_groups_by_two_dimensions(tmp_path: Path, vendors: Vendors) -> None:
    folder = repository(tmp_path / "shop")
    environ = environment(vendors, "groq", CLAUDE_PROJECT_DIR=str(folder))
    async with front(tmp_path, environ, client_info=CLAUDE) as house:
        answers = [await house.call("generate", **TASK) for _ in range(2)]

    def run(*words: str) -> tuple[int, str]:
        out = io.StringIO()
        with redirect_stdout(out):
            code = main(["--config", str(tmp_path / "config.toml"), "costs", *words])
        return code, out.getvalue()

    code, table = await anyio.to_thread.run_sync(run, "--group-by", "project,model", "--csv")
    wrong = [
        (await anyio.to_thread.run_sync(run, "--group-by", by))[0]
        for by in ("project,project", "project,colour", ",model")
    ]
    (line,) = table.splitlines()[1:]
    assert (code, line.split(",")[:2]) == (0, [f"shop / {answers[0]['model']}", "2"])
    assert wrong == [2, 2, 2]


async def test_project_budget_is_that_of_the_nearest_folder(tmp_path: Path, vendors: Vendors) -> None:
    shop = repository(tmp_path / "src" / "shop")
    git(shop, "worktree", "add", "-q", "-b", "cart", str(tmp_path / "cart"))
    config = f"""
[projects."{tmp_path / "src"}"]
daily_usd = 5
[projects."{shop}"]
daily_usd = 0.00000001
monthly_usd = 3
"""
    told: dict[str, object] = {}
    for folder in (tmp_path / "cart", shop, tmp_path / "src"):
        environ = environment(vendors, "groq", CLAUDE_PROJECT_DIR=str(folder))
        async with front(tmp_path, environ, config) as house:
            if folder.name == "src":
                answer = await house.call("generate", **TASK)
                budgets = {one["name"]: one for one in (await house.call("cost_summary"))["budgets"]}
                assert budgets["project src daily"]["spent_usd"] == answer["cost_usd"]
                assert budgets["project shop monthly"]["spent_usd"] == 0
            else:
                told[folder.name] = await house.refused("generate", **TASK)
    assert all("The project shop daily budget" in str(text) for text in told.values()), told


async def test_concurrent_calls_never_exceed_a_project_budget(tmp_path: Path, vendors: Vendors) -> None:
    shop = repository(tmp_path / "shop")
    environ = environment(vendors, "groq", CLAUDE_PROJECT_DIR=str(shop))
    config = f'[projects."{shop}"]\ndaily_usd = 0.0005\n'
    async with front(tmp_path, environ, config) as house:
        results: list[bool] = []

        async def ask() -> None:
            result = await house.client.call_tool("generate", dict(TASK))
            results.append(not result.is_error)

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(ask)
        (budget,) = (await house.call("cost_summary"))["budgets"]
    assert any(results)
    assert not all(results)
    assert budget["held_usd"] == 0
    assert 0 < budget["spent_usd"] <= 0.0005


def test_key_of_projects_covers_all_inside_and_home_is_no_repository(tmp_path: Path) -> None:
    inner = repository(tmp_path / "team" / "one")
    whole = find_origin_now(inner, host="h", configured=(str(tmp_path / "team"),))
    home = Path.home()
    (home / ".git").mkdir()
    (home / ".git" / "HEAD").write_text("ref: refs/heads/dotfiles\n")
    (home / "notes").mkdir()

    assert (whole.project.rpartition("~")[0], whole.branch) == ("team", "main")
    assert find_origin_now(home, host="h").branch == "dotfiles"
    assert find_origin_now(home / "notes", host="h").project.startswith("notes~")
    assert find_origin_now(Path("/"), host="h").project.startswith("root~")
