"""Answers proven by the user's own command, through the front door."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from mcp_router.errors import ConfigError
from mcp_router.execution.check_command import find_sandbox
from mcp_router.settings import load
from tests.support.front import Front, environment, front
from tests.vendors import Vendors, vendor_server

MODELS = {"use_case": "code_generation", "budget_tier": "economy"}
PYTHON = json.dumps(sys.executable)
RUNS = f'[checks.runs]\ncommand = [{PYTHON}, "{{file}}"]\ntimeout_s = 20\n'


def check(code: str, *, more: str = "timeout_s = 20") -> str:
    """A configuration with a check that runs Python code on the file, which is `sys.argv[1]`."""
    return f'[checks.own]\ncommand = [{PYTHON}, "-c", {json.dumps(code)}, "{{file}}"]\n{more}\n'


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors, None]:
    async with vendor_server() as server:
        yield server


def names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]


async def outcomes(house: Front, call_id: str) -> list[tuple[str, str | None]]:
    told = await house.call("explain_route", call_id=call_id)
    return [(one["outcome"], one.get("error")) for one in told["attempts"]]


async def test_passing_answer_is_saved_and_names_its_check(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "```python\nprint('fine')\n```")
    async with front(tmp_path, environment(vendors, "groq"), RUNS) as house:
        answer = await house.call("generate", prompt="Write it.", save_to="new/it.py", check="runs", **MODELS)

    assert (answer["checked"], answer["saved_to"]) == ("runs", "new/it.py")
    assert names(tmp_path / "new", "*") == ["it.py"]
    assert (tmp_path / "new/it.py").read_text() == "print('fine')\n"


async def test_failing_answer_is_asked_again_with_the_output(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "print(7)")
    code = "import os,sys\nif not os.path.exists('seen'): open('seen', 'w'); sys.exit('seven is missing')"
    async with front(tmp_path, environment(vendors, "groq"), check(code)) as house:
        answer = await house.call("generate", prompt="Write it.", save_to="it.py", check="own", **MODELS)
        tried = await outcomes(house, answer["call_id"])

    assert tried == [("failed", "check_failed"), ("answered", None)]
    assert "seven is missing" in json.dumps(vendors.requests("groq")[-1].body)
    assert (tmp_path / "it.py").read_text() == "print(7)"
    assert "seven" not in (tmp_path / "ledger.sqlite3").read_bytes().decode("latin1")


async def test_unproven_answer_is_an_error_and_touches_nothing(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "raise SystemExit('never right')")
    vendors.says("openai", "raise SystemExit('never right')")
    (tmp_path / "it.py").write_text("old")
    async with front(tmp_path, environment(vendors, "groq", "openai"), RUNS) as house:
        text = await house.refused("generate", prompt="Write it.", save_to="it.py", check="runs", **MODELS)
        text_new = await house.refused("generate", prompt="Write.", save_to="deep/er/it.py", check="runs", **MODELS)

    assert "check_failed" in text
    assert "Last output of the check:\nnever right" in text
    assert "never right" in text_new
    assert (tmp_path / "it.py").read_text() == "old"
    assert not (tmp_path / "deep").exists()
    assert not names(tmp_path, "it_check*")


async def test_each_file_of_a_batch_is_proven(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "ok = 1")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    only_a = check("import pathlib,sys; sys.exit(pathlib.Path(sys.argv[1]).name[0] != 'a')")
    async with front(tmp_path, environment(vendors, "groq"), only_a) as house:
        batch = await house.call(
            "generate", prompt="Write.", files=["*.txt"], per_file=True, save_to="out/*.py", check="own", **MODELS
        )

    assert (batch["answered"], batch["failed"]) == (1, 1)
    assert names(tmp_path / "out", "*.py") == ["a.txt.py"]


async def test_in_place_check_restores_the_target(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "answer")
    (tmp_path / "it.py").write_text("old")
    code = "import pathlib,sys; p = pathlib.Path('it.py'); sys.exit(p.read_text() != 'answer' or p.unlink())"
    config = f'[checks.own]\ncommand = [{PYTHON}, "-c", {json.dumps(code)}]\nin_place = true\n'
    fails = config.replace("!= 'answer'", "== 'answer'")
    async with front(tmp_path, environment(vendors, "groq"), fails) as house:
        await house.refused("generate", prompt="Write.", save_to="it.py", check="own", **MODELS)
        assert (tmp_path / "it.py").read_text() == "old"
    async with front(tmp_path, environment(vendors, "groq"), config) as house:
        (tmp_path / ".it.py.before-check").write_text("of a killed server")
        answer = await house.call("generate", prompt="Write.", save_to="it.py", overwrite=True, check="own", **MODELS)

    assert answer["checked"] == "own"
    assert (tmp_path / "it.py").read_text() == "answer"
    assert not (tmp_path / ".it.py.before-check").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="processes and signals of POSIX")
async def test_hostile_commands_are_contained(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "x")
    leaves = "import os,time,subprocess,sys; subprocess.Popen(['sleep','987'], start_new_session=True); time.sleep(99)"
    hostile = {
        "hangs": ("import time; time.sleep(99)", "stopped after 1 s"),
        "forks": (leaves, "stopped after 1 s"),
        "floods": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "MiB of output"),
        "deletes": ("import os,sys; os.unlink(sys.argv[1]); sys.exit(3)", "exit 3"),
    }
    config = "".join(check(code, more="timeout_s = 1").replace("own", name) for name, (code, _) in hostile.items())
    async with front(tmp_path, environment(vendors, "groq"), config) as house:
        for name, (_, ending) in hostile.items():
            began = time.monotonic()
            text = await house.refused("generate", prompt="Write.", save_to="it.py", check=name, **MODELS)
            assert ending in text, name
            assert time.monotonic() - began < 30, name

    assert not names(tmp_path, "it*")
    if "--pid" in find_sandbox():
        assert not any(b"sleep\x00987" in command for command in _list_commands())


def _list_commands() -> list[bytes]:
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(path.read_bytes())
    return found


async def test_command_gets_no_key_and_no_network(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "x")
    code = (
        "import os,socket,sys\n"
        "if 'GROQ_API_KEY' in os.environ or 'SHOWN' not in os.environ or 'HIDDEN' in os.environ: sys.exit(4)\n"
        f"port = int({str(vendors.url('groq').split(':')[2].split('/')[0])!r})\n"
        "try: socket.create_connection(('127.0.0.1', port), 2)\n"
        "except OSError: sys.exit(0)\n"
        "sys.exit(5)"
    )
    environ = environment(vendors, "groq", SHOWN="1", HIDDEN="1") | {"PATH": os.environ["PATH"]}
    env = 'env = ["SHOWN", "GROQ_API_KEY"]'
    async with front(tmp_path, environ, check(code, more=env)) as house:
        if find_sandbox():
            answer = await house.call("generate", prompt="Write.", save_to="it.py", check="own", **MODELS)
            assert answer["checked"] == "own"
        text = await house.refused("generate", prompt="Write.", save_to="b.py", check="nope", **MODELS)
    async with front(tmp_path, environ, check(code, more=f"{env}\nnetwork = true")) as house:
        networked = await house.refused("generate", prompt="Write.", save_to="c.py", check="own", **MODELS)

    assert "agree, own" in text
    assert "exit 5" in networked


async def test_bad_checks_are_refused_before_anything_is_asked(tmp_path: Path, vendors: Vendors) -> None:
    config = RUNS + '[checks.gone]\ncommand = ["no-such-program", "{file}"]\n'
    async with front(tmp_path, environment(vendors, "groq"), config) as house:
        no_file = await house.refused("generate", prompt="Write.", check="runs", **MODELS)
        missing = await house.refused("generate", prompt="Write.", save_to="a.py", check="gone", **MODELS)

    assert "check = runs needs save_to" in no_file
    assert "config.toml, line" in missing
    assert '"no-such-program" is not on PATH' in missing
    assert vendors.requests("groq") == []
    for config, words in (
        ('[checks.agree]\ncommand = ["x", "{file}"]', "agree is reserved"),
        ('[checks.x]\ncommand = ["x"]', "must name {file}"),
        ("[checks.x]\ncommand = []", "must not be empty"),
    ):
        (tmp_path / "bad.toml").write_text(config)
        with pytest.raises(ConfigError, match=words):
            load(tmp_path / "bad.toml", {})


async def test_cancelled_call_ends_its_check(tmp_path: Path, vendors: Vendors) -> None:
    vendors.says("groq", "x")
    code = "import pathlib,time; pathlib.Path('started').touch(); time.sleep(60)"
    async with front(tmp_path, environment(vendors, "groq"), check(code, more="timeout_s = 60")) as house:
        async with anyio.create_task_group() as group:
            arguments = {"prompt": "Write.", "save_to": "i.py", "check": "own", **MODELS}
            group.start_soon(house.client.call_tool, "generate", arguments)
            while not (tmp_path / "started").exists():
                await anyio.sleep(0.05)
            group.cancel_scope.cancel()
        with anyio.fail_after(20):
            while not (recent := await house.app.ledger.read_recent(1)):
                await anyio.sleep(0.1)

    assert recent[0].outcome == "cancelled"
    assert not names(tmp_path, "i_check*")
