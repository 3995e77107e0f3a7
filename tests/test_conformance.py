"""MCP's own conformance suite against our HTTP transport, where it is installed: the scenarios that do not ask for
tools, prompts and resources of the suite's own.

`make companions` installs it.
"""

from pathlib import Path

import anyio
import pytest

from tests.site import site

_INSTALLED = Path(__file__).parents[1] / ".cache" / "conformance" / "node_modules"
NODE = _INSTALLED / "node" / "bin" / "node"
SUITE = _INSTALLED / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"


@pytest.mark.skipif(not (NODE.is_file() and SUITE.is_file()), reason="needs the conformance suite and its Node")
@pytest.mark.parametrize(
    "scenario",
    [
        "server-initialize",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "tools-call-error",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    ],
)
async def test_the_http_transport_conforms(tmp_path: Path, scenario: str) -> None:
    async with site(tmp_path, {}) as there:
        command = [str(NODE), str(SUITE), "server", "--url", f"{there.url}/mcp", "--scenario", scenario]
        with anyio.fail_after(60):
            run = await anyio.run_process(command, cwd=tmp_path, check=False)

    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()
    assert "0 failed" in run.stdout.decode()
