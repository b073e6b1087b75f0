"""The pages of jobs, over real jobs of the real service: what they show, to whom, and what they may load and run."""

from __future__ import annotations

import asyncio
import html
import io
import itertools
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL, text

from console_client import DEADLINE_S, Visitor, visiting
from service_client import Refused, Service, service, wait_for
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.users import Users
from stillframe.console import app
from stillframe.console.live import Live
from stillframe.console.page import Page
from stillframe.console.pages import jobs
from stillframe.console.pages.jobs import JOBS_ON_A_PAGE
from stillframe.console.pages.objects import UPLOAD
from stillframe.console.registry import PAGES
from stillframe.console.visit import Visit
from stillframe.errors import NotFound
from stillframe.ims.registry import ACTIONS
from stillframe.testing import barcode, videos

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"""
INSTALL = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "install_sdks.py"))["install"]
READ_ONLY = "AliyunICEReadOnlyAccess"


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


@pytest.fixture(scope="module")
def stills(running: Service) -> str:
    job_id = running.client.submit(
        "oss://local/movie.mp4",
        "oss://local/stills/{Count}.jpg",
        "S00000002-000011",
        {"Name": HOSTILE, "UserData": HOSTILE},
        Count=3,
        Interval=2,
        Time=700,
        FrameType="normal",
        Width=160,
    )
    running.client.succeeded(job_id)
    return job_id


@pytest.fixture(scope="module")
def track(running: Service) -> str:
    grid = {"Columns": 4, "Lines": 2, "Padding": 3, "Margin": 5}
    job_id = running.client.submit(
        "oss://local/movie.mp4",
        "oss://local/t/x.vtt",
        "S00000002-000031",
        Interval=1,
        Width=96,
        SpriteSnapshotConfig=grid,
        Quality=77,
        KeyframeMiss="nearest",
    )
    running.client.succeeded(job_id)
    return job_id


@pytest.fixture(scope="module")
def failed(running: Service) -> str:
    job_id = running.client.submit("oss://local/nothing.mp4", "oss://local/n/{Count}.jpg")
    assert running.client.ended(job_id)["Status"] == "Fail"
    return job_id


@contextmanager
def user(running: Service, name: str, *policies: str) -> Iterator[Visitor]:
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, name)
    for policy in policies:
        users.attach(running.account_id, name, policy)
    with visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        yield found


def test_the_list_shows_each_job_and_what_became_of_it(
    visitor: Visitor, stills: str, track: str, failed: str
) -> None:
    page = visitor.get("/jobs").text
    for job_id in (stills, track, failed):
        assert f"/console/jobs/{job_id}" in page
    covers = dict(re.findall(r'<svg id="cover-([0-9a-f]{32})-[0-9a-f]+"[^>]*><image href="([^"]+)"', page))
    assert {stills, track} <= covers.keys()
    assert failed not in covers
    assert httpx.get(html.unescape(covers[stills]), trust_env=False).headers["Content-Type"] == "image/jpeg"
    part = visitor.get("/jobs", **{"HX-Request": "true"}).text
    assert stills in part
    assert "<html" not in part


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=Fail", "failed"),
        ("status=Success", "stills track"),
        ("status=Init", ""),
        ("name=%3CSCRIPT", "stills"),
        ("name=%25", ""),
        ("pipeline=none", ""),
        ("from=2000-01-01T00:00&to=2001-01-01T00:00", ""),
        ("from=2000-01-01T00:00", "stills track failed"),
    ],
)
def test_the_list_is_filtered(
    visitor: Visitor, stills: str, track: str, failed: str, query: str, found: str
) -> None:
    page = visitor.get(f"/jobs?{query}").text
    ids = {"stills": stills, "track": track, "failed": failed}
    assert {name for name, job_id in ids.items() if f"/jobs/{job_id}" in page} == {*found.split()}


def test_what_is_wrong_with_a_filter_stands_beside_it(visitor: Visitor) -> None:
    page = visitor.get("/jobs?from=yesterday").text
    assert re.search(r'<input id="field-from"[^>]*aria-describedby="about-from" aria-invalid="true"', page)
    assert '<p class="error" id="about-from">Must be a time in UTC such as' in page
    assert visitor.get("/jobs?page=wrong").status_code == 400


def test_a_long_list_has_pages(running: Service) -> None:
    with running.account("busy") as (busy_id, client), visiting(running.port) as visitor:
        running.bucket("busy", busy_id)
        visitor.log_in_by_key(running.assembly.keys.create(busy_id))
        for number in range(JOBS_ON_A_PAGE + 1):
            client.submit(
                "oss://busy/none.mp4", f"oss://busy/{number}.jpg", more={"Name": f"many {number:02}"}
            )
        first = visitor.get("/jobs?name=many").text
        found = re.search(r'<a href="/console/jobs([^"]*)" rel="next"', first)
        assert found is not None
        second = visitor.get(f"/jobs{html.unescape(found[1])}").text
    names = [set(re.findall(r">many (\d\d)<", page)) for page in (first, second)]
    assert names == [{f"{number:02}" for number in range(1, JOBS_ON_A_PAGE + 1)}, {"00"}]
    assert "First page" in second


def test_a_job_shows_its_pictures_with_their_times(running: Service, visitor: Visitor, stills: str) -> None:
    page = visitor.get(f"/jobs/{stills}").text
    pictures = re.findall(r'<img id="picture-(\d+)-[0-9a-f]+"[^>]* src="([^"]+)"', page)
    times = re.findall(r"<figcaption>\s*<b>([^<]*)</b>\s*<span>([^<]*)</span>", page)
    assert times == [("0:00.700", "→ 0:00.600"), ("0:02.700", "→ 0:02.600"), ("0:04.700", "→ 0:04.600")]
    assert [number for number, _ in pictures] == ["1", "2", "3"]
    for (_, url), at_ms in zip(pictures, (600, 2600, 4600), strict=True):
        body = httpx.get(html.unescape(url), trust_env=False).content
        picture = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
        assert barcode.read(picture) == at_ms // 200
    report = running.client.get(stills)["Report"]
    assert f"{report['Requests']} requests" in page
    assert "3 taken" in page
    assert 'data-ask="Delete this job? Its files stay where they are."' in page
    assert 'name="outputs" value="true" data-ask="Delete this job and its 3 files?"' in page


def test_a_job_leads_to_its_folders_and_its_template(running: Service, visitor: Visitor, track: str) -> None:
    page = visitor.get(f"/jobs/{track}").text
    links = dict(re.findall(r'<dt>(\w+)</dt><dd[^>]*><a href="/console([^"]+)"', page))
    assert "<dt>Type</dt><dd>WebVTT track</dd>" in page
    assert '<td data-label="Type">WebVTT track</td>' in visitor.get("/jobs").text
    for name, file in (("Video", "movie.mp4"), ("Output", "x.vtt")):
        assert f">{file}</a>" in visitor.get(html.unescape(links[name])).text
    assert visitor.get(links["Template"]).status_code == 200
    made = running.client.call(
        "CreateCustomTemplate", Name="my own", Type=2, TemplateConfig={"Type": "Normal", "Count": 1}
    )
    template_id = made["CustomTemplate"]["TemplateId"]
    job_id = running.client.submit("oss://local/movie.mp4", "oss://local/own/{Count}.jpg", template_id)
    link = f'<a href="/console/templates/{template_id}">my own</a>'
    assert link in visitor.get(f"/jobs/{job_id}").text
    running.client.call("DeleteCustomTemplate", TemplateId=template_id)
    assert f"<code>{template_id}</code>" in visitor.get(f"/jobs/{job_id}").text
    sees_jobs = {"Effect": "Allow", "Action": ["ice:GetSnapshotJob", "ice:GetSnapshotUrls"], "Resource": "*"}
    document = json.dumps({"Version": "1", "Statement": [sees_jobs]})
    Policies(running.assembly.database).create(running.account_id, "SeesJobs", document)
    with user(running, "sees-jobs", "SeesJobs") as watcher:
        page = watcher.get(f"/jobs/{track}").text
    assert "oss://local/t/x.vtt" in page
    assert "/console/buckets/" not in page
    assert "/console/templates/" not in page


def test_no_share_is_said_of_a_video_that_was_read_more_than_once(running: Service, visitor: Visitor) -> None:
    job_id = running.client.submit("oss://local/movie.mp4", "oss://local/share/{Count}.jpg", Count=1)
    running.client.succeeded(job_id)
    told = text(
        "UPDATE jobs SET report = jsonb_set(report, '{ShareRead}', to_jsonb(:share)) WHERE job_id = :job"
    )
    for share, shown in ((40.5, "40.5 % of it, "), (132.75, "")):
        with running.assembly.database.transaction() as session:
            session.execute(told, {"share": share, "job": job_id})
        page = visitor.get(f"/jobs/{job_id}").text
        assert re.search(rf'<span class="quiet">{shown}\d+ requests', page)


def test_a_sheet_has_the_grid_of_its_cells_over_it(visitor: Visitor, track: str) -> None:
    page = visitor.get(f"/jobs/{track}").text
    grids = re.findall(r'<svg class="grid" viewBox="0 0 (\d+) (\d+)".*?</svg>', page, re.DOTALL)
    # 4 columns of 96 with paddings of 3 and margins of 5
    assert [width for width, _ in grids] == ["403", "403"]
    cells = re.findall(r'<rect class="taken" x="(\d+)" y="(\d+)"[^>]*><title>([^<]*)</title>', page)
    assert [time for _, _, time in cells] == [f"0:{second:02}" for second in range(12)]
    assert [int(x) for x, _, _ in cells[:5]] == [5, 104, 203, 302, 5]
    assert "/tracks/" in page


def test_moments_out_of_the_ordinary_are_told_with_their_reasons(running: Service, visitor: Visitor) -> None:
    # the film has 12 seconds
    job_id = running.client.submit(
        "oss://local/movie.mp4", "oss://local/odd/{Count}.jpg", Count=5, Interval=5
    )
    running.client.succeeded(job_id)
    page = visitor.get(f"/jobs/{job_id}").text
    rows = re.findall(r'data-label="Asked for">([^<]*)<.*?data-label="What became of it">([^<]*)<', page)
    assert rows == [("0:15", "Dropped"), ("0:20", "Dropped")]
    assert "3 taken, 2 dropped" in page
    assert "<li>2 shots behind the end of the video dropped</li>" in page


def test_a_failed_job_says_why(visitor: Visitor, failed: str) -> None:
    page = visitor.get(f"/jobs/{failed}").text
    assert "<b>ResourceNotFound</b>" in page
    assert "nothing.mp4" in page
    assert f'action="/console/jobs/{failed}/retry"' in page
    assert "There are no pictures" not in page


def test_that_a_job_was_begun_is_not_said_of_one_that_has_failed(
    running: Service, visitor: Visitor, failed: str
) -> None:
    assert visitor.send(f"/jobs/{failed}/retry").status_code == 303
    running.client.ended(failed)
    page = visitor.get(f"/jobs/{failed}")
    assert '<p class="flash done">' not in page.text
    # nor later, on another page; and one that is open already drops it
    assert '<p class="flash done">' not in visitor.get("/jobs").text
    part = visitor.get(f"/jobs/{failed}", **{"HX-Request": "true"}).text
    assert '<div id="flash" hx-swap-oob="innerHTML"></div>' in part


def test_what_people_write_is_only_text(visitor: Visitor, stills: str) -> None:
    for path in ("/jobs", f"/jobs/{stills}"):
        page = visitor.get(path).text
        assert html.escape("<script>alert(1)") in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert ">49<" not in page


def test_nothing_runs_that_is_not_a_file_of_ours(visitor: Visitor, stills: str, failed: str) -> None:
    with visiting(int(visitor.origin.rpartition(":")[2])) as nobody:
        pages = [
            nobody.get("/login"),
            *map(visitor.get, ("/jobs", f"/jobs/{stills}", f"/jobs/{failed}", "/none")),
        ]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "same-origin"
        outside = html.unescape(re.sub(r"&[^;]+;", "", page.text))
        assert re.findall(r"<script(?![^>]* src=)", outside) == []
        assert re.findall(r"<[^>]+ (?:style|on[a-z]+)=", outside) == []
        assert "<style" not in outside
    assert visitor.origin in pages[2].headers["Content-Security-Policy"]


def test_files_are_kept_by_browsers_until_they_change(visitor: Visitor) -> None:
    page = visitor.get("/jobs").text
    files = re.findall(r'(?:href|src)="/console(/static/[^"]+)"', page)
    assert len(set(files)) == 4
    for file in files:
        answer = visitor.get(file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert visitor.get("/static/console.css").status_code == 404
    assert visitor.get("/static/..%2fapp.py").status_code == 404


def test_a_job_is_done_again_cancelled_and_deleted(running: Service, visitor: Visitor) -> None:
    client = running.client
    job_id = client.submit("oss://local/late.mp4", "oss://local/late/{Count}.jpg", Count=2, Interval=1)
    assert client.ended(job_id)["Status"] == "Fail"
    videos.make(running.folder / "late.mp4", frames=20, fps=5, gop=5)
    assert visitor.send(f"/jobs/{job_id}/retry").headers["Location"] == f"/console/jobs/{job_id}"
    said = visitor.get(f"/jobs/{job_id}")
    assert "The job is tried again." in said.text
    assert "The job is tried again." not in visitor.get(f"/jobs/{job_id}").text
    client.succeeded(job_id)
    refused = visitor.send(f"/jobs/{job_id}/cancel")
    assert refused.status_code == 400
    assert "<b>InvalidParameter</b>" in refused.text
    pictures = [*(running.folder / "late").iterdir()]
    assert len(pictures) == 2
    assert visitor.send(f"/jobs/{job_id}/delete", outputs="true").headers["Location"] == "/console/jobs"
    assert [*(running.folder / "late").iterdir()] == []
    gone = visitor.get(f"/jobs/{job_id}")
    assert gone.status_code == 404
    assert "<b>ResourceNotFound</b>" in gone.text


def test_a_failed_form_of_htmx_is_told_in_the_page(visitor: Visitor, stills: str) -> None:
    headers = {"HX-Request": "true", "X-CSRF-Token": visitor.csrf()}
    answer = visitor.post(f"/jobs/{stills}/retry", **headers)
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#flash"
    assert answer.text.startswith('<div class="flash failed">')


def test_policies_apply_to_people(running: Service, visitor: Visitor, stills: str) -> None:
    with user(running, "nothing") as nobody, user(running, "reader", READ_ONLY) as reader:
        refused = nobody.get("/jobs")
        assert refused.status_code == 403
        assert "ice:ListSnapshotJobs" in refused.text
        assert f"acs:ice:*:{running.account_id}:*" in refused.text
        assert nobody.get("/jobs/events").status_code == 403
        # what somebody may not see is not offered either
        sections = nobody.get("/none").text.partition('aria-label="Sections">')[2].partition("</nav>")[0]
        assert re.findall(r'href="/console([^"]*)"', sections) == ["/try"]
        page = reader.get(f"/jobs/{stills}").text
        assert "picture-1-" in page
        assert "/delete" not in page
        refused = reader.send(f"/jobs/{stills}/delete")
        assert refused.status_code == 403
        assert "ice:DeleteSnapshotJob" in refused.text
    assert visitor.get(f"/jobs/{stills}").status_code == 200


def test_two_accounts_see_nothing_of_each_other(running: Service, visitor: Visitor, stills: str) -> None:
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        assert "There are no jobs yet" in stranger.get("/jobs").text
        none = "0" * 32
        for path in ("/jobs/{}", "/jobs/{}?pictures=2"):
            theirs, nobodys = (stranger.get(path.format(job_id)) for job_id in (stills, none))
            assert theirs.status_code == nobodys.status_code == 404
            assert _bare(theirs.text, stills) == _bare(nobodys.text, none)
        for action in ("cancel", "retry", "delete"):
            answer = stranger.send(f"/jobs/{stills}/{action}", outputs="true")
            assert answer.status_code == 404
    assert visitor.get(f"/jobs/{stills}").status_code == 200


def _bare(page: str, job_id: str) -> str:
    """A page without what is never twice the same."""
    page = re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", page)
    return page.replace(job_id, "ID")


def test_the_stream_tells_when_something_has_changed(running: Service, visitor: Visitor) -> None:
    with visitor.http.stream("GET", "/console/jobs/events?name=streamed") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        _changed(lines)
        more = {"Name": "streamed"}
        job_id = running.client.submit("oss://local/none.mp4", "oss://local/s/x.jpg", more=more)
        _changed(lines)
        assert job_id in visitor.get("/jobs?name=streamed").text


def _changed(lines: Iterator[str]) -> None:
    assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_streams_end_with_the_server_and_are_limited(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.console.live.MOST_OF_ONE", 2)
    with visiting(running.port) as visitor:
        visitor.log_in_by_link(running.assembly.login_link())
        with (
            visitor.http.stream("GET", "/console/jobs/events") as one,
            visitor.http.stream("GET", "/console/jobs/events?status=Fail") as two,
        ):
            # a reader that is forgotten hangs up
            readers = [stream.iter_lines() for stream in (one, two)]
            for reader in readers:
                _changed(reader)
            with visitor.http.stream("GET", "/console/jobs/events?status=Success") as refused:
                assert refused.status_code == 503
        # those that are hung up on make room
        wait_for(lambda: not _live(running)._places)
        assert not _live(running)._subjects


def test_a_stream_has_its_place_before_it_begins(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.console.live.MOST_OF_ONE", 2)
    go_on, begun, count, before = threading.Event(), threading.Semaphore(0), itertools.count(), jobs._filters

    def slow(visit: Visit) -> object:
        if next(count) < 2:
            begun.release()
            assert go_on.wait(DEADLINE_S)
        if visit.query.get("name") == "wrong":
            raise NotFound("Job", "wrong")
        return before(visit)

    def status(name: str) -> int:
        with visitor.http.stream("GET", f"/console/jobs/events?name={name}") as stream:
            return stream.status_code

    monkeypatch.setattr(jobs, "_filters", slow)
    with ThreadPoolExecutor(2) as threads:
        try:
            held = [threads.submit(status, name) for name in ("right", "wrong")]
            for _ in held:
                assert begun.acquire(timeout=DEADLINE_S)
            assert status("right") == 503
        finally:
            go_on.set()
        assert [one.result() for one in held] == [200, 404]
    wait_for(lambda: not _live(running)._places)


def _live(running: Service) -> Live:
    console = running.assembly._console
    assert console is not None
    return console._live


def test_a_stream_ends_when_the_server_does(database_url: URL, tmp_path: Path) -> None:
    with (
        service(database_url, tmp_path, slots=1, sandbox="off") as running,
        visiting(running.port) as visitor,
    ):
        visitor.log_in_by_link(running.assembly.login_link())
        with visitor.http.stream("GET", "/console/jobs/events") as stream:
            lines = stream.iter_lines()
            _changed(lines)
            running.assembly.end_streams()
            assert all(not line.startswith("event:") for line in lines)
        with visitor.http.stream("GET", "/console/jobs/events") as refused:
            assert refused.status_code == 503


@pytest.mark.parametrize("way", ["Command", "curl", "Python"])
def test_the_same_request_as_code_makes_the_same_job(
    running: Service, visitor: Visitor, stills: str, track: str, tmp_path: Path, way: str
) -> None:
    key = running.assembly.keys.create(running.account_id)
    env = os.environ | {
        "STILLFRAME_ENDPOINT": visitor.origin,
        "STILLFRAME_ACCESS_KEY_ID": key.access_key_id,
        "STILLFRAME_ACCESS_KEY_SECRET": key.secret,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    program = ["bash", "-euc"]
    if way == "Python":
        program, env["PYTHONPATH"] = [sys.executable, "-c"], str(INSTALL("ice6"))
    # the SDK takes its time to be imported
    for job_id in (track,) if way == "Python" else (stills, track):
        code = _code(visitor.get(f"/jobs/{job_id}").text, way)
        done = subprocess.run(
            [*program, code], env=env, capture_output=True, text=True, timeout=DEADLINE_S, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        found = re.search(r"\b[0-9a-f]{32}\b", done.stdout)
        assert found, done.stdout
        before, after = running.client.get(job_id), running.client.succeeded(found[0])
        same = ("TemplateConfig", "TemplateId", "Input", "Output", "PipelineId")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
        assert after.get("Name") == before.get("Name")
        assert after.get("UserData") == before.get("UserData")


def _code(page: str, label: str) -> str:
    found = re.search(rf'aria-label="{label}"><code>(.*?)</code>', page, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def test_each_page_asks_for_what_its_action_is_called() -> None:
    for page in PAGES:
        is_of_account = isinstance(page, Page) and page.of_account
        # to be told of the API one needs no permission; calling it asks for the action's own
        assert page.actions or is_of_account or page.path.startswith("/try")
        # one is IMS's as well, but there is nothing of it for programs here
        assert {*page.actions} <= ACTIONS.keys() | {UPLOAD}


def test_a_database_that_is_away_is_told_in_words(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        with running.assembly.database.transaction() as session:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr(type(running.assembly.jobs), "list_jobs", lost)
    answer = visitor.get("/jobs")
    assert answer.status_code == 503
    assert "ServiceUnavailable" in answer.text


def test_a_form_has_bounds(visitor: Visitor) -> None:
    large = visitor.http.post(
        "/console/login",
        content=b"a=" + b"x" * (1 << 21),
        headers={"Origin": visitor.origin, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert large.status_code == 413
    wrong = visitor.http.post("/console/login", json={}, headers={"Origin": visitor.origin})
    assert wrong.status_code == 400
    headers = {"Origin": visitor.origin, "Content-Type": "application/x-www-form-urlencoded"}
    for fields, status in ((1000, 401), (1001, 413)):
        body = b"&".join([b"a"] * fields)
        assert visitor.http.post("/console/login", content=body, headers=headers).status_code == status


def test_a_form_is_taken_apart_beside_the_loop_and_for_those_who_are_known(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(text: str, **options: bool) -> list[tuple[str, str]]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        read.append(text)
        return parse_qsl(text, **options)

    monkeypatch.setattr(app, "parse_qsl", counted)
    job = f"/jobs/{'0' * 32}"
    with visiting(running.port) as nobody:
        assert nobody.post(f"{job}/cancel").headers["Location"] == "/console/login"
    assert not read
    assert visitor.send(f"{job}/cancel").status_code == 404
    assert len(read) == 1


def test_forms_count_as_requests_of_the_api(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = running.assembly._console
    assert console is not None
    # the time stands: what has run out stays so
    monkeypatch.setattr(console._rooms.throttle, "_most", 2.0)
    monkeypatch.setattr(console._rooms.throttle, "_clock", lambda: 0.0)
    monkeypatch.setattr(console._rooms.throttle, "_buckets", {})
    token, none = visitor.csrf(), "0" * 32
    cancel, make = f"/jobs/{none}/cancel", "/people/users"
    with pytest.raises(Refused, match="404"):
        running.client.call("CancelSnapshotJob", JobId=none)
    # together with what the API was asked for; a form from elsewhere counts for nothing
    assert [visitor.post(cancel, {"csrf": "x"}).status_code for _ in range(2)] == [403] * 2
    sent, full = {"csrf": token}, "Throttling.User"
    assert visitor.post(cancel, sent).status_code == 404
    assert full in visitor.post(cancel, sent).text
    with pytest.raises(Refused, match=full):
        running.client.call("CancelSnapshotJob", JobId=none)
    # what goes by no action, and what asks the API itself, which counts it
    made = [visitor.post(make, sent | {"name": "a b"}).text for _ in range(3)]
    assert [full in page for page in made] == [False, False, True]
    deleted = [visitor.post(f"/media/{none}/delete", sent).text for _ in range(2)]
    assert not any(full in page for page in deleted)
    with pytest.raises(Refused, match=full):
        running.client.call("DeleteMediaInfos", MediaIds=none)
    assert visitor.get("/jobs").status_code == 200


def test_many_visit_at_once(running: Service, visitor: Visitor, stills: str) -> None:
    failures: list[object] = []

    def visit() -> None:
        for _ in range(5):
            answer = httpx.get(
                f"{visitor.origin}/console/jobs/{stills}",
                cookies=dict(visitor.http.cookies),
                trust_env=False,
                timeout=60,
            )
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=visit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
