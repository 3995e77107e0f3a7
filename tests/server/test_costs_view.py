"""The summary as an MCP App: bound to its tool, and drawn in a real browser by a host of our own."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from selenium.webdriver import Chrome

from tests.support.browser import CHROMIUM, DRIVER, browser, complaints, picture, shown
from tests.support.front import environment, front
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "complexity": "medium"}
HOST = """
const frame = document.createElement("iframe");
frame.sandbox = "allow-scripts";
frame.style = "width: 600px; height: 300px; border: 0";
window.said = [];
addEventListener("message", ({ data }) => {
  said.push(data.method);
  const tell = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  if (data.method === "ui/initialize") tell({ id: data.id, result: { hostContext: { theme: "dark" } } });
  if (data.method === "ui/notifications/initialized") tell({ method: "ui/notifications/WHAT", params: PARAMS });
  if (data.method === "ui/notifications/size-changed") window.height = data.params.height;
});
frame.srcdoc = PAGE;
document.body.append(frame);
"""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def test_the_tool_names_a_page_that_can_be_read(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        (tool,) = [tool for tool in (await house.client.list_tools()).tools if tool.name == "cost_summary"]
        assert tool.meta is not None
        uri = tool.meta["ui"]["resourceUri"]
        (page,) = (await house.client.read_resource(uri)).contents
        listed = [str(resource.uri) for resource in (await house.client.list_resources()).resources]
        extensions = house.client.server_capabilities.extensions

    assert (uri in listed, page.mime_type) == (True, "text/html;profile=mcp-app")
    assert page.meta == {"ui": {"prefersBorder": True}}
    assert extensions is not None
    assert "io.modelcontextprotocol/ui" in extensions


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
async def test_a_host_that_shows_apps_draws_the_summary(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq"), "[budgets]\ndaily_usd = 5\n") as house:
        await house.call("generate", **TASK)
        costs = await house.call("cost_summary", group_by="model")
        (page,) = (await house.client.read_resource("ui://mcp-llm-router/costs")).contents

    def look() -> str:
        with browser(width=640, height=360) as driver:
            driver.get("about:blank")
            driver.execute_script(_host(page.text, "tool-result", {"structuredContent": costs, "content": []}))
            shown(driver, "window.height > 200")
            assert driver.execute_script("return said.indexOf('ui/notifications/initialized')") == 1
            picture(driver, tmp_path / "app.png")
            assert complaints(driver) == []
            return _inside(driver)

    drawn = await anyio.to_thread.run_sync(look)

    assert "groq:openai/gpt-oss-120b" in drawn
    assert "of $5.00" in drawn
    assert "Calls\n1\n" in drawn


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
async def test_a_host_that_cancels_the_tool_sees_that_nothing_comes(tmp_path: Path, vendors: Vendors) -> None:
    async with front(tmp_path, environment(vendors, "groq")) as house:
        (page,) = (await house.client.read_resource("ui://mcp-llm-router/costs")).contents

    def look() -> None:
        with browser(width=640, height=360) as driver:
            driver.get("about:blank")
            driver.execute_script(_host(page.text, "tool-cancelled", {"reason": "the user's wish"}))
            driver.switch_to.frame(0)
            shown(driver, "document.body.innerText.includes('Cancelled')")

    await anyio.to_thread.run_sync(look)


def _host(page: str, what: str, params: dict[str, Any]) -> str:
    return HOST.replace("WHAT", what).replace("PARAMS", json.dumps(params)).replace("PAGE", json.dumps(page))


def _inside(driver: Chrome) -> str:
    driver.switch_to.frame(0)
    return driver.execute_script("return document.body.innerText")
