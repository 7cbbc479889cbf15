"""The page in a real browser: Debian's chromium, driven over playwright, from disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WITHIN_S = 30.0
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def started() -> Iterator[Browser]:
    """Start the browser, and end it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """A page, and what happened on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)  # console messages and errors
    requests: list[str] = field(default_factory=list)

    def playing(self) -> list[str]:
        """Return the clips that play, as addresses."""
        script = """[...document.querySelectorAll('.thumb video')]
                    .filter(one => !one.paused && one.readyState > 2).map(one => one.currentSrc)"""
        found: list[str] = self.page.evaluate(script)
        return found

    def wait(self, condition: str, argument: Any = None) -> None:
        """Wait until a condition, in the page's own language, holds: its policy lets nobody wait inside."""
        end_s = time.monotonic() + WITHIN_S
        while not self.page.evaluate(condition, argument):
            assert time.monotonic() < end_s, f"it did not happen in time: {condition}"
            self.page.wait_for_timeout(30)

    def wait_playing(self, count: int) -> None:
        """Wait until so many clips of the grid play."""
        script = """count => [...document.querySelectorAll('.thumb video')]
                    .filter(one => !one.paused && one.currentTime > 0).length === count"""
        self.wait(script, count)

    def shown(self) -> int:
        """Return how many jobs the filters show."""
        return self.page.locator("#clips .clip:visible").count()


@contextmanager
def opened(browser: Browser, path: Path, *, before: str = "", hash_: str = "", **how: Any) -> Iterator[Seen]:
    """Open a page from disk; at the end it must have complained of nothing and asked nobody.

    `before`: a script that runs before the page's own. `how`: see playwright's `new_context`.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    try:
        if before:
            context.add_init_script(before)
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(path.as_uri() + hash_)
        seen.page.wait_for_selector("html[data-ready]", state="attached")
        yield seen
        assert seen.complaints == []
        assert [url for url in seen.requests if not url.startswith("file:///")] == []
    finally:
        context.close()
