"""The console in a real browser, with a server of its own: from the printed link to the end of a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect
from the_server import Server, serving

from axe import demand_axe, findings
from chromium import DEADLINE_S, browser
from stillframe.ims.client import Client
from stillframe.testing import Clip

#: of our own: styles, scripts and the page itself, as they go over the line
MOST_BYTES = 150_000
VENDORED = ("/htmx.", "/plyr.")


@dataclass
class Seen:
    """What a page has done that it should not, and the bytes that it took."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    bytes: int = 0

    def hear(self) -> None:
        self.page.set_default_timeout(DEADLINE_S * 1000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:")):
            self.complaints.append(f"asks {request.url}")

    def _answered(self, response: Response) -> None:
        if "/console" in response.url and not any(name in response.url for name in VENDORED):
            self.bytes += int(response.headers.get("content-length", "0"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served") / "data") as started:
        shutil.copy(film.path, started.bucket / "movie.mp4")
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, *server.key) as found:
        yield found


@contextmanager
def opened(chromium: Browser, server: Server, **options: Any) -> Iterator[Seen]:
    """A page in a browser that nobody has used; in the end nothing was wrong with it."""
    with closing(chromium.new_context(**options)) as context:
        seen = Seen(context.new_page(), server.url)
        seen.hear()
        yield seen
        assert seen.complaints == []


@contextmanager
def held(client: Client) -> Iterator[Callable[[], object]]:
    """No job is begun until what this gives is called."""
    pipeline_id = client.call("ListPipelines")["PipelineList"][0]["PipelineId"]

    def set_status(status: str) -> None:
        client.call("UpdatePipeline", PipelineId=pipeline_id, Name="default", Status=status)

    set_status("Paused")
    try:
        yield lambda: set_status("Active")
    finally:
        set_status("Active")


def submit(client: Client, name: str, output: str, template: str, **overwrite: Any) -> str:
    job_id = client.call(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
        Output={"Type": "OSS", "Media": output},
        TemplateConfig={"TemplateId": template, "OverwriteParams": overwrite},
        Name=name,
    )["JobId"]
    assert isinstance(job_id, str)
    return job_id


def test_from_the_printed_link_to_the_end_of_a_job_without_a_reload(
    chromium: Browser, server: Server, client: Client
) -> None:
    with opened(chromium, server) as seen, held(client) as let_go:
        page = seen.page
        page.goto(server.link)
        page.wait_for_url("**/console/jobs")
        assert seen.bytes < MOST_BYTES
        page.evaluate("window.stillHere = true")

        submit(client, "watched", "oss://local/watched/{Count}.jpg", "S00000002-000012", Count=5)
        row = page.get_by_role("link", name="watched")
        expect(row).to_be_visible(timeout=DEADLINE_S * 1000)
        assert page.evaluate("window.stillHere")

        row.click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        page.evaluate("window.stillHere = true")
        let_go()
        expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=DEADLINE_S * 1000)
        pictures = page.locator("figure img")
        expect(pictures).to_have_count(5)
        page.wait_for_function(
            "[...document.querySelectorAll('figure img')].every(one => one.naturalWidth > 0)"
        )
        assert page.evaluate("window.stillHere")

        page.get_by_role("button", name="Copy").last.click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status")).to_contain_text("The job is deleted.")
        page.locator("details.who summary").click()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(f"{server.url}/console/jobs")
        assert "/login" in page.url


@pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
    ],
    ids=["light", "dark, on a phone"],
)
def test_the_pages_are_for_everybody(
    chromium: Browser, server: Server, client: Client, look: dict[str, Any]
) -> None:
    demand_axe()
    sheet = submit(client, "sheet", "oss://local/t/{TileCount}.jpg", "S00000002-000020", Count=12)
    failed = submit(client, "failed", "oss://local/f/{Count}.jpg", "S00000002-000011", Time=90_000_000)
    for job_id in (sheet, failed):
        client.wait(job_id, lambda _: None)
    with opened(chromium, server, **look) as seen:
        page = seen.page
        page.goto(f"{server.url}/console/login")
        found = findings(page)
        page.get_by_label("AccessKeyId").fill(server.key[0])
        page.get_by_label("AccessKeySecret").fill(server.key[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/jobs")
        for path in ("/jobs", f"/jobs/{sheet}", f"/jobs/{failed}"):
            page.goto(f"{server.url}/console{path}")
            found += findings(page)
            # nothing is cut off, and nobody must push the page aside
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert found == []
