"""Runs subtasks concurrently through the router, combines the answers, and prints the cost."""

import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

COMMAND = str(Path(sys.executable).with_name("mcp-llm-router"))
REVIEWS = ("Great app, but the export crashes.", "I was charged twice this month!", "How do I change my password?")
LABEL = "Classify this review as billing, bug or question. Answer with one word.\n\nReview: {}"


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool and return its result, or the text of the failure."""
    result = await client.call_tool(tool, arguments)
    return result.structured_content or {"text": str(result.content)}


async def main() -> None:
    """Label every review at once, then summarize them."""
    labels: dict[str, str] = {}
    async with Client(StdioServerParameters(command=COMMAND, args=["serve"], env=dict(os.environ))) as client:

        async def label(review: str) -> None:
            answer = await call(client, "generate", prompt=LABEL.format(review), use_case="classification")
            labels[review] = answer["text"]

        async with anyio.create_task_group() as group:
            for review in REVIEWS:
                group.start_soon(label, review)
        told = "\n".join(f"- {labels[review]}: {review}" for review in REVIEWS)
        summary = await call(client, "generate", prompt=f"Sum up what customers say in one sentence.\n\n{told}")
        bill = await call(client, "cost_summary", period="session")
    print(f"{told}\n\n{summary['text']}\n\n{bill['calls']} calls: {bill['cost_usd']} USD, {bill['saved_usd']} saved")


anyio.run(main)
