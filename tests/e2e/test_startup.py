"""What a host sees when it starts the server: an answer, the protocol on standard output, and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

COMMAND = [sys.executable, "-P", "-m", "mcp_router", "serve"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
LIST_PROVIDERS = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_providers"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What a server wrote from its start to its end."""

    answers: list[dict[str, Any]]
    stderr: str
    returncode: int


def served(home: Path, *messages: object, **environ: str) -> Served:
    """Start the server in an empty home, say these lines, wait for every answer, and hang up."""
    awaited = {one["id"] for one in messages if isinstance(one, dict) and "id" in one}
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", **environ}
    with subprocess.Popen(COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, cwd=home, env=env) as process:
        assert process.stdin
        assert process.stdout
        for one in messages:
            process.stdin.write(f"{one if isinstance(one, str) else json.dumps(one)}\n")
        process.stdin.flush()
        answers: list[dict[str, Any]] = []
        while awaited and (line := process.stdout.readline()):
            answers.append(json.loads(line))
            awaited.discard(answers[-1].get("id"))
        rest, stderr = process.communicate(timeout=60)
    return Served(
        answers=answers + [json.loads(line) for line in rest.splitlines()], stderr=stderr, returncode=process.returncode
    )


async def test_a_client_that_starts_the_server_finds_its_four_tools(tmp_path: Path) -> None:
    command = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env={"HOME": str(tmp_path)}, cwd=tmp_path)

    async with Client(command) as client:
        tools = await client.list_tools()

    assert [tool.name for tool in tools.tools] == ["generate", "list_providers", "explain_route", "cost_summary"]


def test_the_server_initializes_answers_and_ends_when_the_host_hangs_up(tmp_path: Path) -> None:
    done = served(tmp_path, INITIALIZE, INITIALIZED, LIST_TOOLS)

    assert [answer["id"] for answer in done.answers] == [1, 2]
    assert done.answers[0]["result"]["serverInfo"]["name"] == "mcp-llm-router"
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_output_carries_nothing_but_the_protocol_whatever_comes_in(tmp_path: Path) -> None:
    done = served(tmp_path, INITIALIZE, INITIALIZED, "this is no JSON", LIST_PROVIDERS, LIST_TOOLS)

    assert {answer["jsonrpc"] for answer in done.answers} == {"2.0"}
    assert {1, 2, 3} <= {answer.get("id") for answer in done.answers}


def test_a_start_writes_nothing_anywhere(tmp_path: Path) -> None:
    served(tmp_path, INITIALIZE, INITIALIZED, LIST_TOOLS)

    assert sorted(tmp_path.rglob("*")) == []


def test_first_use_writes_into_the_data_folder_alone(tmp_path: Path) -> None:
    served(tmp_path, INITIALIZE, INITIALIZED, LIST_PROVIDERS)

    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parent.name for path in written} == {"mcp-llm-router"}


@pytest.mark.parametrize(
    ("text", "told"), [("baseline = 3\n", "baseline"), ("nonsense = true\n", "nonsense"), ("=\n", "not valid TOML")]
)
def test_a_configuration_that_is_wrong_stops_the_start_and_says_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "config.toml").write_text(text)

    done = served(tmp_path, INITIALIZE, MCP_ROUTER_CONFIG=str(tmp_path / "config.toml"))

    assert (done.returncode, done.answers) == (2, [])
    assert "config.toml" in done.stderr
    assert told in done.stderr
