"""A little of `make chaos` in every test run, and what docs/reliability.md says of the whole."""

from __future__ import annotations

import re
from pathlib import Path

from mcp_router.server.tools import TOOLS
from tests.chaos import leaking
from tests.chaos.__main__ import PARTS, wreak
from tests.chaos.fuzzing import made_up
from tests.chaos.ground import SMOKE, Figures, secrets
from tests.support.front import environment, front
from tests.vendors import vendor_server

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")


async def test_a_little_chaos_breaks_no_promise(tmp_path: Path) -> None:
    found = await wreak(tmp_path, SMOKE, ["misbehaving", "killing", "leaking"])

    assert [broken for figures in found for broken in figures.broken] == []


async def test_whatever_a_tool_is_called_with_it_answers_or_says_what_is_wrong(tmp_path: Path) -> None:
    refused: list[str] = []
    async with vendor_server() as vendors, front(tmp_path, environment(vendors, "openai", "grok")) as house:
        for tool in TOOLS:
            for arguments in made_up(100, tool.input_schema, prompt="A haiku", models=("openai", "grok")):
                result = await house.client.call_tool(tool.name, arguments)
                refused += [result.content[0].text] if result.is_error else []

    assert len(refused) > 10
    assert [text for text in refused if not re.match(r"[a-z_]+: \S.{7,}", text, re.DOTALL)] == []


def test_a_key_or_a_prompt_that_leaked_would_be_found(tmp_path: Path) -> None:
    keys, prompt = secrets()
    (tmp_path / "a.stderr").write_text(f"401: {keys['GROQ_API_KEY'][5:20]} is no key\n")
    (tmp_path / "ledger.sqlite3-wal").write_bytes(b"\0" + prompt[10:40].encode() + b"\0")
    figures = Figures(part="")

    leaking.search(figures, tmp_path, [b"nothing"], keys, prompt)

    assert figures.broken == [
        "a.stderr: holds a piece of GROQ_API_KEY",
        "ledger.sqlite3-wal: holds a piece of the prompt",
    ]


def test_the_page_tells_of_every_part_and_that_no_promise_was_broken() -> None:
    figures = re.search(r"<!-- chaos -->\n(.*?)<!-- end chaos -->", PAGE, re.DOTALL)

    assert figures is not None
    assert len(re.findall(r"^\|.*\| 0 \|$", figures[1], re.MULTILINE)) == len(PARTS)
