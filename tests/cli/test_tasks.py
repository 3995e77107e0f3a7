"""`tasks`: the list, one task's result, and cancelling, as the command line shows them."""

from __future__ import annotations

import json
from pathlib import Path

import anyio.to_thread
import pytest

from mcp_router.app import run_app
from mcp_router.cli.main import main
from mcp_router.operations.background.task_store import TaskStore
from mcp_router.settings import load


async def a_store(config: Path) -> None:
    """Two tasks of a server that has ended: one done, one parked."""
    async with run_app(load(config, {})) as app:
        store = TaskStore.of(app)
        for call_id, text in (("aaaa", "An answer."), ("bbbb", None)):
            task = await store.create({}, kind="generate", client="local", call_id=call_id, message="3 of 9", keep_s=60)
            if text is None:
                await store.release(task)
            else:
                full = {"text": text, "cost_usd": 0.1}
                await store.finish(task, "completed", "done, $0.1", {"answer": full, "full": full})


async def test_tasks_are_listed_shown_and_cancelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\n')

    async def tasks(*arguments: str) -> tuple[int, str, str]:
        def run() -> int:
            try:
                return main(["--config", str(config), "tasks", *arguments]) or 0
            except SystemExit as end:
                return int(str(end.code))

        code = await anyio.to_thread.run_sync(run)
        return code, *capsys.readouterr()

    assert await tasks() == (0, "No background work.\n", "")
    await a_store(config)
    code, said, _ = await tasks()
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["bbbb", "aaaa"]
    assert (await tasks("aaaa"))[1] == "aaaa: completed, done, $0.1\nAn answer.\n"
    assert json.loads((await tasks("aaaa", "--json"))[1])["result"]["text"] == "An answer."
    assert (await tasks("cccc"))[0] == 2
    assert "There are: bbbb, aaaa" in (await tasks("cccc"))[2]
    assert (await tasks("--cancel"))[0] == 2
    assert await tasks("bbbb", "--cancel") == (0, "bbbb is cancelled\n", "")
    assert (await tasks("bbbb", "--cancel"))[0] == 1
    assert "cancelled, cancelled after 3 of 9" in (await tasks("bbbb"))[1]
