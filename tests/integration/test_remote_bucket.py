"""Buckets in stores, a real S3 server and an OSS: what is written is read, by ranges, and errors say what is wrong."""

from __future__ import annotations

import os
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import URL
from taking import Taken

from faulty_proxy import Fault, FaultyProxy, faulty_proxy
from hls import cut
from object_store import USER, ObjectStore
from oss_server import KEY_ID, SECRET, OssServer
from service_client import Refused, Service, service, wait_for
from stillframe import MemorySink, SnapshotConfig, shoot
from stillframe.errors import ConfigError, SinkError, SourceError
from stillframe.jobs import outputs
from stillframe.media.sink import Item, names_for
from stillframe.storage import remote, store
from stillframe.storage.bucket import Bucket, ObjectFacts
from stillframe.storage.places import StorePlace, open_bucket, parse_place
from stillframe.storage.playlist_source import open_playlist
from stillframe.testing import videos

KEY = "a b/ü+%41&c.jpg"
MIB = 1 << 20


#: what speaks how; OSS is signed for in its own old way, and in that of its S3 face, whose client is that of S3
KINDS = ["s3", "oss v1", pytest.param("oss v4", marks=pytest.mark.full)]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, kind: str) -> str:
    if kind == "s3":
        object_store: ObjectStore = request.getfixturevalue("object_store")
        return object_store.make_bucket("films")
    oss: OssServer = request.getfixturevalue("oss")
    return f"{oss.make_bucket('films')}&signature={kind.removeprefix('oss ')}"


