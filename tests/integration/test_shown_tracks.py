"""Tracks behind signed links, over real HTTP: what players get, and what others try."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import httpx
import pytest
from PIL import Image
from sqlalchemy import URL

from service_client import Service, service
from stillframe.catalog.buckets import Grant
from stillframe.service import job_tracks, shown_tracks
from stillframe.storage.signed_urls import Grant as FileGrant
from stillframe.storage.signed_urls import verify
from stillframe.storage.track_links import TrackGrant, track_path
from stillframe.testing import videos

GONE, NOT_VALID = "There is no such track.\n", "This link is not valid.\n"
PICTURE = re.compile(r"^(http\S+?)#xywh=(\d+),(\d+),(\d+),(\d+)$", re.MULTILINE)
STORED = """WEBVTT

00:00:00.000 --> 00:00:01.000
x/1.jpg#xywh=0,0,160,90

00:00:01.000 --> 00:00:02.000
x/1.jpg#xywh=160,0,160,90
"""


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def grant(running: Service) -> TrackGrant:
    """A good link to a track of two cells; the folder beside it holds its picture."""
    (running.folder / "a" / "x").mkdir(parents=True, exist_ok=True)
    (running.folder / "a" / "x.vtt").write_text(STORED)
    (running.folder / "a" / "x" / "1.jpg").write_bytes(b"picture")
    return TrackGrant(running.account_id, "local", "a/x.vtt", int(time.time()) + 600)


def link(running: Service, grant: TrackGrant) -> str:
    path = track_path(grant, running.assembly.keyring.hmac_key("files"))
    return f"http://127.0.0.1:{running.port}{path}"


def test_a_track_of_a_job_can_be_played(running: Service, http: httpx.Client) -> None:
    videos.make(running.folder / "movie.mp4", frames=40, fps=10, gop=10)
    client = running.client
    job_id = client.submit("oss://local/movie.mp4", "oss://local/my ü/t.vtt", "S00000002-000030", Interval=1)
    client.succeeded(job_id)
    urls = client.urls(job_id, Timeout=600)
    assert urls["WebVTTUrl"].startswith(f"http://127.0.0.1:{running.port}/tracks/")
    answer = http.get(urls["WebVTTUrl"])
    cells = PICTURE.findall(answer.text)
    assert len(cells) == 4
    assert {url for url, *_ in cells} == set(urls["SnapshotUrls"])
    sheet = Image.open(BytesIO(http.get(cells[0][0]).content))
    assert sheet.width >= max(int(x) + int(width) for _, x, _, width, _ in cells)
    other = client.urls(job_id, Timeout=601)["WebVTTUrl"]
    assert other != urls["WebVTTUrl"]


def test_what_a_player_gets(running: Service, grant: TrackGrant, http: httpx.Client) -> None:
    url = link(running, grant)
    answer = http.get(url)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "server", "last-modified")
    }
    assert headers == {
        "accept-ranges": "bytes",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
        "cache-control": "private, max-age=60",
        "content-length": str(len(answer.content)),
        "content-security-policy": "sandbox",
        "content-type": "text/vtt; charset=utf-8",
        "cross-origin-resource-policy": "cross-origin",
        "etag": headers["etag"],
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    cells = PICTURE.findall(answer.text)
    assert [cell[1:] for cell in cells] == [("0", "0", "160", "90"), ("160", "0", "160", "90")]
    for picture, *_ in cells:
        assert http.get(picture).content == b"picture"
        assert answer.text.replace(picture, "x/1.jpg") == STORED
    head = http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == headers["content-length"]
    part = http.get(url, headers={"Range": "bytes=8-25", "If-Range": headers["etag"]})
    assert (part.status_code, part.content) == (206, answer.content[8:26])
    assert http.get(url, headers={"If-None-Match": headers["etag"]}).status_code == 304
    asked = http.options(url, headers={"Origin": "https://player.example"})
    assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, HEAD, OPTIONS")


def test_the_longest_key(running: Service, grant: TrackGrant, http: httpx.Client) -> None:
    key = "/".join(["ü" * 125] * 3 + ["ü" * 125 + ".vtt"])
    (running.folder / key).parent.mkdir(parents=True)
    (running.folder / key).write_text(STORED)
    assert http.get(link(running, replace(grant, key=key))).text == STORED


def test_a_link_ends_with_its_pictures(running: Service, grant: TrackGrant, http: httpx.Client) -> None:
    soon = int(time.time()) + 30
    answer = http.get(link(running, replace(grant, expires_at=soon)))
    assert int(answer.headers["cache-control"].removeprefix("private, max-age=")) <= 30
    token = PICTURE.findall(answer.text)[0][0].split("/")[4]
    keys = running.assembly.keyring.hmac_keys("files")
    assert verify(token, "local", "a/x/1.jpg", now=0, signing_keys=keys) == FileGrant(soon)
    expired = http.get(link(running, replace(grant, expires_at=int(time.time()) - 1)))
    assert (expired.status_code, expired.text) == (403, "This link has expired.\n")
    assert expired.headers["access-control-allow-origin"] == "*"


def test_links_that_were_changed(running: Service, grant: TrackGrant, http: httpx.Client) -> None:
    url = link(running, grant)
    assert http.get(url).status_code == 200
    host, _, token, name = url.rsplit("/", 3)
    forged = track_path(grant, b"k" * 32).split("/")[2]
    for changed in (
        f"{token}/y.vtt",
        f"{token}/{name}/",
        f"{token}/{name}.html",
        f"{token}/",
        token,
        f"{token[:-1]}/{name}",
        f"{token[:30]}/{name}",
        f"{token.swapcase()}/{name}",
        f"{forged}/{name}",
        name,
        "",
    ):
        answer = http.get(f"{host}/tracks/{changed}")
        assert (answer.status_code, answer.text) == (403, NOT_VALID), changed


def test_a_track_that_names_what_is_not_its_own(
    running: Service, grant: TrackGrant, http: httpx.Client
) -> None:
    names = [
        "../secret.jpg",
        "y/1.jpg",
        "x/%2e%2e/y/1.jpg",
        "/a/x/1.jpg",
        "https://cdn.example/1.jpg",
        "x.vtt",
    ]
    lines = "".join(f"00:00.000 --> 00:01.000\n{name}#xywh=0,0,1,1\n\n" for name in names)
    (running.folder / "a" / "x.vtt").write_text(f"{STORED}\n{lines}")
    text = http.get(link(running, grant)).text
    assert text.endswith(f"\n{lines}")
    assert len(PICTURE.findall(text)) == 2 + 1


@pytest.mark.parametrize("fault", ["large", "many", "gone", "a folder"])
def test_what_is_no_track(
    running: Service, grant: TrackGrant, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = running.folder / "a" / "x.vtt"
    if fault == "large":
        monkeypatch.setattr(job_tracks, "MAX_TRACK_BYTES", len(STORED) - 1)
    elif fault == "many":
        monkeypatch.setattr(shown_tracks, "MAX_SHOTS", 1)
    else:
        path.unlink()
    if fault == "a folder":
        path.mkdir()
    try:
        answer = http.get(link(running, grant))
    finally:
        if fault == "a folder":
            path.rmdir()
    assert (answer.status_code, answer.text) == (404, GONE)


def test_a_bucket_that_was_lent(running: Service, grant: TrackGrant, http: httpx.Client) -> None:
    """The link of an account that may not use the bucket any more is good for nothing, whoever's the bucket is."""
    with running.account("guest") as (guest, _):
        url = link(running, replace(grant, account_id=guest))
        assert (http.get(url).status_code, http.get(url).text) == (404, GONE)
        buckets = running.assembly.buckets
        buckets.grant("local", guest, Grant("write", "a/x"))
        assert len(PICTURE.findall(http.get(url).text)) == 2
        buckets.revoke("local", guest)
        buckets.grant("local", guest, Grant("write", "a/x.v"))
        assert http.get(url).text == STORED
        buckets.revoke("local", guest)
        buckets.grant("local", guest, Grant("read", "a/"))
        assert http.get(url).status_code == 404
    assert http.get(link(running, grant)).status_code == 200


def test_a_bucket_that_is_away_and_one_that_is_no_more(running: Service, http: httpx.Client) -> None:
    folder = running.bucket("other")
    (folder / "x.vtt").write_text(STORED)
    url = link(running, TrackGrant(running.account_id, "other", "x.vtt", int(time.time()) + 600))
    assert http.get(url).status_code == 200
    folder.rename(folder.with_name("away"))
    answer = http.get(url)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    running.assembly.buckets.remove("other")
    assert http.get(url).status_code == 404
