"""Chromium from Debian, driven by Playwright; it reaches nothing outside of this machine.

with chromium() as browser, watched_page(browser) as page:
    page.goto("http://127.0.0.1:8080/")

Where it is not installed those tests are skipped and say so. With `CI_CHROMIUM=required` they fail instead: a run in
which nothing was proven is not to be green.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: whatever comes at all comes by then, on any machine
DEADLINE_S = 60
LOOPBACK = "127.0.0.1"
_OPTIONS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {LOOPBACK}",
    "--no-proxy-server",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The process, with a new profile, until the end.

    While it lives no asyncio loop can be run in this thread: Playwright has its own there.
    """
    if PROGRAM is None:
        reason = "Chromium is not installed (apt-get install chromium)"
        if os.environ.get("CI_CHROMIUM") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # its own sandbox refuses root; it reads nothing but our pages
        sandbox = os.geteuid() != 0
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=_OPTIONS, chromium_sandbox=sandbox, timeout=DEADLINE_S * 1000
        )
        with closing(browser):
            yield browser


@contextmanager
def watched_page(browser: Browser, width_px: int = 900, height_px: int = 600) -> Iterator[Page]:
    """A page in a profile of its own, which fails in the end where something went wrong on it.

    That is a script that failed, a request that was to leave this machine, and what the page's policy has refused.
    """
    troubles: list[str] = []
    with closing(browser.new_context(viewport={"width": width_px, "height": height_px})) as context:
        context.set_default_timeout(DEADLINE_S * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.extend(strangers(request.url)))
        page.on("console", lambda said: troubles.extend(refusals(said)))
        try:
            yield page
        except Exception as error:
            error.add_note(f"on the page went wrong: {troubles}")
            raise
    assert not troubles, troubles


def strangers(url: str) -> list[str]:
    """The address, where it leads out of this machine."""
    parts = urlsplit(url)
    return [url] if parts.scheme not in ("blob", "data") and parts.hostname != LOOPBACK else []


def refusals(said: ConsoleMessage) -> list[str]:
    """What the browser says where a Content-Security-Policy keeps it from something."""
    return [said.text] if said.type == "error" and "Content Security Policy" in said.text else []