@pytest.fixture
def profiles(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    """A file of profiles of the store's kind."""
    file = tmp_path / "credentials"
    if kind == "s3":
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        return Profiles(file, "aws_access_key_id", "aws_secret_access_key", USER)
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_FILE", str(file))
    return Profiles(file, "access_key_id", "access_key_secret", KEY_ID)


@dataclass(frozen=True)
class Profiles:
    file: Path
    key_name: str
    secret_name: str
    key_id: str

    def write(self, secret: str, key_id: str | None = None) -> None:
        told = f"{self.key_name} = {key_id or self.key_id}\n{self.secret_name} = {secret}\n"
        self.file.write_text(f"[films]\n{told}")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the tries of what may pass."""
    monkeypatch.setattr(store, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(remote, "_LOOK_AGAIN_S", (0.01, 0.01, 0.01))


@pytest.fixture
def bucket(place: str, request: pytest.FixtureRequest) -> Bucket:
    """A part of the bucket for each test."""
    name, _, query = place.partition("?")
    return open_bucket(parse_place(f"{name}/{quote(request.node.name[:40])}?{query}"), "films")


def test_what_is_written_is_read(bucket: Bucket) -> None:
    data = random.Random(1).randbytes(3 * MIB)
    written = bucket.write(KEY, data, "image/jpeg")
    facts = bucket.stat(KEY)
    assert (facts.key, facts.size, facts.etag) == (KEY, len(data), written.etag)
    assert bucket.read(KEY) == data
    assert bucket.verify(KEY, written)
    with bucket.open_source(KEY) as source:
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]
        assert source.read_at(len(data) - 5, 100) == data[-5:]
        assert source.read_at(len(data), 1) == b""


def test_a_large_object_is_written_in_parts(bucket: Bucket) -> None:
    data = random.Random(2).randbytes(35 * MIB)
    written = bucket.write("film.mp4", data, "video/mp4")
    # the store's own mark of an object of three parts
    assert written.etag.strip('"').endswith("-3")
    assert bucket.verify("film.mp4", written)
    assert bucket.read("film.mp4") == data


def test_an_empty_object(bucket: Bucket) -> None:
    bucket.write("empty.txt", b"", "text/plain")
    assert bucket.read("empty.txt") == b""


def test_an_object_that_is_replaced_while_it_is_read(bucket: Bucket) -> None:
    data = random.Random(3).randbytes(2 * MIB)
    written = bucket.write("film.mp4", data, "video/mp4")
    with bucket.open_source("film.mp4") as source:
        source.read_at(0, 10)
        bucket.write("film.mp4", data[::-1], "video/mp4")
        with pytest.raises(SourceError, match="was replaced while it was read") as caught:
            source.read_at(MIB, 10)
    assert caught.value.transient
    assert not bucket.verify("film.mp4", written)


def test_the_same_content_written_again_is_what_was_written(bucket: Bucket) -> None:
    written = bucket.write("a.vtt", b"WEBVTT\n", "text/vtt")
    bucket.write("a.vtt", b"WEBVTT\n", "text/vtt")
    assert bucket.verify("a.vtt", written)
    bucket.delete("a.vtt")
    assert not bucket.verify("a.vtt", written)


def test_a_key_that_may_not_look_does_not_deny_what_was_written(
    bucket: Bucket, place: str, profiles: Profiles
) -> None:
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    profiles.write("wrong")
    shut_out = open_bucket(parse_place(f"{place}&profile=films"), "films")
    with pytest.raises(SourceError, match="the store refuses the key"):
        shut_out.verify("a.jpg", written)


def test_another_writer_between_a_write_and_the_look_at_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ETag that the store tells is not ours: neither is what lies there."""
    looked = remote._facts

    def as_another_writer_left_it(key: str, metadata: Any) -> ObjectFacts:
        return replace(looked(key, metadata), etag=f'"{md5(b"hers").hexdigest()}"')

    with monkeypatch.context() as patch:
        patch.setattr(remote, "_facts", as_another_writer_left_it)
        written = bucket.write("a.jpg", b"ours", "image/jpeg")
    assert bucket.verify("a.jpg", written)
    bucket.write("a.jpg", b"hers", "image/jpeg")
    assert not bucket.verify("a.jpg", written)


def test_a_list(bucket: Bucket, kind: str) -> None:
    if kind == "oss v1":
        # OpenDAL signs lists wrong where V1 names the bucket in the path; by host it is right (test_store_hosts.py)
        with pytest.raises(SourceError, match="SignatureDoesNotMatch"):
            list(bucket.list())
        return
    keys = ["a/1.jpg", "a/2.jpg", "ab.jpg", "b/c/1.jpg"]
    for key in reversed(keys):
        bucket.write(key, key.encode(), "image/jpeg")
    assert [facts.key for facts in bucket.list()] == keys
    assert [facts.key for facts in bucket.list("a/")] == keys[:2]
    assert [facts.key for facts in bucket.list("a")] == keys[:3]
    assert [facts.size for facts in bucket.list("b")] == [9]
    for prefix in ("nothing/", "a//", " a", "/a", "a ", "../a"):
        assert list(bucket.list(prefix)) == []


def test_what_is_removed_is_gone(bucket: Bucket) -> None:
    bucket.write("a.jpg", b"x", "image/jpeg")
    bucket.delete("a.jpg")
    bucket.delete("a.jpg")
    with pytest.raises(SourceError, match=r"oss://films/a\.jpg: does not exist") as caught:
        bucket.open_source("a.jpg")
    assert not caught.value.transient


def test_a_check_leaves_nothing(place: str) -> None:
    name, _, query = place.partition("?")
    open_bucket(parse_place(f"{name}/checked?{query}"), "films").check()
    lister = open_bucket(
        parse_place(f"{name}/checked?{query.replace('signature=v1', 'signature=v4')}"), "films"
    )
    assert list(lister.list()) == []


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "/a", " a", "a/"])
def test_keys_that_the_store_would_be_asked_for_by_another_name(bucket: Bucket, key: str) -> None:
    with pytest.raises(ConfigError):
        bucket.write(key, b"", "text/plain")


