"""What the server costs the context of an agent that uses it, in tokens of o200k_base.

`python -P benchmarks/context.py`. Counted by `rs-bpe`, which carries the vocabulary with it.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from benchmarks import peers
from benchmarks.findings import Finding

PROMPT = "Classify this ticket as billing, bug or praise.\n\nTicket: The app crashes when I open the settings page."
SHOWN = ("name", "description", "inputSchema")
"""What hosts put before the model; the rest of a tool is for the host itself."""

_BPE: Any = import_module("rs_bpe.bpe")  # it ships no types
_TOKENIZER = _BPE.openai.o200k_base()
Json = dict[str, Any]


async def measure(*, alone: bool = False) -> Finding:
    """Count each tool, the four, the whole `tools/list`, what surrounds an answer, and, not `alone`, a peer's tools."""
    listed, answer = await _told([str(Path(sys.executable).with_name("mcp-llm-router"))], ask=True)
    tools = [_shown(tool) for tool in listed["tools"]]
    counts = {
        "context.tools": tokens(tools),
        "context.tools_list": tokens(listed),
        "context.answer": tokens(answer | {"text": ""}),
    }
    rows = [[f"`{tool['name']}`", str(tokens(tool)), ""] for tool in tools]
    rows += [
        ["**the four tools**: name, description, input schema", f"{counts['context.tools']:,}", "1,300"],
        ["the whole answer to `tools/list`", f"{counts['context.tools_list']:,}", "2,600"],
        ["an answer of `generate` beyond its text", str(counts["context.answer"]), "90"],
    ]
    if not alone and peers.there("llm-router"):
        theirs, _ = await _told([str(peers.COMMANDS["llm-router"])], ask=False)
        counts["context.llm_router"] = tokens([_shown(tool) for tool in theirs["tools"]])
        name = f"claude-code-llm-router: its {len(theirs['tools'])} tools"
        rows.append([name, f"{counts['context.llm_router']:,}", ""])
    return Finding(
        title="In an agent's context",
        about="Tokens of o200k_base.",
        columns=("", "tokens", "at most"),
        rows=rows,
        numbers=counts,
    )


async def _told(command: list[str], *, ask: bool) -> tuple[Json, Json]:
    """Have a server list its tools, and answer one call where it is ours."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        environ = {"HOME": home, "PATH": os.environ["PATH"]}
        started = StdioServerParameters(command=command[0], args=command[1:], env=environ, cwd=home)
        with Path(os.devnull).open("w") as nowhere:  # noqa: ASYNC230 - no file
            async with Client(stdio_client(started, errlog=nowhere), mode="auto" if ask else "legacy") as client:
                listed = await client.list_tools()
                answered = await client.call_tool("generate", {"prompt": PROMPT}) if ask else None
    answer: Json = {}
    if answered is not None:
        (block,) = answered.content
        if answered.is_error or not isinstance(block, TextContent):
            sys.exit(f"generate: {answered.content}")
        answer = json.loads(block.text)
    return listed.model_dump(mode="json", by_alias=True, exclude_none=True), answer


def _shown(tool: Json) -> Json:
    return {key: tool[key] for key in SHOWN if key in tool}


def tokens(value: object) -> int:
    """Count a value's tokens as compact JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(_TOKENIZER.encode(text))


def main() -> None:
    """Count and print."""
    print(anyio.run(measure).markdown())


if __name__ == "__main__":
    main()
