"""The image and the page on deploying say what the code does."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from mcp_router.cli.main import _insert_serve
from mcp_router.cli.parser import create_parser
from mcp_router.http.admission import AdmissionLimits
from mcp_router.settings import Configuration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
IMAGE = (ROOT / "Dockerfile").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.partition("mcp-llm-router ")[2]
    for kind, block in BLOCKS
    for line in block.splitlines()
    if kind == "sh" and re.match(r"([A-Z_]+=\S+ )?mcp-llm-router ", line)
]


@pytest.mark.parametrize("command", [*COMMANDS, "doctor"])
def test_every_command_is_one(command: str) -> None:
    assert create_parser().parse_args(shlex.split(command)).command in ("serve", "doctor", "token")


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "toml"])
def test_every_piece_of_configuration_is_accepted(block: str) -> None:
    Configuration.model_validate(tomllib.loads(block.replace("…", "0" * 64)))


def test_the_limits_are_those_of_the_code() -> None:
    limits = AdmissionLimits()

    assert f"may have {limits.body_bytes // 2**20} MiB and {limits.body_seconds:.0f} s" in PAGE
    assert f"{limits.requests} requests" in PAGE
    assert f"{limits.connections:,}\nconnections" in PAGE
    assert f"reads nothing for {limits.stalled_seconds:.0f} s" in PAGE
    assert f"finish for {limits.grace_seconds} s" in PAGE


def test_every_file_that_is_linked_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if not link.startswith("https://")]

    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_the_image_runs_a_command_that_there_is_and_not_as_root() -> None:
    instructions = [line.split(maxsplit=1) for line in IMAGE.splitlines() if line and line[0].isupper()]
    last = dict(instructions)
    (entry,) = re.findall(r'"([^"]+)"', last["ENTRYPOINT"])
    given = create_parser().parse_args(_insert_serve(re.findall(r'"([^"]+)"', last["CMD"])))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]

    assert entry in scripts
    assert (given.transport, given.host, str(given.port)) == ("http", "0.0.0.0", last["EXPOSE"])  # noqa: S104 - in a container
    assert last["USER"] not in ("root", "0")
    assert "HEALTHCHECK" in last


def test_the_image_is_built_from_files_that_are_there_and_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [name for line in re.findall(r"^COPY (?!--)(.*) \S+$", IMAGE, re.MULTILINE) for name in line.split()]

    assert [name for name in sent if not (ROOT / name).exists()] == []
    assert [name for name in copied if not any(one == name or one.startswith(f"{name}/") for one in sent)] == []
    extras = re.findall(r"list_requirements\.py (.*) >", IMAGE)[0].split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
