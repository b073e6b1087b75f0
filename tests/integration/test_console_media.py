"""The pages of media assets, over real objects of the real service."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from console_client import Visitor, linked_fields, visiting
from service_client import Service, service, wait_for
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Grant
from stillframe.console.pages.media import ASSETS_ON_A_PAGE
from stillframe.testing import barcode, videos

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"""
READ_ONLY = "AliyunICEReadOnlyAccess"


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        videos.make(started.folder / "movie.mp4", frames=60, fps=5, gop=5, audio="aac")
        yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


@pytest.fixture(scope="module")
def film(running: Service, visitor: Visitor) -> str:
    """An asset that was registered at the console, with its cover and its sheet."""
    answer = visitor.send(
        "/media/new",
        bucket="local",
        key="movie.mp4",
        Title=HOSTILE,
        MediaTags="short, night",
        Description="Of a day",
        NeedSnapshot="true",
        NeedSprite="true",
        StartTime="2.1",
    )
    assert answer.status_code == 303, answer.text
    media_id = answer.headers["Location"].removeprefix("/console/media/")
    wait_for(lambda: '"iceJobId"' in running.client.asset(media_id)["Snapshots"])
    wait_for(lambda: '"iceJobId"' in running.client.asset(media_id)["SpriteImages"])
    return media_id


@pytest.fixture(scope="module")
def broken(running: Service) -> str:
    (running.folder / "broken.mp4").write_bytes(b"no video at all")
    media_id = running.client.register("oss://local/broken.mp4", Title="broken")
    assert running.client.prepared(media_id)["Status"] == "PrepareFail"
    return media_id


@contextmanager
def user(running: Service, name: str, *policies: str) -> Iterator[Visitor]:
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, name)
    for policy in policies:
        users.attach(running.account_id, name, policy)
    with visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        yield found


def listed(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/console/media/([0-9a-f]{32})">', page)


def picture(url: str) -> np.ndarray:
    body = httpx.get(html.unescape(url), trust_env=False).content
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def test_an_asset_shows_what_is_in_its_file_and_what_was_made_of_it(
    running: Service, visitor: Visitor, film: str
) -> None:
    page = visitor.get(f"/media/{film}").text
    assert html.escape("<script>alert(1)") in page
    assert "<script>alert" not in page
    assert ">49<" not in page
    for told in ("oss://local/movie.mp4", "short, night", "Of a day", "192 × 108 px, 5.0 fps", "0:12"):
        assert told in page
    assert re.search(r'data-label="Codec"[^>]*>h264', page)
    assert re.search(r'data-label="Codec"[^>]*>aac', page)
    cover = re.search(r'<img src="([^"]+)" alt="Cover">', page)
    assert cover is not None
    # the still at 2.1 seconds, to the frame
    assert barcode.read(picture(cover[1])) == 10
    sheet = re.search(r'<img src="([^"]+)" width="(\d+)" height="(\d+)" alt="Sheet 1">', page)
    assert sheet is not None
    assert picture(sheet[1]).shape == (int(sheet[3]), int(sheet[2]), 3)
    asset = running.client.asset(film)
    made = {one["iceJobId"] for name in ("Snapshots", "SpriteImages") for one in json.loads(asset[name])}
    assert len(made) >= 2
    assert {*re.findall(r'<a href="/console/jobs/([0-9a-f]{32})">', page)} >= made
    assert 'href="/console/jobs/new?bucket=local&amp;key=movie.mp4">New job<' in page
    assert "movie.mp4" in visitor.get("/jobs/new?bucket=local&key=movie.mp4").text


def test_jobs_of_it_stand_on_its_page_whoever_made_them(
    running: Service, visitor: Visitor, film: str
) -> None:
    template = {"TemplateId": "S00000002-000010"}
    film_itself, elsewhere = (
        {"Type": "Media", "Media": film},
        {"Type": "OSS", "Media": "oss://local/of/1.jpg"},
    )
    movie = {"Type": "OSS", "Media": "oss://local/movie.mp4"}
    made = [
        running.client.call("SubmitSnapshotJob", Input=source, Output=target, TemplateConfig=template)[
            "JobId"
        ]
        for source, target in ((film_itself, elsewhere), (movie, film_itself))
    ]
    other = running.client.submit("oss://local/movie.mp4", "oss://local/other.jpg", more={"Name": "another"})
    page = visitor.get(f"/media/{film}").text
    assert all(job_id in page for job_id in made)
    assert other not in page
    for job_id in (*made, other):
        running.client.succeeded(job_id)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "film broken"),
        ("type=video", "film broken"),
        ("type=audio", ""),
        ("status=Normal", "film"),
        ("status=PrepareFail", "broken"),
        ("source=oss", "film broken"),
        ("source=vod", ""),
        ("from=2000-01-01T00:00&to=2001-01-01T00:00", ""),
        ("from=2000-01-01T00:00", "film broken"),
        ("type=nonsense", "film broken"),
    ],
)
def test_the_list_is_filtered(visitor: Visitor, film: str, broken: str, query: str, found: str) -> None:
    page = visitor.get(f"/media?{query}").text
    ids = {"film": film, "broken": broken}
    assert {name for name, media_id in ids.items() if media_id in listed(page)} == {*found.split()}
    if not found:
        assert "No media asset is like that" in page


