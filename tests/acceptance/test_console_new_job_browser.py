"""New job in a real browser: the numbers change, and so do the moments and their pictures; then the job is made.

A phone, and a browser without scripts, are left to `make test-all`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect
from the_server import Server, serving

from axe import demand_axe, findings
from chromium import DEADLINE_S, browser
from stillframe.testing import videos

MS = DEADLINE_S * 1000
JOB = re.compile(r".*/console/jobs/[0-9a-f]{32}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served") / "data") as started:
        videos.make(started.bucket / "movie.mp4", frames=200, fps=5, gop=5)
        yield started


def logged_in(page: Page, server: Server, complaints: list[str]) -> None:
    page.set_default_timeout(MS)
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{server.url}/console/login")
    page.get_by_label("AccessKeyId").fill(server.key[0])
    page.get_by_label("AccessKeySecret").fill(server.key[1])
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/jobs")


def test_numbers_show_their_moments_and_the_job_is_made(chromium: Browser, server: Server) -> None:
    demand_axe()
    complaints: list[str] = []
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        logged_in(page, server, complaints)
        page.get_by_role("link", name="New job").first.click()
        found = findings(page)
        page.get_by_label("Name of the video in it").fill("movie.mp4")
        page.get_by_role("button", name="Take it").click()
        cells, moments = page.locator("#strip svg"), page.locator(".moments li")
        expect(cells).to_have_count(10, timeout=MS)
        expect(moments).to_have_count(10)
        page.evaluate("window.stillHere = true")

        # typed, as people do: the fields keep what is being written, and the keyboard's place
        count = page.get_by_label("How many")
        count.fill("")
        count.press_sequentially("6")
        expect(cells).to_have_count(6, timeout=MS)
        expect(moments).to_have_count(6)
        expect(page.get_by_role("status").filter(has_text="6 pictures of 192 × 108 px")).to_be_visible()
        expect(count).to_be_focused()
        drawn = "all => Promise.all(all.map(one => fetch(one.href.baseVal).then(got => got.status)))"
        assert page.locator("#strip image").evaluate_all(drawn) == [200] * 6
        found += findings(page)

        count.fill("0")
        expect(page.locator("#about-Count")).to_contain_text("0 is not right", timeout=MS)
        expect(moments).to_have_count(0)
        expect(count).to_have_attribute("aria-invalid", "true")
        count.fill("4")
        expect(cells).to_have_count(4, timeout=MS)
        expect(page.locator("#about-Count")).not_to_contain_text("not right")
        expect(count).not_to_have_attribute("aria-invalid", "true")

        page.get_by_label("Type").select_option("Sprite")
        expect(page.get_by_label("Names of the files")).to_have_value("movie-sheets/{TileCount}.jpg")
        page.get_by_label("Type").select_option("Normal")
        expect(page.get_by_label("Names of the files")).to_have_value("movie-stills/{Count}.jpg")
        assert page.evaluate("window.stillHere")

        page.get_by_label("Template").select_option(label="Sheet of 100 cells, of keyframes")
        expect(page.get_by_label("How many")).to_have_value("100")
        expect(moments).to_have_count(100, timeout=MS)
        assert page.evaluate("window.stillHere")
        page.get_by_label("How many").fill("8")
        expect(cells).to_have_count(8, timeout=MS)

        page.get_by_role("button", name="Submit the job").dblclick()
        page.wait_for_url(JOB)
        page.evaluate("window.stillHere = true")
        expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=MS)
        expect(page.locator("figure img")).to_have_count(1)
        expect(page.get_by_text("Console", exact=True)).to_be_visible()
        assert page.evaluate("window.stillHere")
        page.get_by_role("link", name="Jobs", exact=True).first.click()
        expect(page.locator("tbody tr")).to_have_count(1)
        assert found == []
    assert complaints == []


def test_a_refused_form_leads_to_its_first_wrong_field(chromium: Browser, server: Server) -> None:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        logged_in(page, server, [])
        page.goto(f"{server.url}/console/pipelines/new")
        page.get_by_label("Name").fill("night")
        page.get_by_label("Priority").fill("11")
        page.get_by_label("Jobs at once").fill("many")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("alert")).to_have_text("2 fields are not right: Priority, Jobs at once")
        expect(page.get_by_label("Priority")).to_be_focused()
        page.get_by_role("link", name="Jobs at once").click()
        expect(page.get_by_label("Jobs at once")).to_be_in_viewport()


@pytest.mark.full
def test_a_phone_in_the_dark(chromium: Browser, server: Server) -> None:
    demand_axe()
    complaints: list[str] = []
    dark = {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}}
    with closing(chromium.new_context(**dark)) as context:
        page = context.new_page()
        logged_in(page, server, complaints)
        found = []
        for path in (
            "",
            "?bucket=local&key=none.mp4",
            "?bucket=local&key=movie.mp4&template=S00000002-000030",
        ):
            page.goto(f"{server.url}/console/jobs/new{path}")
            page.wait_for_load_state("networkidle")
            found += findings(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert found == []
    # a page that is not there is an answer like any other, but for the browser
    assert all("404" in each for each in complaints)


@pytest.mark.full
def test_without_scripts(chromium: Browser, server: Server) -> None:
    with closing(chromium.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        logged_in(page, server, [])
        page.goto(f"{server.url}/console/jobs/new?bucket=local&key=movie.mp4")
        page.get_by_label("How many").fill("3")
        page.get_by_role("button", name="Show the moments").click()
        expect(page.locator(".moments li")).to_have_count(3)
        expect(page.locator("#strip svg")).to_have_count(3)
        expect(page.get_by_label("How many")).to_have_value("3")
        page.get_by_role("button", name="Submit the job").click()
        page.wait_for_url(JOB)
        expect(page.get_by_role("status")).to_contain_text("The job is submitted.")