def test_a_bucket_that_does_not_exist(place: str) -> None:
    bucket = open_bucket(parse_place(place.replace("://films", "://nowhere")), "films")
    with pytest.raises(SinkError, match=r"oss://films.*the bucket does not exist: NoSuchBucket: ") as caught:
        bucket.check()
    assert not caught.value.transient


def test_a_wrong_region(place: str, kind: str) -> None:
    wrong = f"{place.replace('region=cn-shanghai', '')}&region=eu-west-7"
    bucket = open_bucket(parse_place(wrong), "films")
    if kind == "oss v1":
        # it names no region
        bucket.check()
        return
    told = r"the bucket lies in another region than its place says: AuthorizationHeaderMalformed: .*expecting '\w"
    with pytest.raises(SinkError, match=told) as caught:
        bucket.check()
    assert not caught.value.transient


@pytest.mark.parametrize("signature", ["v1", "v4"])
def test_a_bucket_of_another_region(oss: OssServer, signature: str) -> None:
    place = oss.make_bucket("elsewhere", region="cn-beijing")
    bucket = open_bucket(parse_place(f"{place}&signature={signature}"), "films")
    with pytest.raises(
        SinkError, match="the bucket lies in another region than its place says: AccessDenied"
    ):
        bucket.check()


@pytest.mark.parametrize("ahead_s", [-1000, 1000])
@pytest.mark.parametrize("signature", ["v1", "v4"])
def test_a_clock_that_is_wrong(oss: OssServer, signature: str, ahead_s: float) -> None:
    bucket = open_bucket(parse_place(f"{oss.make_bucket('late')}&signature={signature}"), "films")
    oss.set_clock(ahead_s)
    try:
        with pytest.raises(SinkError, match=r"clock and the store's differ.*RequestTimeTooSkewed") as caught:
            bucket.check()
    finally:
        oss.set_clock(0)
    assert not caught.value.transient


def test_a_wrong_key(place: str, profiles: Profiles, kind: str) -> None:
    profiles.write("wrong")
    wrong = open_bucket(parse_place(f"{place}&profile=films"), "films")
    told = r"the store refuses the key.*the secret does not belong to the key: SignatureDoesNotMatch"
    with pytest.raises(SinkError, match=told) as caught:
        wrong.check()
    assert not caught.value.transient
    if kind != "s3":
        # Swift says of a key that it does not know that the signature is wrong
        profiles.write(SECRET, key_id="LTAI-nobody")
        with pytest.raises(SinkError, match="the store does not know the key: InvalidAccessKeyId"):
            wrong.check()
    missing = open_bucket(parse_place(f"{place}&profile=another"), "films")
    with pytest.raises(SinkError, match=r"there are no keys for the store: .*credentials.*another|another.*"):
        missing.check()
    profiles.write(SECRET)
    # a key that was changed counts at once
    wrong.check()


