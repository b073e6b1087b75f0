"""What the console says of a job's track as it lies in the bucket, and to whom it shows the track and the video."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import pytest
from sqlalchemy import URL

from console_client import Visitor, visiting
from service_client import DEADLINE_S, Service, service
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Grant
from stillframe.errors import Unavailable
from stillframe.media.tracks.lint import lint_file
from stillframe.service import track_checks, track_preview
from stillframe.service.job_tracks import JobTracks
from stillframe.testing import videos

GRID = {"Columns": 3, "Lines": 2}
FINE, ANEW = "Every player we know reads it.", "Submit the same request again"


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        videos.make(started.folder / "movie.mp4", frames=60, fps=5, gop=5)
        yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


@pytest.fixture
def job(running: Service) -> str:
    """A job that has just written `t/x.vtt` with 12 cells in two sheets."""
    return track_of(running)


def track_of(running: Service, output: str = "t/x.vtt", **more: object) -> str:
    config = {"Interval": 1, "Width": 96, "SpriteSnapshotConfig": GRID} | more
    job_id = running.client.submit(
        "oss://local/movie.mp4", f"oss://local/{output}", "S00000002-000031", **config
    )
    running.client.succeeded(job_id)
    return job_id


def check(visitor: Visitor, job_id: str) -> str:
    """The part of the page, with one space between words and no tags."""
    answer = visitor.get(f"/jobs/{job_id}/check", **{"HX-Request": "true"})
    assert answer.status_code == 200, answer.text
    assert "<html" not in answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_a_track_as_the_job_has_written_it(visitor: Visitor, job: str) -> None:
    told = check(visitor, job)
    assert FINE in told
    assert "12 cues and 2 pictures by" in told
    assert "Plyr, Vidstack" in told
    assert "changed" not in told


def test_a_track_that_was_damaged_in_the_bucket(running: Service, visitor: Visitor, job: str) -> None:
    assert FINE in check(visitor, job)
    track = running.folder / "t" / "x.vtt"
    lines = track.read_text().splitlines()
    lines[8] = lines[8].replace(".", ",")
    lines[12] = lines[12].replace("#xywh=", "#xywh=9000")
    track.write_text("\n".join(lines) + "\n")
    told = check(visitor, job)
    assert FINE not in told
    assert "somebody has changed it in the bucket" in told
    assert ANEW in told
    assert "Line 9, cue 3 at 0:02: '00:00:02,000' has a comma for its dot" in told
    assert "Line 13, cue 4 at 0:03: 9000" in told
    # the very words of the command
    found = lint_file(track)
    assert {finding.rule for finding in found} == {"comma", "outside-image"}
    for finding in found:
        assert finding.message in told
        assert ", ".join(finding.players) in told


def test_what_the_job_itself_has_written_wrong_says_what_to_ask_for(
    running: Service, visitor: Visitor
) -> None:
    told = check(visitor, track_of(running, "fast/x.vtt", Interval=None, IntervalMs=500, Count=4))
    assert "Warning sub-second" in told
    assert "What to do: Ask for moments on whole seconds" in told
    assert ANEW not in told


def test_a_picture_that_is_gone_or_another_one(
    running: Service, visitor: Visitor, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_checks, "_KEPT_S", 0)
    sheets = sorted((running.folder / "t" / "x").iterdir())
    assert len(sheets) == 2
    whole = sheets[1].read_bytes()
    sheets[1].write_bytes(b"no picture")
    assert "'x/snapshot-tile-00002.jpg' is missing, or no image" in check(visitor, job)
    sheets[1].unlink()
    told = check(visitor, job)
    assert "cue 7 at 0:06: 'x/snapshot-tile-00002.jpg' is missing" in told
    assert "If a picture was removed: submit the same request again" in told
    # written by somebody else, and the same: it is looked at
    sheets[1].write_bytes(whole)
    assert FINE in check(visitor, job)
    monkeypatch.setattr(track_checks, "_PICTURES_S", -1)
    told = check(visitor, job)
    assert "The pictures were not looked at" in told
    assert FINE in told


@pytest.mark.parametrize("fault", ["gone", "long", "a folder"])
def test_what_is_no_track(running: Service, visitor: Visitor, job: str, fault: str) -> None:
    track = running.folder / "t" / "x.vtt"
    track.unlink()
    if fault == "long":
        track.write_text("WEBVTT\n" + "\n" * 300_000)
    elif fault == "a folder":
        track.mkdir()
    told = check(visitor, job)
    tiles = visitor.get(f"/jobs/{job}/tiles").status_code
    if fault == "a folder":
        track.rmdir()
    assert "The track cannot be read." in told
    assert ANEW in told
    assert 400 <= tiles < 500


def test_a_track_is_linted_once(
    running: Service, visitor: Visitor, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = track_checks.lint
    linted: list[bytes] = []

    def counted(data: bytes, **options: object) -> object:
        linted.append(data)
        return before(data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(track_checks, "lint", counted)
    for _ in range(3):
        assert FINE in check(visitor, job)
    assert len(linted) == 1
    running.client.call("DeleteSnapshotJob", JobId=job)
    assert visitor.get(f"/jobs/{job}/check").status_code == 404


@pytest.mark.parametrize("page", ["check", "tiles", "delete"])
def test_who_waits_for_a_store_holds_up_no_other_page(
    running: Service, visitor: Visitor, job: str, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, method = (type(running.assembly.jobs), "delete") if page == "delete" else (JobTracks, "find")
    before, begun, go_on = getattr(asks, method), threading.Event(), threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return before(*arguments, **options)

    console = running.assembly._console
    assert console is not None
    token, path = visitor.csrf(), f"/jobs/{job}/{page}"
    monkeypatch.setattr(console._threads, "total_tokens", 1)
    monkeypatch.setattr(asks, method, slow)
    ask = partial(visitor.post, form={"csrf": token, "outputs": "true"}) if page == "delete" else visitor.get
    with ThreadPoolExecutor(1) as thread:
        try:
            answer = thread.submit(ask, path)
            assert begun.wait(DEADLINE_S)
            assert visitor.get("/jobs").status_code == 200
        finally:
            go_on.set()
        assert answer.result().status_code == (303 if page == "delete" else 200)


def test_who_waits_for_their_turn_waits_not_for_ever(
    running: Service, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_preview, "_PATIENCE_S", 0.01)
    previews = running.assembly.track_previews
    with ExitStack() as others:
        for _ in range(track_preview._READ_AT_ONCE):
            others.enter_context(previews._reading)
        with pytest.raises(Unavailable):
            previews.tiles(running.account_id, job)
    assert previews.tiles(running.account_id, job).tiles


def test_the_tiles_are_those_of_the_track(running: Service, visitor: Visitor, job: str) -> None:
    told = json.loads(visitor.get(f"/jobs/{job}/tiles").text)
    assert len(told["pictures"]) == 2
    assert told["tiles"][7] == [7000, 8000, 1, 96, 0, 96, 54]
    assert [tile[:2] for tile in told["tiles"]] == [[k * 1000, (k + 1) * 1000] for k in range(12)]
    for url in told["pictures"]:
        assert httpx.get(url, trust_env=False).headers["Content-Type"] == "image/jpeg"
    # what lies elsewhere gets no link
    (running.folder / "t" / "x.vtt").write_text(
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n../movie.mp4#xywh=0,0,1,1\n"
        "\n00:00:01.000 --> 00:00:02.000\nhttp://other.example/a.jpg#xywh=0,0,1,1\n"
    )
    assert json.loads(visitor.get(f"/jobs/{job}/tiles").text) == {"pictures": [], "tiles": []}


def test_the_video_is_for_those_who_may_see_it(running: Service, visitor: Visitor, job: str) -> None:
    assert "/movie.mp4" in video(visitor.get(f"/jobs/{job}").text)
    rule = {"Effect": "Allow", "Action": ["ice:GetSnapshotJob", "ice:GetSnapshotUrls"], "Resource": "*"}
    document = json.dumps({"Version": "1", "Statement": [rule]})
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, "pictures-only")
    Policies(running.assembly.database).create(running.account_id, "pictures", document)
    users.attach(running.account_id, "pictures-only", "pictures")
    key = running.assembly.keys.create(running.account_id, user_id=user_id)
    with visiting(running.port) as found:
        found.log_in_by_key(key)
        page = found.get(f"/jobs/{job}").text
        assert video(page) == ""
        assert "shown to those who may call GetMediaInfo" in page
        assert found.get(f"/jobs/{job}/tiles").status_code == 200
        assert FINE in check(found, job)


def test_two_accounts_see_nothing_of_each_other(running: Service, visitor: Visitor, job: str) -> None:
    with guest(running) as (guest_id, stranger, client):
        none = "0" * 32
        for path in ("check", "tiles"):
            theirs, nobodys = (stranger.get(f"/jobs/{one}/{path}") for one in (job, none))
            assert theirs.status_code == nobodys.status_code == 404
            assert bare(theirs.text, job) == bare(nobodys.text, none)
        # a video that was lent: its link ends with the loan, and so does the page's
        running.bucket("guests", guest_id)
        running.assembly.buckets.grant("local", guest_id, Grant("read", "movie"))
        config = {"Interval": 1, "Width": 96, "SpriteSnapshotConfig": GRID}
        own = client.submit("oss://local/movie.mp4", "oss://guests/x.vtt", "S00000002-000031", **config)
        client.succeeded(own)
        assert "/movie.mp4" in video(stranger.get(f"/jobs/{own}").text)
        running.assembly.buckets.revoke("local", guest_id)
        running.assembly.buckets.grant("local", guest_id, Grant("read", "others/"))
        assert video(stranger.get(f"/jobs/{own}").text) == ""
        assert FINE in check(stranger, own)
        assert visitor.get(f"/jobs/{own}/check").status_code == 404


@contextmanager
def guest(running: Service) -> Iterator[tuple[str, Visitor, object]]:
    with running.account("guests") as (account_id, client), visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(account_id))
        yield account_id, found, client


def video(page: str) -> str:
    """The address of the video on a page."""
    found = re.search(r'<video src="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


def bare(page: str, job_id: str) -> str:
    """A page without what is never twice the same."""
    page = re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", page)
    return page.replace(job_id, "ID")
