"""A client of MCP tasks, made with the official SDK: it declares the extension, and polls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim

EXTENSION = "io.modelcontextprotocol/tasks"


class Created(types.Result):
    """What `tools/call` answers instead of the tool's result."""

    result_type: Literal["task"]
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None


class State(types.Result):
    """What `tasks/get` answers."""

    result_type: Literal["complete"]
    task_id: str
    status: str
    status_message: str | None = None
    ttl_ms: int | None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, Any] | None = None


class TaskRequestParams(types.RequestParams):
    task_id: str


class UpdateRequestParams(TaskRequestParams):
    input_responses: dict[str, Any]


class GetTask(types.Request[TaskRequestParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskRequestParams


class CancelTask(types.Request[TaskRequestParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskRequestParams


class UpdateTask(types.Request[UpdateRequestParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateRequestParams


class Tasks(ClientExtension):
    """Declares tasks; `call_tool` then ends with the task's own result."""

    identifier = EXTENSION

    def __init__(self) -> None:
        self.created: list[Created] = []
        """Every task, in order."""
        self.states: list[State] = []
        """Every answer to a poll."""

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return (ResultClaim(result_type="task", model=Created, resolve=self._resolve),)

    async def _resolve(self, created: Created, ctx: ClaimContext) -> types.CallToolResult:
        self.created.append(created)
        while True:
            state = await ctx.session.send_request(GetTask(params=TaskRequestParams(task_id=created.task_id)), State)
            self.states.append(state)
            if state.status in {"completed", "failed", "cancelled"}:
                break
            await anyio.sleep(0.05)
        if state.result is None:
            text = types.TextContent(type="text", text=state.status)
            return types.CallToolResult(content=[text], is_error=True)
        return types.CallToolResult.model_validate(state.result)


async def start(client: Client, **arguments: object) -> Created:
    """Call `generate`, and return its task without waiting for its end."""
    created = await client.session.call_tool("generate", dict(arguments), allow_claimed=True)
    assert isinstance(created, Created), created
    return created


async def poll(client: Client, task_id: str) -> State:
    return await client.session.send_request(GetTask(params=TaskRequestParams(task_id=task_id)), State)


async def cancel(client: Client, task_id: str) -> dict[str, Any]:
    done = await client.session.send_request(CancelTask(params=TaskRequestParams(task_id=task_id)), types.EmptyResult)
    return done.model_dump(by_alias=True, exclude_none=True, exclude={"meta"})


async def answer(client: Client, task_id: str, responses: dict[str, Any]) -> None:
    params = UpdateRequestParams(task_id=task_id, input_responses=responses)
    await client.session.send_request(UpdateTask(params=params), types.EmptyResult)


async def until_state(client: Client, task_id: str, *states: str, seconds: float = 20) -> State:
    """Poll until a task is in one of these states, or in a final one."""
    with anyio.fail_after(seconds):
        while True:
            state = await poll(client, task_id)
            if state.status in {*states, "completed", "failed", "cancelled"}:
                return state
            await anyio.sleep(0.02)
