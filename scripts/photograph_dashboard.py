"""Takes the pictures of the dashboard in a real browser, over a made-up month: `make pictures`."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from mcp_router.ledger.records import Attempt
from tests.support.browser import CHROMIUM, DRIVER, browser, run, screen, shown
from tests.support.front import KEYS
from tests.support.site import site

PICTURES = Path(__file__).parent / "pictures"
DAY = 86_400
CALLS_A_DAY = 320
CONFIG = """
[budgets]
daily_usd = 3
monthly_usd = 40

[clients.alice]
token_env = "ALICE"
monthly_usd = 20
sees_all = true
"""
TOKEN = "for-pictures-of-the-dashboard"  # noqa: S105 - opens nothing


class Share(NamedTuple):
    """One model's share of the calls, with cost and duration."""

    model: str
    use_case: str
    tier: str
    part: int
    usd: float
    seconds: float


SHARES = (
    Share("qwen:qwen3.7-flash", "classification", "ultra_economy", 30, 0.00026, 1.1),
    Share("glm:glm-4.7-flash", "classification", "ultra_economy", 8, 0.00003, 1.6),
    Share("gemini:gemini-3.5-flash-lite", "summarization", "standard", 17, 0.0023, 1.1),
    Share("deepseek:deepseek-flash", "code_generation", "economy", 13, 0.0008, 3.5),
    Share("claude:claude-sonnet-5-5", "analysis", "premium", 10, 0.012, 3.5),
    Share("groq:openai/gpt-oss-120b", "conversation", "standard", 9, 0.0003, 0.5),
    Share("openai:gpt-6-luna", "long_context", "premium", 7, 0.0086, 2.0),
    Share("mistral:mistral-small-2603", "summarization", "standard", 5, 0.0008, 0.8),
    Share("perplexity:perplexity/sonar", "web_research", "premium", 1, 0.0018, 4.2),
)


def a_month(now: float) -> Iterator[Attempt]:
    """Yield attempts of thirty days up to now: fewer at weekends, more from week to week, some that failed."""
    draw = random.Random(7)
    for back in range(29, -1, -1):
        began = now - now % DAY - back * DAY
        weekend = datetime.fromtimestamp(began, UTC).weekday() > 4
        for number in range(round(CALLS_A_DAY * (0.25 if weekend else 1.3 - back / 50) * draw.uniform(0.8, 1.2))):
            share = draw.choices(SHARES, [one.part for one in SHARES])[0]
            call, client = f"{back:02}{number:06}{draw.getrandbits(16):04x}", draw.choice(("local", "alice", "alice"))
            at = (
                min(began + draw.uniform(0, DAY), now - draw.uniform(1, 3_000))
                if back == 0
                else began + draw.random() * DAY
            )
            failed = draw.random() < 0.04
            for attempt in range(1 + failed):
                yield an_attempt(
                    draw, share, call, at + attempt, client, failed=failed and attempt == 0, number=attempt + 1
                )


def an_attempt(
    draw: random.Random, share: Share, call: str, at: float, client: str, *, failed: bool, number: int
) -> Attempt:
    """Return one attempt."""
    cost = 0.0 if failed else share.usd * draw.lognormvariate(-0.1, 0.4)
    return Attempt(
        call_id=call,
        number=number,
        session="pictures",
        client=client,
        use_case=share.use_case,
        budget_tier=share.tier,
        complexity="medium",
        inferred="use_case,complexity",
        model=share.model,
        why=f"{share.use_case} at {share.tier}",
        started_at=at,
        seconds=share.seconds * draw.lognormvariate(0, 0.5),
        outcome="failed" if failed else "answered",
        error="unavailable" if failed else None,
        detail="503 overloaded" if failed else None,
        finish_reason=None if failed else "stop",
        input_tokens=None if failed else draw.randint(800, 7_000),
        output_tokens=None if failed else draw.randint(20, 700),
        cost_usd=Decimal(f"{cost:.9f}"),
        cost_source="priced",
        baseline_usd=None if failed else Decimal(f"{0.01 + 2 * cost:.9f}"),
        baseline="claude:claude-opus-5-5",
    )


def opened(driver: Chrome, url: str, period: str) -> None:
    """Sign in with a token and choose a period."""
    driver.get(f"{url}/")
    shown(driver, "document.getElementById('sign-in').open")
    driver.find_element(By.ID, "token").send_keys(TOKEN)
    driver.find_element(By.CSS_SELECTOR, "#sign-in-form [type=submit], #sign-in-form button").click()
    shown(driver, "document.body.dataset.state === 'shown'")
    run(
        driver,
        f"const p = document.getElementById('period'); p.value = '{period}'; p.dispatchEvent(new Event('change'))",
    )
    shown(driver, "document.getElementById('busy').hidden && document.querySelectorAll('#shares canvas').length")
    time.sleep(1)  # colours and bars move into place


def take(url: str) -> None:
    """Take every picture."""
    with browser(width=1180, height=1290) as driver:
        opened(driver, url, "30d")
        screen(driver, PICTURES / "dashboard.png")
    with browser(width=1180, height=900, dark=True) as driver:
        opened(driver, url, "30d")
        driver.find_element(By.CSS_SELECTOR, "#tabs button:nth-child(2)").click()
        time.sleep(1)
        run(driver, "document.getElementById('where').scrollIntoView({block: 'center', behavior: 'instant'})")
        screen(driver, PICTURES / "dark.png")
    with browser(width=375, height=812) as driver:
        opened(driver, url, "30d")
        screen(driver, PICTURES / "phone.png")
    with browser(width=1180, height=560) as driver:
        opened(driver, url, "7d")
        prompt = "Classify as bug, feature or question: the export button does nothing."
        driver.find_element(By.ID, "prompt").send_keys(prompt)
        driver.find_element(By.CSS_SELECTOR, "#trial .main").click()
        shown(driver, "document.querySelector('#outcome .main')")
        run(driver, "document.getElementById('try').scrollIntoView({behavior: 'instant'})")
        time.sleep(1)
        screen(driver, PICTURES / "plan.png")


async def main() -> None:
    """Serve the month and look at it."""
    if not (CHROMIUM and DRIVER):
        raise SystemExit("pictures of the dashboard need chromium and chromedriver: install both, then run this again")
    environ = {KEYS[one.model.partition(":")[0]][0]: "a-key-for-pictures" for one in SHARES} | {"ALICE": TOKEN}
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), environ, CONFIG) as there:
            for attempt in a_month(time.time()):
                await there.app.ledger.settle(None, attempt)
            await anyio.to_thread.run_sync(take, there.url)
    for path in sorted(PICTURES.glob("*.png")):
        print(path)


if __name__ == "__main__":
    anyio.run(main)
