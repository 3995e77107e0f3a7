"""`tasks`: background work: its state, its result, and how to cancel it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import cast

from rich.console import Console
from rich.markup import escape

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE, FAILED
from mcp_router.cli.output import create_table
from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.ledger.task_records import Task
from mcp_router.operations.background.generate_task import KIND
from mcp_router.operations.background.task_store import Json, TaskStore
from mcp_router.text import to_compact_json


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `tasks`."""
    parser.add_argument("id", nargs="?", metavar="CALL_ID", help="show one task with its result")
    parser.add_argument("--cancel", action="store_true", help="cancel the task CALL_ID; what it spent stays recorded")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


async def run(app: App, given: Namespace) -> int:
    """List tasks, show one, or cancel one."""
    store = TaskStore.of(app)
    if given.id is None:
        if given.cancel:
            raise BadInputError("--cancel needs a CALL_ID: `mcp-llm-router tasks` lists them.")
        _print_list(await store.list_recent(), as_json=given.json)
        return DONE
    task = await store.read(given.id)
    if task is None:
        known = [one.call_id for one in await store.list_recent()]
        raise UnknownNameError("task", given.id, known[:20], hint="Tasks are kept for 24 hours.")
    if given.cancel:
        return await _cancel(store, task)
    return _print_task(task, await store.read_result(task) or {}, as_json=given.json)


async def _cancel(store: TaskStore, task: Task) -> int:
    if not await store.request_cancel(task):
        print(f"{task.call_id} has ended already: {task.state}, {task.message}")
        return FAILED
    # A vendor batch is cancelled by a server: the vendor has to confirm it.
    if task.kind == KIND and (parked := await store.claim(task)) is not None:
        await store.finish(parked, "cancelled", f"cancelled after {task.message}", None)
        print(f"{task.call_id} is cancelled")
    else:
        print(f"{task.call_id} is being cancelled by the server that runs it")
    return DONE


def _print_list(tasks: list[Task], *, as_json: bool) -> None:
    if as_json:
        print(to_compact_json({"tasks": [_describe(task) for task in tasks]}))
        return
    if not tasks:
        print("No background work.")
        return
    table = create_table("call", "began (UTC)", "client", "state", "so far")
    for task in tasks:
        began = datetime.fromtimestamp(task.made_at, UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(task.call_id, began, escape(task.client), task.state, escape(task.message))
    Console(highlight=False).print(table)


def _print_task(task: Task, ended: Json, *, as_json: bool) -> int:
    result = ended.get("full")
    if as_json:
        print(to_compact_json(_describe(task) | ({"result": result} if result is not None else {})))
    else:
        print(f"{task.call_id}: {task.state}, {task.message}")
        if isinstance(result, dict):
            answer = cast("Json", result)
            print(answer["text"] if "text" in answer else to_compact_json(answer))
    return FAILED if "error" in ended or task.state == "failed" else DONE


def _describe(task: Task) -> Json:
    return {
        "call_id": task.call_id,
        "client": task.client,
        "kind": task.kind,
        "status": task.state,
        "message": task.message,
        "created_at": datetime.fromtimestamp(task.made_at, UTC).isoformat(timespec="seconds"),
        "expires_at": datetime.fromtimestamp(task.keep_until, UTC).isoformat(timespec="seconds"),
    }
