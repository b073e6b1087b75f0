"""Chromium (Debian's package) for the tests that need a real browser, driven by Playwright.

with browser() as chromium:
    page = chromium.new_context().new_page()

Where it is not installed those tests are skipped and say so. With `CI_CHROMIUM=required` they fail instead: a run in
which nothing was proven is not to be green.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

DEADLINE_S = 60
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # nothing outside of this machine is found
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    if PROGRAM is None:
        left_out("chromium is not installed (apt-get install chromium)")
    # its own sandbox refuses root; it opens nothing but our pages
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*_FLAGS]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PROGRAM, headless=True, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()


def left_out(reason: str) -> None:
    """Skip the test, or fail it where the browser must be there."""
    if os.environ.get("CI_CHROMIUM") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
