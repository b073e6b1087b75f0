"""A page on which nothing goes wrong unseen.

with watched_page(browser) as page:
    page.goto("http://127.0.0.1:8080/")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page

from chromium import DEADLINE_S

LOOPBACK = "127.0.0.1"


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
