"""The console in a real browser, with a server of its own: from the printed link to the end of a job."""

from __future__ import annotations

import shutil
import time
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
    expect.set_options(timeout=DEADLINE_S * 1000)
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


def until_loaded(page: Page) -> None:
    """Wait until all pictures are there; the page's policy lets no text be a function, which waiting for one needs."""
    deadline = time.monotonic() + DEADLINE_S
    while not page.evaluate("[...document.images].every(one => one.naturalWidth > 0)"):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


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
        expect(row).to_be_visible()
        assert page.evaluate("window.stillHere")

        row.click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        page.evaluate("window.stillHere = true")
        let_go()
        expect(page.get_by_text("Success", exact=True)).to_be_visible()
        pictures = page.locator("figure img")
        expect(pictures).to_have_count(5)
        until_loaded(page)
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
    media_id = client.call("RegisterMediaInfo", InputURL="oss://local/movie.mp4", Overwrite=True)["MediaId"]
    with opened(chromium, server, **look) as seen:
        page = seen.page
        page.goto(f"{server.url}/console/login")
        found = findings(page)
        page.get_by_label("AccessKeyId").fill(server.key[0])
        page.get_by_label("AccessKeySecret").fill(server.key[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/jobs")
        media = ("/media", "/media/new", f"/media/{media_id}", f"/media/{media_id}/edit")
        tried = ("/try", "/try/SubmitSnapshotJob?example=true")
        for path in ("/jobs", f"/jobs/{sheet}", f"/jobs/{failed}", *media, *tried):
            page.goto(f"{server.url}/console{path}")
            found += findings(page)
            # nothing is cut off, and nobody must push the page aside
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            if path.endswith(failed):
                expect(page.get_by_role("main")).to_contain_text(
                    "Time 90000000 ms lies behind the end of the video"
                )
        assert found == []


def test_an_action_is_tried_without_a_reload(chromium: Browser, server: Server, client: Client) -> None:
    with opened(chromium, server) as seen:
        page = seen.page
        page.goto(f"{server.url}/console/login")
        page.get_by_label("AccessKeyId").fill(server.key[0])
        page.get_by_label("AccessKeySecret").fill(server.key[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/jobs")
        page.get_by_role("link", name="Try it").click()
        page.get_by_label("Name or what it does has").press_sequentially("jobs page")
        expect(page.locator("#actions li")).to_have_count(2)
        seen.bytes = 0
        page.get_by_role("link", name="ListSnapshotJobs").click()
        page.wait_for_url("**/try/ListSnapshotJobs")
        assert seen.bytes < MOST_BYTES
        page.evaluate("window.stillHere = true")

        page.get_by_label("PageSize").fill("0")
        page.get_by_label("PageSize").press("Enter")
        expect(page.locator("#told")).to_contain_text("400 Bad Request")
        expect(page.locator("#about-p\\.PageSize")).to_contain_text("a whole number from 1 to 100")
        page.get_by_label("PageSize").fill("7")
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#told")).to_contain_text("200 OK")
        expect(page.locator("#about-p\\.PageSize")).to_contain_text("Jobs on a page.")
        expect(page.locator("#answer pre")).to_contain_text('"Jobs": [')
        expect(page.get_by_label("Command", exact=True)).to_contain_text("PageSize=7")
        page.get_by_text("curl", exact=True).click()
        expect(page.get_by_label("curl", exact=True)).to_contain_text("x-acs-action:ListSnapshotJobs")
        assert page.evaluate("window.stillHere")

        # what removes something asks first, and a no is a no
        pipeline_id = client.call("CreatePipeline", Name="to go", Speed="Standard")["Pipeline"]["PipelineId"]
        page.goto(f"{server.url}/console/try/DeletePipeline?PipelineId={pipeline_id}")
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#told")).to_have_text("Not run yet.")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#told")).to_contain_text("200 OK")
        assert pipeline_id not in str(client.call("ListPipelines"))


def test_an_object_becomes_an_asset_before_ones_eyes(
    chromium: Browser, server: Server, client: Client, film: Clip
) -> None:
    shutil.copy(film.path, server.bucket / "registered.mp4")
    with opened(chromium, server) as seen, held(client) as let_go:
        page = seen.page
        page.goto(f"{server.url}/console/login")
        page.get_by_label("AccessKeyId").fill(server.key[0])
        page.get_by_label("AccessKeySecret").fill(server.key[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/jobs")
        page.get_by_role("link", name="Media assets").click()
        page.get_by_role("link", name="Register an object").first.click()
        page.get_by_label("Object", exact=True).fill("registered.mp4")
        page.get_by_role("button", name="Register").click()
        expect(page.get_by_role("status")).to_contain_text("The object is registered")
        page.evaluate("window.stillHere = true")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Ready")
        let_go()
        expect(page.get_by_alt_text("Cover")).to_be_visible()
        expect(page.get_by_alt_text("Sheet 1")).to_be_visible()
        until_loaded(page)
        assert page.evaluate("window.stillHere")
