"""Media assets through the API: what is learnt of a file, what is made of it, and what becomes of both."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from service_client import Client, Refused, Service, service, wait_for
from stillframe.catalog.buckets import Grant
from stillframe.jobs import asset_pictures
from stillframe.testing import Clip, barcode, videos

MISSING, WRONG, NOT_FOUND = (400, "MissingParameter"), (400, "InvalidParameter"), (404, "ResourceNotFound")
NOT_SUPPORTED = (400, "InvalidParameter.NotSupport")
NO_PICTURES = {"NeedSnapshot": "false", "NeedSprite": "FALSE"}
LARGE = {"Width": 3840, "Height": 2160, "Count": 40, "FrameType": "normal"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=125, fps=5, gop=5)


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=2) as started:
        yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


@pytest.fixture
def place(running: Service, film: Clip, request: pytest.FixtureRequest) -> str:
    """The address of a film of this test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    shutil.copy(film.path, running.folder / f"{name}.mp4")
    return f"oss://local/{name}.mp4"


def info(client: Client, media_id: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.call("GetMediaInfo", MediaId=media_id, **more)["MediaInfo"]
    return found


def refused(client: Client, action: str, **parameters: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        client.call(action, **parameters)
    return caught.value


def plainly(client: Client, place: str, **more: Any) -> str:
    """An asset without pictures, whose file was looked at."""
    media_id = client.register(place, RegisterConfig=NO_PICTURES, **more)
    client.prepared(media_id)
    return media_id


def delete(client: Client, *media_ids: str, files: bool = False) -> dict[str, Any]:
    return client.call("DeleteMediaInfos", MediaIds=",".join(media_ids), DeletePhysicalFiles=files)


def with_pictures(client: Client, media_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """The one snapshot and the one sprite of an asset."""
    wait_for(lambda: all(client.asset(media_id)[name] != "[]" for name in ("Snapshots", "SpriteImages")))
    found = client.asset(media_id)
    (snapshot,), (sprite,) = json.loads(found["Snapshots"]), json.loads(found["SpriteImages"])
    return snapshot, sprite


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def number_on(url: str) -> int | None:
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 200
    with Image.open(BytesIO(answer.content)) as image:
        return barcode.read(np.asarray(image.convert("RGB")))


def at_once(calls: list[Callable[[], str]]) -> list[str]:
    """What the calls have returned, or their code if they were refused, from threads that start together."""
    together, results = threading.Barrier(len(calls)), [""] * len(calls)

    def run(number: int, call: Callable[[], str]) -> None:
        together.wait()
        try:
            results[number] = call()
        except Refused as error:
            results[number] = error.code

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_film_from_its_registration_to_its_end(
    running: Service, client: Client, place: str, film: Clip
) -> None:
    name = place.rpartition("/")[2]
    client.call("SetDefaultStorageLocation", Bucket="local", Path="made")
    media_id = client.register(
        place, RegisterConfig={"CoverConfig": {"StartTime": 4.2}}, MediaTags="one, two,one", CateId=7
    )
    snapshot, sprite = with_pictures(client, media_id)
    found = info(client, media_id)
    basics = found["MediaBasicInfo"]
    assert (found["MediaId"], basics["MediaId"], len(media_id)) == (media_id, media_id, 32)
    assert {key: basics[key] for key in ("Status", "MediaType", "Source", "BusinessType", "InputURL")} == {
        "Status": "Normal",
        "MediaType": "video",
        "Source": "oss",
        "BusinessType": "general",
        "InputURL": place,
    }
    assert (basics["MediaTags"], basics["CateId"]) == ("one,two", 7)
    (file,) = found["FileInfoList"]
    assert file["FileBasicInfo"] | {"FileUrl": "", "CreateTime": "", "ModifiedTime": "", "Bitrate": ""} == {
        "FileName": name,
        "FileStatus": "Normal",
        "FileType": "source_file",
        "FileSize": str(film.path.stat().st_size),
        "FileUrl": "",
        "Region": "cn-shanghai",
        "FormatName": "mov,mp4,m4a,3gp,3g2,mj2",
        "Duration": "25.000000",
        "Width": str(film.width_px),
        "Height": str(film.height_px),
        "CreateTime": "",
        "ModifiedTime": "",
        "Bitrate": "",
    }
    (video,) = file["VideoStreamInfoList"]
    assert (file["AudioStreamInfoList"], file["SubtitleStreamInfoList"]) == ([], [])
    assert (video["CodecName"], video["Fps"], video["AvgFPS"], video["NumFrames"]) == (
        "h264",
        "5.0",
        "5.0",
        "125",
    )
    assert httpx.get(file["FileBasicInfo"]["FileUrl"], trust_env=False).content == film.path.read_bytes()

    folder = f"made/snapshots/{media_id}"
    assert snapshot == {
        "bucket": "local",
        "count": "1",
        "iceJobId": snapshot["iceJobId"],
        "location": "oss-cn-shanghai",
        "snapshotRegular": f"{folder}/{snapshot['iceJobId']}/snapshot-{{Count}}.jpg",
        "templateId": "S00000002-000011",
    }
    regular = f"{folder}/{sprite['iceJobId']}/sprite-{{TileCount}}.jpg"
    assert sprite == {
        "bucket": "local",
        "count": "100",
        "iceJobId": sprite["iceJobId"],
        "location": "oss-cn-shanghai",
        "snapshotRegular": regular,
        "spriteRegular": regular,
        "templateId": "S00000002-000020",
        "tileCount": "1",
    }
    assert number_on(basics["CoverURL"]) == film.number_at(4200)
    job = client.get(snapshot["iceJobId"])
    assert (job["TriggerSource"], job["Status"], job["TemplateId"]) == (
        "Workflow",
        "Success",
        "S00000002-000011",
    )
    object_ = {"Bucket": "local", "Location": "oss-cn-shanghai"}
    assert job["Input"] == {"Type": "Media", "Media": media_id, "OssFile": object_ | {"Object": name}}
    assert job["Output"] == {
        "Type": "Media",
        "Media": media_id,
        "OssFile": object_ | {"Object": snapshot["snapshotRegular"]},
    }

    # of its object and of its pictures nothing stays, of what lies beside them all
    others = {name, f"{folder}/{sprite['iceJobId']}/notes.txt"}
    (running.folder / folder / sprite["iceJobId"] / "notes.txt").write_text("mine")
    before = files_in(running.folder)
    assert delete(client, media_id, files=True) | {"RequestId": ""} == {
        "RequestId": "",
        "IgnoredList": [],
        "ForbiddenList": [],
    }
    made = {
        snapshot["snapshotRegular"].replace("{Count}", "00001"),
        sprite["spriteRegular"].replace("{TileCount}", "00001"),
    }
    assert before - files_in(running.folder) == {*made, name}
    assert others - {name} <= files_in(running.folder)
    answer = refused(client, "GetMediaInfo", MediaId=media_id)
    assert (answer.status, answer.code) == NOT_FOUND
    assert client.urls(sprite["iceJobId"])["Total"] == 0
    client.call("SetDefaultStorageLocation", Bucket="local")


def test_a_moment_behind_the_end_gives_the_last_picture(client: Client, place: str, film: Clip) -> None:
    config = {"CoverConfig": '{"StartTime":"999999.9999"}', "NeedSprite": False}
    media_id = client.register(place, RegisterConfig=config)
    wait_for(lambda: "CoverURL" in client.asset(media_id))
    assert number_on(client.asset(media_id)["CoverURL"]) == 120
    assert client.asset(media_id)["SpriteImages"] == "[]"
    client.call("UpdateMediaInfo", MediaId=media_id, CoverURL="https://example.com/cover.jpg")
    assert client.asset(media_id)["CoverURL"] == "https://example.com/cover.jpg"
    delete(client, media_id)


def png(folder: Path) -> Path:
    path = folder / "drawn.png"
    Image.new("RGB", (31, 17)).save(path)
    return path


def text(folder: Path) -> Path:
    path = folder / "lines.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nA line.\n")
    return path


@pytest.mark.parametrize(
    ("make", "name", "given", "told"),
    [
        (lambda f: videos.audio_only(f, suffix="m4a").path, "a.mp4", {}, ("Normal", "audio", None)),
        (
            lambda f: videos.audio_only(f, suffix="m4a").path,
            "b.mp4",
            {"MediaType": "video"},
            ("Normal", "video", None),
        ),
        (png, "drawn.png", {}, ("Normal", "image", None)),
        (
            text,
            "lines.srt",
            {"MediaType": "text", "BusinessType": "subtitles"},
            ("Normal", "text", None),
        ),
        (text, "lines.png", {}, ("PrepareFail", "image", "no picture of a known kind")),
        (text, "lines.mp4", {}, ("PrepareFail", "video", "a text file")),
        (None, "missing.mp4", {}, ("PrepareFail", "video", "no such file")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_film(
    running: Service,
    client: Client,
    tmp_path: Path,
    make: Callable[[Path], Path] | None,
    name: str,
    given: dict[str, str],
    told: tuple[str, str, str | None],
) -> None:
    """Nothing is made of it, and what cannot be understood says why."""
    if make is not None:
        shutil.copy(make(tmp_path), running.folder / name)
    media_id = client.register(f"oss://local/{name}", **given)
    basics = client.prepared(media_id)
    status, media_type, reason = told
    assert (basics["Status"], basics["MediaType"]) == (status, media_type)
    assert (basics["Snapshots"], basics["SpriteImages"], "CoverURL" in basics) == ("[]", "[]", False)
    files = info(client, media_id)["FileInfoList"]
    if reason is None:
        assert ("Code" in basics, "Message" in basics) == (False, False)
        assert files[0]["FileBasicInfo"]["FileName"] == name
        assert bool(files[0]["AudioStreamInfoList"]) is (media_type in ("audio", "video"))
        if media_type == "image":
            assert [files[0]["FileBasicInfo"][key] for key in ("FormatName", "Width", "Height")] == [
                "png",
                "31",
                "17",
            ]
    else:
        assert basics["Code"] in ("InvalidParameter.ResourceContentBad", "ResourceNotFound")
        assert reason in basics["Message"]
        assert files == []
    assert delete(client, media_id, files=True)["ForbiddenList"] == []
    assert not (running.folder / name).exists()


@pytest.mark.parametrize(
    ("parameters", "told", "word"),
    [
        ({}, MISSING, "InputURL"),
        ({"InputURL": "movie.mp4"}, WRONG, "oss://bucket/key"),
        ({"InputURL": "vod://0123"}, NOT_SUPPORTED, "InputURL"),
        ({"InputURL": "oss://never/movie.mp4"}, NOT_FOUND, "Bucket"),
        ({"InputURL": "https://local.oss-eu-west-1.aliyuncs.com/a.mp4"}, WRONG, "cn-shanghai"),
        ({"WorkflowId": "w"}, NOT_SUPPORTED, "WorkflowId"),
        ({"SmartTagTemplateId": "S00000101-300080"}, NOT_SUPPORTED, "SmartTagTemplateId"),
        ({"MediaTags": ",".join(f"t{number}" for number in range(17))}, WRONG, "16 tags"),
        ({"MediaTags": "é" * 17}, WRONG, "32 bytes"),
        ({"MediaType": "text"}, WRONG, "subtitles or font"),
        ({"MediaType": "text", "BusinessType": "opening"}, WRONG, "subtitles or font"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_is_refused(
    client: Client, parameters: dict[str, Any], told: tuple[int, str], word: str
) -> None:
    given = parameters and {"InputURL": "oss://local/movie.mp4"} | parameters
    answer = refused(client, "RegisterMediaInfo", **given)
    assert (answer.status, answer.code) == told
    assert word in answer.message


@pytest.mark.parametrize("action", ["GetMediaInfo", "UpdateMediaInfo", "DeleteMediaInfos"])
def test_something_must_be_named(client: Client, action: str) -> None:
    answer = refused(client, action)
    assert ((answer.status, answer.code), "MediaId" in answer.message) == (MISSING, True)


def test_the_same_object_is_registered_once(client: Client, place: str) -> None:
    """Whatever its address looks like."""
    media_id = plainly(client, place)
    key = place.removeprefix("oss://local/")
    for spelling in (place, f"OSS://local/{key}", f"http://local.oss-cn-shanghai.aliyuncs.com/{key}"):
        answer = refused(client, "RegisterMediaInfo", InputURL=spelling)
        assert (answer.status, answer.code) == (409, "MediaAlreadyExist")
        assert media_id in answer.message
        assert client.call("GetMediaInfo", InputURL=spelling)["MediaInfo"]["MediaId"] == media_id
    elsewhere = f"http://local.oss-eu-west-1.aliyuncs.com/{key}"
    assert refused(client, "GetMediaInfo", InputURL=elsewhere).code == "ResourceNotFound"
    other = plainly(client, place, Overwrite="True")
    assert other != media_id
    assert refused(client, "GetMediaInfo", MediaId=media_id).code == "ResourceNotFound"
    assert client.call("GetMediaInfo", InputURL=place)["MediaInfo"]["MediaId"] == other
    others = [f"{place} ", f"{place},b.mp4", "oss://local/never.mp4"]
    removed = client.call(
        "DeleteMediaInfos", InputURLs=f"nonsense,{','.join(others)}", DeletePhysicalFiles=True
    )
    assert removed["IgnoredList"] == ["nonsense", *others]
    assert client.asset(other)["Status"] == "Normal"
    assert client.call("DeleteMediaInfos", InputURLs=place)["IgnoredList"] == []
    assert refused(client, "GetMediaInfo", MediaId=other).code == "ResourceNotFound"


def test_a_token_gives_the_same_asset(client: Client, place: str) -> None:
    """Also to those who come at the same moment, and after the object's bucket is gone."""

    def register() -> str:
        more = {"ClientToken": "one-token", "ReferenceId": "one-reference", "Overwrite": True}
        return client.register(place, RegisterConfig=NO_PICTURES, **more)

    (media_id,) = {*at_once([register] * 4)}
    answer = refused(client, "RegisterMediaInfo", InputURL=place, ClientToken="one-token", Title="Other")
    assert (answer.status, answer.code) == (400, "IdempotentParameterMismatch")
    client.prepared(media_id)
    assert delete(client, media_id)["IgnoredList"] == []


def test_of_those_who_come_at_once_one_registers(client: Client, place: str) -> None:
    def register(**more: Any) -> str:
        return client.register(place, RegisterConfig=NO_PICTURES, **more)

    found = at_once([register] * 4)
    (media_id,) = {*found} - {"MediaAlreadyExist"}
    assert found.count("MediaAlreadyExist") == 3
    found = at_once([lambda: register(Overwrite=True)] * 4)
    assert len({*found, media_id}) == 5
    there = client.call("BatchGetMediaInfos", MediaIds=",".join(found))
    assert (len(there["MediaInfos"]), len(there["IgnoredList"])) == (1, 3)
    last = client.call("GetMediaInfo", InputURL=place)["MediaInfo"]["MediaId"]
    assert there["MediaInfos"][0]["MediaId"] == last
    client.prepared(last)
    delete(client, last)


def test_a_change_is_of_what_was_sent(client: Client, place: str) -> None:
    media_id = plainly(
        client, place, Title="first", Description="long", ReferenceId="my-ref_1", MediaTags="a,b"
    )
    before = client.asset(media_id)

    def changed(**changes: Any) -> dict[str, Any]:
        assert client.call("UpdateMediaInfo", InputURL=place, **changes)["MediaId"] == media_id
        now = client.asset(media_id)
        return {key: value for key, value in now.items() if before.get(key) != value}

    when = {"ModifiedTime": client.asset(media_id)["ModifiedTime"]}
    assert changed(Title="é" * 64) | when == {"Title": "é" * 64} | when
    assert changed(MediaTags="b,c", AppendTags=True)["MediaTags"] == "a,b,c"
    assert changed(MediaTags="d")["MediaTags"] == "d"
    more = {"Category": "films", "UserData": "{}", "BusinessType": "opening", "CateId": -3}
    assert changed(**more).items() >= more.items()
    assert client.asset(media_id)["Description"] == "long"
    tags = ",".join(f"t{number}" for number in range(16))
    answer = refused(client, "UpdateMediaInfo", MediaId=media_id, MediaTags=tags, AppendTags="true")
    assert ((answer.status, answer.code), "16 tags" in answer.message) == (WRONG, True)
    other = plainly(client, f"{place}.mp4", ReferenceId="my-ref_2")
    for action, parameters in [
        ("UpdateMediaInfo", {"MediaId": other}),
        ("RegisterMediaInfo", {"InputURL": "oss://local/third.mp4"}),
    ]:
        answer = refused(client, action, ReferenceId="my-ref_1", **parameters)
        assert ((answer.status, answer.code), "ReferenceId" in answer.message) == (WRONG, True)
    lines = client.register(f"{place}.srt", MediaType="text", BusinessType="font")
    answer = refused(client, "UpdateMediaInfo", MediaId=lines, BusinessType="opening")
    assert ((answer.status, answer.code), "subtitles or font" in answer.message) == (WRONG, True)
    delete(client, media_id, other, lines)


def test_page_by_page(running: Service, film: Clip) -> None:
    with running.account("lister") as (account_id, client):
        folder = running.bucket("listed", account_id)
        shutil.copy(film.path, folder / "a.mp4")
        made = [plainly(client, "oss://listed/a.mp4")]
        made += [plainly(client, f"oss://listed/{name}.mp4", BusinessType="opening") for name in "bcde"]

        def pages(**wanted: Any) -> list[list[str]]:
            found, token = [], None
            while True:
                more = {"NextToken": token} if token is not None else {}
                page = client.call("ListMediaBasicInfos", MaxResults=2, **wanted, **more)
                assert page["MaxResults"] == 2
                found.append([one["MediaId"] for one in page["MediaInfos"]])
                token = page.get("NextToken")
                if token is None:
                    assert page["TotalCount"] == sum(map(len, found))
                    return found

        last_first = made[::-1]
        assert pages() == [last_first[:2], last_first[2:4], last_first[4:]]
        assert pages(SortBy="asc") == [made[:2], made[2:4], made[4:]]
        assert pages(Status="Normal", MediaType="video", Source="oss") == [made[:1]]
        assert pages(Status="PrepareFail", BusinessType="opening", SortBy="asc") == [made[1:3], made[3:]]
        assert pages(MediaId=made[2]) == [[made[2]]]
        nothing: list[list[str]] = [[]]
        assert pages(Status="Init") == pages(Source="vod") == pages(MediaType="text") == nothing
        when = client.asset(made[0])["CreateTime"]
        assert not any(made[0] in page for page in pages(StartTime=when))
        assert any(made[0] in page for page in pages(EndTime=when))
        (listed,) = client.call("ListMediaBasicInfos", MediaId=made[0])["MediaInfos"]
        assert "FileInfoList" not in listed
        (listed,) = client.call("ListMediaBasicInfos", MediaId=made[0], IncludeFileBasicInfo="true")[
            "MediaInfos"
        ]
        assert [*listed["FileInfoList"][0]] == ["FileBasicInfo"]
        batch = client.call("BatchGetMediaInfos", MediaIds=f"{made[3]}, {made[0]},never,{made[3]}")
        assert [one["MediaId"] for one in batch["MediaInfos"]] == [made[3], made[0]]
        assert batch["IgnoredList"] == ["never"]
        answer = refused(client, "BatchGetMediaInfos", MediaIds=made[0], AdditionType="FileInfo,Other")
        assert ((answer.status, answer.code), "FileInfo" in answer.message) == (WRONG, True)


def submit_to(client: Client, media_id: str, template: str = "S00000002-000011", **overwrite: Any) -> str:
    """A job from an asset to itself."""
    both = {"Type": "Media", "Media": media_id}
    config = {"TemplateId": template, "OverwriteParams": overwrite}
    return str(client.call("SubmitSnapshotJob", Input=both, Output=both, TemplateConfig=config)["JobId"])


def test_jobs_from_an_asset_to_an_asset(
    running: Service, client: Client, place: str, film: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_id = plainly(client, place)
    stills = submit_to(client, media_id, Count=3, Time=2000, Interval=2)
    track = submit_to(client, media_id, "S00000002-000031", Interval=5)
    singles = submit_to(client, media_id, "S00000002-000032", Interval=5)
    failed = submit_to(client, media_id, Count=1, Time=9_999_000)
    for job_id in (stills, track, singles):
        client.succeeded(job_id)
    assert client.ended(failed)["Status"] == "Fail"
    found = client.asset(media_id)
    snapshots = {one["iceJobId"]: one for one in json.loads(found["Snapshots"])}
    sprites = {one["iceJobId"]: one for one in json.loads(found["SpriteImages"])}
    assert ({*snapshots}, {*sprites}) == ({stills, singles}, {track})
    folder = f"snapshots/{media_id}"
    assert snapshots[stills]["snapshotRegular"] == f"{folder}/{stills}/snapshot-{{Count}}.jpg"
    assert (snapshots[stills]["count"], sprites[track]["tileCount"]) == ("3", "1")
    assert sprites[track]["spriteRegular"] == f"{folder}/{track}/track/snapshot-tile-{{TileCount}}.jpg"
    assert snapshots[singles]["snapshotRegular"] == f"{folder}/{singles}/track/snapshot-{{Count}}.jpg"
    assert {one["webVtt"] for one in (sprites[track], snapshots[singles])} == {
        f"{folder}/{job_id}/track.vtt" for job_id in (track, singles)
    }
    for one in (*snapshots.values(), *sprites.values()):
        first = one.get("spriteRegular", one["snapshotRegular"])
        for placeholder in ("{Count}", "{TileCount}"):
            first = first.replace(placeholder, "00001")
        assert (running.folder / first).is_file()
    numbers = [number_on(url) for url in client.urls(stills)["SnapshotUrls"]]
    assert numbers == [film.number_at(ms) for ms in (2000, 4000, 6000)]

    with monkeypatch.context() as patch:
        patch.setattr(asset_pictures, "MOST_JOBS", 1)
        newest = client.asset(media_id)
        shown = json.loads(newest["Snapshots"]) + json.loads(newest["SpriteImages"])
        assert [one["iceJobId"] for one in shown] == [singles]

    # its pictures are those of its jobs
    client.call("DeleteSnapshotJob", JobId=singles, Outputs=True)
    assert [one["iceJobId"] for one in json.loads(client.asset(media_id)["Snapshots"])] == [stills]
    delete(client, media_id)
    for parameter in ("Input", "Output"):
        with pytest.raises(Refused) as caught:
            client.submit(place, more={parameter: {"Type": "Media", "Media": media_id}})
        assert (caught.value.status, caught.value.code) == NOT_FOUND
        assert '"Media"' in caught.value.message
    answer = refused(client, "RetrySnapshotJob", JobId=failed)
    assert (answer.status, answer.code) == NOT_FOUND
    # only what was registered is forgotten
    assert client.urls(stills)["Total"] == 3


def test_without_a_default_storage(running: Service, film: Clip) -> None:
    """The asset is there, and says why it has no pictures."""
    with running.account("homeless") as (account_id, client):
        shutil.copy(film.path, running.bucket("nowhere", account_id) / "a.mp4")
        media_id = client.register("oss://nowhere/a.mp4")
        basics = client.prepared(media_id)
        assert (basics["Status"], basics["Snapshots"], "Code" in basics) == ("Normal", "[]", False)
        assert "SetDefaultStorageLocation" in basics["Message"]
        with pytest.raises(Refused) as caught:
            submit_to(client, media_id)
        assert (caught.value.status, caught.value.code) == WRONG
        assert "SetDefaultStorageLocation" in caught.value.message
        client.call("SetDefaultStorageLocation", Bucket="nowhere", Path="p")
        client.succeeded(submit_to(client, media_id))
        assert "p/snapshots/" in client.asset(media_id)["Snapshots"]
        assert files_in(running.folder.parent / "nowhere") > {"a.mp4"}


def test_a_default_storage_that_was_taken_back(running: Service, film: Clip) -> None:
    with running.account("owner") as (owner, _), running.account("guest") as (guest, client):
        running.bucket("lent-out", owner)
        shutil.copy(film.path, running.bucket("guests", guest) / "a.mp4")
        buckets = running.assembly.buckets
        for access in ("read", "write"):
            buckets.grant("lent-out", guest, Grant(access, ""))
        client.call("SetDefaultStorageLocation", Bucket="lent-out")
        buckets.revoke("lent-out", guest, "write")
        basics = client.prepared(client.register("oss://guests/a.mp4"))
        assert (basics["Status"], "may not write" in basics["Message"]) == ("Normal", True)
        assert client.call("ListSnapshotJobs")["Jobs"] == []


def test_what_is_at_work_ends_with_its_asset(running: Service, client: Client, place: str) -> None:
    media_id = plainly(client, place)
    working = submit_to(client, media_id, **LARGE)
    client.in_work(working)
    reading = client.submit(
        place,
        "oss://local/elsewhere/{Count}.jpg",
        more={
            "Input": {"Type": "Media", "Media": media_id},
        },
        **LARGE,
    )
    delete(client, media_id)
    assert (client.get(working)["Status"], client.get(working)["Code"]) == ("Fail", "OperationCanceled")
    # the object is there
    assert client.get(reading)["Status"] == "Init"
    media_id = plainly(client, place)
    both = [submit_to(client, media_id, **LARGE) for _ in range(2)]
    wait_for(lambda: client.get(both[0])["Progress"] > 0 or client.get(both[1])["Progress"] > 0)
    delete(client, media_id, files=True)
    assert {client.get(job_id)["Code"] for job_id in both} == {"OperationCanceled"}
    left = [path for path in files_in(running.folder) if media_id in path]
    assert left == []
    client.call("CancelSnapshotJob", JobId=reading)


def test_what_was_lent(running: Service, film: Clip) -> None:
    """To read suffices to register; only who may write may remove the file."""
    with running.account("lender") as (lender, _), running.account("borrower") as (borrower, client):
        folder = running.bucket("lent", lender)
        own = running.bucket("borrowed", borrower)
        client.call("SetDefaultStorageLocation", Bucket="borrowed")
        for name in ("in", "out"):
            (folder / name).mkdir()
            shutil.copy(film.path, folder / name / "a.mp4")
        buckets = running.assembly.buckets
        buckets.grant("lent", borrower, Grant("read", "in/"))
        answer = refused(client, "RegisterMediaInfo", InputURL="oss://lent/out/a.mp4")
        assert (answer.status, answer.code) == NOT_FOUND
        media_id = client.register("oss://lent/in/a.mp4")
        with_pictures(client, media_id)
        made = files_in(own)
        removed = delete(client, media_id, files=True)
        assert (removed["ForbiddenList"], removed["IgnoredList"]) == ([media_id], [])
        assert files_in(folder) == {"in/a.mp4", "out/a.mp4"}
        assert files_in(own) == made
        buckets.revoke("lent", borrower)
        assert "FileUrl" not in info(client, media_id)["FileInfoList"][0]["FileBasicInfo"]
        buckets.grant("lent", borrower, Grant("write", "in/"))
        assert "FileUrl" not in info(client, media_id)["FileInfoList"][0]["FileBasicInfo"]
        assert delete(client, media_id, files=True)["ForbiddenList"] == []
        assert (files_in(folder), files_in(own)) == ({"out/a.mp4"}, set())


def test_how_long_links_are_good(client: Client, place: str) -> None:
    media_id = plainly(client, place)
    for wrong in (0, 86_401):
        answer = refused(client, "GetMediaInfo", MediaId=media_id, AuthTimeout=wrong)
        assert ((answer.status, answer.code), "86400" in answer.message) == (WRONG, True)
    assert info(client, media_id, AuthTimeout=86_400, OutputType="oss", ReturnDetailedInfo={})
    answer = refused(client, "GetMediaInfo", MediaId=media_id, OutputType="cdn")
    assert (answer.status, answer.code) == NOT_SUPPORTED
    delete(client, media_id)
