"""The dashboard in a real browser: its figures, its states, its keyboard, and the form that tries a prompt."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from mcp_router.operations.background.task_store import TaskStore
from tests.support.browser import CHROMIUM, DRIVER, browser, complaints, picture, shown, text
from tests.support.front import environment
from tests.support.site import ALICE, BOB, BOSS, CLIENTS, TOKENS, bearing, site
from tests.vendors import Vendors, vendor_server

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
ROOT = Path(__file__).parents[2]
TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
}
CONTRAST = """
(() => {
  const luminance = (rgb) => rgb.map((c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (css) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = colour(getComputedStyle(one).backgroundColor);
      if (found[3] > 200) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, option")) continue;
    const [one, other] = [luminance(colour(getComputedStyle(element).color).slice(0, 3)), luminance(behind(element))];
    const ratio = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName} ${ratio.toFixed(2)}: `
      + element.textContent.slice(0, 30));
  }
  return JSON.stringify(poor);
})()
"""


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def looking(look: Any, *given: Any) -> None:
    """Use the browser in a thread, while the server answers it here."""
    await anyio.to_thread.run_sync(look, *given)


def opened(driver: Chrome, url: str) -> None:
    driver.get(f"{url}/")
    shown(driver, "document.body.dataset.state")


async def test_an_empty_ledger_says_what_to_do(tmp_path: Path, vendors: Vendors) -> None:
    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            picture(driver, tmp_path / "empty.png")
            assert "No calls yet" in text(driver, "#nothing")
            assert "None is set" not in text(driver, "#overview")
            assert "groq" in text(driver, "#provider-list")
            assert complaints(driver) == []

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await looking(look, there.url)


async def test_what_is_still_awaited_is_seen_to_come(tmp_path: Path, vendors: Vendors) -> None:
    waiting = "document.querySelectorAll('[aria-busy=true] .waiting, [aria-busy=true] .tile:empty').length"
    never = "window.fetch = () => new Promise(() => {});"

    def look(url: str) -> None:
        with browser() as driver:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": never})
            driver.get(f"{url}/")
            shown(driver, "!document.getElementById('busy').hidden")
            assert driver.execute_script(f"return {waiting}") == 12
            picture(driver, tmp_path / "loading.png")

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await looking(look, there.url)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_figures_are_shown_and_readable(tmp_path: Path, vendors: Vendors, dark: bool) -> None:
    vendors.fail("groq", status=500, times=1)

    def look(url: str) -> None:
        with browser(dark=dark) as driver:
            opened(driver, url)
            assert [name in text(driver, "#tiles") for name in ("Saved", "Spent", "Calls", "50 %")] == [True] * 4
            assert "daily" in text(driver, "#budgets")
            assert "of $5.00" in text(driver, "#budgets")
            assert shown(driver, "document.querySelectorAll('#chart canvas').length") == 1
            assert shown(driver, "document.querySelectorAll('#shares canvas').length") == 1
            assert "groq" in text(driver, "#groups")
            driver.find_element(By.CSS_SELECTOR, ".call:last-child summary").click()
            assert "failed" in text(driver, ".call[open] .attempts")
            assert "Asked because" in text(driver, ".call[open] .attempts")
            picture(driver, tmp_path / "shown.png")
            assert json.loads(shown(driver, CONTRAST.strip())) == []
            assert complaints(driver) == []

    async with site(tmp_path, environment(vendors, "groq", "openai"), "[budgets]\ndaily_usd = 5\n") as there:
        for _ in range(2):
            await there.http.post("/api/llm/generate", json=TASK)
        await looking(look, there.url)


async def test_a_tree_that_was_never_built_shows_tables_and_says_how_charts_come(
    tmp_path: Path, vendors: Vendors
) -> None:
    for package in ("mcp_router", "providers"):
        shutil.copytree(ROOT / package, tmp_path / "tree" / package, ignore=shutil.ignore_patterns("vendor"))
    (tmp_path / "config.toml").write_text(f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\n')

    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            assert "pip install ." in text(driver, "#by-day")
            assert "At the baseline" in text(driver, "#days")
            assert "groq" in text(driver, "#groups")
            assert driver.execute_script("return document.querySelectorAll('canvas').length") == 0
            picture(driver, tmp_path / "unbuilt.png")

    command = [sys.executable, "-m", "mcp_router", "serve", "--config", str(tmp_path / "config.toml")]
    environ = {**os.environ, **environment(vendors, "groq")}
    process = await anyio.open_process(
        [*command, "--transport", "http", "--port=0"], stderr=subprocess.PIPE, env=environ, cwd=tmp_path / "tree"
    )
    async with process:
        assert process.stderr is not None
        url = (await process.stderr.receive()).decode().split("dashboard at ")[1].split("/,")[0]
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            await http.post("/api/llm/generate", json=TASK)
            assert (await http.get("/dashboard/uplot.js")).status_code == 404
        await looking(look, url)
        process.terminate()


@pytest.mark.parametrize("width", [360, 768], ids=["phone", "tablet"])
async def test_it_fits_a_narrow_screen(tmp_path: Path, vendors: Vendors, width: int) -> None:
    cut = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"

    def look(url: str) -> None:
        with browser(width=width, height=740) as driver:
            opened(driver, url)
            assert driver.execute_script(f"return [document.documentElement.scrollWidth, {cut}]") == [width, 0]
            picture(driver, tmp_path / "narrow.png")

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await there.http.post("/api/llm/generate", json=TASK)
        await looking(look, there.url)


async def test_a_prompt_is_tried_by_keyboard_and_costs_nothing_before_it_is_run(
    tmp_path: Path, vendors: Vendors
) -> None:
    asked: list[int] = []

    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            shown(driver, "document.querySelectorAll('[name=use_case] option').length > 8")
            driver.execute_script("document.getElementById('prompt').focus()")
            keys = ActionChains(driver)
            keys.send_keys("Write a haiku.", Keys.TAB, "conversation", Keys.TAB, "standard", Keys.TAB, "medium")
            keys.send_keys(Keys.TAB, Keys.TAB, Keys.ENTER).perform()
            shown(driver, "document.querySelector('#outcome .plan')")
            assert "groq:openai/gpt-oss-120b" in text(driver, "#outcome .plan")
            enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r", "autoRepeat": True}
            driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyDown", **enter})
            assert driver.switch_to.active_element.text.startswith("Run it")
            asked.append(len(vendors.requests("groq")))
            ActionChains(driver).send_keys(Keys.ENTER).perform()
            shown(driver, "document.querySelector('#outcome').innerText.includes('spent')")
            assert text(driver, "#outcome .answer") == "Hello from groq."
            assert driver.switch_to.active_element.text == "The answer"
            asked.append(len(vendors.requests("groq")))
            shown(driver, "document.querySelectorAll('.call').length")
            assert complaints(driver) == []

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await looking(look, there.url)

    assert asked == [0, 1]


async def test_a_model_that_fails_is_told_where_the_answer_would_be(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=401)

    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            driver.find_element(By.ID, "prompt").send_keys("Write a haiku.")
            driver.find_element(By.CSS_SELECTOR, "#trial .main").click()
            shown(driver, "document.querySelector('#outcome .main')")
            driver.find_element(By.CSS_SELECTOR, "#outcome .main").click()
            shown(driver, "document.querySelector('#outcome .problem')")
            assert "groq" in text(driver, "#outcome .problem")

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await looking(look, there.url)


async def test_a_token_is_asked_for_kept_in_the_tab_and_shows_its_clients_figures(
    tmp_path: Path, vendors: Vendors
) -> None:
    def look(url: str) -> None:
        with browser() as driver:
            driver.get(f"{url}/")
            shown(driver, "document.getElementById('sign-in').open")
            driver.find_element(By.ID, "token").send_keys("wrong", Keys.ENTER)
            shown(driver, "!document.getElementById('sign-in-problem').hidden")
            driver.find_element(By.ID, "token").send_keys(ALICE, Keys.ENTER)
            shown(driver, "document.body.dataset.state === 'shown'")
            assert text(driver, "#who") == "alice, own figures"
            assert "alice" in text(driver, "#calls") or len(driver.find_elements(By.CSS_SELECTOR, ".call")) == 1
            assert driver.execute_script("return [localStorage.length, document.cookie]") == [0, ""]
            driver.find_element(By.ID, "sign-out").click()
            shown(driver, "document.getElementById('sign-in').open")

    async with site(tmp_path, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        for token in (ALICE, BOB):
            await there.http.post("/api/llm/generate", json=TASK, headers=bearing(token))
        await looking(look, there.url)


async def test_a_lost_ledger_is_told_with_a_way_back(tmp_path: Path, vendors: Vendors) -> None:
    folder = tmp_path / "taken"
    folder.write_text("not a folder")

    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            assert "out of reach" in text(driver, "#alert")
            assert "Shown once" in text(driver, "#provider-list")
            assert "ultra economy" in text(driver, "#route")
            picture(driver, tmp_path / "error.png")
            folder.unlink()
            driver.find_element(By.ID, "retry").click()
            shown(driver, "document.getElementById('alert').hidden")
            assert "No calls yet" in text(driver, "#nothing")

    config = f'database_url = "sqlite:///{folder / "ledger.sqlite3"}"\n'
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        await looking(look, there.url)


async def test_the_first_key_leads_past_the_menu_and_tabs_move_with_arrows(tmp_path: Path, vendors: Vendors) -> None:
    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            ActionChains(driver).send_keys(Keys.TAB).perform()
            assert driver.switch_to.active_element.text == "Skip to figures"
            driver.find_element(By.ID, "tab-provider").click()
            ActionChains(driver).send_keys(Keys.ARROW_RIGHT).perform()
            assert driver.switch_to.active_element.get_attribute("id") == "tab-model"
            assert "groq:openai/gpt-oss-120b" in text(driver, "#groups")

    async with site(tmp_path, environment(vendors, "groq")) as there:
        await there.http.post("/api/llm/generate", json=TASK)
        await looking(look, there.url)


async def test_a_page_that_ends_within_a_call_shows_all_of_it(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=500, times=1)
    async with site(tmp_path, environment(vendors, "groq", "openai")) as there:
        await there.http.post("/api/llm/generate", json=TASK)
        page = (await there.http.get("/api/dashboard/calls", params={"limit": 1})).json()

    assert [(attempt["number"], attempt["outcome"]) for attempt in page["attempts"]] == [(2, "answered"), (1, "failed")]


async def test_spending_by_day_adds_up_and_leaves_out_other_clients(tmp_path: Path, vendors: Vendors) -> None:
    path = "/api/dashboard/daily"
    async with site(tmp_path, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        models = ["openai/gpt-oss-120b", "openai/gpt-oss-20b"]
        for token, model in ((ALICE, models[0]), (BOB, models[0]), (BOB, models[1])):
            await there.http.post("/api/llm/generate", json=TASK | {"model": f"groq:{model}"}, headers=bearing(token))

        async def asked(url: str, token: str, **query: str) -> Any:
            return (await there.http.get(url, params=query, headers=bearing(token))).json()

        alices = await asked(path, ALICE, period="7d", group_by="model")
        everybodys = await asked(path, BOSS, period="all", group_by="client")
        total = (await asked("/api/llm/cost-summary", BOSS, period="all"))["cost_usd"]

    assert ([group["name"] for group in alices["groups"]], alices["others"]) == ([f"groq:{models[0]}"], None)
    assert (len(alices["days"]), len(alices["groups"][0]["cost_usd"])) == (7, 7)
    assert [group["name"] for group in everybodys["groups"]] == ["bob", "alice"]
    assert sum(sum(group["cost_usd"]) for group in everybodys["groups"]) == pytest.approx(total)


async def test_older_calls_come_by_keyboard_and_a_page_that_cannot_be_fetched_is_told(
    tmp_path: Path, vendors: Vendors
) -> None:
    calls = "document.querySelectorAll('.call').length"
    away = "window.fetch = () => Promise.reject(new TypeError());"

    def look(url: str) -> None:
        with browser() as driver:
            opened(driver, url)
            assert shown(driver, calls) == 30
            driver.execute_script(f"window.kept = window.fetch; {away}")
            driver.find_element(By.ID, "more").send_keys(Keys.ENTER)
            assert "does not answer" in shown(driver, "document.getElementById('more-problem').innerText")
            driver.execute_script("window.fetch = window.kept")
            driver.find_element(By.ID, "more").send_keys(Keys.ENTER)
            shown(driver, f"{calls} === 32")
            at = "[...document.querySelectorAll('.call')].indexOf(document.activeElement.closest('.call'))"
            assert driver.execute_script(f"return {at}") == 30
            assert driver.execute_script("return document.getElementById('more-problem').hidden")

    async with site(tmp_path, environment(vendors, "groq")) as there:
        for _ in range(32):
            await there.http.post("/api/llm/generate", json=TASK)
        await looking(look, there.url)


async def test_pages_turn_and_leave_out_other_clients(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        for token in (ALICE, BOB, ALICE):
            await there.http.post("/api/llm/generate", json=TASK, headers=bearing(token))
        path, headers = "/api/dashboard/calls", bearing(ALICE)
        first = (await there.http.get(path, params={"limit": 1}, headers=headers)).json()
        second = (await there.http.get(path, params={"limit": 2, "before": first["before"]}, headers=headers)).json()

    assert [attempt["client"] for attempt in first["attempts"] + second["attempts"]] == ["alice", "alice"]
    assert second["before"] is None


async def test_background_work_is_listed_by_client_and_counted(tmp_path: Path, vendors: Vendors) -> None:
    def look(url: str) -> None:
        with browser() as driver:
            driver.get(f"{url}/")
            shown(driver, "document.getElementById('sign-in').open")
            driver.find_element(By.ID, "token").send_keys(ALICE, Keys.ENTER)
            shown(driver, "document.body.dataset.state === 'shown' && !document.querySelector('#background').hidden")
            rows = [row.text for row in driver.find_elements(By.CSS_SELECTOR, "#task-list tbody tr")]
            assert len(rows) == 2
            assert "alice-working" in rows[0]
            assert "3 of 9 files" in rows[0]
            assert "completed" in rows[1]
            assert text(driver, "#background-count").startswith("1 of 2 running.")
            assert json.loads(driver.execute_script(f"return {CONTRAST.strip()}")) == []

    async with site(tmp_path, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        store = TaskStore.of(there.app)
        for client, state in (("alice", "working"), ("alice", "completed"), ("bob", "working")):
            call_id = f"{client}-{state}"
            task = await store.create({}, kind="x", client=client, call_id=call_id, message="3 of 9 files", keep_s=60)
            if state == "completed":
                await store.finish(task, "completed", "9 of 9 files ok", {})

        await looking(look, there.url)
        scraped = {token: (await there.http.get("/metrics", headers=bearing(token))).text for token in (ALICE, BOSS)}

    assert 'mcp_router_tasks{state="working"} 1.0' in scraped[ALICE]
    assert 'mcp_router_tasks{state="working"} 2.0' in scraped[BOSS]
    assert 'mcp_router_tasks{state="completed"} 1.0' in scraped[ALICE]


async def test_address_keeps_period_tab_and_filters_and_large_answers_are_compressed(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with site(tmp_path, environment(vendors, "groq", "mistral")) as there:
        await there.http.post("/api/llm/generate", json=TASK)
        vendors.fail("mistral", status=401)
        await there.http.post("/api/llm/generate", json=TASK | {"model": "mistral"})

        def look() -> None:
            with browser() as driver:
                driver.get(f"{there.url}/?period=30d&by=model&outcome=failed")
                shown(driver, "document.body.dataset.state")
                assert driver.execute_script("return document.getElementById('period').value") == "30d"
                assert driver.find_element(By.ID, "tab-model").get_attribute("aria-selected") == "true"
                calls = driver.find_elements(By.CSS_SELECTOR, "#call-list .call")
                assert [call.text.splitlines()[-1] for call in calls] == ["failed"]
                tiles = text(driver, "#tiles")
                assert all(said in tiles for said in ("Median answer", "slowest 5 percent above", "Failed"))
                driver.find_element(By.ID, "tab-provider").click()
                assert "by=provider" in driver.current_url
                assert complaints(driver) == [] or all("401" in each for each in complaints(driver))

        await looking(look)
        page = await there.http.get("/dashboard/app.css")

    assert page.headers["content-encoding"] == "gzip"
