"""The conformance suite's scenarios of MCP tasks. They call tools of the suite's own: each is another name here for a
`generate` call that behaves as the suite wants, so all below the tool's name is the server's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.server.lowlevel import Server

import mcp_router.http.app
from mcp_router.app import App
from mcp_router.server import create_server
from tests.e2e.test_conformance import SUITE, needs, run
from tests.support.front import environment
from tests.support.site import site
from tests.vendors import Vendors, vendor_server

SCENARIOS = {
    "tasks-lifecycle": {"sep-2663-tasks-get-status-failed"},  # a tool that breaks the protocol: there is none
    "tasks-capability-negotiation": set[str](),
    "tasks-wire-fields": set[str](),
    "tasks-request-state-removal": set[str](),
    "tasks-mrtr-input": {"tasks-mrtr-partial-fulfillment"},  # two questions at once: a budget asks one
    "tasks-request-headers": set[str](),
    "tasks-dispatch-and-envelope": set[str](),
    "tasks-status-notifications": set[str](),
}
"""By scenario: the checks that fail. Two more need a tool that only works as a task, or asks before it becomes one."""
FREE = """
[budgets]
daily_usd = 0.0000001
[providers.own]
wire = "openai_chat"
base_url = "{url}"
models = [{{ name = "free", context_window = 32768, input_mtok = 0, output_mtok = 0 }}]
"""


def played(app: App, vendors: Vendors) -> Server[Any]:
    """The server, with the suite's tools as other names for `generate`."""
    server = create_server(app)
    entry = server.get_request_handler("tools/call")
    assert entry is not None
    batch = {"prompt": "Label it.", "per_file": True, "files": ["*.txt"], "model": "own:free"}

    async def call(ctx: Any, params: types.CallToolRequestParams) -> Any:
        given = params.arguments or {}
        if params.name == "greet":
            text = types.TextContent(type="text", text=f"Hello, {given['name']}!")
            return types.CallToolResult(content=[text])
        vendors.delay("groq", float(given.get("seconds", 0)))
        tools: dict[str, tuple[str, dict[str, Any]]] = {
            "slow_compute": ("generate", batch),
            "failing_job": ("generate", batch | {"files": ["missing.txt"]}),
            "confirm_delete": ("generate", batch | {"model": "groq"}),
        }
        name, arguments = tools.get(params.name, (params.name, dict(given)))
        return await entry.handler(ctx, params.model_copy(update={"name": name, "arguments": arguments}))

    server.add_request_handler("tools/call", types.CallToolRequestParams, call)
    return server


@needs(SUITE)
async def test_tasks_conform_but_for_what_needs_other_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.txt").write_text("A review.")
    found: dict[str, set[str]] = {}
    async with vendor_server() as vendors:
        monkeypatch.setattr(mcp_router.http.app, "create_server", lambda app: played(app, vendors))
        config = FREE.format(url=vendors.url("groq"))
        async with site(tmp_path, environment(vendors, "groq"), config) as there:
            for scenario in SCENARIOS:
                told = ("--scenario", scenario, "--output-dir", str(tmp_path / scenario))
                _, said, _ = await run(tmp_path, SUITE, "server", "--url", f"{there.url}/mcp", *told)
                (written,) = (tmp_path / scenario).rglob("checks.json")
                checks = json.loads(written.read_text())
                assert checks, said
                found[scenario] = {check["id"] for check in checks if check["status"] == "FAILURE"}

    assert found == SCENARIOS
