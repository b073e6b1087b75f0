"""A job's page in the job's middle: a job of many slices, of which the first is done."""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import itertools
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from console_client import visiting
from service_client import DEADLINE_S, service, wait_for
from stillframe.console.live import Live
from stillframe.console.page import Watched
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.testing import barcode, videos


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The worker does one slice, and stands before the next one until this is set."""
    told, begun, render = threading.Event(), itertools.count(), Unlocked.render

    def standing(*arguments: Any) -> Any:
        assert next(begun) == 0 or told.wait(DEADLINE_S)
        return render(*arguments)

    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    monkeypatch.setattr(Unlocked, "render", standing)
    return told


def test_pictures_are_shown_as_they_arrive(database_url: URL, tmp_path: Path, go_on: threading.Event) -> None:
    with (
        service(database_url, tmp_path, slots=1, sandbox="off") as running,
        visiting(running.port) as visitor,
    ):
        film = videos.make(running.folder / "movie.mp4", frames=125, fps=5, gop=5)
        visitor.log_in_by_link(running.assembly.login_link())
        job_id = running.client.submit(
            "oss://local/movie.mp4", "oss://local/a/{Count}.jpg", Count=6, Interval=3
        )
        try:
            wait_for(lambda: _with_pictures(visitor.get(f"/jobs/{job_id}").text))
            # the parts of a page are asked for one after the other: one that was made meanwhile may be of two minds
            page = visitor.get(f"/jobs/{job_id}").text
            assert re.search(r"1\s+of 6\s+still", page)
            assert '<progress max="100" value="16"' in page
            assert '<progress max="100" value="16"' in visitor.get("/jobs").text
            assert f"/jobs/{job_id}/cancel" in page
            found = re.search(r'<img id="picture-1-[^>]* src="([^"]+)"', page)
            assert found is not None
            picture = Image.open(io.BytesIO(httpx.get(html.unescape(found[1]), trust_env=False).content))
            assert barcode.read(np.asarray(picture.convert("RGB"))) == film.number_at(0)
            with visitor.http.stream("GET", f"/console/jobs/{job_id}/events") as stream:
                lines = stream.iter_lines()
                assert "event: changed" in itertools.islice(lines, 3)
                go_on.set()
                assert "event: changed" in lines
        finally:
            go_on.set()
        running.client.succeeded(job_id)
        page = visitor.get(f"/jobs/{job_id}").text
        assert re.findall(r"<b>(0:\d\d)</b>\s*<span>(\w+)", page) == [
            (f"0:{3 * k:02}", "exact") for k in range(6)
        ]


def _with_pictures(page: str) -> str | None:
    return page if "picture-1-" in page else None


def test_a_stream_says_changed_once_the_page_cannot_miss_anything() -> None:
    """A page that asks before the first look would not hear of what happens between."""
    looked = threading.Event()

    async def still_may() -> bool:
        return True

    async def first_word() -> str:
        texts = Live().stream(Watched("something", looked.set), still_may)
        async with contextlib.aclosing(texts), asyncio.timeout(DEADLINE_S):
            async for text in texts:
                if text.startswith("event:"):
                    assert looked.is_set()
                    return text
        return ""

    assert asyncio.run(first_word()) == "event: changed\ndata: \n\n"
