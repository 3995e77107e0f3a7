"""MCP tasks: the extension `io.modelcontextprotocol/tasks` of revision 2026-07-28 (SEP-2663), and no other.

The specification: https://modelcontextprotocol.io/extensions/tasks. The server alone decides, call by call, whether a
`tools/call` becomes a task, and only if that request declares the extension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field
from starlette.requests import Request

from mcp_router.app import App
from mcp_router.errors import RouterError
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_records import Task
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.background.runner import QUESTIONS, RESPONSES, TaskRunner
from mcp_router.operations.caller import Caller
from mcp_router.server.callers import caller_from_request
from mcp_router.server.elicitation import shows_forms

EXTENSION = "io.modelcontextprotocol/tasks"
_MISSING_CAPABILITY = -32021
_HEADER_MISMATCH = -32020
_POLL_INTERVAL_MS = 1_000
_SLOW_POLL_INTERVAL_MS = 10_000
_BATCH = "batch"
"""Kind of the tasks that wait for a vendor batch."""
_MAX_RESPONSES = 64

Context = ServerRequestContext[Any, Any]  # the SDK's own type parameters
Json = dict[str, object]
ToResult = Callable[[Mapping[str, object]], types.CallToolResult]
"""Turns what a task left, `answer` or `error`, into the result that the tool gives."""


class TaskParams(types.RequestParams):
    """Parameters of `tasks/get` and `tasks/cancel`."""

    task_id: str = Field(alias="taskId", max_length=200)


class UpdateParams(TaskParams):
    """Parameters of `tasks/update`."""

    input_responses: dict[str, Any] = Field(alias="inputResponses", max_length=_MAX_RESPONSES)


class TaskHandlers:
    """Answers `tasks/get`, `tasks/update` and `tasks/cancel`, and makes tasks of calls."""

    def __init__(self, app: App, runner: TaskRunner, to_result: ToResult) -> None:
        self._app = app
        self._runner = runner
        self._store = runner.store
        self._to_result = to_result

    def register(self, server: Server[Any]) -> None:
        """Add the methods to a server."""
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", UpdateParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)

    async def try_start(self, ctx: Context, arguments: GenerateArguments) -> Json | None:
        """Start a call as a task if the request declares the extension and the call is worth it; else return None.

        Raises:
            LedgerError: The ledger or the disk refuses the task.
        """
        caller = caller_from_request(ctx.request)
        if not is_declared(ctx) or not await self._is_worth_a_task(arguments, caller):
            return None
        from mcp_router.operations.background.generate_task import start_generate  # noqa: PLC0415 - as in handlers

        can_ask = caller.owns_budgets and shows_forms(ctx)
        task = await start_generate(self._runner, self._app, arguments, client=caller.name, can_ask=can_ask)
        return {"resultType": "task", **_describe(task)}

    async def get(self, ctx: Context, params: TaskParams) -> Json:
        """Return a task's state, and what the state brings: result, error or questions."""
        task = await self._find(ctx, params.task_id)
        if (run := self._runner.find(task)) is not None and task.state == "working":
            return _describe(task) | {"statusMessage": run.message}
        match task.state:
            case "completed":
                result = self._to_result(await self._store.read_result(task) or _lost_result(task))
                return _describe(task) | {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
            case "failed":
                return _describe(task) | {"error": {"code": types.INTERNAL_ERROR, "message": task.message}}
            case "input_required":
                asked = await self._store.read_json(task.id, QUESTIONS) or {}
                answered = await self._store.read_json(task.id, RESPONSES) or {}
                return _describe(task) | {"inputRequests": {k: v for k, v in asked.items() if k not in answered}}
            case "working" | "cancelled":
                return _describe(task)

    async def update(self, ctx: Context, params: UpdateParams) -> Json:
        """Take answers to a task's questions; unknown and answered keys are ignored."""
        task = await self._find(ctx, params.task_id)
        if not task.has_ended:
            asked = await self._store.read_json(task.id, QUESTIONS) or {}
            answered = await self._store.read_json(task.id, RESPONSES) or {}
            given = {key: value for key, value in params.input_responses.items() if key in asked}
            if given.keys() - answered.keys():
                await self._store.write_json(task.id, RESPONSES, given | answered)
        if (run := self._runner.find(task)) is not None:
            run.answered.set()
        return {}

    async def cancel(self, ctx: Context, params: TaskParams) -> Json:
        """Ask for a task to be cancelled, and acknowledge at once; a task that has ended stays as it was."""
        await self._runner.cancel(await self._find(ctx, params.task_id))
        return {}

    async def _is_worth_a_task(self, arguments: GenerateArguments, caller: Caller) -> bool:
        if arguments.per_file or arguments.patience != "now":
            return True
        from mcp_router.operations.background.duration import LONG_CALL_S, estimate_seconds  # noqa: PLC0415

        try:
            return await estimate_seconds(self._app, arguments, client=caller.name) > LONG_CALL_S
        except (RouterError, LedgerError):
            return False  # the call itself reports it

    async def _find(self, ctx: Context, task_id: str) -> Task:
        """Return the task that a request names.

        Raises:
            MCPError: The revision or the client has no tasks, or the caller has no such task.
        """
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
        if not is_declared(ctx):
            required: Json = {"requiredCapabilities": {"extensions": {EXTENSION: Json()}}}
            raise MCPError(_MISSING_CAPABILITY, f"{ctx.method} needs the extension {EXTENSION}", required)
        if _get_header(ctx.request, "mcp-name") not in {None, task_id}:
            raise MCPError(_HEADER_MISMATCH, "Mcp-Name differs from taskId")
        caller = caller_from_request(ctx.request)
        try:
            task = await self._store.read(task_id, caller)
        except LedgerError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error
        if task is None or task.client != caller.name or task.id != task_id:
            raise MCPError(types.INVALID_PARAMS, "Unknown task", {"taskId": task_id})
        return task


def is_declared(ctx: Context) -> bool:
    """Whether a request declares the tasks extension, in the revision that has it."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    declared = ctx.session.client_capabilities
    return declared is not None and EXTENSION in (declared.extensions or {})


def _get_header(request: object, name: str) -> str | None:
    return request.headers.get(name) if isinstance(request, Request) else None


def _describe(task: Task) -> Json:
    return {
        "taskId": task.id,
        "status": task.state,
        "statusMessage": task.message,
        "createdAt": _format_time(task.made_at),
        "lastUpdatedAt": _format_time(task.updated_at),
        "ttlMs": round(1000 * (task.keep_until - task.made_at)),
        "pollIntervalMs": _SLOW_POLL_INTERVAL_MS if task.kind == _BATCH else _POLL_INTERVAL_MS,
    }


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lost_result(task: Task) -> Mapping[str, object]:
    return {"error": f"{task.message}. The answer is on the machine that ran the task; router://calls/{task.call_id}"}
