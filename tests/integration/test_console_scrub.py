"""The preview of WebVTT jobs in a real browser, and the lint of their tracks: in folders and in a store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from sqlalchemy import URL

import chromium
from axe import demand_axe, findings
from console_client import Visitor, visiting
from hover import number_at, number_over
from object_store import ObjectStore
from service_client import DEADLINE_S, Service, service
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Grant
from stillframe.testing import Clip, videos
from tcp_proxy import tcp_proxy

FILM_S = 60
#: two sheets, whose seam is at 30 s
GRID = {"Columns": 6, "Lines": 5}
BAR, PREVIEW = ".plyr__progress", ".plyr__preview-thumb__image-container"
#: inside both sheets, and on both sides of the seam
TIMES_S = (2.4, 29.4, 30.4, 57.4)
MOST_BYTES = 150_000
ANEW = "Submit the same request again"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as found:
        yield found


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture(scope="module")
def film(running: Service) -> Clip:
    return videos.make(running.folder / "movie.mp4", frames=FILM_S * 5, fps=5, gop=5, width=384, height=216)


@pytest.fixture(scope="module")
def tracked(running: Service, film: Clip) -> str:
    return track_of(running, "oss://local/movie.mp4", "oss://local/thumbs/movie.vtt")


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


def track_of(running: Service, video: str, output: str, **more: Any) -> str:
    config = {"Interval": 1, "Width": 96, "FrameType": "normal", "SpriteSnapshotConfig": GRID} | more
    job_id = running.client.submit(video, output, "S00000002-000031", **config)
    running.client.succeeded(job_id)
    return job_id


@contextmanager
def opened(
    browser: Browser, running: Service, path: str, *, complains: bool = False, **options: Any
) -> Iterator[Page]:
    """A page for somebody who has just logged in; nothing was wrong with it in the end."""
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    options = {"viewport": {"width": 1100, "height": 900}} | options
    with closing(browser.new_context(**options)) as context:
        context.set_default_timeout(DEADLINE_S * 1000)
        page = context.new_page()
        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        link = running.assembly.login_link()
        assert link is not None
        page.goto(f"http://127.0.0.1:{running.port}/console/login#{link.partition('#')[2]}")
        page.wait_for_url("**/console/jobs")
        page.goto(f"http://127.0.0.1:{running.port}/console{path}")
        yield page
    assert complains or complaints == []


def eventually(look: Callable[[], object], want: object) -> object:
    """What it comes to, as soon as that is what is wanted; at the deadline, whatever it is."""
    deadline = time.monotonic() + DEADLINE_S
    while (found := look()) != want and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def demand_thumbnails(page: Page, film: Clip) -> None:
    """Plyr shows over its bar the cells of the moments, and the video can be played."""
    page.locator(".plyr__progress").wait_for()
    for time_s in TIMES_S:
        want = film.number_at(int(time_s) * 1000)
        found = eventually(lambda at=time_s: number_over(page, BAR, PREVIEW, at / FILM_S), want)  # type: ignore[misc]
        assert found == want, time_s
    assert page.evaluate("document.querySelector('video').videoWidth") == 384


def test_the_player_shows_the_cell_of_the_moment(
    browser: Browser, running: Service, film: Clip, tracked: str
) -> None:
    with opened(browser, running, f"/jobs/{tracked}") as page:
        demand_thumbnails(page, film)
        expect(page.get_by_text("Every player we know reads it.")).to_be_visible()
        expect(page.get_by_text("60 cues and 2 pictures")).to_be_visible()
