"""Probe jobs over real HTTP: what they tell, what is refused, lists and pages, and calls that wait for their answer."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from service_client import Client, Refused, Service, service, wait_for
from stillframe.sandbox.parent import Sandbox
from stillframe.server import assembly
from stillframe.testing import Clip, videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

MEDIA = "oss://local/films/movie.mp4"
BAD = "InvalidParameter.ResourceContentBad"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.with_audio(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def running(
    module_database_url: URL, tmp_path_factory: pytest.TempPathFactory, clip: Clip
) -> Iterator[Service]:
    with service(
        module_database_url, tmp_path_factory.mktemp("data"), slots=1, sync_probe_waiting=0
    ) as started:
        (started.folder / "films").mkdir()
        shutil.copy(clip.path, started.folder / "films" / "movie.mp4")
        for name in ("text", "m3u8", "jpeg"):
            made = videos.REFUSED[name](started.folder).path
            made.rename(started.folder / f"{name}.mp4")
        yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


def submit(client: Client, media: str = MEDIA, action: str = "SubmitMediaInfoJob", **more: Any) -> Any:
    return client.call(action, Input={"Type": "OSS", "Media": media}, **more)["MediaInfoJob"]


def get(client: Client, job_id: str) -> Any:
    return client.call("GetMediaInfoJob", JobId=job_id)["MediaInfoJob"]


def ended(client: Client, job: Any) -> Any:
    return wait_for(lambda: (found := get(client, job["JobId"]))["Status"] != "Init" and found)


def test_a_job_and_what_it_tells(client: Client, clip: Clip) -> None:
    made = submit(client, Name="a look", UserData="mine", ScheduleConfig={"Priority": 9})
    job = ended(client, made)
    told = job.pop("MediaInfoProperty")
    assert job.pop("FinishTime") >= job["SubmitTime"]
    assert job == made | {"Status": "Success"}
    assert {name: made[name] for name in ("Async", "Status", "TriggerSource", "Name", "UserData")} == {
        "Async": True,
        "Status": "Init",
        "TriggerSource": "API",
        "Name": "a look",
        "UserData": "mine",
    }
    assert (made["Input"], made["SubmitResultJson"]) == ({"Type": "OSS", "Media": MEDIA}, {})
    assert made["ScheduleConfig"]["Priority"] == 9
    file, (video,), (audio,) = (
        told[name] for name in ("FileBasicInfo", "VideoStreamInfoList", "AudioStreamInfoList")
    )
    assert (file["FileName"], file["FileSize"]) == ("movie.mp4", str(clip.path.stat().st_size))
    assert (file["Width"], file["Height"]) == (str(clip.width_px), str(clip.height_px))
    assert (video["Codec_name"], video["NumFrames"], video["Fps"]) == ("h264", str(len(clip.numbers)), "25.0")
    assert (audio["CodecName"], audio["CodecTagString"]) == ("aac", "mp4a")
    values = [*file.values(), *video.values(), *audio.values()]
    assert all(isinstance(value, str) and value for value in values)


def test_one_that_is_waited_for_tells_the_same(client: Client) -> None:
    waited = submit(client, action="SubmitSyncMediaInfoJob")
    job = ended(client, submit(client))
    assert (waited["Async"], waited["Status"]) == (False, "Success")
    assert waited["MediaInfoProperty"] == job["MediaInfoProperty"]
    assert waited == get(client, waited["JobId"])


@pytest.mark.parametrize(
    ("media", "code", "words"),
    [
        ("oss://local/nothing.mp4", "ResourceNotFound", "no such file"),
        ("oss://local/text.mp4", BAD, "text file"),
        ("oss://local/m3u8.mp4", BAD, "only opened when its own name ends in .m3u8"),
        ("oss://local/jpeg.mp4", BAD, "JPEG picture"),
    ],
)
def test_a_file_that_is_at_fault(client: Client, media: str, code: str, words: str) -> None:
    waited = submit(client, media, "SubmitSyncMediaInfoJob")
    for job in (waited, ended(client, submit(client, media))):
        assert (job["Status"], job["Code"], "MediaInfoProperty" in job) == ("Fail", code, False)
        assert words in job["Message"]
        assert job["SubmitResultJson"] == {"Code": code, "Message": job["Message"]}


@pytest.mark.parametrize("action", ["SubmitMediaInfoJob", "SubmitSyncMediaInfoJob"])
@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({}, "MissingParameter", "Input"),
        ({"Input": {"Type": "OSS"}}, "MissingParameter", "Input.Media"),
        ({"Input": {"Type": "OSS", "Media": "movie.mp4"}}, "InvalidParameter", "oss://bucket/key"),
        ({"Input": {"Type": "OSS", "Media": "oss://never/movie.mp4"}}, "ResourceNotFound", "Bucket"),
        (
            {"Input": {"Type": "OSS", "Media": "https://local.oss-cn-hangzhou.aliyuncs.com/movie.mp4"}},
            "InvalidParameter",
            "cn-shanghai",
        ),
        (
            {"Input": {"Type": "OSS", "Media": MEDIA}, "ScheduleConfig": {"PipelineId": "0" * 32}},
            "ResourceNotFound",
            "Pipeline",
        ),
        (
            {"Input": {"Type": "OSS", "Media": MEDIA}, "ScheduleConfig": {"Priority": 11}},
            "InvalidParameter",
            "ScheduleConfig.Priority",
        ),
    ],
)
def test_what_is_refused(client: Client, action: str, parameters: Any, code: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        client.call(action, **parameters)
    assert refused.value.code == code
    assert words in refused.value.message


def test_lists_and_pages(running: Service) -> None:
    with running.account("lister") as (account_id, client):
        folder = running.bucket("listed", account_id)
        shutil.copy(running.folder / "films" / "movie.mp4", folder / "movie.mp4")
        made = [
            submit(client, f"oss://listed/{key}.mp4", "SubmitSyncMediaInfoJob", Name=str(number))
            for number, key in enumerate(["movie"] * 10 + ["nothing"] * 2)
        ]
        ids = [job["JobId"] for job in made]

        first = client.call("ListMediaInfoJobs")
        rest = client.call("ListMediaInfoJobs", NextPageToken=first["NextPageToken"])
        assert [job["JobId"] for job in first["Jobs"] + rest["Jobs"]] == ids[::-1]
        assert (len(first["Jobs"]), "NextPageToken" in rest) == (10, False)
        assert first["Jobs"][-1] == get(client, ids[2])

        def listed(**parameters: Any) -> list[str]:
            return [job["JobId"] for job in client.call("ListMediaInfoJobs", **parameters)["Jobs"]]

        assert listed(OrderBy="CreateTimeAsc", PageSize=3) == ids[:3]
        assert listed(Status="Fail") == ids[:9:-1]
        assert listed(JobId=ids[4]) == [ids[4]]
        assert listed(StartOfCreateTime="2100-01-01T00:00:00Z") == []
        assert listed(EndOfCreateTime="2000-01-01T00:00:00Z") == []

        with pytest.raises(Refused, match="NextPageToken"):
            running.client.call("ListMediaInfoJobs", NextPageToken=first["NextPageToken"])
        with pytest.raises(Refused) as refused:
            get(running.client, ids[0])
        assert refused.value.code == "ResourceNotFound"
        assert not {*ids} & {job["JobId"] for job in running.client.call("ListMediaInfoJobs")["Jobs"]}


def test_too_many_who_wait_are_told_to_come_again(running: Service, client: Client) -> None:
    slot = running.assembly.probes._slot
    with slot.held("another", 0), pytest.raises(Refused) as refused:
        submit(client, action="SubmitSyncMediaInfoJob")
    assert (refused.value.status, refused.value.code) == (400, "Throttling.User")
    assert submit(client, action="SubmitSyncMediaInfoJob")["Status"] == "Success"


def test_a_worker_whose_slots_are_taken_holds_up_nobody_who_waits(
    database_url: URL, tmp_path: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as held:
        with monkeypatch.context() as patched:
            # the worker's children never come to an end; those of the reserved slot are as ever
            patched.setattr(assembly, "Sandbox", partial(Sandbox, entry="sandbox_hostile:stay"))
            running = held.enter_context(service(database_url, tmp_path / "data", slots=1))
        held.callback(running.assembly.hurry)
        shutil.copy(clip.path, running.folder / "movie.mp4")
        stuck = [submit(running.client, "oss://local/movie.mp4") for _ in range(2)]
        wait_for(lambda: running.assembly.running.number == 1)
        waited = submit(running.client, "oss://local/movie.mp4", "SubmitSyncMediaInfoJob")
        assert waited["Status"] == "Success"
        assert {get(running.client, job["JobId"])["Status"] for job in stuck} == {"Init"}
