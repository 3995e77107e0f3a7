"""A real browser without a window, which reaches nothing but this machine."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@contextmanager
def browser(*, width: int = 1280, height: int = 900, dark: bool = False) -> Generator[Chrome]:
    """Open one; `dark` is what its user prefers."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "hide-scrollbars",
    ):
        options.add_argument(f"--{argument}")
    driver = Chrome(options=options, service=Service(DRIVER))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield driver
    finally:
        driver.quit()


def shown(driver: Chrome, script: str, seconds: float = 10) -> Any:
    """Wait until a piece of JavaScript says something true, and return it."""
    return WebDriverWait(driver, seconds, poll_frequency=0.05).until(lambda one: one.execute_script(f"return {script}"))


def complaints(driver: Chrome) -> list[str]:
    """What the browser's console holds against the page."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def picture(driver: Chrome, path: Path) -> None:
    """Keep a picture of the whole page."""
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
    path.write_bytes(base64.b64decode(taken["data"]))


def screen(driver: Chrome, path: Path) -> None:
    """Keep a picture of what is on the screen."""
    driver.save_screenshot(str(path))


def run(driver: Chrome, script: str) -> None:
    """Run a piece of JavaScript."""
    driver.execute_script(script)


def text(driver: Chrome, selector: str) -> str:
    """What a part of the page says."""
    return driver.execute_script(f"return document.querySelector({json.dumps(selector)}).innerText")