def test_what_is_wrong_with_a_filter_stands_beside_it(visitor: Visitor) -> None:
    page = visitor.get("/media?to=soon").text
    assert '<p class="error" id="about-to">Must be a time in UTC such as' in page
    assert visitor.get("/media?page=wrong").status_code == 400


def test_a_file_that_cannot_be_understood_says_why(visitor: Visitor, broken: str) -> None:
    page = visitor.get(f"/media/{broken}").text
    assert "<b>InvalidParameter.ResourceContentBad</b>" in page
    assert "broken.mp4: is a text file, not a video" in page
    assert "/jobs/new?" not in page


def test_a_long_list_has_pages_and_an_empty_one_says_what_to_do(running: Service) -> None:
    with running.account("busy-media") as (busy_id, client), visiting(running.port) as visitor:
        folder = running.bucket("busy-media", busy_id)
        visitor.log_in_by_key(running.assembly.keys.create(busy_id))
        assert "There are no media assets yet." in visitor.get("/media").text
        for number in range(ASSETS_ON_A_PAGE + 1):
            (folder / f"{number}.txt").write_text("text")
            client.register(f"oss://busy-media/{number}.txt", MediaType="text", BusinessType="font")
        first = visitor.get("/media?type=text").text
        found = re.search(r'<a href="/console/media([^"]*)" rel="next"', first)
        assert found is not None
        second = visitor.get(f"/media{html.unescape(found[1])}").text
        assert (len(listed(first)), len(listed(second))) == (ASSETS_ON_A_PAGE, 1)
        assert f"{ASSETS_ON_A_PAGE + 1} in all" in second


