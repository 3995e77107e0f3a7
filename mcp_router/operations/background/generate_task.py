"""Runs a `generate` call as a background task."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from mcp_router.app import App
from mcp_router.execution.call import new_call_id
from mcp_router.ledger.origin import CURRENT_ORIGIN, Origin
from mcp_router.ledger.task_records import Task
from mcp_router.operations import generate
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.background.recorder import TaskRecorder
from mcp_router.operations.background.runner import Outcome, TaskRun, TaskRunner, describe_place
from mcp_router.operations.background.task_store import KEEP_S, Json
from mcp_router.operations.batch.results import shorten

KIND = "generate"
_START_FOLDER = "CLAUDE_PROJECT_DIR"


async def start_generate(
    runner: TaskRunner, app: App, arguments: GenerateArguments, *, client: str, can_ask: bool
) -> Task:
    """Start a call in the background. When this returns, a kill of the process does not lose it. `can_ask` tells
    whether the caller's host shows questions to the user who set the budgets.

    Raises:
        LedgerError: The ledger or the disk refuses it.
    """
    request: Json = {
        "arguments": arguments.model_dump(mode="json", exclude_none=True),
        "ignored": " ".join(arguments.ignored),
        "client": client,
        "can_ask": can_ask,
        "origin": asdict(CURRENT_ORIGIN.get()),
        "place": describe_place(app),
        "working_folder": str(app.settings.working_folder),
        "start_folder": app.settings.environ.get(_START_FOLDER, ""),
    }
    task = await runner.store.create(
        request, kind=KIND, client=client, call_id=new_call_id(), message="starting", keep_s=KEEP_S
    )
    runner.start(task, request)
    return task


async def run_generate(run: TaskRun) -> Outcome:
    """Do the work of a task; another process's task goes on where that process ended.

    Raises:
        RouterError: The call failed.
        LedgerError: Nothing can be written down.
    """
    arguments = GenerateArguments.model_validate(run.request["arguments"])
    arguments.note_ignored(tuple(str(run.request["ignored"]).split()))
    CURRENT_ORIGIN.set(Origin(**cast("dict[str, str]", run.request["origin"])))
    recorder = await TaskRecorder.open(run.store, run.task, run.approve)
    answer = dict(
        arguments.warn_of_ignored(
            await generate.generate(
                _app_of(run), arguments, client=run.task.client, on_progress=run.report, recorder=recorder
            )
        )
    )
    if not arguments.per_file:
        return Outcome(message=f"done, {_format_cost(answer)}", result={"answer": answer, "full": answer})
    return Outcome(message=_format_batch(answer), result={"answer": shorten(answer), "full": answer})


def _app_of(run: TaskRun) -> App:
    """Return the app as it was where the task began: with the folder that its paths start from."""
    folder, start = Path(str(run.request["working_folder"])), str(run.request["start_folder"])
    settings = run.app.settings
    if folder == settings.working_folder and start == settings.environ.get(_START_FOLDER, ""):
        return run.app
    app = copy.copy(run.app)
    app.settings = replace(settings, working_folder=folder, environ={**settings.environ, _START_FOLDER: start})
    return app


def _format_batch(answer: Mapping[str, object]) -> str:
    counts = {name: answer.get(name) for name in ("failed", "not_begun", "skipped", "done_before")}
    total = sum(value for value in (answer["answered"], *counts.values()) if isinstance(value, int))
    said = [f"{answer['answered']} of {total} files ok"]
    said += [f"{value} {name.replace('_', ' ')}" for name, value in counts.items() if value]
    if "saved_to" in answer:
        said.append(f"saved in {answer['saved_to']}")
    return ", ".join([*said, _format_cost(answer)])


def _format_cost(answer: Mapping[str, object]) -> str:
    cost = answer["cost_usd"]
    return f"${cost:.9f}".rstrip("0").rstrip(".") if isinstance(cost, int | float) else "cost unknown"
