"""What the server costs the context of an agent that uses it, in tokens of o200k_base.

Counted by `rs-bpe`, which carries the vocabulary with it. Run it with `make bench`.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

PROMPT = "Classify this ticket as billing, bug or praise.\n\nTicket: The app crashes when I open the settings page."
SHOWN = ("name", "description", "inputSchema")
"""What hosts put before the model; the rest of a tool is for the host itself."""

_BPE: Any = import_module("rs_bpe.bpe")  # it ships no types
_TOKENIZER = _BPE.openai.o200k_base()


async def main() -> None:
    """Print each tool, the four, the whole `tools/list`, and what surrounds an answer."""
    with TemporaryDirectory() as home:
        command = str(Path(sys.executable).with_name("mcp-llm-router"))
        environ = {"HOME": home, "MCP_ROUTER_DATABASE_URL": f"sqlite:///{home}/ledger.sqlite3"}
        async with Client(StdioServerParameters(command=command, env=environ)) as client:
            listed = await client.list_tools()
            answered = await client.call_tool("generate", {"prompt": PROMPT})
    whole = listed.model_dump(mode="json", by_alias=True, exclude_none=True)
    tools = [{key: tool[key] for key in SHOWN} for tool in whole["tools"]]
    for tool in tools:
        print(f"{tool['name']:15} {tokens(tool):5}")
    print(f"{'the four tools':15} {tokens(tools):5}  (name, description, input schema; at most 1,300)")
    print(f"{'tools/list':15} {tokens(whole):5}  (the whole answer; at most 2,600)")
    (block,) = answered.content
    if answered.is_error or not isinstance(block, TextContent):
        sys.exit(f"generate: {answered.content}")
    around = json.loads(block.text) | {"text": ""}
    print(f"{'an answer':15} {tokens(around):5}  (a result of generate beyond its text; at most 90)")


def tokens(value: object) -> int:
    """Count a value's tokens as compact JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(_TOKENIZER.encode(text))


anyio.run(main)