@pytest.mark.parametrize(
    ("form", "field", "told"),
    [
        ({"key": ""}, "key", "InputURL"),
        ({"MediaTags": ",".join("abcdefghijklmnopqrs")}, "MediaTags", "16 tags at the most"),
        ({"CateId": "seven"}, "CateId", "It is &#39;seven&#39;, but must be a whole number"),
        ({"StartTime": "soon"}, "StartTime", "seconds such as 5 or 12.25"),
        ({"MediaType": "text"}, "BusinessType", "subtitles or font for MediaType text"),
        ({"bucket": "none"}, None, "There is no Bucket &#39;none&#39;"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(
    visitor: Visitor, form: dict[str, str], field: str | None, told: str
) -> None:
    sent = {"bucket": "local", "key": "other.mp4", "Title": HOSTILE, **form}
    answer = visitor.send("/media/new", **sent)
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert (
        f'value="{html.escape(HOSTILE)}'.replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in answer.text
    )
    errors = dict(re.findall(r'<p class="error" id="about-(\w+)">([^<]*)</p>', answer.text))
    if field is None:
        assert errors == {}
        assert told in answer.text
    else:
        assert [*errors] == [field] == linked_fields(answer.text)
        assert told in errors[field].replace("&#34;", '"')


def test_an_asset_without_a_title_goes_by_its_objects_name(running: Service, visitor: Visitor) -> None:
    videos.make(running.folder / "untitled.mp4", frames=5, fps=5, gop=5)
    path = visitor.send("/media/new", bucket="local", key="untitled.mp4").headers["Location"]
    media_id = path.rpartition("/")[2]
    running.client.prepared(media_id)
    assert '<span class="status success">Ready</span>' in visitor.get(f"/media/{media_id}").text
    page = visitor.get(f"/media/{media_id}").text
    assert re.search(r"<title>untitled\.mp4\b", page)
    assert "<h1>untitled.mp4 " in page
    assert f'<a href="{path}">untitled.mp4</a>' in visitor.get("/media").text
    # a date that somebody gives is a title like any other
    assert visitor.send(f"/media/{media_id}/edit", Title="2020-02-02 02:02:02").status_code == 303
    assert "<h1>2020-02-02 02:02:02 " in visitor.get(f"/media/{media_id}").text


def test_an_object_that_has_an_asset_leads_to_it(visitor: Visitor, film: str) -> None:
    answer = visitor.send("/media/new", bucket="local", key="movie.mp4")
    assert answer.status_code == 400
    assert "<b>MediaAlreadyExist</b>" in answer.text
    assert f'<a href="/console/media/{film}">Show the asset' in answer.text


def test_a_link_may_name_the_object(visitor: Visitor) -> None:
    page = visitor.get("/media/new?bucket=local&key=films/a%20%22b%22.mp4").text
    assert '<option value="local" selected>' in page
    assert 'name="key" type="text" value="films/a &#34;b&#34;.mp4"' in page


def test_an_asset_is_changed_and_forgotten_with_or_without_its_files(
    running: Service, visitor: Visitor
) -> None:
    videos.make(running.folder / "gone.mp4", frames=5, fps=5, gop=5)
    form = {"bucket": "local", "key": "gone.mp4", "Title": "before", "CoverURL": "https://a.example/x;y.jpg"}
    media_id = visitor.send("/media/new", **form).headers["Location"].rpartition("/")[2]
    told = running.client.prepared(media_id)
    assert (told["Snapshots"], told["SpriteImages"]) == ("[]", "[]")
    page = visitor.get(f"/media/{media_id}")
    # a picture of somebody's choice is not loaded by us
    assert "a.example" not in page.headers["Content-Security-Policy"]
    assert '<a href="https://a.example/x;y.jpg" target="_blank" rel="noopener noreferrer">' in page.text
    assert 'value="before"' in visitor.get(f"/media/{media_id}/edit").text
    wrong = visitor.send(f"/media/{media_id}/edit", Title="x" * 200)
    assert wrong.status_code == 400
    assert re.search(r'<p class="error" id="about-Title">[^<]*128 bytes or less', wrong.text)
    saved = visitor.send(
        f"/media/{media_id}/edit", Title="after", Category="films", MediaTags="a,b", ReferenceId="mine-01"
    )
    assert saved.headers["Location"] == f"/console/media/{media_id}"
    told = running.client.asset(media_id)
    assert (told["Title"], told["Category"], told["MediaTags"]) == ("after", "films", "a,b")
    assert told["ReferenceId"] == "mine-01"
    assert visitor.send(f"/media/{media_id}/delete").headers["Location"] == "/console/media"
    assert "The asset is forgotten." in visitor.get("/media").text
    assert (running.folder / "gone.mp4").exists()
    again = visitor.send("/media/new", **form).headers["Location"].rpartition("/")[2]
    running.client.prepared(again)
    visitor.send(f"/media/{again}/delete", files="true")
    assert not (running.folder / "gone.mp4").exists()
    assert visitor.get(f"/media/{again}").status_code == 404


def test_files_that_may_not_be_removed_keep_their_asset(running: Service, visitor: Visitor) -> None:
    with running.account("lenders") as (lender_id, _):
        folder = running.bucket("lent", lender_id)
        videos.make(folder / "movie.mp4", frames=5, fps=5, gop=5)
        running.assembly.buckets.grant("lent", running.account_id, Grant("read", ""))
        media_id = running.client.register("oss://lent/movie.mp4")
        running.client.prepared(media_id)
        answer = visitor.send(f"/media/{media_id}/delete", files="true")
        assert answer.headers["Location"] == f"/console/media/{media_id}"
        assert "The asset stays: you may not write" in visitor.get(f"/media/{media_id}").text
        assert (folder / "movie.mp4").exists()
        visitor.send(f"/media/{media_id}/delete")


def test_policies_apply_to_people(running: Service, film: str) -> None:
    with user(running, "media-nobody") as nobody, user(running, "media-reader", READ_ONLY) as reader:
        for path, action in (
            ("/media", "ListMediaBasicInfos"),
            (f"/media/{film}", "GetMediaInfo"),
            ("/media/new", "RegisterMediaInfo"),
            ("/media/events", "ListMediaBasicInfos"),
        ):
            refused = nobody.get(path)
            assert refused.status_code == 403
            assert f"ice:{action}" in refused.text
        page = reader.get(f"/media/{film}").text
        for act in ("/delete", "/edit", "/jobs/new"):
            assert act not in page
        assert "/media/new" not in reader.get("/media").text
        for path in (f"/media/{film}/delete", f"/media/{film}/edit", "/media/new"):
            assert reader.send(path, files="true").status_code == 403


def test_two_accounts_see_nothing_of_each_other(running: Service, visitor: Visitor, film: str) -> None:
    with running.account("media-strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        assert listed(stranger.get("/media").text) == []
        for path in (f"/media/{film}", f"/media/{film}/edit"):
            assert stranger.get(path).status_code == 404
        assert stranger.send(f"/media/{film}/edit", Title="mine").status_code == 400
        assert "There is no media asset" in _after(stranger, f"/media/{film}/delete", files="true")
        refused = stranger.send("/media/new", bucket="local", key="movie.mp4")
        assert refused.status_code == 400
        assert "<b>ResourceNotFound</b>" in refused.text
    assert visitor.get(f"/media/{film}").status_code == 200
    assert running.client.asset(film)["Title"] == HOSTILE


def _after(visitor: Visitor, path: str, **form: str) -> str:
    target = visitor.send(path, **form).headers["Location"]
    return visitor.get(target.removeprefix("/console")).text


def test_the_streams_tell_when_something_has_changed(running: Service, visitor: Visitor) -> None:
    (running.folder / "streamed.txt").write_text("text")
    with visitor.http.stream("GET", "/console/media/events") as stream:
        lines = stream.iter_lines()
        _changed(lines)
        media_id = running.client.register("oss://local/streamed.txt", MediaType="text", BusinessType="font")
        _changed(lines)
        assert media_id in visitor.get("/media").text
    running.client.prepared(media_id)
    with visitor.http.stream("GET", f"/console/media/{media_id}/events") as stream:
        lines = stream.iter_lines()
        _changed(lines)
        running.client.call("UpdateMediaInfo", MediaId=media_id, Title="renamed")
        _changed(lines)
        part = visitor.get(f"/media/{media_id}", **{"HX-Request": "true"}).text
        assert "renamed" in part
        assert "<html" not in part


def _changed(lines: Iterator[str]) -> None:
    assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_names_that_no_object_can_have_are_of_nothing(visitor: Visitor) -> None:
    for path in ("/media/%00", "/media/%00/edit", "/media/%20", f"/media/{'x' * 3000}", "/jobs/%00"):
        assert visitor.get(path).status_code == 404, path
    assert visitor.get("/media?page=%00").status_code == 400
    refused = visitor.send("/media/new", bucket="local", key="a\0b")
    assert refused.status_code == 400
    assert "text without NUL" in html.unescape(refused.text)
