"""An MCP server of the SDK's own with one tool, which asks the openai SDK and does nothing else."""

from __future__ import annotations

import os
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from openai import AsyncOpenAI

Context = ServerRequestContext[Any, Any]


async def list_tools(_ctx: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    """One tool."""
    return ListToolsResult(tools=[Tool(name="ask", input_schema={"type": "object"})])


async def main() -> None:
    """Serve until standard input ends."""
    openai = AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"], max_retries=0)

    async def call_tool(_ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        prompt = str((params.arguments or {})["prompt"])
        answer = await openai.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": prompt}], max_completion_tokens=256
        )
        return CallToolResult(content=[TextContent(type="text", text=answer.choices[0].message.content or "")])

    server = Server[Any]("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
