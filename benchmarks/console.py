"""The console's benchmark: after how long each page can be used, in Chromium with an empty cache.

python benchmarks/console.py [--rounds 5] [--only /jobs] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Response, sync_playwright

from measure import machine_busy_s
from page import write_between
from report import machine
from server_process import Served, serving
from stillframe.console.page import Page
from stillframe.console.registry import PAGES
from stillframe.ims.client import Client
from stillframe.testing import videos

BEGIN, END = "<!-- console table begins -->", "<!-- console table ends -->"
GOAL_S = 1.0
MOST_BYTES = 150_000
FORM = "/jobs/new?bucket=local&key=film.mp4"
#: jobs in the list, and stills of the job that is looked at
JOBS, STILLS = 40, 60
#: a line to a server that is not next door
LINE_MBIT, LINE_DELAY_MS = 10, 40
#: of a user and of a policy
NAME = "alice"
#: what other pages load
_PARTS = ("/tiles", "/check", "/object", "/may")
#: what is not ours: see the console's static/VENDORED.md
VENDORED = ("/htmx.", "/plyr.")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: the later of: all of our scripts have run; something is on the screen
_USABLE_MS = """() => new Promise(done => {
  const look = () => {
    const page = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd
    const paint = performance.getEntriesByName("first-contentful-paint")[0]
    page && paint ? done(Math.max(page, paint.startTime)) : setTimeout(look, 20)
  }
  look()
})"""


@dataclass(slots=True)
class Seen:
    """All loads of one page."""

    near_s: list[float] = field(default_factory=list)
    far_s: list[float] = field(default_factory=list)
    own_bytes: int = 0
    other_bytes: int = 0
    others: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print the table. Ends with 1 when a page takes more bytes than it may."""
    options = _options()
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("Chromium is not installed (apt-get install chromium)")
    command = [sys.executable, "-m", "stillframe"]
    with (
        tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder,
        serving(command, Path(folder) / "data") as server,
        sync_playwright() as playwright,
    ):
        paths = [path for path in _paths(_prepare(server)) if not options.only or path in options.only]
        flags = ["--disable-gpu", "--no-proxy-server"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
        with closing(playwright.chromium.launch(executable_path=program, args=flags)) as chromium:
            state = _log_in(chromium, server)
            results = {path: Seen() for path in paths}
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds} (load {os.getloadavg()[0]:.1f})", flush=True)
                for path, seen in results.items():
                    _load(chromium, state, server.url + "/console" + path, seen)
    table = _as_markdown(results, options.rounds)
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)
    sys.exit(0 if all(seen.own_bytes < MOST_BYTES for seen in results.values()) else 1)


