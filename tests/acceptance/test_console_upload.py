"""Buckets in a real browser: a file from the disk of the visitor to the link that makes a job of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from test_console_browser import MOST_BYTES, chromium, opened, server
from the_command import run
from the_server import Server

from axe import demand_axe, findings
from hover import number_over
from service_client import wait_for
from stillframe.testing import Clip

__all__ = ["chromium", "server"]

BAR, PREVIEW = ".plyr__progress", ".plyr__preview-thumb__image-container"


def log_in(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/console/login")
    page.get_by_label("AccessKeyId").fill(server.key[0])
    page.get_by_label("AccessKeySecret").fill(server.key[1])
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/jobs")


def choose(page: Page, file: Path, folder: str) -> None:
    page.get_by_label("Into the folder").fill(folder)
    page.get_by_label("File", exact=True).set_input_files(file)


def test_a_file_is_uploaded_with_its_progress_and_asked_about_before_it_is_replaced(
    chromium: Browser, server: Server, film: Clip, tmp_path: Path
) -> None:
    large = tmp_path / "größer & 100%.mp4"
    large.write_bytes(film.path.read_bytes())
    with large.open("r+b") as file:
        file.truncate(60 << 20)
    with opened(chromium, server) as seen:
        page = seen.page
        log_in(page, server)
        seen.bytes = 0
        page.goto(f"{server.url}/console/buckets/local")
        assert seen.bytes < MOST_BYTES
        page.get_by_text("Upload a file").click()
        progress = page.get_by_role("progressbar", name="Uploaded")
        expect(progress).to_be_hidden()

        # a line so slow that the bar is seen to move, and the upload given up
        slow = page.context.new_cdp_session(page)
        slow.send("Network.enable")
        line = {"offline": False, "latency": 0, "downloadThroughput": -1}
        slow.send("Network.emulateNetworkConditions", line | {"uploadThroughput": 4 << 20})
        choose(page, large, "up/loaded")
        page.get_by_role("button", name="Upload", exact=True).press("Enter")
        wait_for(lambda: progress.evaluate("bar => bar.value") > 4)
        page.get_by_role("button", name="Cancel").press("Enter")
        said = page.locator("form.upload").get_by_role("status")
        expect(said).to_have_text("Cancelled. Nothing of it was kept.")
        expect(progress).to_be_hidden()
        slow.send("Network.emulateNetworkConditions", line | {"uploadThroughput": -1})
        assert not (server.bucket / "up").exists()

        page.get_by_role("button", name="Upload", exact=True).press("Enter")
        link = said.get_by_role("link", name="New job")
        expect(link).to_be_focused()
        written = server.bucket / "up" / "loaded" / large.name
        assert written.stat().st_size == 60 << 20
        query = parse_qs(urlsplit(link.get_attribute("href")).query)
        assert query == {"bucket": ["local"], "key": [f"up/loaded/{large.name}"]}
        # the list beneath has it, too
        expect(page.get_by_role("link", name="up/")).to_be_visible()

        asked = []
        page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        choose(page, large, "up/loaded")
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()
        assert asked == [
            f"oss://local/up/loaded/{large.name} is there already, with {60 << 20:,} bytes. Replace it?"
        ]
        with large.open("r+b") as file:
            file.truncate(1 << 20)
        page.once("dialog", lambda dialog: dialog.accept())
        choose(page, large, "up/loaded")
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(link).to_be_focused()
        assert written.stat().st_size == 1 << 20
        said.get_by_role("link", name="Show its folder").click()
        expect(page.get_by_role("link", name=large.name)).to_be_visible()


def test_from_the_link_to_the_first_thumbnail_over_the_time_bar(
    chromium: Browser, server: Server, film: Clip, tmp_path: Path
) -> None:
    """What somebody does who has read nothing: eight actions, each of them one that is in sight."""
    link = run(["console", "link"], tmp_path, env=server.env).out.strip()
    own = shutil.copy(film.path, tmp_path / "my own.mp4")
    with opened(chromium, server, viewport={"width": 1100, "height": 900}) as seen:
        page = seen.page
        page.goto(link)
        page.get_by_role("main").get_by_role("link", name="New job").click()
        page.get_by_label("File", exact=True).set_input_files(own)
        page.get_by_role("button", name="Upload", exact=True).click()
        page.get_by_role("status").get_by_role("link", name="New job").click()
        page.get_by_label("Template").select_option("S00000002-000030")
        # its numbers are in the form, and its moments beside it
        expect(page.get_by_label("Names of the files")).to_have_value("my own.vtt")
        expect(page.get_by_text("3 moments on 1 sheet")).to_be_visible()
        page.get_by_role("button", name="Submit the job").click()
        expect(page.locator(BAR)).to_be_visible()
        # a cell every ten seconds of twenty-five: at the half, the second one is shown
        wait_for(lambda: number_over(page, BAR, PREVIEW, 0.5) == 50)


def test_what_went_wrong_with_a_file_is_told(chromium: Browser, server: Server, film: Clip) -> None:
    with opened(chromium, server) as seen:
        page = seen.page
        log_in(page, server)
        page.goto(f"{server.url}/console/buckets/local")
        page.get_by_text("Upload a file").click()
        said = page.locator("form.upload").get_by_role("status")
        choose(page, film.path, "a/../b")
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(said).to_contain_text("must be a key without empty, . and .. parts")
        seen.complaints.clear()

        def cut(route: Route) -> None:
            route.abort("connectionreset")

        page.route(
            "**/object?*", lambda route: cut(route) if route.request.method == "PUT" else route.continue_()
        )
        choose(page, film.path, "cut")
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(said).to_contain_text("The connection was lost before all of it was there.")
        assert page.get_by_role("button", name="Upload", exact=True).is_enabled()
        seen.complaints.clear()


@pytest.mark.parametrize(
    "look",
    [{"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}}],
    ids=["light", "dark, on a phone"],
)
def test_buckets_are_for_everybody(chromium: Browser, server: Server, look: dict[str, Any]) -> None:
    demand_axe()
    folder = server.bucket / "shown"
    folder.mkdir(exist_ok=True)
    (folder / f"{'a long name ' * 12}.mp4").touch()
    (folder / "x.jpg").touch()
    with opened(chromium, server, **look) as seen:
        page = seen.page
        log_in(page, server)
        found = []
        for path in ("", "/local", "/local?folder=shown", "/local?starts=none", "/local/settings"):
            page.goto(f"{server.url}/console/buckets{path}")
            for summary in page.locator("main details summary").all():
                summary.click()
            found += findings(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert found == []
