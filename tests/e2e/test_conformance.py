"""MCP's own conformance suite against our HTTP transport, and Inspector's strict look at our tools over stdio, where
they are installed: `make companions` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from tests.support.site import site

INSTALLED = Path(__file__).parents[2] / ".cache" / "conformance" / "node_modules"
NODE = INSTALLED / "node" / "bin" / "node"
SUITE = INSTALLED / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSPECTOR = INSTALLED / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
NOT_OURS = Path(__file__).with_name("conformance.yml")


def needs(program: Path) -> pytest.MarkDecorator:
    there = NODE.is_file() and program.is_file()
    return pytest.mark.skipif(
        not there, reason=f"needs {program.relative_to(INSTALLED).parts[1]} from npm, and its Node"
    )


async def run(folder: Path, *command: str | Path, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """How a program of the suite ended, and what it wrote to stdout and to stderr."""
    with anyio.fail_after(180):
        done = await anyio.run_process([NODE, *command], cwd=folder, env=environ, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@needs(SUITE)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_the_http_transport_conforms(tmp_path: Path, revision: str) -> None:
    async with site(tmp_path, {}) as there:
        told = ("--suite", "all", "--spec-version", revision, "--expected-failures", NOT_OURS)
        code, said, warned = await run(tmp_path, SUITE, "server", "--url", f"{there.url}/mcp", *told)

    assert code == 0, said + warned
    assert "✓ tools-list" in said


@needs(INSPECTOR)
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
async def test_an_inspector_finds_nothing_to_say_of_the_tools(tmp_path: Path, era: str) -> None:
    server = Path(sys.executable).with_name("mcp-llm-router")
    told = ("--method", "tools/list", "--protocol-era", era, "--strict", "--format", "json")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    code, said, warned = await run(tmp_path, INSPECTOR, "--cli", server, *told, environ=environ)

    assert (code, warned) == (0, "")
    assert '"generate"' in said
