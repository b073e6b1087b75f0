"""Make the documentation's pictures of the console anew, of a real server in Chromium.

    python scripts/make_screenshots.py docs/images [--only scrub]

The film is the one of `make demo`. Each picture is one function: it opens a page and does what is to be seen.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from demo import make_film
from stillframe.ims.client import Client

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_WIDE = {"viewport": {"width": 1120, "height": 800}}
_PHONE = {"viewport": {"width": 390, "height": 800}, "device_scale_factor": 2}
_DEADLINE_S = 60.0
_QUALITY = 85
TRACK, STILLS, SHEET = "S00000002-000030", "S00000002-000012", "S00000002-000020"


@dataclass(frozen=True, slots=True)
class Server:
    """A server with some jobs in it: their ids by what they make."""

    root: str
    bucket: Path
    link: Callable[[], str]
    jobs: Mapping[str, str]


def jobs(page: Page, server: Server) -> None:
    """The list."""
    page.goto(f"{server.root}/jobs")
    page.get_by_role("link", name="Cover pictures").wait_for()


def new_job(page: Page, server: Server) -> None:
    """Numbers, and the moments that they mean."""
    page.goto(f"{server.root}/jobs/new?bucket=local&key=hills.mp4&template={TRACK}")
    page.get_by_label("Distance (s)").fill("4")
    page.get_by_text("15 moments").wait_for()
    page.locator(".strip svg").nth(14).wait_for()


def scrub(page: Page, server: Server) -> None:
    """A thumbnail over the time bar."""
    page.goto(f"{server.root}/jobs/{server.jobs['track']}")
    bar = page.locator(".plyr__progress")
    bar.wait_for()
    page.evaluate("document.querySelector('video').currentTime = 42")
    box = bar.bounding_box()
    assert box is not None
    for nudge in (0, 1):
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2 + nudge)
    page.locator(".plyr__preview-thumb--is-shown img").first.wait_for()


def template(page: Page, server: Server) -> None:
    """A sheet drawn to scale."""
    page.goto(f"{server.root}/templates/new?copy={SHEET}")
    page.get_by_label("Columns").fill("6")
    page.get_by_label("Lines").fill("4")
    page.get_by_label("Padding (px)").fill("8")
    page.locator("figure.sheet .cell").nth(23).wait_for()


def sheet_on_a_phone(page: Page, server: Server) -> None:
    """A sheet with its grid."""
    page.goto(f"{server.root}/jobs/{server.jobs['sheet']}")
    page.locator("figure img, figure image").first.wait_for()


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file's name, what is on it, and how it is looked at."""

    name: str
    show: Callable[[Page, Server], None]
    options: Mapping[str, Any]


SHOTS = (
    Shot("jobs", jobs, _WIDE),
    Shot("new-job", new_job, _WIDE),
    Shot("scrub", scrub, _WIDE),
    Shot("template", template, _WIDE | {"color_scheme": "dark"}),
    Shot("sheet-phone", sheet_on_a_phone, _PHONE | {"color_scheme": "dark"}),
)


def main() -> None:
    """Make the pictures, and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=[shot.name for shot in SHOTS])
    options = parser.parse_args()
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("Chromium is not installed (apt-get install chromium)")
    flags = ["--disable-gpu", "--no-proxy-server"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with (
        tempfile.TemporaryDirectory(prefix="stillframe-shots-") as folder,
        _serving(Path(folder)) as server,
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=program, args=flags)) as chromium,
    ):
        for shot in SHOTS:
            if not options.only or shot.name in options.only:
                file = options.folder / f"console-{shot.name}.webp"
                file.write_bytes(_taken(chromium, server, shot))
                print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def _taken(chromium: Browser, server: Server, shot: Shot) -> bytes:
    with closing(chromium.new_context(**shot.options)) as context:
        page = context.new_page()
        page.set_default_timeout(_DEADLINE_S * 1000)
        page.goto(server.link())
        page.wait_for_url("**/console/jobs")
        shot.show(page, server)
        # pictures arrive and fade in
        time.sleep(1)
        # it would put a style into the page, which the page's policy forbids
        data = page.screenshot(caret="initial")
    picture = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(picture, "WEBP", quality=_QUALITY, method=6)
    return picture.getvalue()


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    data = folder / "data"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    command = [sys.executable, "-m", "stillframe"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--data-dir", str(data)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=clean,
        )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("bucket "):
                break
        url = re.search(r"API +(http://\S+)", said)
        key = re.search(r"AccessKeyId (\S+)\s+AccessKeySecret (\S+)", said)
        if url is None or key is None:
            sys.exit(said + (folder / "log").read_text())

        def link() -> str:
            printed = [*command, "console", "link", "--data-dir", str(data)]
            return subprocess.run(
                printed, check=True, stdout=subprocess.PIPE, text=True, env=clean
            ).stdout.strip()

        bucket = data / "buckets" / "local"
        make_film(bucket / "hills.mp4")
        with Client(url[1], key[1], key[2]) as client:
            yield Server(f"{url[1]}/console", bucket, link, _jobs(client))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _jobs(client: Client) -> Mapping[str, str]:
    """Jobs of all kinds, the last one first in the list."""

    def submit(name: str, media: str, template_id: str, **overwrite: Any) -> str:
        told = client.call(
            "SubmitSnapshotJob",
            Name=name,
            Input={"Type": "OSS", "Media": "oss://local/hills.mp4"},
            Output={"Type": "OSS", "Media": f"oss://local/{media}"},
            TemplateConfig={"TemplateId": template_id, "OverwriteParams": overwrite},
        )
        client.wait(str(told["JobId"]), lambda _: None)
        return str(told["JobId"])

    grid = {"Columns": 4, "Lines": 6}
    submit("Behind the end", "late/{Count}.jpg", "S00000002-000011", Time=3_600_000)
    submit("Large stills", "large/{Count}.jpg", STILLS, Count=8, Time=48_000, Interval=1)
    return {
        "sheet": submit(
            "A day at a glance", "day-{TileCount}.jpg", SHEET, Count=24, SpriteSnapshotConfig=grid
        ),
        "track": submit(
            "Preview for the player",
            "hills.vtt",
            TRACK,
            Interval=2,
            SpriteSnapshotConfig={"Columns": 6, "Lines": 5},
        ),
        "stills": submit("Cover pictures", "covers/{Count}.jpg", STILLS, Count=5, Width=320, Time=12_000),
    }


if __name__ == "__main__":
    main()