@pytest.mark.parametrize(
    ("place", "names"),
    [("s3://films", "AWS_ACCESS_KEY_ID"), ("oss://films?region=x", "ALIBABA_CLOUD_ACCESS_KEY_ID")],
)
def test_no_keys_at_all(place: str, names: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "ALIBABA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    bucket = open_bucket(parse_place(place), "films")
    with pytest.raises(SinkError, match=f"there are no keys for the store: set {names}") as caught:
        bucket.check()
    assert not caught.value.transient


@pytest.mark.parametrize(
    "place", ["s3://films?endpoint=http://127.0.0.1:1", "oss://films?endpoint=http://127.0.0.1:1"]
)
def test_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
        monkeypatch.setenv(
            name.replace("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_SECRET").replace("AWS", "ALIBABA_CLOUD"),
            "any",
        )
    bucket = open_bucket(parse_place(place), "films")
    with pytest.raises(SourceError, match="Connection refused") as caught:
        bucket.stat("a.jpg")
    assert caught.value.transient


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_a_cache_header(place: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written in one request, and in parts."""
    monkeypatch.setattr(remote, "_PART_BYTES", 5 * MIB)
    bucket = open_bucket(parse_place(f"{place}&cache_control=public, max-age=60"), "films")
    for opened, header in ((bucket, "public, max-age=60"), (open_bucket(parse_place(place), "films"), None)):
        opened.write("cached.jpg", bytes(size), "image/jpeg")
        (link,) = opened.links(["cached.jpg"], 60) or ()
        told = httpx.get(link, trust_env=False)
        assert (told.headers.get("cache-control"), told.headers["content-type"]) == (header, "image/jpeg")


def test_a_store_that_does_not_show_at_once_what_it_has_taken(oss: OssServer) -> None:
    bucket = open_bucket(parse_place(oss.make_bucket("slow")), "films")
    oss.hide_new_objects(2)
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    assert bucket.verify("a.jpg", written)
    oss.hide_new_objects(3)
    with pytest.raises(SinkError, match="it is not there after it was written") as caught:
        bucket.write("a.jpg", b"x", "image/jpeg")
    assert caught.value.transient
    oss.hide_new_objects(0)


@pytest.mark.parametrize(("hidden", "lost"), [(2, 0), (4, 2)])
def test_outputs_that_a_store_does_not_show_at_once(
    oss: OssServer, monkeypatch: pytest.MonkeyPatch, hidden: int, lost: int
) -> None:
    """A job's end looks at them twice before it makes them again."""
    monkeypatch.setattr(outputs, "_LOOK_AGAIN_S", 0.01)
    bucket = open_bucket(parse_place(oss.make_bucket("slow")), "films")
    sink = outputs.JobSink(bucket, names_for("t/{Count}.jpg", SnapshotConfig(count=2)), threading.Event())
    for index in (0, 1):
        sink.put(Item("snapshot", index, 8, 8), b"x")
    oss.hide_new_objects(hidden)
    assert len(sink.lost(sink.kept)) == lost
    oss.hide_new_objects(0)


@pytest.mark.parametrize("faults", [["503"] * 3, ["reset"] * 2, ["truncated"] * 2, ["503", "reset"]])
def test_a_bad_day(bucket: Bucket, place: str, faults: list[Fault]) -> None:
    """What passes is waited for, and the bytes are the right ones."""
    with behind_a_proxy(bucket, place) as (proxy, spoiled, data):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(faults)
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]
        assert (len(proxy.faults), proxy.ranges) == (0, len(faults) + 1)


def test_a_store_that_sends_a_drop_now_and_then(
    bucket: Bucket, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for until the last one, and what it has is read when it has recovered."""
    monkeypatch.setattr(store, "_LONGEST_S", 0.5)
    monkeypatch.setattr(store, "_SLOWEST_BYTES_PER_S", 10 * MIB)
    with behind_a_proxy(bucket, place) as (proxy, spoiled, data):
        source = spoiled.open_source("film.mp4")
        proxy.faults.append("drip")
        with pytest.raises(SourceError, match=r"the store has taken longer than \d s for it") as caught:
            source.read_at(MIB, 100)
        assert caught.value.transient
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]


@pytest.mark.parametrize("offset", [0, MIB])
def test_a_store_that_does_not_know_ranges(bucket: Bucket, place: str, offset: int) -> None:
    """All of the object instead of a range: never taken for the range, and told."""
    with behind_a_proxy(bucket, place) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["whole"] * 20)
        with pytest.raises(SourceError, match=r"oss://films/film\.mp4: "):
            source.read_at(offset, 100)


def test_a_store_that_stays_away_while_a_video_is_read(bucket: Bucket, place: str) -> None:
    with behind_a_proxy(bucket, place) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["503"] * 20)
        with pytest.raises(SourceError) as caught:
            source.read_at(0, 100)
    assert caught.value.transient


def test_a_playlist_in_the_store(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object is looked at once; of those that are needed what is wanted is read, and no other one."""
    film = videos.make(tmp_path / "film.mp4", frames=150, gop=25, bframes=2)
    playlist = cut(film, tmp_path / "hls/a.m3u8", seconds=1)
    for path in playlist.parent.iterdir():
        bucket.write(f"hls/{path.name}", path.read_bytes(), "video/mp2t")
    asked: list[str] = []
    read_range = bucket.read_range

    def noted(facts: ObjectFacts, offset: int, length: int) -> bytes:
        asked.append(facts.key)
        return read_range(facts, offset, length)

    monkeypatch.setattr(bucket, "read_range", noted)
    config = SnapshotConfig(time=3100, frame_type="normal")
    with open_playlist(bucket, "hls/a.m3u8", "films", lambda key: True) as source:
        sink = MemorySink("{Count}.png", config)
        taken = Taken(shoot(source, sink, config, threads=1), sink.files)
        assert taken.seen == [77]
        assert sorted(set(asked)) == [f"hls/a-00{number}.ts" for number in (0, 3, 5)]
        bucket.write("hls/a-004.ts", b"another", "video/mp2t")
        config = SnapshotConfig(time=4500, frame_type="normal")
        with pytest.raises(
            SourceError, match=r"a-004\.ts: the object was replaced while it was read"
        ) as caught:
            shoot(source, MemorySink("{Count}.png", config), config)
    assert caught.value.transient


@contextmanager
def behind_a_proxy(bucket: Bucket, place: str) -> Iterator[tuple[FaultyProxy, Bucket, bytes]]:
    """A proxy, the same bucket behind it, and the content of its film.mp4."""
    data = random.Random(4).randbytes(2 * MIB)
    bucket.write("film.mp4", data, "video/mp4")
    there = parse_place(place)
    assert isinstance(there, StorePlace)
    prefix = bucket.whereabouts("").partition(f"/{there.bucket}/")[2]
    with faulty_proxy(urlsplit(there.address).port) as proxy:
        yield proxy, open_bucket(replace(there, prefix=prefix, endpoint=proxy.endpoint), "films"), data


def test_links_that_the_store_signs(bucket: Bucket, kind: str) -> None:
    odd = "!\"'()*,:;<=>?@[\\]^`{|}~\n#.jpg"
    for key in (KEY, "a.jpg", odd):
        bucket.write(key, key.encode(), "image/jpeg")
    links = bucket.links([KEY, "a.jpg", odd, "none.jpg"], 600)
    assert links is not None
    with httpx.Client(trust_env=False) as http:
        assert [http.get(link).status_code for link in links] == [200, 200, 200, 404]
        whole, part = http.get(links[0]), http.get(links[1], headers={"Range": "bytes=2-3"})
        assert (whole.content, whole.headers["content-type"]) == (KEY.encode(), "image/jpeg")
        assert (part.status_code, part.content) == (206, b"jp")
        longer = ("Expires=", "Expires=1") if kind == "oss v1" else ("Expires=600", "Expires=601")
        for was, changed in (("a.jpg", "b.jpg"), longer, ("films", "other")):
            assert was in links[1]
            assert http.get(links[1].replace(was, changed)).status_code == 403
        assert http.put(links[1], content=b"x").status_code == 403
        (short,) = bucket.links(["a.jpg"], 1) or ()
        wait_for(lambda: http.get(short).status_code == 403)
    assert bucket.read("a.jpg") == b"a.jpg"
    assert bucket.links([], 1) == []
    assert bucket.links(["a.jpg"], 604_801) is None


def test_links_to_where_clients_find_the_store(place: str) -> None:
    """Each with a signature for the host in it."""
    inside = place.replace("127.0.0.1", "localhost")
    endpoint = re.findall(r"endpoint=([^&]+)", place)[0]
    outside = open_bucket(parse_place(f"{inside}&public_endpoint={endpoint}"), "films")
    outside.write("a.jpg", b"x", "image/jpeg")
    (link,) = outside.links(["a.jpg"], 60) or ()
    assert link.startswith(f"{endpoint}/films/a.jpg?")
    assert httpx.get(link, trust_env=False).content == b"x"
    assert open_bucket(parse_place(f"{place}&public_endpoint=none"), "films").links(["a.jpg"], 60) is None


@pytest.fixture(scope="module")
def running(
    module_database_url: URL,
    tmp_path_factory: pytest.TempPathFactory,
    object_store: ObjectStore,
    oss: OssServer,
) -> Iterator[Service]:
    """A service with a bucket in each kind of store, and the same video in all of them."""
    with service(module_database_url, tmp_path_factory.mktemp("data")) as started:
        clip = videos.make(started.folder / "movie.mp4", frames=250, fps=25, gop=25)
        for name, place in (
            ("in-s3", object_store.make_bucket("jobs")),
            ("in-oss", f"{oss.make_bucket('jobs')}&signature=v1"),
        ):
            bucket = started.assembly.buckets.add(name, started.account_id, place, "cn-shanghai").open()
            bucket.write("movie.mp4", clip.path.read_bytes(), "video/mp4")
        yield started


def opened(running: Service, name: str) -> Bucket:
    found = running.assembly.buckets.find(name)
    assert found is not None
    return found.open()


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize("name", ["in-s3", "in-oss"])
def test_a_job_whose_video_is_not_in_the_store(running: Service, name: str) -> None:
    job = running.client.ended(
        running.client.submit(f"oss://{name}/none.mp4", f"oss://{name}/t/{{Count}}.jpg")
    )
    assert (job["Status"], job["Code"]) == ("Fail", "ResourceNotFound")
    assert f"oss://{name}/none.mp4" in job["Message"]


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize("name", ["in-s3", "in-oss"])
def test_a_track_in_the_store(running: Service, name: str) -> None:
    """Its pictures have links of the store in it, which the stored track has not."""
    client = running.client
    output, template = f"oss://{name}/ü t/a.vtt", "S00000002-000030"
    job_id = client.submit(f"oss://{name}/movie.mp4", output, template, Interval=2, Width=96)
    client.succeeded(job_id)
    urls = client.urls(job_id)
    films = opened(running, name)
    stored = films.read("ü t/a.vtt").decode()
    with httpx.Client(trust_env=False) as http:
        shown = http.get(urls["WebVTTUrl"]).text
        (picture,) = {line.partition("#")[0] for line in shown.splitlines() if "#xywh=" in line}
        assert picture.startswith("http://127.0.0.1:")
        assert not picture.startswith(running.assembly.public_url)
        assert http.get(picture).content == http.get(urls["SnapshotUrls"][0]).content
        assert shown.replace(picture, "a/snapshot-tile-00001.jpg") == stored
        films.delete("ü t/a.vtt")
        assert http.get(urls["WebVTTUrl"]).status_code == 404


def test_links_while_the_store_has_no_keys(
    running: Service, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Of the account's other buckets they are there; what is wrong is not told to the account."""
    client, assembly = running.client, running.assembly
    profiles = tmp_path / "credentials"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
        profiles.write_text("[lent]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n")
        place = f"s3://jobs?endpoint={object_store.endpoint}&profile=lent"
        assembly.buckets.add("lent", running.account_id, place, "cn-shanghai")
        media_id = client.register(
            "oss://lent/movie.mp4", RegisterConfig={"NeedSnapshot": "false", "NeedSprite": "false"}
        )
        client.prepared(media_id)
        job_id = client.submit("oss://local/movie.mp4", "oss://lent/still.jpg")
        client.succeeded(job_id)
        (file,) = client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]
        assert file["FileBasicInfo"]["FileUrl"].startswith(f"{object_store.endpoint}/jobs/movie.mp4?")
        profiles.write_text("")
        (file,) = client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]
        assert "FileUrl" not in file["FileBasicInfo"]
        with pytest.raises(Refused) as caught:
            client.urls(job_id)
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert str(tmp_path) not in caught.value.message
