"""New job: what the page shows before a job is what the job does then, and nobody sees by it what is not theirs."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from sqlalchemy import URL

from console_client import Visitor, linked_fields, visiting
from ims_server import over_http
from new_job_page import cells, errors, fields, moments, reported, strip_url, submitted
from service_client import DEADLINE_S, Service, service
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.users import Users
from stillframe.server.assembly import Assembly
from stillframe.service import job_previews
from stillframe.settings import Settings
from stillframe.testing import barcode, videos
from stillframe.testing.videos.disguised import Disguise, disguised

FPS, GOP, FRAMES = 5, 5, 60
PART = {"HX-Request": "true"}
FULL = pytest.mark.full
MOVIE = "/jobs/new?bucket=local&key=movie.mp4"


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        for name in ("movie.mp4", "stream.ts"):
            videos.make(started.folder / name, frames=FRAMES, fps=FPS, gop=GOP)
        yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


@pytest.mark.parametrize(
    ("template", "changes"),
    [
        pytest.param("S00000002-000012", {}, marks=FULL),
        ("S00000002-000012", {"Count": "7", "Time": "1.3", "FrameType": "normal"}),
        # some of them lie behind the end
        (
            "S00000002-000011",
            {"Count": "5", "Interval": "3.5", "Width": "160", "Height": "160", "Fit": "contain"},
        ),
        # keyframes are a second apart, and half of these have none near
        (
            "S00000002-000012",
            {"Count": "20", "Interval": "0.5", "KeyframeMiss": "skip"},
        ),
        pytest.param(
            "S00000002-000020",
            {"Count": "8", "SpriteSnapshotConfig__Columns": "3", "Width": "1000"},
            marks=FULL,
        ),
        ("S00000002-000030", {"Interval": "1"}),
        (None, {"Type": "WebVtt", "IsSptFrag": "true", "Interval": "2", "SpriteSnapshotConfig__Lines": "2"}),
    ],
    ids=["ten", "exact", "behind the end", "skipped", "sheets", "track", "without a template"],
)
def test_the_moments_are_those_that_the_job_takes(
    running: Service, visitor: Visitor, template: str | None, changes: dict[str, str]
) -> None:
    page = visitor.get(f"{MOVIE}&template={template or ''}")
    form = fields(page, **changes)
    shown = visitor.post("/jobs/new/moments", form, **PART)
    assert errors(shown) == {}
    # the usual name of the files goes with the type
    form |= {"OutputKey": ""}
    job = running.client.succeeded(submitted(visitor, form))
    assert moments(shown) == reported(job)
    assert moments(visitor.post("/jobs/new/show", form)) == reported(job)
    assert job["TriggerSource"] == "Console"
    assert job.get("TemplateId") == template
    for note in job["Report"]["Notes"]:
        assert html.escape(note) in shown.text


def test_a_template_of_which_something_is_taken_away_is_not_the_jobs(
    running: Service, visitor: Visitor
) -> None:
    # laid over the template, its Interval would be there again
    form = fields(visitor.get(f"{MOVIE}&template=S00000002-000030"), Interval="", Count="3")
    job = running.client.succeeded(submitted(visitor, form))
    assert [ms for ms, _ in reported(job)] == [0, 4000, 8000]
    assert "TemplateId" not in job


@pytest.mark.parametrize("key", ["movie.mp4", "stream.ts"])
def test_the_strip_shows_the_keyframes_nearest_to_the_moments(visitor: Visitor, key: str) -> None:
    page = visitor.get(f"/jobs/new?bucket=local&key={key}")
    form = fields(page, Count="4", Time="0.7", Interval="2", FrameType="normal", Height="200", Width="200")
    shown = visitor.post("/jobs/new/moments", form, **PART)
    part = visitor.get(strip_url(shown), **PART)
    pictures = cells(visitor, part)
    # 0.7 s is nearest to the keyframe at 1 s
    assert [barcode.read(picture) for picture in pictures] == [5, 15, 25, 35]
    assert {picture.shape for picture in pictures} == {(160, 160, 3)}
    said = re.findall(r"<figcaption><b>([^<]*)</b> <span[^>]*>shows ([^<]*)</span>", part.text)
    assert said == [(f"0:0{n}.700", f"0:0{n + 1}") for n in (0, 2, 4, 6)]


def test_a_strip_has_a_few_of_many_moments(visitor: Visitor) -> None:
    form = fields(visitor.get(MOVIE), Count="", Interval="0.2")
    shown = visitor.post("/jobs/new/moments", form, **PART)
    assert len(moments(shown)) == FRAMES
    pictures = cells(visitor, visitor.get(strip_url(shown), **PART))
    numbers = [barcode.read(picture) for picture in pictures]
    assert len(numbers) == job_previews.STRIP_PICTURES
    assert (numbers[0], numbers[-1]) == (0, FRAMES - GOP)
    assert numbers == sorted(numbers)


def test_what_was_looked_at_is_not_looked_at_again(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = running.folder / "changing.mp4"
    videos.make(path, frames=20, fps=FPS, gop=GOP)
    page = visitor.get("/jobs/new?bucket=local&key=changing.mp4")
    decoder, looks = running.assembly._reserved(), list[str]()
    for name in ("survey", "render"):
        real = getattr(decoder, name)

        def counted(*args: Any, name: str = name, real: Any = real) -> Any:
            looks.append(name)
            return real(*args)

        monkeypatch.setattr(decoder, name, counted)
    for _ in range(3):
        part = visitor.get(strip_url(page), **PART)
        assert len(cells(visitor, part)) == 10
    assert looks == ["render"]
    videos.make(path, frames=40, fps=FPS, gop=GOP, first_number=1000)
    again = visitor.get(strip_url(page), **PART)
    assert barcode.read(cells(visitor, again)[0]) == 1000
    assert looks == ["render", "survey", "render"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Count": "0", "Width": "3"}, {"Count": "whole number from 1", "Width": "whole number from 8"}),
        ({"Time": "soon"}, {"Time": "seconds such as"}),
        ({"Interval": "0.0001"}, {"Interval": "seconds such as"}),
        ({"Type": "Sprite", "OutputKey": "x.jpg"}, {"OutputKey": "{TileCount}"}),
        ({"OutputKey": "movie.mp4"}, {"OutputKey": "ends in"}),
        ({"OutputKey": "/x/{Count}.jpg"}, {"OutputKey": "does not start with /"}),
        ({"OutputBucket": "nobodys"}, {"OutputBucket": "There is no Bucket"}),
        ({"Pipeline": "0" * 32}, {"Pipeline": "There is no Pipeline"}),
        ({"Priority": "11"}, {"Priority": "from 1 to 10"}),
        ({"Name": "ü" * 65}, {"Name": "128 bytes"}),
        ({"UserData": "x" * 1025}, {"UserData": "1024 bytes"}),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    running: Service, visitor: Visitor, changes: dict[str, str], told: dict[str, str]
) -> None:
    form = fields(visitor.get(MOVIE), **changes)
    before = ids(running)
    shown = visitor.post("/jobs/new/moments", form, **PART)
    refused = visitor.post("/jobs/new", form)
    assert refused.status_code == 400
    for page in (shown, refused):
        found = errors(page)
        assert found.keys() == told.keys()
        assert all(part in found[name] for name, part in told.items()), found
    assert set(linked_fields(refused.text)) == told.keys()
    # what was typed is there still
    kept = fields(refused)
    assert {name: kept[name] for name in form if name not in ("csrf", "OutputKey")} == {
        name: value for name, value in form.items() if name not in ("csrf", "OutputKey")
    } | ({"OutputBucket": kept["OutputBucket"], "Pipeline": kept["Pipeline"]})
    assert ids(running) == before


def ids(running: Service) -> list[str]:
    return [job["JobId"] for job in running.client.call("ListSnapshotJobs")["Jobs"]]


def test_what_this_very_video_cannot_have_stands_beside_its_field(visitor: Visitor) -> None:
    large = {"SpriteSnapshotConfig__CellWidth": "4096", "SpriteSnapshotConfig__CellHeight": "4096"}
    form = fields(
        visitor.get(MOVIE), Type="Sprite", SpriteSnapshotConfig__Margin="1000", OutputKey="", **large
    )
    shown = visitor.post("/jobs/new/moments", form, **PART)
    assert errors(shown).keys() == {"SpriteSnapshotConfig.CellWidth"}
    assert "small enough for a sheet" in shown.text
    past = fields(visitor.get(f"{MOVIE}&template=S00000002-000011"), Time="99")
    for path, part in (("moments", PART), ("show", {})):
        page = visitor.post(f"/jobs/new/{path}", past, **part)
        assert errors(page) == {"Time": "The video ends at 0:12."}
        assert "The first moment lies behind the end of the video." in page.text


def test_a_double_click_is_one_job_and_a_change_another(running: Service, visitor: Visitor) -> None:
    form = fields(visitor.get(MOVIE), Name="clicked")
    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(lambda _: submitted(visitor, form), range(4)))
    assert len(ids) == 1
    assert submitted(visitor, form | {"Count": "3"}) not in ids
    assert submitted(visitor, fields(visitor.get(MOVIE), Name="clicked")) not in ids


def test_another_template_puts_its_numbers_into_the_form(running: Service, visitor: Visitor) -> None:
    videos.make(running.folder / "plain.mp4", frames=5, fps=FPS, gop=GOP)
    form = fields(visitor.get("/jobs/new?bucket=local&key=plain.mp4"), Template="S00000002-000020", Count="3")
    shown = visitor.post("/jobs/new/show", form, **PART)
    assert shown.text.lstrip().startswith('<form id="new-job"')
    after = fields(shown)
    assert (after["Type"], after["Count"], after["Width"]) == ("Sprite", "100", "160")
    assert after["OutputKey"] == "plain-sheets/{TileCount}.jpg"
    # and the same form once more keeps what was changed since
    assert fields(visitor.post("/jobs/new/show", after | {"Count": "4"}))["Count"] == "4"


def test_files_of_an_earlier_job_are_not_replaced_unsaid(running: Service, visitor: Visitor) -> None:
    videos.make(running.folder / "film.mp4", frames=10, fps=FPS, gop=GOP)
    film, track = "/jobs/new?bucket=local&key=film.mp4", "&template=S00000002-000030"
    first = fields(visitor.get(film + track))
    assert first["OutputKey"] == "film.vtt"
    # both by what the database knows of a job that has not begun to write, and by what is in the bucket
    job_id = submitted(visitor, first)
    again = visitor.get(film + track)
    assert fields(again)["OutputKey"] == "film-2.vtt"
    assert "will be replaced" not in again.text
    running.client.succeeded(job_id)
    running.client.call("DeleteSnapshotJob", JobId=job_id)
    (running.folder / "film-2-stills").mkdir()
    (running.folder / "film-2-stills" / "00001.jpg").write_bytes(b"mine")
    form = fields(again, OutputKey="film.vtt")
    shown = visitor.post("/jobs/new/moments", form, **PART)
    assert "There are files of this name already: they will be replaced." in shown.text
    # another type's usual name is free, too, and what was written stays as it is
    stills = visitor.post("/jobs/new/show", form | {"Template": "S00000002-000012"})
    assert fields(stills)["OutputKey"] == "film-stills/{Count}.jpg"
    job_id = submitted(visitor, fields(stills))
    told = re.compile("A job of [-0-9: ]+ (has made|makes) files of this name: they will be replaced.")
    assert told.search(visitor.post("/jobs/new/moments", fields(stills), **PART).text)
    assert told.search(visitor.get(f"/jobs/new?like={job_id}").text)
    assert fields(visitor.get(film))["OutputKey"] == "film-3-stills/{Count}.jpg"
    other = fields(again, Type="Normal")
    assert "film-3-stills/{Count}.jpg" in visitor.post("/jobs/new/moments", other, **PART).text


def test_a_job_like_another(running: Service, visitor: Visitor) -> None:
    job_id = running.client.submit(
        "oss://local/movie.mp4",
        "oss://local/like/{Count}.jpg",
        "S00000002-000012",
        {"Name": "the first", "UserData": "mine"},
        Count=3,
        Time=500,
        KeyframeMiss="nearest",
        Quality=70,
    )
    before = running.client.succeeded(job_id)
    assert f'href="/console/jobs/new?like={job_id}"' in visitor.get(f"/jobs/{job_id}").text
    page = visitor.get(f"/jobs/new?like={job_id}")
    assert moments(page) == reported(before)
    after = running.client.succeeded(submitted(visitor, fields(page)))
    for name in ("TemplateConfig", "TemplateId", "Output", "PipelineId", "Name", "UserData"):
        assert after[name] == before[name]
    assert visitor.get(f"/jobs/new?like={'0' * 32}").status_code == 404


def test_a_video_is_picked_from_buckets_and_from_those_used_last(visitor: Visitor) -> None:
    submitted(visitor, fields(visitor.get(MOVIE)))
    page = visitor.get("/jobs/new").text
    assert 'href="/console/buckets/local' in page
    assert 'href="/console/jobs/new?bucket=local&amp;key=movie.mp4"' in page
    # a template that was chosen before goes along
    page = visitor.get("/jobs/new?template=S00000002-000030").text
    assert "key=movie.mp4&amp;template=S00000002-000030" in page
    facts = visitor.get(MOVIE).text
    assert "0:12 · 192 × 108 px · h264" in facts


@pytest.mark.parametrize("kind", ["m3u8", pytest.param("text", marks=FULL), "cut off", "gone"])
def test_a_video_that_cannot_be_read_is_told_as_its_job_would(
    running: Service, visitor: Visitor, tmp_path: Path, kind: str
) -> None:
    key, data = f"<b>{kind}.mp4", b""
    if kind == "cut off":
        data = videos.make(tmp_path / "m.mp4", frames=5).path.read_bytes()[:700]
    elif kind != "gone":
        data = disguised(tmp_path, cast(Disguise, kind)).path.read_bytes()
    if data:
        (running.folder / key).write_bytes(data)
    page = visitor.get(f"/jobs/new?{urlencode({'bucket': 'local', 'key': key})}")
    assert page.status_code == (404 if kind == "gone" else 400)
    job = running.client.ended(running.client.submit(f"oss://local/{key}", "oss://local/b/{Count}.jpg"))
    assert job["Status"] == "Fail"
    assert html.escape(job["Message"]) in page.text
    assert "<b>" + kind not in page.text


@pytest.mark.parametrize(
    "video", ["bucket=local&key=%20", "bucket=%2e&key=a", "bucket=local&key=" + "x" * 2000]
)
def test_what_names_no_video_is_told(visitor: Visitor, video: str) -> None:
    page = visitor.get(f"/jobs/new?{video}")
    assert page.status_code in (200, 400, 404)
    assert "Pick a video" in page.text


def test_what_takes_too_long_is_left_to_the_job(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    form = fields(visitor.get(MOVIE), Count="11")
    monkeypatch.setattr(job_previews, "DEADLINE_S", 0.0)
    shown = visitor.post("/jobs/new/moments", form, **PART)
    assert "A job takes the time that it needs." in shown.text
    assert errors(shown) == {}
    monkeypatch.undo()
    assert len(moments(visitor.post("/jobs/new/moments", form, **PART))) == 11


def test_few_look_at_once_and_others_are_asked_to_come_again(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = fields(visitor.get(MOVIE), Count="9")
    slot = running.assembly.job_previews._slot
    monkeypatch.setattr(job_previews, "WAIT_S", 0.05)
    with ExitStack() as held:
        for _ in range(job_previews.AT_ONCE):
            held.enter_context(slot.held("another", DEADLINE_S))
        shown = visitor.post("/jobs/new/moments", form, **PART)
        assert moments(shown) == []
        assert "Others are being looked at" in shown.text
        # it asks again by itself
        assert 'hx-post="/console/jobs/new/moments"' in shown.text
        assert 'hx-trigger="load delay:1s"' in shown.text
        strip = visitor.get("/jobs/new/strip?bucket=local&key=movie.mp4&Count=9", **PART)
        assert 'hx-trigger="load delay:1s"' in strip.text
        # submitting needs no look
        job_id = submitted(visitor, form)
    assert len(moments(visitor.post("/jobs/new/moments", form, **PART))) == 9
    running.client.succeeded(job_id)


def test_looks_of_many_at_once_take_turns(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = running.assembly._reserved()
    real, lock = decoder.survey, threading.Lock()
    now, most = 0, 0

    def counted(*args: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return real(*args)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(decoder, "survey", counted)
    form = fields(visitor.get(MOVIE))
    with ThreadPoolExecutor(6) as threads:
        pages = [
            *threads.map(
                lambda n: visitor.post("/jobs/new/moments", form | {"Count": str(n)}, **PART), range(30, 48)
            )
        ]
    assert most == job_previews.AT_ONCE
    assert all(page.status_code == 200 for page in pages)
    assert any(moments(page) for page in pages)


def test_what_is_anothers_is_not_there(running: Service, visitor: Visitor) -> None:
    form = fields(visitor.get(MOVIE))
    job_id = submitted(visitor, form)
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        running.bucket("strange", stranger_id)
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        foreign = stranger.get(MOVIE)
        nobodys = stranger.get(MOVIE.replace("local", "nobodys"))
        assert foreign.status_code == nobodys.status_code == 404
        assert _bare(foreign.text).replace("local", "B") == _bare(nobodys.text).replace("nobodys", "B")
        assert stranger.get(f"/jobs/new?like={job_id}").status_code == 404
        assert "local" not in stranger.get("/jobs/new").text
        query = "bucket=local&key=movie.mp4&Count=4"
        for path in ("strip", "strip.jpg"):
            assert stranger.get(f"/jobs/new/{path}?{query}").status_code == 404
        theirs = form | {"csrf": stranger.csrf()}
        for path in ("", "/moments", "/show"):
            answer = stranger.post(f"/jobs/new{path}", theirs, **PART)
            assert answer.status_code in (400, 404)
            assert "<data" not in answer.text
        assert "There are no jobs yet" in stranger.get("/jobs").text


def _bare(page: str) -> str:
    """A page without what is never twice the same."""
    return re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", page)


@contextmanager
def user(running: Service, name: str, *actions: str) -> Iterator[Visitor]:
    """Somebody who may do these alone."""
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, name)
    statement = {"Effect": "Allow", "Action": [f"ice:{action}" for action in actions], "Resource": "*"}
    document = json.dumps({"Version": "1", "Statement": [statement]})
    Policies(running.assembly.database).create(running.account_id, name, document)
    users.attach(running.account_id, name, name)
    with visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        yield found


def test_who_may_not_look_into_buckets_or_upload_is_not_offered_it(
    running: Service, visitor: Visitor
) -> None:
    page = visitor.get("/jobs/new").text
    assert 'href="/console/buckets/local"' in page
    assert "data-upload=" in page
    with user(running, "sender", "SubmitSnapshotJob") as sender:
        page = sender.get("/jobs/new").text
        assert "Name of the video in it" in page
        assert "/console/buckets/" not in page
        assert "data-upload=" not in page


def test_who_may_list_no_buckets_hears_no_name_of_one(running: Service) -> None:
    running.bucket("unnamed")
    with user(running, "guest", "SubmitSnapshotJob", "CreateUploadMedia") as guest:
        page = guest.get("/jobs/new")
        assert "unnamed" not in page.text
        assert "data-upload=" not in page.text
        assert 'input id="field-bucket"' in page.text
        page = guest.get(MOVIE)
        assert "unnamed" not in page.text
        # what they named themselves is a good beginning
        assert fields(page)["OutputBucket"] == "local"
        submitted(guest, fields(page, OutputBucket="unnamed"))
    with user(running, "lister", "SubmitSnapshotJob", "GetStorageList") as lister:
        assert "unnamed" in lister.get("/jobs/new").text
        assert "unnamed" in lister.get(MOVIE).text


def test_who_may_not_look_into_buckets_hears_of_no_file_there(running: Service) -> None:
    (running.folder / "theirs.vtt").write_text("WEBVTT")
    told = "There are files of this name already"
    for name, actions, hears in (("deaf", [], False), ("hears", ["CreateUploadMedia"], True)):
        with user(running, name, "SubmitSnapshotJob", *actions) as sender:
            form = fields(sender.get(MOVIE), Type="WebVtt", OutputKey="theirs.vtt")
            assert (told in sender.post("/jobs/new/moments", form, **PART).text) is hears


def test_who_may_see_no_pictures_sees_none(running: Service) -> None:
    with user(running, "blind", "SubmitSnapshotJob") as blind:
        page = blind.get(MOVIE)
        assert len(moments(page)) == 10
        assert "/jobs/new/strip" not in page.text
        query = "bucket=local&key=movie.mp4&Count=4"
        for path in ("strip", "strip.jpg"):
            refused = blind.get(f"/jobs/new/{path}?{query}")
            assert refused.status_code == 403
            assert "ice:GetSnapshotUrls" in refused.text
        assert blind.get(f"/jobs/new?like={'0' * 32}").status_code == 403
        assert "Pipeline" not in fields(page)


def test_who_may_make_no_jobs_is_offered_none(running: Service) -> None:
    with user(running, "looker", "ListSnapshotJobs", "GetSnapshotJob") as looker:
        assert "/jobs/new" not in looker.get("/jobs").text
        assert looker.get(MOVIE).status_code == 403
        assert looker.send("/jobs/new", bucket="local", key="movie.mp4").status_code == 403


@FULL
def test_a_server_without_a_worker_looks_itself(database_url: URL, tmp_path: Path) -> None:
    assembly = Assembly(Settings(data_dir=tmp_path), database_url, owns_database=False)
    try:
        assembly.first_run()
        assembly.start(works=False)
        videos.make(tmp_path / "buckets" / "local" / "movie.mp4", frames=10, fps=FPS, gop=GOP)
        with over_http(assembly.app()) as port, visiting(port) as visitor:
            visitor.log_in_by_link(assembly.login_link())
            page = visitor.get(MOVIE)
            assert len(moments(page)) == 10
            assert barcode.read(cells(visitor, visitor.get(strip_url(page), **PART))[-1]) == GOP
    finally:
        assembly.stop()
