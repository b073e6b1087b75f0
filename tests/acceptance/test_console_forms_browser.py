"""Templates and pipelines in a real browser: a sheet that follows its numbers, and a pipeline that is paused."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from test_console_browser import MOST_BYTES, chromium, client, opened, server
from the_server import Server

from axe import demand_axe, findings
from chromium import DEADLINE_S
from stillframe.ims.client import Client
from stillframe.media.config import SnapshotConfig, SpriteSnapshotConfig
from stillframe.media.geometry import sheet_geometry

__all__ = ["chromium", "client", "server"]
WAIT_MS = DEADLINE_S * 1000


def log_in(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/console/login")
    page.get_by_label("AccessKeyId").fill(server.key[0])
    page.get_by_label("AccessKeySecret").fill(server.key[1])
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/jobs")


def demand_drawn(page: Page, grid: SpriteSnapshotConfig, width: int | None, height: int) -> None:
    """The drawing becomes what the product would make of a video of 1920 pixels and so many lines."""
    wanted = sheet_geometry(
        SnapshotConfig(type="Sprite", width=width, sprite_snapshot_config=grid), 1920, height
    )
    svg = page.locator("#drawing figure.sheet svg")
    expect(svg).to_have_attribute("viewBox", f"0 0 {wanted.width_px} {wanted.height_px}", timeout=WAIT_MS)
    names = ("x", "y", "width", "height")
    drawn = svg.locator("rect.cell, rect.empty").evaluate_all(
        "(cells, names) => cells.map(cell => names.map(name => Number(cell.getAttribute(name))))", names
    )
    assert drawn == [[*wanted.cell(number)] for number in range(wanted.cells)]
    # to scale: as wide to its height on the screen as the sheet is
    box = svg.locator("rect.ground").bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(wanted.width_px / wanted.height_px, rel=0.05)


def test_a_sheet_follows_its_numbers_without_a_reload(
    chromium: Browser, server: Server, client: Client
) -> None:
    with opened(chromium, server) as seen:
        page = seen.page
        log_in(page, server)
        page.get_by_role("link", name="Templates").click()
        page.get_by_role("link", name="New template").click()
        page.evaluate("window.stillHere = true")
        demand_drawn(page, SpriteSnapshotConfig(columns=5, lines=5), 160, 1080)

        page.get_by_label("Columns", exact=True).fill("7")
        page.get_by_label("Padding").fill("12")
        demand_drawn(page, SpriteSnapshotConfig(columns=7, lines=5, padding=12), 160, 1080)
        page.get_by_label("Its height").fill("800")
        page.get_by_label("Margin").fill("30")
        page.get_by_label("Cell width").fill("200")
        grid = SpriteSnapshotConfig(columns=7, lines=5, padding=12, margin=30, cell_width=200)
        demand_drawn(page, grid, 160, 800)

        width = page.get_by_label("Width (px)", exact=True)
        width.fill("7")
        expect(page.get_by_text("7 is not right. It must be a whole number from 8 to 4096.")).to_be_visible()
        expect(width).to_be_focused()
        width.fill("320")
        expect(page.get_by_text("is not right")).to_have_count(0)
        # what a kind of pictures has not is not asked for
        page.get_by_label("Type").select_option("Normal")
        expect(page.get_by_label("Columns", exact=True)).to_be_hidden()
        expect(page.locator("#drawing figure.sheet")).to_have_count(0)
        page.get_by_label("Type").select_option("Sprite")
        demand_drawn(page, grid, 320, 800)
        assert page.evaluate("window.stillHere")

        page.get_by_label("Name").fill("made in a browser")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("status")).to_contain_text("The template is stored.")
        found = client.call("ListCustomTemplates", Type=2, Name="made in a browser")["CustomTemplateList"][0]
        assert '"CellWidth":200' in found["TemplateConfig"]


def test_a_pipeline_is_paused_and_resumed_without_a_reload(
    chromium: Browser, server: Server, client: Client
) -> None:
    pipeline_id = client.call("CreatePipeline", Name="in a browser", Speed="Standard")["Pipeline"][
        "PipelineId"
    ]
    with opened(chromium, server) as seen:
        page = seen.page
        log_in(page, server)
        page.get_by_role("link", name="Pipelines").click()
        page.evaluate("window.stillHere = true")
        row = page.get_by_role("row").filter(has_text="in a browser")
        row.get_by_role("button", name="Pause").click()
        expect(row.get_by_text("Paused")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_role("status")).to_contain_text("in a browser is paused.")
        expect(row.get_by_role("button", name="Resume")).to_be_focused()

        jobs = [
            client.call(
                "SubmitSnapshotJob",
                Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
                Output={"Type": "OSS", "Media": f"oss://local/paused/{number}.jpg"},
                TemplateConfig={"TemplateId": "S00000002-000010"},
                ScheduleConfig={"PipelineId": pipeline_id},
            )["JobId"]
            for number in range(3)
        ]
        waiting = row.locator("[data-label=Waiting]")
        expect(waiting).to_have_text("3", timeout=WAIT_MS)
        # jobs elsewhere are not held up by it: these would have been done by now, too
        other = client.call(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
            Output={"Type": "OSS", "Media": "oss://local/paused/other.jpg"},
            TemplateConfig={"TemplateId": "S00000002-000010"},
        )["JobId"]
        assert client.wait(other, lambda _: None)["Status"] == "Success"
        assert [_status(client, job_id) for job_id in jobs] == ["Init"] * 3
        expect(waiting).to_have_text("3")

        row.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("status")).to_contain_text("3 jobs had been held up.")
        expect(row.get_by_text("Active")).to_be_visible()
        expect(waiting).to_have_text("0", timeout=WAIT_MS)
        for job_id in jobs:
            assert client.wait(job_id, lambda _: None)["Status"] == "Success"
        assert page.evaluate("window.stillHere")


def _status(client: Client, job_id: str) -> Any:
    return client.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"]


LOOKS = {
    "light": {"color_scheme": "light"},
    "dark, on a phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
}
PAGES = (
    "/templates",
    "/templates/{template}",
    "/templates/{template}/edit",
    "/templates/new?copy=S00000002-000030",
    "/pipelines",
    "/pipelines/{pipeline}",
    "/pipelines/{pipeline}/edit",
)


@pytest.mark.parametrize(
    ("look", "first"),
    [
        # each page in one of both, and in `make test-all` in the other one, too
        ("light", 0),
        ("dark, on a phone", 1),
        pytest.param("light", 1, marks=pytest.mark.full),
        pytest.param("dark, on a phone", 0, marks=pytest.mark.full),
    ],
)
def test_the_pages_are_for_everybody(
    chromium: Browser, server: Server, client: Client, look: str, first: int
) -> None:
    demand_axe()
    config = '{"SpriteSnapshotConfig":{"Columns":12,"Lines":12}}'
    made = client.call("CreateCustomTemplate", Name="twelve", Type=2, Subtype=2, TemplateConfig=config)
    template_id = made["CustomTemplate"]["TemplateId"]
    pipeline_id = client.call("CreatePipeline", Name="night shift", Speed="Standard")["Pipeline"][
        "PipelineId"
    ]
    client.call("UpdatePipeline", PipelineId=pipeline_id, Status="Paused", ActiveHours="22:00-06:00")
    with opened(chromium, server, **LOOKS[look]) as seen:
        page = seen.page
        log_in(page, server)
        found = []
        for path in PAGES[first::2]:
            seen.bytes = 0
            page.goto(f"{server.url}/console{path.format(template=template_id, pipeline=pipeline_id)}")
            assert seen.bytes < MOST_BYTES
            if path == "/templates/{template}/edit":
                # with something wrong, too, and as JSON
                page.get_by_label("How many").fill("0")
                expect(page.locator(".error")).to_have_count(1)
                found += findings(page)
                page.get_by_role("button", name="Edit as JSON").click()
                expect(page.get_by_label("Config, as JSON")).to_be_visible()
            found += findings(page)
            # nothing is cut off, and nobody must push the page aside
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert found == []
