"""A headless Chromium with one page open, and what a person does on it."""

import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
WAIT = 20  # seconds for what takes a moment


def require_browser() -> None:
    """Skip the test where there is no Chromium to drive."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    pytest.importorskip("selenium", reason="needs selenium: pip install 'mixnn[test]'")


class Page:
    """One report in a browser."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads

    def open(self, file: Path) -> None:
        self.driver.get(file.resolve().as_uri())
        self.wait(lambda: self.driver.execute_script("return document.readyState") == "complete")

    def wait(self, done: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT
        while not done():
            assert time.monotonic() < end, "the page did not do it"
            time.sleep(0.02)

    def js(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector))

    def click(self, selector: str) -> None:
        from selenium.webdriver.common.by import By

        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def keys(self, *keys: str) -> None:
        """Into whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def focus(self, selector: str) -> None:
        self.js("document.querySelector(arguments[0]).focus()", selector)

    def at(self) -> str:
        """The file name on the card that has the focus."""
        return str(self.js("return document.activeElement.querySelector('.name')?.textContent ?? ''"))

    def decisions(self) -> dict[str, str]:
        """File name -> decision in words, of the cards on the page."""
        script = (
            "return [...document.querySelectorAll('#cards article')].map(a => [a.querySelector('.name').textContent,"
        )
        return dict(self.js(f"{script} a.querySelector('.decision').textContent])"))

    def corrections(self) -> list[dict[str, str]]:
        """What "download corrections.csv" gives."""
        file = self.downloads / "corrections.csv"
        file.unlink(missing_ok=True)
        self.click("#download")
        self.wait(file.exists)
        return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8", "surrogateescape"), newline="")))

    def complaints(self) -> list[str]:
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses on a network that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if address.startswith(("http", "ws", "ftp"))]


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A fresh browser, whose downloads go into `folder`; no other program is fetched for it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    # In a container there is neither a sandbox nor much shared memory.
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "no-first-run",
        "window-size=1400,1000",
    ):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(folder), "download.prompt_for_download": False}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield Page(driver, folder)
    finally:
        driver.quit()