def _prepare(server: Served) -> Mapping[str, str]:
    """A server as people have it after some work; what stands in the paths of its pages."""
    videos.make(server.bucket / "film.mp4", frames=1500, width=640, height=360, gop=25)
    with Client(server.url, *server.key) as client:

        def submit(template: str, media: str, **overwrite: Any) -> str:
            told = client.call(
                "SubmitSnapshotJob",
                Input={"Type": "OSS", "Media": "oss://local/film.mp4"},
                Output={"Type": "OSS", "Media": f"oss://local/{media}"},
                TemplateConfig={"TemplateId": template, "OverwriteParams": overwrite},
            )
            return str(told["JobId"])

        jobs = [
            submit("S00000002-000012", f"{number}/{{Count}}.jpg", Count=3, Width=160)
            for number in range(JOBS)
        ]
        jobs.append(submit("S00000002-000012", "many/{Count}.jpg", Count=STILLS, Width=320))
        for job_id in jobs:
            client.wait(job_id, lambda _: None)
        grid = '{"Width":160,"SpriteSnapshotConfig":{"Columns":12,"Lines":12}}'
        made = client.call("CreateCustomTemplate", Name="cells", Type=2, Subtype=2, TemplateConfig=grid)
        policy = server.data_dir / "policy.json"
        policy.write_text(
            '{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ice:*", "Resource": "*"}]}'
        )
        for words in (("user", "create", NAME), ("policy", "create", NAME, "--file", str(policy))):
            subprocess.run(
                [*server.command, *words, "--data-dir", str(server.data_dir)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        media_id = str(client.call("RegisterMediaInfo", InputURL="oss://local/film.mp4")["MediaId"])
        while not client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]:
            time.sleep(0.1)
        return {
            "job_id": jobs[-1],
            "template_id": made["CustomTemplate"]["TemplateId"],
            "system_id": "S00000002-000020",
            "pipeline_id": client.call("ListPipelines")["PipelineList"][0]["PipelineId"],
            "media_id": media_id,
            "action": "SubmitSnapshotJob",
            "bucket": "local",
            "name": NAME,
        }


def _paths(ids: Mapping[str, str]) -> Iterator[str]:
    """Each page whose path we can tell, and the form of a new job with its moments and pictures."""
    yield FORM
    for page in PAGES:
        is_part = page.path.startswith("/jobs/new/") or page.path.endswith(_PARTS)
        if isinstance(page, Page) and page.method == "GET" and not is_part:
            try:
                yield page.path.format(**ids)
            except KeyError:
                continue


def _log_in(chromium: Browser, server: Served) -> Any:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(f"{server.url}/console/login")
        page.get_by_label("AccessKeyId").fill(server.key[0])
        page.get_by_label("AccessKeySecret").fill(server.key[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/jobs")
        return context.storage_state()


def _load(chromium: Browser, state: Any, url: str, seen: Seen) -> None:
    """Once from next door, and once over a line."""
    busy, began = machine_busy_s(), time.perf_counter()
    with _context(chromium, state) as context:
        page = context.new_page()
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        page.goto(url)
        seen.near_s.append(page.evaluate(_USABLE_MS) / 1000)
        own = other = 0
        for answer in answers:
            length = int(answer.headers.get("content-length", "0"))
            if urlsplit(answer.url).path.startswith("/console"):
                is_ours = not any(name in answer.url for name in VENDORED)
                own, other = own + length * is_ours, other + length * (not is_ours)
        seen.own_bytes, seen.other_bytes = max(seen.own_bytes, own), max(seen.other_bytes, other)
    with _context(chromium, state) as context:
        page = context.new_page()
        line = {
            "offline": False,
            "latency": LINE_DELAY_MS,
            "downloadThroughput": LINE_MBIT * 125_000,
            "uploadThroughput": LINE_MBIT * 125_000,
        }
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
        page.goto(url)
        seen.far_s.append(page.evaluate(_USABLE_MS) / 1000)
    wall_s = time.perf_counter() - began
    seen.others.append((machine_busy_s() - busy) / (wall_s * (os.cpu_count() or 1)))


@contextmanager
def _context(chromium: Browser, state: Any) -> Iterator[BrowserContext]:
    with closing(chromium.new_context(storage_state=state)) as context:
        yield context


def _as_markdown(results: Mapping[str, Seen], rounds: int) -> str:
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine()}; load average {os.getloadavg()[0]:.1f} at the end.",
        f"Medians of {rounds} loads, each with an empty cache in a new profile of Chromium, on the same cores: from",
        "the click to the later of two moments, that all scripts have run and that something is on the screen.",
        f"The line has {LINE_MBIT} Mbit/s and answers {LINE_DELAY_MS} ms late. Bytes are those of our own pages,",
        "styles and scripts, as they go over the line; vendored ones beside them. Busy: the share of all cores that",
        "was in use, the browser's included.",
        "",
        "| page | usable after | over a line | | own bytes | vendored | busy |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for path, seen in results.items():
        near_s, far_s = median(seen.near_s), median(seen.far_s)
        verdict = "met" if near_s <= GOAL_S and seen.own_bytes < MOST_BYTES else "**not met**"
        name = "/".join("…" if len(part) > 24 and "?" not in part else part for part in path.split("/"))
        cells = (
            *(f"`/console{name}`", f"{near_s:.2f} s", f"{far_s:.2f} s", verdict),
            *(f"{seen.own_bytes / 1000:.0f} kB", f"{seen.other_bytes / 1000:.0f} kB"),
            f"{median(seen.others):.0%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure after how long the console's pages can be used, and their bytes."
    )
    parser.add_argument("--only", action="append", metavar="PATH", help="this page only (repeatable)")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each page (default: 5)")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table to this page, too (between its marks)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
