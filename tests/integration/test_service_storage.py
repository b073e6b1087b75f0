"""Buckets of several accounts: what is granted can be used, what is not does not exist; and the default one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import URL

from hls import cut, write
from service_client import Client, Refused, Service, service, wait_for, while_another_changes
from stillframe.catalog.buckets import Grant
from stillframe.errors import ConfigError, NotFound
from stillframe.testing import videos

NOT_FOUND = (404, "ResourceNotFound")


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    clip = videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=50)
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        for folder in ("public", "private"):
            (started.folder / folder).mkdir()
            shutil.copy(clip.path, started.folder / folder / "movie.mp4")
        yield started


@pytest.fixture
def partner(running: Service, request: pytest.FixtureRequest) -> Iterator[tuple[str, Client]]:
    with running.account(request.node.name) as made:
        yield made


def refused(
    client: Client, source: str, target: str, template: str = "S00000002-000011"
) -> tuple[int, str, str]:
    with pytest.raises(Refused) as caught:
        client.submit(source, target, template)
    return caught.value.status, caught.value.code, caught.value.message


def test_what_is_granted_can_be_used(running: Service, partner: tuple[str, Client]) -> None:
    account_id, client = partner
    nobodys = refused(client, "oss://nowhere/movie.mp4", "oss://nowhere/x.jpg")
    public, out = "oss://local/public/movie.mp4", "oss://local/partner/x.jpg"
    assert refused(client, public, out) == (*NOT_FOUND, nobodys[2].replace("nowhere", "local"))

    running.assembly.buckets.grant("local", account_id, Grant("read", "public/"))
    assert refused(client, public, out)[:2] == NOT_FOUND
    running.assembly.buckets.grant("local", account_id, Grant("write", "partner/"))
    job_id = client.submit(public, out)
    client.succeeded(job_id)
    assert (running.folder / "partner" / "x.jpg").exists()
    assert client.urls(job_id)["Total"] == 1

    for source, target in (
        ("oss://local/private/movie.mp4", out),
        ("oss://local/publi", out),
        ("oss://local/partner/x.jpg", out.replace("x.jpg", "y.jpg")),
        (public, "oss://local/public/x.jpg"),
        (public, "oss://local/partne.jpg"),
    ):
        assert refused(client, source, target)[:2] == NOT_FOUND
    # its owner sees nothing of the other's job, but its files
    with pytest.raises(Refused):
        running.client.get(job_id)


@pytest.fixture(scope="module")
def playlist(running: Service) -> str:
    """A playlist in the bucket, in segments of a second."""
    folder = running.folder / "public" / "hls"
    film = videos.make(folder.parent / "film.mp4", frames=100, gop=25, bframes=2)
    cut(film, folder / "a.m3u8", seconds=1)
    return "oss://local/public/hls/a.m3u8"


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize(
    ("template", "output", "parameters"),
    [
        ("S00000002-000011", "stills/{Count}.png", {"Count": 4}),
        ("S00000002-000020", "sheet-{TileCount}.jpg", {"Count": 4}),
        ("S00000002-000031", "track.vtt", {"Interval": 1}),
    ],
    ids=["stills", "sheet", "track"],
)
def test_a_job_of_each_kind_from_a_playlist(
    running: Service, playlist: str, template: str, output: str, parameters: dict[str, Any]
) -> None:
    """The same as from the film that was cut."""
    client = running.client
    for name, source in (("cut", playlist), ("whole", "oss://local/public/film.mp4")):
        client.succeeded(client.submit(source, f"oss://local/{name}/{output}", template, **parameters))
    files = sorted(path for path in (running.folder / "whole").rglob("*") if path.is_file())
    assert files
    for path in files:
        made = running.folder / "cut" / path.relative_to(running.folder / "whole")
        assert made.read_bytes() == path.read_bytes(), path


@pytest.mark.usefixtures("sandbox_holds")
def test_what_a_playlist_is_said_to_be(running: Service, playlist: str) -> None:
    client = running.client
    told = client.call("SubmitSyncMediaInfoJob", Input={"Type": "OSS", "Media": playlist})["MediaInfoJob"]
    assert told["Status"] == "Success", told
    file = told["MediaInfoProperty"]["FileBasicInfo"]
    assert (file["FormatName"], file["Duration"], file["Width"]) == ("hls", "4.000000", "192")


@pytest.mark.usefixtures("sandbox_holds")
def test_a_playlist_as_a_media_asset(running: Service, playlist: str) -> None:
    asset = running.client.prepared(running.client.register(playlist))
    assert (asset["Status"], asset["MediaType"]) == ("Normal", "video"), asset


@pytest.mark.usefixtures("sandbox_holds")
def test_a_playlist_leads_to_nothing_that_was_not_granted(
    running: Service, playlist: str, partner: tuple[str, Client]
) -> None:
    account_id, client = partner
    for access in ("read", "write"):
        running.assembly.buckets.grant(
            "local", account_id, Grant("read" if access == "read" else "write", "public/")
        )
    folder = running.folder / "public" / "hls"
    lines = {
        "out": "#EXTINF:2,\n../../private/movie.mp4",
        "gone": "#EXTINF:2,\n../../private/nothing.mp4",
        "locked": '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\na-000.ts',
    }
    told = {}
    for name, line in lines.items():
        write(folder / f"{name}.m3u8", line)
        job = client.ended(
            client.submit(playlist.replace("a.m3u8", f"{name}.m3u8"), f"oss://local/public/{name}.jpg")
        )
        assert (job["Status"], job["Code"]) == ("Fail", "InvalidParameter.ResourceContentBad")
        told[name] = job["Message"]
    # not even whether it is there
    assert told["out"].replace("movie", "nothing").replace("out", "gone") == told["gone"]
    assert "private/movie.mp4, which may not be read" in told["out"]
    assert "encrypted (EXT-X-KEY, METHOD=AES-128)" in told["locked"]
    client.succeeded(client.submit(playlist, "oss://local/public/own.jpg"))


def test_the_pictures_of_a_track_lie_under_the_prefix_too(
    running: Service, partner: tuple[str, Client]
) -> None:
    account_id, client = partner
    running.assembly.buckets.grant("local", account_id, Grant("read", "public/"))
    running.assembly.buckets.grant("local", account_id, Grant("write", "tracks/x.vtt"))
    track = "S00000002-000030"
    told = refused(client, "oss://local/public/movie.mp4", "oss://local/tracks/x.vtt", track)
    assert told[:2] == NOT_FOUND
    running.assembly.buckets.grant("local", account_id, Grant("write", "tracks/x"))
    client.succeeded(client.submit("oss://local/public/movie.mp4", "oss://local/tracks/x.vtt", track))


def test_what_is_taken_back_is_gone(running: Service, partner: tuple[str, Client]) -> None:
    account_id, client = partner
    buckets, pipelines = running.assembly.buckets, running.assembly.pipelines
    for access in ("read", "write"):
        buckets.grant("local", account_id, Grant("read" if access == "read" else "write", ""))
    source, target = "oss://local/public/movie.mp4", "oss://local/taken/{Count}.jpg"
    done = client.succeeded(client.submit(source, target))["JobId"]
    assert client.urls(done)["Total"] == 1
    pipeline = pipelines.of_account(account_id, None).pipeline_id
    client.call("UpdatePipeline", PipelineId=pipeline, Status="Paused")
    waiting = client.submit(source, target.replace("taken", "taken back"))
    assert buckets.revoke("local", account_id, "write") == 1
    client.call("UpdatePipeline", PipelineId=pipeline, Status="Active")
    wait_for(lambda: client.get(waiting)["Status"] == "Fail")
    assert client.get(waiting)["Code"] == "ResourceNotFound"
    assert not (running.folder / "taken back").exists()
    for action, more in (("GetSnapshotUrls", {}), ("DeleteSnapshotJob", {"Outputs": "true"})):
        with pytest.raises(Refused) as caught:
            client.call(action, JobId=done, **more)
        assert (caught.value.status, caught.value.code) == NOT_FOUND
    assert (running.folder / "taken" / "00001.jpg").exists()
    assert buckets.revoke("local", account_id) == 1
    with pytest.raises(NotFound):
        buckets.revoke("local", account_id)
    assert client.call("GetStorageList")["StorageInfoList"] == []


def test_grants_that_make_no_sense(running: Service, partner: tuple[str, Client]) -> None:
    account_id, _ = partner
    with pytest.raises(NotFound):
        running.assembly.buckets.grant("nowhere", account_id, Grant("read", ""))
    with pytest.raises(ConfigError, match="owner"):
        running.assembly.buckets.grant("local", running.account_id, Grant("read", ""))
    for _ in range(2):
        running.assembly.buckets.grant("local", account_id, Grant("read", "twice/"))
    assert [
        one.grant.prefix for one in running.assembly.buckets.grants() if one.account_id == account_id
    ] == ["twice/"]


def test_the_default_storage(running: Service, partner: tuple[str, Client]) -> None:
    account_id, client = partner
    assert client.call("GetDefaultStorageLocation")["Status"] == "notExist"

    def set_default(bucket: str, **more: Any) -> None:
        assert client.call("SetDefaultStorageLocation", Bucket=bucket, **more)["Success"] is True

    for bucket in ("local", "nowhere"):
        with pytest.raises(Refused) as caught:
            set_default(bucket)
        assert (caught.value.status, caught.value.code) == NOT_FOUND
    running.assembly.buckets.grant("local", account_id, Grant("write", "theirs/"))
    with pytest.raises(Refused):
        set_default("local", Path="other/")
    set_default("local", Path="theirs/media")
    told = client.call("GetDefaultStorageLocation")
    assert (told["Status"], told["Bucket"], told["Path"]) == ("Normal", "local", "theirs/media/")
    (storage,) = client.call("GetStorageList")["StorageInfoList"]
    assert (storage["StorageLocation"], storage["DefaultStorage"]) == ("local", True)
    for wrong, code in (
        ({"Path": "/x"}, "InvalidParameter"),
        ({"Path": "a/../b"}, "InvalidParameter"),
        ({"StorageType": "vod_oss_bucket"}, "InvalidParameter.NotSupport"),
    ):
        with pytest.raises(Refused) as caught:
            set_default("local", **wrong)
        assert caught.value.code == code
    folder = running.bucket("ownthing", account_id)
    set_default("ownthing")
    # no key can begin with them, or none whose placeholders are ours
    for path in ("\\x", "x" * 256, "a/{Count}", "{TileCount}/b"):
        with pytest.raises(Refused, match="Path"):
            set_default("ownthing", Path=path)
    listed = {
        one["StorageLocation"]: one["DefaultStorage"]
        for one in client.call("GetStorageList")["StorageInfoList"]
    }
    assert listed == {"local": False, "ownthing": True}
    assert client.call("GetStorageList", StorageType="vod_oss_bucket")["StorageInfoList"] == []
    running.assembly.buckets.remove("ownthing")
    assert client.call("GetDefaultStorageLocation")["Status"] == "notExist"
    assert folder.exists()


def test_two_choices_of_a_default_storage_at_once(running: Service, partner: tuple[str, Client]) -> None:
    account_id, client = partner
    running.bucket("atonce", account_id)
    choose = (
        "INSERT INTO default_storages (account_id, bucket, path) VALUES (:account_id, 'atonce', 'first/')"
    )
    while_another_changes(
        running.assembly.database,
        (choose,),
        {"account_id": account_id},
        partial(client.call, "SetDefaultStorageLocation", Bucket="atonce", Path="second/"),
    )
    assert client.call("GetDefaultStorageLocation")["Path"] == "second/"


def test_a_default_storage_whose_bucket_is_removed_just_now(
    running: Service, partner: tuple[str, Client]
) -> None:
    account_id, client = partner
    running.bucket("goesnow", account_id)
    with pytest.raises(Refused) as caught:
        while_another_changes(
            running.assembly.database,
            ("DELETE FROM buckets WHERE name = 'goesnow'",),
            {},
            partial(client.call, "SetDefaultStorageLocation", Bucket="goesnow"),
        )
    assert (caught.value.status, caught.value.code) == NOT_FOUND


def test_a_default_storage_that_was_taken_back(running: Service, partner: tuple[str, Client]) -> None:
    """Whether its bucket is still there is nothing that the account may know."""
    account_id, client = partner
    running.bucket("lent")
    buckets = running.assembly.buckets
    buckets.grant("lent", account_id, Grant("read", ""))
    buckets.grant("lent", account_id, Grant("write", "theirs/"))
    client.call("SetDefaultStorageLocation", Bucket="lent", Path="theirs")
    buckets.revoke("lent", account_id, "write")
    told = client.call("GetDefaultStorageLocation")
    assert {key: value for key, value in told.items() if key != "RequestId"} == {"Status": "notExist"}
    (storage,) = client.call("GetStorageList")["StorageInfoList"]
    assert (storage["DefaultStorage"], storage["Path"]) == (False, "")
    buckets.grant("lent", account_id, Grant("write", ""))
    assert client.call("GetDefaultStorageLocation")["Path"] == "theirs/"
    buckets.revoke("lent", account_id)
    assert client.call("GetDefaultStorageLocation")["Status"] == "notExist"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/movie.mp4",
        "https://127.0.0.1:{port}/movie.mp4",
        "http://local.oss-cn-shanghai.aliyuncs.com:{port}/movie.mp4",
        "http://127.0.0.1:{port}/local.oss-cn-shanghai.aliyuncs.com/movie.mp4",
        "oss://local@127.0.0.1:{port}/movie.mp4",
        "s3://local/movie.mp4?endpoint=http://127.0.0.1:{port}",
        "oss://nowhere/movie.mp4?endpoint=http://127.0.0.1:{port}",
    ],
)
def test_nothing_is_asked_for_by_an_address_that_a_caller_names(running: Service, address: str) -> None:
    """What the command reads, the service does not: it knows buckets alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        named = address.format(port=listener.getsockname()[1])
        asked: list[tuple[str, dict[str, Any]]] = [
            ("SubmitMediaInfoJob", {"Input": {"Type": "OSS", "Media": named}}),
            ("RegisterMediaInfo", {"InputURL": named}),
        ]
        for source, target in ((named, "oss://local/x.jpg"), ("oss://local/public/movie.mp4", named)):
            assert refused(running.client, source, target)[0] in (400, 404)
        for action, parameters in asked:
            with pytest.raises(Refused) as caught:
                running.client.call(action, **parameters)
            assert caught.value.status in (400, 404)
        with pytest.raises(BlockingIOError):
            listener.accept()
