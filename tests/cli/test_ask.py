"""`ask`: files in and out, answers as they come, and what an interruption cost."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from mcp_router.cli import main
from tests.support.front import environment
from tests.support.terminal import run_on_terminal
from tests.vendors import Vendors, vendor_server

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Shell:
    """A shell in a folder of notes, with the keys of two vendors."""

    vendors: Vendors
    folder: Path
    environ: dict[str, str]

    async def run(self, *words: str) -> int:
        return await anyio.to_thread.run_sync(main, [*words, "--config", "config.toml"])


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Shell]:
    (tmp_path / "config.toml").write_text("[providers.embedded]\nenabled = false\n")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(f"Note {name}.")
    async with vendor_server() as vendors:
        environ = environment(vendors, "groq", "openai") | {"HOME": str(tmp_path / "home")}
        monkeypatch.chdir(tmp_path)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield Shell(vendors=vendors, folder=tmp_path, environ=environ)


ASK = ("ask", "Sum it up.", "--use-case", "summarization")


async def test_answers_are_saved_where_save_to_says(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert await shell.run(*ASK, "--file", "a.txt", "--save-to", "sum.md") == 0
    told = capsys.readouterr()
    assert "saved to sum.md, 18 bytes" in told.out
    assert "call " in told.err
    assert (shell.folder / "sum.md").read_text() == "Hello from openai."

    assert await shell.run(*ASK, "--file", "a.txt", "--save-to", "../sum.md") == 2
    assert "outside" in capsys.readouterr().err
    assert await shell.run(*ASK, "--file", "a.txt", "--resume") == 2
    assert "resume needs per_file" in capsys.readouterr().err


async def test_each_file_is_answered_and_resume_does_the_rest(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    batch = (*ASK, "--file", "*.txt", "--per-file")
    shell.vendors.fail("groq", "invalid", times=1)
    assert await shell.run(*batch, "--model", "groq", "--save-to", "out") == 1
    assert "2 answered, 1 failed; saved to out/*.md" in capsys.readouterr().err

    assert await shell.run(*batch, "--model", "groq", "--save-to", "out", "--resume") == 0
    assert "1 answered, 2 done before" in capsys.readouterr().err
    assert len(list((shell.folder / "out").glob("*.md"))) == 3

    assert await shell.run(*batch) == 0
    assert capsys.readouterr().out.count("==> ") == 3


async def test_schema_comes_from_a_file(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    schema = shell.folder / "schema.json"
    schema.write_text('{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}')
    shell.vendors.says("groq", '{"n": 3}')

    assert await shell.run("ask", "Count.", "--model", "groq", "--schema", "schema.json") == 0
    assert json.loads(capsys.readouterr().out) == {"n": 3}

    schema.write_text("{not json")
    assert await shell.run("ask", "Count.", "--schema", "schema.json") == 2
    assert "--schema schema.json: is not JSON" in capsys.readouterr().err
    assert await shell.run("ask", "Count.", "--schema", "none.json") == 2
    assert "--schema none.json: cannot be read: no such file" in capsys.readouterr().err


async def test_conversation_goes_on_from_an_earlier_process(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    config = shell.folder / "config.toml"
    config.write_text(f"store_text = true\n{config.read_text()}")
    assert await shell.run("ask", "My name is Ada.", "--model", "groq", "--json") == 0
    call = json.loads(capsys.readouterr().out)["call_id"]

    assert await shell.run("ask", "What is my name?", "--model", "groq", "--conversation", call) == 0

    contents = [message["content"] for message in shell.vendors.requests("groq")[-1].body["messages"]]
    assert contents[-3:] == ["My name is Ada.", "Hello from groq.", "What is my name?"]
    assert await shell.run("ask", "And mine?", "--conversation", "gone") == 2


async def test_terminal_shows_the_answer_once_as_it_comes(shell: Shell) -> None:
    words = ["ask", "Hi", "--use-case", "conversation", "--config", "config.toml"]
    shell.vendors.fail("groq", "cut_stream", times=1)

    code, shown = await anyio.to_thread.run_sync(run_on_terminal, words, shell.environ, shell.folder)

    assert code == 0
    plain = CONTROL.sub("", shown)
    before, notice, after = plain.partition("not accepted; the answer starts again:\n")
    assert before.startswith("Hello")
    assert notice
    assert after.startswith("Hello from openai.\n")
    assert shell.vendors.requests("openai")[0].body["stream"] is True


async def test_terminal_shows_a_bar_over_many_files(shell: Shell) -> None:
    words = [*ASK, "--file", "*.txt", "--per-file", "--save-to", "out", "--config", "config.toml"]
    shell.vendors.delay("groq", 0.3)

    code, shown = await anyio.to_thread.run_sync(
        lambda: run_on_terminal(words, shell.environ, shell.folder, columns=60)
    )

    assert code == 0
    assert "0/3" in shown or "/3" in shown
    assert "3 answered; saved to out/*.md" in shown


async def test_ctrl_c_says_what_was_spent(shell: Shell) -> None:
    words = [*ASK, "--file", "*.txt", "--per-file", "--save-to", "out", "--model", "groq", "--config", "config.toml"]
    shell.vendors.delay("groq", 60)

    def has_begun() -> bool:
        return shell.vendors.at_once("groq") == 3

    code, shown = await anyio.to_thread.run_sync(
        lambda: run_on_terminal(words, shell.environ, shell.folder, interrupt_when=has_begun)
    )

    assert code == 130
    assert re.search(r"interrupted\. Spent: at most \$0\.0\d+ \(3 attempts\)", shown), shown
    assert "with --resume does the rest" in shown
    assert "Traceback" not in shown
