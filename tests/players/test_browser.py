"""Chromium reads a track from its signed link, on a page of another origin, and shows the cells that it names.

It is Debian's package (`chromium`); `pytest -m players tests/players` runs this where it is installed.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from sqlalchemy import URL

from object_store import ObjectStore
from service_client import service
from stillframe.testing import barcode, videos

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DEADLINE_S = 60
#: the browser's own parser reads the track; a canvas gives its pixels away only when the site of the picture allows it
PAGE = """<!doctype html><meta charset="utf-8"><video crossorigin="anonymous"></video><script>
const answer = (told) => fetch("/told", {method: "POST", body: JSON.stringify(told)});
const src = decodeURIComponent(location.search.slice(1));
const track = document.createElement("track");
track.kind = "metadata"; track.src = src;
track.onerror = () => answer({error: "the track cannot be loaded"});
track.onload = async () => {
  const cues = [];
  for (const cue of track.track.cues) {
    const url = new URL(cue.text, src);
    const [x, y, width, height] = url.hash.match(/^#xywh=(\\d+),(\\d+),(\\d+),(\\d+)$/).slice(1).map(Number);
    const image = new Image();
    image.crossOrigin = "anonymous"; image.src = url;
    try {
      await image.decode();
      const canvas = new OffscreenCanvas(width, height).getContext("2d");
      canvas.drawImage(image, -x, -y);
      const pixels = [...canvas.getImageData(0, 0, width, height).data];
      cues.push({start: cue.startTime, end: cue.endTime, width, height, pixels});
    } catch (error) { return answer({error: `${url}: ${error}`}); }
  }
  answer({cues});
};
document.querySelector("video").append(track);
track.track.mode = "hidden";
</script>"""

pytestmark = [
    pytest.mark.players,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@contextmanager
def page() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A site of another origin with the page, and what the page tells it."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(PAGE.encode() if self.path.startswith("/?") else b"")

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}/", told
        finally:
            site.shutdown()
            thread.join()


def opened(address: str, told: queue.Queue[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What the page tells once the browser has opened it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--disable-gpu", "--no-first-run", "--no-proxy-server"]
    if os.geteuid() == 0:
        # its own sandbox refuses root; it reads nothing but our page
        command.append("--no-sandbox")
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}", address], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        return told.get(timeout=DEADLINE_S)
    except queue.Empty:
        process.kill()
        raise AssertionError((process.communicate()[1] or b"").decode(errors="replace")[-2000:]) from None
    finally:
        process.terminate()
        process.communicate()


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
    database_url: URL, tmp_path: Path, place: str, tiled: bool
) -> None:
    with service(database_url, tmp_path / "data") as running, page() as (site, told):
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
        found = opened(f"{site}?{quote(link, safe='')}", told, tmp_path / "profile")
        changed = link.replace("/tracks/", "/tracks/A")
        wrong = opened(f"{site}?{quote(changed, safe='')}", told, tmp_path / "profile")
    assert "error" not in found
    cues = found["cues"]
    assert [(cue["start"], cue["end"]) for cue in cues] == [(k, k + 1) for k in range(12)]
    for k, cue in enumerate(cues):
        pixels = np.array(cue["pixels"], np.uint8).reshape(cue["height"], cue["width"], 4)
        assert barcode.read(np.ascontiguousarray(pixels[..., :3])) == film.number_at(k * 1000)
    assert wrong == {"error": "the track cannot be loaded"}
