"""Chromium reads a track from its signed link, on a page of another origin, and shows the cells that it names.

It is Debian's package (`chromium`); `pytest -m players tests/players` runs this where it is installed.
"""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from film_site import FilmSite
from playwright.sync_api import Browser, Page
from shown import number_in_cell
from sqlalchemy import URL
from watched import watched_page

from object_store import ObjectStore
from service_client import service
from stillframe.testing import videos

#: the browser's own parser reads the track
READ = """(src) => new Promise((resolve) => {
  const track = document.createElement("track");
  track.kind = "metadata"; track.src = src;
  track.onerror = () => resolve(null);
  track.onload = () => resolve([...track.track.cues].map((cue) => {
    const url = new URL(cue.text, src);
    const [x, y, width, height] = url.hash.match(/^#xywh=(\\d+),(\\d+),(\\d+),(\\d+)$/).slice(1).map(Number);
    return {start: cue.startTime, end: cue.endTime, url: url.href, x, y, width, height};
  }));
  document.querySelector("video").append(track);
  track.track.mode = "hidden";
})"""

pytestmark = pytest.mark.players


@pytest.fixture(params=["a folder", "a store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the bucket with the thumbnails lies."""
    if request.param == "a folder":
        (tmp_path / "thumbs").mkdir()
        return f"fs:{tmp_path / 'thumbs'}"
    store: ObjectStore = request.getfixturevalue("object_store")
    name = f"thumbs-{token_hex(4)}"
    made = store.make_bucket(name)
    store.let_pages_read(name)
    return made


@pytest.mark.parametrize("tiled", [True, False], ids=["tiles", "stills"])
def test_the_browser_shows_the_cells_of_a_signed_track(
    database_url: URL, tmp_path: Path, browser: Browser, site: FilmSite, place: str, tiled: bool
) -> None:
    with service(database_url, tmp_path / "data") as running, watched_page(browser) as page:
        film = videos.make(running.folder / "movie.mp4", frames=60, fps=5, gop=5)
        running.assembly.buckets.add("thumbs", running.account_id, place, "cn-shanghai")
        grid = {"Columns": 3, "Lines": 2}
        job_id = running.client.submit(
            "oss://local/movie.mp4",
            "oss://thumbs/my thumbs #1/ü.vtt",
            "S00000002-000031" if tiled else "S00000002-000032",
            Interval=1,
            Width=96,
            FrameType="normal",
            SpriteSnapshotConfig=grid,
        )
        running.client.succeeded(job_id)
        link = running.client.urls(job_id)["WebVTTUrl"]
        page.goto(site.page('<!doctype html><video crossorigin="anonymous"></video>'))
        cues = read(page, link)
        numbers = [number_in_cell(page, cue) for cue in cues or ()]
        wrong = read(page, link.replace("/tracks/", "/tracks/A"))
    assert cues is not None
    assert [(cue["start"], cue["end"]) for cue in cues] == [(k, k + 1) for k in range(12)]
    assert numbers == [film.number_at(k * 1000) for k in range(12)]
    assert wrong is None


def read(page: Page, link: str) -> list[dict[str, Any]] | None:
    """The cues of a track; None where it cannot be loaded."""
    cues: list[dict[str, Any]] | None = page.evaluate(READ, link)
    return cues
