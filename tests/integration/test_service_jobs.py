"""Bad input and bad luck through the API: the right code, nothing half-done, and every accepted job ends."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import URL

from service_client import TEMPLATE, Client, Refused, Service, service, wait_for
from stillframe.jobs import pipelines
from stillframe.jobs.models import Job
from stillframe.service import snapshot_jobs
from stillframe.testing import Clip, videos

#: an upscaled picture takes long enough that a job of them can be met in the middle of its work
LARGE = {"Width": 3840, "Height": 2160, "Count": 120}
MOVIE = {"Type": "OSS", "Media": "oss://local/movie.mp4"}
OUTPUT = {"Type": "OSS", "Media": "oss://local/out/{Count}.jpg"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=125, fps=5, gop=5)


@pytest.fixture(scope="module")
def running(
    module_database_url: URL, tmp_path_factory: pytest.TempPathFactory, film: Clip
) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=2) as started:
        shutil.copy(film.path, started.folder / "movie.mp4")
        yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


@pytest.fixture
def key(request: pytest.FixtureRequest, running: Service) -> str:
    """A folder of the test's own in the bucket, as the beginning of keys."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    assert not (running.folder / name).exists()
    return name


def files(folder: Path) -> dict[str, int]:
    """Every file below a folder, with the moment of its last change."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


def address(media: str) -> dict[str, str]:
    return {"Type": "OSS", "Media": media}


def template(template_id: str = TEMPLATE, **overwrite: Any) -> dict[str, Any]:
    return {"TemplateId": template_id, "OverwriteParams": overwrite}


PARAMETER, MISSING, NOT_SUPPORTED, NOT_FOUND = (
    (400, "InvalidParameter"),
    (400, "MissingParameter"),
    (400, "InvalidParameter.NotSupport"),
    (404, "ResourceNotFound"),
)
#: what is different from a good submit (None: it is left out), the status and code, and what the message names
WRONG: dict[str, tuple[dict[str, Any], tuple[int, str], str]] = {
    "no input": ({"Input": None}, MISSING, "Input"),
    "no template": ({"TemplateConfig": {"OverwriteParams": {"Count": 1}}}, MISSING, "TemplateId"),
    "no JSON": ({"Output": "{"}, PARAMETER, "Output"),
    "no address": ({"Input": address("movie.mp4")}, PARAMETER, "Input.Media"),
    "unknown type": ({"Input": {"Type": "Disk", "Media": "x"}}, PARAMETER, "Input.Type"),
    "unknown media asset": ({"Input": {"Type": "Media", "Media": "0" * 32}}, NOT_FOUND, "Media"),
    "output of an unknown media asset": ({"Output": {"Type": "Media", "Media": "x"}}, NOT_FOUND, "Media"),
    "unknown template": ({"TemplateConfig": template("S00000002-009999")}, NOT_FOUND, "S00000002-009999"),
    "unknown pipeline": ({"ScheduleConfig": {"PipelineId": "f" * 32}}, NOT_FOUND, "Pipeline"),
    "unknown input bucket": ({"Input": address("oss://nowhere/movie.mp4")}, NOT_FOUND, "nowhere"),
    "unknown output bucket": ({"Output": address("oss://nowhere/{Count}.jpg")}, NOT_FOUND, "nowhere"),
    "another region": (
        {"Input": address("http://local.oss-cn-beijing.aliyuncs.com/movie.mp4")},
        PARAMETER,
        "cn-shanghai",
    ),
    "out of the bucket": ({"Input": address("oss://local//etc/passwd")}, PARAMETER, "Input.Media"),
    "up and down again": ({"Output": address("oss://local/a/../{Count}.jpg")}, PARAMETER, "Output.Media"),
    "longer than a file's name": (
        {"Output": address(f"oss://local/{'x' * 252}.jpg")},
        PARAMETER,
        "255 bytes",
    ),
    "an input that is no plain path": (
        {"Input": address("oss://local/./movie.mp4")},
        PARAMETER,
        "Input.Media",
    ),
    "no placeholder": (
        {"Output": address("oss://local/x.jpg"), "TemplateConfig": template(Count=2)},
        PARAMETER,
        "{Count}",
    ),
    "no sheet placeholder": (
        {"TemplateConfig": template("S00000002-000020")},
        PARAMETER,
        "{TileCount}",
    ),
    "no track name": ({"TemplateConfig": template("S00000002-000030")}, PARAMETER, ".vtt"),
    "onto the input": ({"Output": MOVIE}, PARAMETER, "Output.Media"),
    "onto an input with a number": (
        {"Input": address("oss://local/out/00001.jpg")},
        PARAMETER,
        "another object than the input",
    ),
    "no room for a track's pictures": (
        {
            "Output": address(f"oss://local/{'d' * 200 + '/'}{('e' * 200 + '/') * 4}{'x' * 14}.vtt"),
            "TemplateConfig": template("S00000002-000030"),
        },
        PARAMETER,
        "snapshot-tile-00001.jpg is an object key of 1 to 1023 bytes",
    ),
    "a random colour": (
        {
            "Output": address("oss://local/out/{TileCount}.jpg"),
            "TemplateConfig": template("S00000002-000020", SpriteSnapshotConfig={"Color": "random"}),
        },
        NOT_SUPPORTED,
        "SpriteSnapshotConfig.Color",
    ),
    "out of range": ({"TemplateConfig": template(Width=7)}, PARAMETER, "Width"),
    "wrong kind": ({"TemplateConfig": template(Count="many")}, PARAMETER, "Count"),
    "unknown key": ({"TemplateConfig": template(Widht=100)}, PARAMETER, "Widht"),
    "unknown extension": ({"Extensions": {"Speed": 1}}, PARAMETER, "Speed"),
    "contradictory overrides": (
        {"TemplateConfig": template(Interval=1, IntervalMs=100)},
        PARAMETER,
        "IntervalMs",
    ),
    "too many shots": ({"TemplateConfig": template(Count=20_001)}, PARAMETER, "20000"),
    "1 MB of UserData": ({"UserData": "x" * 1_000_000}, PARAMETER, "1024 bytes"),
    "a name too long": ({"Name": "x" * 129}, PARAMETER, "128 bytes"),
    "NUL in a name": ({"Name": "a\0b"}, PARAMETER, "NUL"),
    "NUL in a pipeline": ({"ScheduleConfig": {"PipelineId": "a\0b"}}, PARAMETER, "NUL"),
    "a priority out of range": ({"ScheduleConfig": {"Priority": 11}}, PARAMETER, "Priority"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_submit_that_is_refused(client: Client, running: Service, name: str) -> None:
    change, (status, code), told = WRONG[name]
    movie, newest = (running.folder / "movie.mp4").stat(), newest_job(client)
    good = {"Input": MOVIE, "Output": OUTPUT, "TemplateConfig": template()}
    parameters = {key: value for key, value in (good | change).items() if value is not None}
    with pytest.raises(Refused) as caught:
        client.call("SubmitSnapshotJob", **parameters)
    assert (caught.value.status, caught.value.code) == (status, code), caught.value.message
    assert told in caught.value.message
    assert (running.folder / "movie.mp4").stat().st_mtime_ns == movie.st_mtime_ns
    assert not (running.folder / "out").exists()
    assert newest_job(client) == newest


def test_onto_the_input_by_another_name(client: Client, running: Service) -> None:
    for name, folder, output in (
        ("alias", running.folder, "oss://alias/{Count}.jpg"),
        ("above", running.folder.parent, "oss://above/local/{Count}.jpg"),
    ):
        running.assembly.buckets.add(name, running.account_id, f"fs:{folder}", "cn-shanghai")
        shutil.copy(running.folder / "movie.mp4", running.folder / "00001.jpg")
        with pytest.raises(Refused, match="another object than the input"):
            client.submit("oss://local/00001.jpg", output)
        # beside it there is room
        client.succeeded(client.submit("oss://local/00001.jpg", output.replace("{Count}", "beside")))
        (running.folder / "00001.jpg").unlink()


def newest_job(client: Client) -> list[str]:
    return [job["JobId"] for job in client.call("ListSnapshotJobs", PageSize=1)["Jobs"]]


JOB_ACTIONS = (
    "GetSnapshotJob",
    "GetSnapshotUrls",
    "CancelSnapshotJob",
    "RetrySnapshotJob",
    "DeleteSnapshotJob",
)


@pytest.mark.parametrize("action", JOB_ACTIONS)
def test_a_job_that_is_not_there(client: Client, action: str) -> None:
    for job_id in ("f" * 32, "no such job"):
        with pytest.raises(Refused) as caught:
            client.call(action, JobId=job_id)
        assert (caught.value.status, caught.value.code) == (404, "ResourceNotFound")
    with pytest.raises(Refused) as caught:
        client.call(action, JobId="\0")
    assert caught.value.code == "InvalidParameter"


def test_what_belongs_to_another_account(client: Client, running: Service, key: str) -> None:
    job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/{{Count}}.jpg", Count=1)
    client.succeeded(job_id)
    own = client.call("ListSnapshotJobs", PageSize=1)
    with running.account(key) as (account_id, stranger):
        for action in JOB_ACTIONS:
            with pytest.raises(Refused) as caught:
                stranger.call(action, JobId=job_id)
            assert (caught.value.status, caught.value.code) == (404, "ResourceNotFound")
        assert stranger.call("ListSnapshotJobs")["Jobs"] == []
        assert stranger.call("ListSnapshotJobs", JobId=job_id)["Jobs"] == []
        pipeline = client.get(job_id)["PipelineId"]
        theirs = running.bucket(key, account_id)
        (theirs / "movie.mp4").write_bytes((running.folder / "movie.mp4").read_bytes())
        for movie, output, more in (
            ("oss://local/movie.mp4", f"oss://{key}/{{Count}}.jpg", {}),
            (f"oss://{key}/movie.mp4", "oss://local/stolen-{Count}.jpg", {}),
            (
                f"oss://{key}/movie.mp4",
                f"oss://{key}/{{Count}}.jpg",
                {"ScheduleConfig": {"PipelineId": pipeline}},
            ),
        ):
            with pytest.raises(Refused) as caught:
                stranger.submit(movie, output, more=more)
            assert caught.value.code == "ResourceNotFound"
        stranger.succeeded(stranger.submit(f"oss://{key}/movie.mp4", f"oss://{key}/{{Count}}.jpg"))
        assert (theirs / "00001.jpg").is_file()
        with pytest.raises(Refused) as caught:
            client.submit(f"oss://{key}/movie.mp4")
        assert caught.value.code == "ResourceNotFound"
        # a page token is good for the account that it was given to, and for no other
        token = own.get("NextPageToken") or token_of_two(client, key)
        with pytest.raises(Refused) as caught:
            stranger.call("ListSnapshotJobs", NextPageToken=token)
        assert (caught.value.code, "NextPageToken" in caught.value.message) == ("InvalidParameter", True)


def token_of_two(client: Client, key: str) -> str:
    client.submit("oss://local/movie.mp4", f"oss://local/{key}/{{Count}}.jpg", Count=1)
    token = client.call("ListSnapshotJobs", PageSize=1)["NextPageToken"]
    assert isinstance(token, str)
    return token


def test_a_bucket_that_is_taken_away_before_the_job_is_done(client: Client, running: Service) -> None:
    """The job was accepted, and cannot be done any more: it ends, and says why."""
    running.bucket("passing")
    pipeline = pause(running)
    try:
        job_id = client.submit("oss://local/movie.mp4", "oss://passing/{Count}.jpg", Count=1)
        running.assembly.buckets.remove("passing")
    finally:
        unpause(running, pipeline)
    job = client.ended(job_id)
    assert (job["Status"], job["Code"]) == ("Fail", "ResourceNotFound")
    assert "passing" in job["Message"]


def bad_videos(folder: Path, film: Clip) -> None:
    (folder / "text.mp4").write_text("this is no video, only its name says so\n" * 100, encoding="utf-8")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "short.mp4").write_bytes(film.path.read_bytes()[:2000])
    shutil.copy(videos.audio_only(folder).path, folder / "sound.mp4")
    shutil.copy(videos.moov_missing(folder).path, folder / "headless.mp4")


BAD = "InvalidParameter.ResourceContentBad"


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("text.mp4", BAD, "text.mp4"),
        ("empty.mp4", BAD, "empty"),
        ("short.mp4", BAD, "short.mp4"),
        ("headless.mp4", BAD, "headless.mp4"),
        ("sound.mp4", BAD, "no video"),
        ("nothing.mp4", "ResourceNotFound", "nothing.mp4"),
        ("a-folder", "ResourceNotFound", "a-folder"),
    ],
)
def test_a_bad_video(
    client: Client, running: Service, film: Clip, key: str, name: str, code: str, reason: str
) -> None:
    folder = running.folder / "bad"
    if not folder.exists():
        (folder / "a-folder").mkdir(parents=True)
        bad_videos(folder, film)
    job = client.ended(client.submit(f"oss://local/bad/{name}", f"oss://local/{key}/{{Count}}.jpg", Count=3))
    assert (job["Status"], job["Code"]) == ("Fail", code), job
    assert reason in job["Message"]
    assert str(running.folder) not in job["Message"]
    assert (job["Count"], job["Progress"]) == (0, 100)
    assert job["FinishTime"] >= job["CreateTime"]
    assert not (running.folder / key).exists()


def test_a_folder_that_goes_and_comes_back(client: Client, running: Service) -> None:
    folder = running.bucket("frail")
    job_id = client.submit("oss://local/movie.mp4", "oss://frail/{Count}.jpg", **{**LARGE, "Count": 6})
    client.in_work(job_id)
    folder.rename(folder.with_name("away"))

    def put_off() -> int:
        with running.assembly.database.transaction() as session:
            job = session.get(Job, job_id)
            assert job is not None
            return job.failures

    wait_for(put_off)
    job = client.get(job_id)
    assert (job["Status"], job["Code"]) == ("Init", "OperationDenied")
    assert "does not exist" in job["Message"]
    folder.with_name("away").rename(folder)
    job = client.succeeded(job_id)
    assert (job["Count"], job.get("Code"), job.get("Message")) == (6, None, None)
    assert sorted(files(folder)) == [f"{number:05}.jpg" for number in range(1, 7)]


def test_a_client_token(client: Client, key: str) -> None:
    output = f"oss://local/{key}/{{Count}}.jpg"
    same = {"ClientToken": key, "Name": "one"}
    first = client.submit("oss://local/movie.mp4", output, more=same, Count=1)
    assert client.submit("oss://local/movie.mp4", output, more=same, Count=1) == first
    with pytest.raises(Refused) as caught:
        client.submit("oss://local/movie.mp4", output, more=same, Count=2)
    assert (caught.value.status, caught.value.code) == (400, "IdempotentParameterMismatch")
    assert client.submit("oss://local/movie.mp4", output, more={"ClientToken": f"{key}2"}) != first
    client.succeeded(first)
    assert client.submit("oss://local/movie.mp4", output, more=same, Count=1) == first
    client.call("DeleteSnapshotJob", JobId=first)
    assert client.submit("oss://local/movie.mp4", output, more=same, Count=1) != first


def test_a_client_token_after_its_bucket_is_gone(client: Client, running: Service, key: str) -> None:
    """What was accepted once is accepted again, though it could not be made any more."""
    running.bucket("shortlived")
    more = {"ClientToken": key}
    job_id = client.submit("oss://local/movie.mp4", "oss://shortlived/{Count}.jpg", more=more)
    client.succeeded(job_id)
    running.assembly.buckets.remove("shortlived")
    assert client.submit("oss://local/movie.mp4", "oss://shortlived/{Count}.jpg", more=more) == job_id
    with pytest.raises(Refused) as caught:
        client.submit("oss://local/other.mp4", "oss://shortlived/{Count}.jpg", more=more)
    assert caught.value.code == "IdempotentParameterMismatch"
    client.call("DeleteSnapshotJob", JobId=job_id)
    with pytest.raises(Refused) as caught:
        client.submit("oss://local/movie.mp4", "oss://shortlived/{Count}.jpg", more=more)
    assert caught.value.code == "ResourceNotFound"


def test_a_client_token_at_the_same_moment(client: Client, key: str) -> None:
    output = f"oss://local/{key}/{{Count}}.jpg"
    with ThreadPoolExecutor(6) as threads:
        calls = [
            threads.submit(client.submit, "oss://local/movie.mp4", output, more={"ClientToken": key})
            for _ in range(6)
        ]
        assert len({call.result() for call in calls}) == 1


def outcomes(running: Service, code: str) -> float:
    """How many jobs have ended so, as the metrics tell."""
    found = running.assembly.metrics.registry.get_sample_value(
        "stillframe_job_outcomes_total", {"code": code}
    )
    return found or 0


def test_cancel(client: Client, running: Service, key: str) -> None:
    """It takes effect before it is answered, nothing is written after that, and what there is is listed."""
    job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/{{Count}}.jpg", **LARGE)
    client.in_work(job_id)
    counted = outcomes(running, "OperationCanceled")
    client.call("CancelSnapshotJob", JobId=job_id)
    assert outcomes(running, "OperationCanceled") == counted + 1
    written = files(running.folder / key)
    job, urls = client.get(job_id), client.urls(job_id)
    assert (job["Status"], job["Code"], job["Progress"]) == ("Fail", "OperationCanceled", 100)
    assert 0 < len(written) < 120
    assert urls["Total"] == job["Count"] == len(written)
    assert httpx.get(urls["SnapshotUrls"][0], trust_env=False).content[:2] == b"\xff\xd8"
    with pytest.raises(Refused) as caught:
        client.call("CancelSnapshotJob", JobId=job_id)
    assert caught.value.code == "InvalidParameter"
    # as many others as there are slots have been through, so that nothing of it is in work any more
    others = [client.submit("oss://local/movie.mp4", f"oss://local/{key}-{n}.jpg") for n in range(4)]
    for other in others:
        client.succeeded(other)
    assert files(running.folder / key) == written
    assert client.get(job_id)["Code"] == "OperationCanceled"


def test_retry_and_delete(client: Client, running: Service, film: Clip, key: str) -> None:
    folder = running.folder / key
    folder.mkdir()
    job_id = client.submit(f"oss://local/{key}/later.mp4", f"oss://local/{key}/{{Count}}.jpg", Count=2)
    assert client.ended(job_id)["Code"] == "ResourceNotFound"
    shutil.copy(film.path, folder / "later.mp4")
    client.call("RetrySnapshotJob", JobId=job_id)
    job = client.succeeded(job_id)
    assert job["Count"] == 2
    assert job.get("Code") is None
    with pytest.raises(Refused) as caught:
        client.call("RetrySnapshotJob", JobId=job_id)
    assert caught.value.code == "InvalidParameter"
    assert set(files(folder)) == {"00001.jpg", "00002.jpg", "later.mp4"}
    client.call("DeleteSnapshotJob", JobId=job_id, Outputs="true")
    assert set(files(folder)) == {"later.mp4"}
    with pytest.raises(Refused) as caught:
        client.get(job_id)
    assert caught.value.code == "ResourceNotFound"


def test_delete_leaves_alone_what_another_job_has_written_since(
    client: Client, running: Service, key: str
) -> None:
    output = f"oss://local/{key}/{{Count}}.jpg"
    first = client.submit("oss://local/movie.mp4", output, Count=2)
    client.succeeded(first)
    second = client.submit("oss://local/movie.mp4", output, Count=1, Width=64)
    client.succeeded(second)
    client.call("DeleteSnapshotJob", JobId=first, Outputs="true")
    assert set(files(running.folder / key)) == {"00001.jpg"}
    client.call("DeleteSnapshotJob", JobId=second, Outputs="true")
    assert set(files(running.folder / key)) == set()


def test_delete_without_outputs_keeps_them_and_a_live_job_is_kept(
    client: Client, running: Service, key: str
) -> None:
    job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/{{Count}}.jpg", **LARGE)
    for action in ("DeleteSnapshotJob", "RetrySnapshotJob"):
        with pytest.raises(Refused) as caught:
            client.call(action, JobId=job_id)
        assert (caught.value.code, "JobId" in caught.value.message) == ("InvalidParameter", True)
    client.in_work(job_id)
    client.call("CancelSnapshotJob", JobId=job_id)
    client.call("RetrySnapshotJob", JobId=job_id)
    client.in_work(job_id)
    client.call("CancelSnapshotJob", JobId=job_id)
    written = files(running.folder / key)
    client.call("DeleteSnapshotJob", JobId=job_id)
    assert files(running.folder / key) == written != {}


def test_paging_and_filters(running: Service, key: str) -> None:
    with running.account(key) as (account_id, client):
        folder = running.bucket(key, account_id)
        shutil.copy(running.folder / "movie.mp4", folder / "movie.mp4")
        good = [
            client.submit(f"oss://{key}/movie.mp4", f"oss://{key}/{n}.jpg", more={"Name": str(n)})
            for n in range(4)
        ]
        bad = client.submit(f"oss://{key}/none.mp4", f"oss://{key}/bad.jpg")
        for job_id in [*good, bad]:
            client.ended(job_id)
        for order, expected in (("CreateTimeAsc", [*good, bad]), ("CreateTimeDesc", [bad, *good[::-1]])):
            found, token = [], {}
            while True:
                page = client.call("ListSnapshotJobs", PageSize=2, OrderBy=order, **token)
                assert len(page["Jobs"]) <= 2
                found += [job["JobId"] for job in page["Jobs"]]
                if not page.get("NextPageToken"):
                    break
                token = {"NextPageToken": page["NextPageToken"]}
            assert found == expected
        failed = client.call("ListSnapshotJobs", Status="Fail")["Jobs"]
        assert [job["JobId"] for job in failed] == [bad]
        assert [job["JobId"] for job in client.call("ListSnapshotJobs", JobId=good[1])["Jobs"]] == [good[1]]
        made = client.get(good[0])["CreateTime"]
        span = {"StartOfCreateTime": made, "EndOfCreateTime": made}
        assert good[0] in [job["JobId"] for job in client.call("ListSnapshotJobs", **span)["Jobs"]]
        assert client.call("ListSnapshotJobs", StartOfCreateTime="2100-01-01T00:00:00Z")["Jobs"] == []
        nul = base64.urlsafe_b64encode(f"{running.account_id}/1.0/\0".encode()).decode()
        for wrong in ("x", "é", "AAAA", nul, ""):
            if wrong:
                with pytest.raises(Refused) as caught:
                    client.call("ListSnapshotJobs", NextPageToken=wrong)
                assert caught.value.code == "InvalidParameter"


def test_pages_of_pictures(client: Client, key: str) -> None:
    output = f"oss://local/{key}/{{Count}}.jpg"
    job_id = client.submit("oss://local/movie.mp4", output, Count=7)
    client.succeeded(job_id)

    def names(**parameters: Any) -> list[str]:
        answer = client.call("GetSnapshotUrls", JobId=job_id, **parameters)
        assert answer["Total"] == 7
        return [url.rpartition("/")[2] for url in answer["SnapshotUrls"]]

    assert names() == [f"{n:05}.jpg" for n in range(1, 8)]
    assert names(PageSize=3, PageNumber=3) == ["00007.jpg"]
    assert names(PageSize=3, OrderBy="Desc") == ["00007.jpg", "00006.jpg", "00005.jpg"]
    assert names(PageNumber=9) == []


def test_what_a_job_tells(client: Client, key: str) -> None:
    output = f"oss://local/{key}/{{Count}}.jpg"
    more = {
        "Name": "Ä",
        "UserData": '{"a":1}',
        "ScheduleConfig": {"Priority": 9},
        "Extensions": {"KeyframeMiss": "nearest"},
    }
    job_id = client.submit("oss://local/movie.mp4", output, more=more, Count=3, Interval=10)
    job = client.succeeded(job_id)
    assert (job["Name"], job["UserData"], job["Progress"], job["Count"]) == ("Ä", '{"a":1}', 100, 3)
    assert (job["Type"], job["Async"], job["TriggerSource"]) == ("Normal", True, "API")
    config = json.loads(job["TemplateConfig"])
    assert (config["FrameType"], config["Count"], config["KeyframeMiss"]) == ("normal", 3, "nearest")
    assert job["Input"]["OssFile"] == {
        "Bucket": "local",
        "Location": "oss-cn-shanghai",
        "Object": "movie.mp4",
    }
    report = job["Report"]
    assert report["Shots"] == {"Taken": 3, "Replaced": 0, "Dropped": 0, "Skipped": 0, "Missing": 0}
    assert [shot["ActualMs"] for shot in report["ShotList"]] == [0, 10_000, 20_000]
    assert (report["DurationMs"], report["StillWidth"], report["StillHeight"]) == (25_000, 192, 108)
    assert report["BytesRead"] > 0


def test_outputs_in_a_bucket_of_another_region(client: Client, running: Service) -> None:
    folder = running.folder.parent / "far"
    folder.mkdir()
    running.assembly.buckets.add("far", running.account_id, f"fs:{folder}", "eu-central-1")
    job = client.succeeded(client.submit("oss://local/movie.mp4", "oss://far/x.jpg"))
    assert job["Input"]["OssFile"]["Location"] == "oss-cn-shanghai"
    assert job["Output"]["OssFile"]["Location"] == "oss-eu-central-1"


def pause(running: Service) -> str:
    pipeline = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
    with running.assembly.database.transaction() as session:
        pipelines.pause(session, pipeline)
    return pipeline


def unpause(running: Service, pipeline: str) -> None:
    with running.assembly.database.transaction() as session:
        pipelines.unpause(session, running.assembly.queue, pipeline)


def parked(running: Service, job_id: str) -> bool:
    with running.assembly.database.transaction() as session:
        job = session.get(Job, job_id)
        assert job is not None
        return job.parked


def test_a_paused_pipeline(client: Client, running: Service, key: str) -> None:
    """It takes jobs and begins none; what is in work goes on to its end."""
    busy = client.submit(
        "oss://local/movie.mp4", f"oss://local/{key}/{{Count}}.jpg", **{**LARGE, "Count": 15}
    )
    client.in_work(busy)
    pipeline = pause(running)
    try:
        job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/still.jpg")
        wait_for(lambda: parked(running, job_id))
        assert client.succeeded(busy)["Count"] == 15
        assert client.get(job_id)["Status"] == "Init"
        assert not (running.folder / key / "still.jpg").exists()
    finally:
        unpause(running, pipeline)
    client.succeeded(job_id)
    assert (running.folder / key / "still.jpg").is_file()


def test_a_pause_that_ends_while_a_job_is_being_parked(client: Client, running: Service, key: str) -> None:
    """Whichever comes first, the job is not forgotten."""
    for number in range(10):
        pipeline = pause(running)
        job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/{number}.jpg")
        unpause(running, pipeline)
        client.succeeded(job_id)


@pytest.mark.parametrize("action", ["CancelSnapshotJob", "RetrySnapshotJob", "DeleteSnapshotJob"])
def test_work_that_does_not_end(
    client: Client, running: Service, key: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = pause(running)
    job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/still.jpg")
    if action != "CancelSnapshotJob":
        client.call("CancelSnapshotJob", JobId=job_id)
    monkeypatch.setattr(snapshot_jobs, "_CANCEL_S", 0.1)
    with running.assembly.running.task(job_id), pytest.raises(Refused) as caught:
        client.call(action, JobId=job_id)
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert f"The work on job {job_id} has not ended yet." in caught.value.message
    unpause(running, pipeline)


def test_cancel_what_is_parked(client: Client, running: Service, key: str) -> None:
    pipeline = pause(running)
    try:
        job_id = client.submit("oss://local/movie.mp4", f"oss://local/{key}/still.jpg")
        wait_for(lambda: parked(running, job_id))
        client.call("CancelSnapshotJob", JobId=job_id)
    finally:
        unpause(running, pipeline)
    assert client.get(job_id)["Code"] == "OperationCanceled"
    assert not (running.folder / key).exists()
    client.call("RetrySnapshotJob", JobId=job_id)
    client.succeeded(job_id)
    assert [*files(running.folder / key)] == ["still.jpg"]


def test_an_operator_may_lower_the_size_of_sheets_and_the_number_of_shots(
    database_url: URL, tmp_path: Path, film: Clip
) -> None:
    capped = {"max_shots": 12, "max_sheet_side_px": 200, "max_sheet_pixels": 20_000}
    with service(database_url, tmp_path / "data", slots=1, **capped) as started:
        shutil.copy(film.path, started.folder / "movie.mp4")
        output = "oss://local/x/{TileCount}.jpg"
        job = started.client.succeeded(
            started.client.submit("oss://local/movie.mp4", output, Type="Sprite", Width=60, Count=12)
        )
        sheet = job["Report"]["Sheet"]
        pictures = sorted((started.folder / "x").iterdir())
        for picture in pictures:
            with Image.open(picture) as image:
                assert image.size == (sheet["Width"], sheet["Height"])
        assert sheet["Width"] <= 200
        assert sheet["Width"] * sheet["Height"] <= 20_000
        assert len(pictures) == -(-12 // (sheet["Columns"] * sheet["Lines"])) > 1
        track = "oss://local/x.vtt"
        refused = started.client.submit(
            "oss://local/movie.mp4", track, "S00000002-000030", Interval=1, Width=60
        )
        failed = started.client.ended(refused)
        assert failed["Code"] == "InvalidParameter"
        assert "at most 12 shots" in failed["Message"]
