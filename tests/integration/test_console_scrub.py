"""The preview of WebVTT jobs in a real browser, and the lint of their tracks: in folders and in a store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from sqlalchemy import URL

import chromium
from axe import demand_axe, findings
from console_client import Visitor, visiting
from hover import number_at, number_over
from object_store import ObjectStore
from oss_server import OssServer
from service_client import DEADLINE_S, Service, service
from stillframe.testing import Clip, videos
from tcp_proxy import tcp_proxy

FILM_S = 60
#: two sheets, whose seam is at 30 s
GRID = {"Columns": 6, "Lines": 5}
BAR, PREVIEW = ".plyr__progress", ".plyr__preview-thumb__image-container"
#: inside both sheets, and on both sides of the seam
TIMES_S = (2.4, 29.4, 30.4, 57.4)
#: of the page and what it has loaded: neither what others have written, nor what jobs have
MOST_BYTES = 150_000
OWN_BYTES = """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .filter((one) => one.name.includes("/console/") && !/[/](htmx|plyr)[.]/.test(one.name))
  .reduce((sum, one) => sum + one.decodedBodySize, 0)"""


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
    """A page for somebody who is logged in; nothing was wrong with it in the end."""
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
        context.add_cookies(logged_in(running))
        page.goto(f"http://127.0.0.1:{running.port}/console{path}")
        yield page
    assert complains or complaints == []


def logged_in(running: Service) -> Any:
    """The cookies of somebody who is."""
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        cookies = dict(found.http.cookies)
    url = f"http://127.0.0.1:{running.port}/console"
    return [{"name": name, "value": value, "url": url} for name, value in cookies.items()]


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


def demand_tiles(page: Page, film: Clip, length_s: int) -> None:
    """The tiles can be scrubbed by a pointer and by keys, and a screen reader is told where it is."""
    picture, slider = page.locator(".tile"), page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", f"0:00, tile 1 of {length_s}")
    for second in (7, 2, length_s - 1):
        want = film.number_at(second * 1000)
        assert (
            eventually(lambda at=second: number_over(page, ".tile", ".tile", (at + 0.5) / length_s), want)
            == want
        )  # type: ignore[misc]
    box, want = picture.bounding_box(), film.number_at(5000)
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 5.5 / length_s, box["y"] + 20)
    assert eventually(lambda: number_at(page, picture), want) == want
    slider.focus()
    page.keyboard.press("Home")
    for key, second in (
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
        ("PageUp", 11),
        ("Home", 0),
        ("End", 11),
    ):
        page.keyboard.press(key)
        assert eventually(lambda: number_at(page, picture), film.number_at(second * 1000)) == film.number_at(
            second * 1000
        )
        expect(slider).to_have_attribute("aria-valuetext", f"0:{second:02}, tile {second + 1} of {length_s}")


def test_the_player_shows_the_cell_of_the_moment(
    browser: Browser, running: Service, film: Clip, tracked: str
) -> None:
    with opened(browser, running, f"/jobs/{tracked}") as page:
        demand_thumbnails(page, film)
        expect(page.get_by_text("Every player we know reads it.")).to_be_visible()
        expect(page.get_by_text("60 cues and 2 pictures")).to_be_visible()
        assert page.evaluate(OWN_BYTES) < MOST_BYTES
        # what changes on the page leaves the player alone, and asks for no other check
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.evaluate("document.querySelector('.plyr').isThis = true")
        page.evaluate("htmx.trigger(document.querySelector('[data-live]'), 'changed')")
        page.evaluate("document.querySelector('h1').remove()")
        page.locator("h1").wait_for()
        assert page.evaluate("document.querySelector('.plyr').isThis")
        demand_thumbnails(page, film)
        assert [url for url in asked if url.endswith("/check")] == []


def test_the_player_where_the_server_has_another_address(
    browser: Browser, running: Service, film: Clip, tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tcp_proxy(("127.0.0.1", running.port)) as proxy:
        monkeypatch.setattr(running.assembly, "public_url", f"http://127.0.0.1:{proxy.port}")
        with opened(browser, running, f"/jobs/{tracked}") as page:
            demand_thumbnails(page, film)
            assert page.locator("video").get_attribute("src").startswith(f"http://127.0.0.1:{proxy.port}/")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["oss", pytest.param("s3", marks=pytest.mark.full)])
def test_the_player_comes_when_the_job_ends_with_all_in_a_store(
    request: pytest.FixtureRequest,
    browser: Browser,
    running: Service,
    visitor: Visitor,
    film: Clip,
    kind: str,
) -> None:
    store: ObjectStore | OssServer = request.getfixturevalue("oss" if kind == "oss" else "object_store")
    bucket = running.assembly.buckets.add(
        f"in-{kind}", running.account_id, store.make_bucket("scrub"), "cn-shanghai"
    )
    bucket.open().write("movie.mp4", film.path.read_bytes(), "video/mp4")
    # a list without any of its pictures is ready for those that arrive
    assert store.endpoint in visitor.get("/jobs").headers["Content-Security-Policy"]
    (pipeline,) = running.assembly.pipelines.all_of_account(running.account_id)
    control = {"PipelineId": pipeline.pipeline_id, "Name": "default"}
    running.client.call("UpdatePipeline", **control, Status="Paused")
    job_id = running.client.submit(
        f"oss://in-{kind}/movie.mp4",
        f"oss://in-{kind}/t/movie.vtt",
        "S00000002-000031",
        Interval=1,
        Width=96,
        FrameType="normal",
        SpriteSnapshotConfig=GRID,
    )
    # so is the page of a job that has none yet, and whose video is elsewhere
    stills = running.client.submit("oss://local/movie.mp4", f"oss://in-{kind}/{{Count}}.jpg")
    assert store.endpoint in visitor.get(f"/jobs/{stills}").headers["Content-Security-Policy"]
    with opened(browser, running, f"/jobs/{job_id}") as page:
        expect(page.get_by_role("progressbar")).to_be_visible()
        assert page.locator("video").count() == 0
        running.client.call("UpdatePipeline", **control, Status="Active")
        page.locator(".plyr__progress").wait_for()
        demand_thumbnails(page, film)
        assert page.locator("video").get_attribute("src").startswith(store.endpoint)  # type: ignore[union-attr]
        expect(page.get_by_text("60 cues and 2 pictures")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("short.avi", {}),
        pytest.param(
            "short.mp4", {"audio": "aac"}, id="only its sound can be played", marks=pytest.mark.full
        ),
    ],
)
def test_a_video_that_the_browser_cannot_play_scrubs_its_tiles(
    browser: Browser, running: Service, name: str, more: dict[str, str]
) -> None:
    film = videos.make(
        running.folder / name,
        codec="mpeg4",
        frames=60,
        fps=5,
        gop=5,
        width=384,
        height=216,
        **more,  # type: ignore[arg-type]
    )
    job_id = track_of(running, f"oss://local/{name}", f"oss://local/short/{name}.vtt")
    with opened(browser, running, f"/jobs/{job_id}", has_touch=True) as page:
        expect(page.get_by_text("This browser cannot play the video.")).to_be_visible()
        assert page.locator(".plyr").count() == 0
        demand_tiles(page, film, 12)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_tiles_are_scrubbed_where_the_player_does_not_load(
    browser: Browser, running: Service, film: Clip, tracked: str
) -> None:
    with opened(browser, running, "/jobs", complains=True) as page:
        page.route("**/plyr.min.*", lambda route: route.abort())
        page.goto(f"http://127.0.0.1:{running.port}/console/jobs/{tracked}")
        expect(page.get_by_text("The player could not be loaded.")).to_be_visible()
        want = film.number_at(30_000)
        assert eventually(lambda: number_over(page, ".tile", ".tile", 30.5 / FILM_S), want) == want


def test_the_preview_is_for_everybody(browser: Browser, running: Service, film: Clip, tracked: str) -> None:
    demand_axe()
    for look in (
        {"color_scheme": "light"},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
    ):
        with opened(browser, running, f"/jobs/{tracked}", **look) as page:
            page.locator(".plyr__progress").wait_for()
            page.get_by_text("Tile by tile").click()
            page.locator(".tile[data-shown]").wait_for()
            expect(page.get_by_text("Every player we know reads it.")).to_be_visible()
            assert findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_track_that_was_damaged_in_the_bucket_is_told_on_the_page(
    browser: Browser, running: Service, film: Clip
) -> None:
    demand_axe()
    job_id = track_of(running, "oss://local/movie.mp4", "oss://local/damaged/movie.vtt")
    track = running.folder / "damaged" / "movie.vtt"
    track.write_text(track.read_text().replace("00:00:20.000 -->", "00:00:21.000 -->"))
    with opened(browser, running, f"/jobs/{job_id}") as page:
        told = page.get_by_role("article", name="warning: gap")
        expect(told).to_contain_text("cue 21 at 0:21: nothing is shown between 00:00:20.000 and 00:00:21.000")
        expect(page.get_by_text("somebody has changed it in the bucket since.")).to_be_visible()
        assert findings(page) == []


def test_without_scripts_there_are_the_video_the_track_and_its_check(visitor: Visitor, tracked: str) -> None:
    page = visitor.get(f"/jobs/{tracked}").text
    assert re.search(r'<video src="[^"]+/files/[^"]+/movie.mp4"[^>]* controls', page)
    assert re.search(r'<a href="[^"]+/tracks/[^"]+/movie.vtt">WebVTT</a>', page)
    assert f'<a href="/console/jobs/{tracked}/check">' in page
    check = visitor.get(f"/jobs/{tracked}/check").text
    assert "Every player we know reads it." in check
    assert "<html" in check


def test_jobs_of_sheets_have_a_cell_for_their_cover_and_no_preview(
    browser: Browser, running: Service, visitor: Visitor, film: Clip
) -> None:
    job_id = running.client.submit(
        "oss://local/movie.mp4",
        "oss://local/s/{TileCount}.jpg",
        "S00000002-000021",
        Time=7000,
        Interval=1,
        Count=50,
        Quality=100,
        Width=200,
        SpriteSnapshotConfig={"Columns": 7, "Lines": 8, "Padding": 13, "Margin": 40, "Color": "white"},
    )
    running.client.succeeded(job_id)
    # such a sheet is no still that a list has room for
    assert (running.folder / "s" / "00001.jpg").stat().st_size > 200_000
    with opened(browser, running, "/jobs") as page:
        cover = page.locator(f"[id^=cover-{job_id}]")
        want = film.number_at(7000)
        assert eventually(lambda: number_at(page, cover), want) == want
    text = visitor.get(f"/jobs/{job_id}").text
    for none in ("<video", "Track check", "plyr", "Tile by tile"):
        assert none not in text
    for path in ("tiles", "check"):
        assert visitor.get(f"/jobs/{job_id}/{path}").status_code == 404
