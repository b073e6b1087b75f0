"""A bucket in a real S3 server: what is written is read, by ranges, and errors say what is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import URL

from faulty_proxy import Fault, FaultyProxy, faulty_proxy
from object_store import ObjectStore
from service_client import Refused, Service, service, wait_for
from stillframe.errors import ConfigError, SinkError, SourceError
from stillframe.storage import remote
from stillframe.storage.bucket import Bucket, ObjectFacts
from stillframe.storage.places import open_bucket, parse_place
from stillframe.testing import videos

KEY = "a b/ü+%41&c.jpg"
MIB = 1 << 20


@pytest.fixture(scope="module")
def place(object_store: ObjectStore) -> str:
    return object_store.make_bucket("films")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the tries of what may pass."""
    monkeypatch.setattr(remote, "_FIRST_PAUSE_S", 0.01)


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
    assert written.etag.endswith('-3"')
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
    bucket: Bucket, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    profiles = tmp_path / "credentials"
    profiles.write_text("[films]\naws_access_key_id = test:tester\naws_secret_access_key = wrong\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
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


def test_a_list(bucket: Bucket) -> None:
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


def test_a_check_leaves_nothing(bucket: Bucket) -> None:
    bucket.check()
    assert list(bucket.list()) == []


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "/a", " a", "a/"])
def test_keys_that_the_store_would_be_asked_for_by_another_name(bucket: Bucket, key: str) -> None:
    with pytest.raises(ConfigError):
        bucket.write(key, b"", "text/plain")


def test_a_bucket_that_does_not_exist(object_store: ObjectStore) -> None:
    bucket = open_bucket(parse_place(f"s3://nowhere?endpoint={object_store.endpoint}"), "films")
    with pytest.raises(SinkError, match=r"oss://films.*NoSuchBucket") as caught:
        bucket.check()
    assert not caught.value.transient


def test_a_wrong_region(place: str) -> None:
    bucket = open_bucket(parse_place(f"{place}&region=eu-west-7"), "films")
    with pytest.raises(SinkError, match="the region 'eu-west-7' is wrong; expecting 'us-east-1'") as caught:
        bucket.check()
    assert not caught.value.transient


def test_a_wrong_key(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "credentials"
    profiles.write_text("[films]\naws_access_key_id = test:tester\naws_secret_access_key = wrong\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    wrong = open_bucket(parse_place(f"{place}&profile=films"), "films")
    with pytest.raises(SinkError, match=r"the store refuses the key.*SignatureDoesNotMatch") as caught:
        wrong.check()
    assert not caught.value.transient
    missing = open_bucket(parse_place(f"{place}&profile=another"), "films")
    with pytest.raises(SinkError, match=r"there are no keys for the store: .*credentials: .*\[another\]"):
        missing.check()
    profiles.write_text(profiles.read_text().replace("wrong", "testing"))
    # a key that was changed counts at once
    wrong.check()


def test_no_keys_at_all(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    bucket = open_bucket(parse_place(place.replace("films?", "films/nokeys?")), "films")
    with pytest.raises(SinkError, match="there are no keys for the store: set AWS_ACCESS_KEY_ID"):
        bucket.check()


def test_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    bucket = open_bucket(parse_place("s3://films?endpoint=http://127.0.0.1:1"), "films")
    with pytest.raises(SourceError, match="Connection refused") as caught:
        bucket.stat("a.jpg")
    assert caught.value.transient


@pytest.mark.parametrize("faults", [["503"] * 3, ["reset"] * 2, ["truncated"] * 2, ["503", "reset"]])
def test_a_bad_day(bucket: Bucket, place: str, object_store: ObjectStore, faults: list[Fault]) -> None:
    """What passes is waited for, and the bytes are the right ones."""
    with behind_a_proxy(bucket, place, object_store) as (proxy, spoiled, data):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(faults)
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]
        assert (len(proxy.faults), proxy.ranges) == (0, len(faults) + 1)


@pytest.mark.parametrize("offset", [0, MIB])
def test_a_store_that_does_not_know_ranges(
    bucket: Bucket, place: str, object_store: ObjectStore, offset: int
) -> None:
    """All of the object instead of a range: never taken for the range, and told."""
    with behind_a_proxy(bucket, place, object_store) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["whole"] * 20)
        with pytest.raises(SourceError, match=r"oss://films/film\.mp4: "):
            source.read_at(offset, 100)


def test_a_store_that_stays_away_while_a_video_is_read(
    bucket: Bucket, place: str, object_store: ObjectStore
) -> None:
    with behind_a_proxy(bucket, place, object_store) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["503"] * 20)
        with pytest.raises(SourceError) as caught:
            source.read_at(0, 100)
    assert caught.value.transient


@contextmanager
def behind_a_proxy(
    bucket: Bucket, place: str, object_store: ObjectStore
) -> Iterator[tuple[FaultyProxy, Bucket, bytes]]:
    """A proxy, the same bucket behind it, and the content of its film.mp4."""
    data = random.Random(4).randbytes(2 * MIB)
    bucket.write("film.mp4", data, "video/mp4")
    shown = bucket.whereabouts("").removeprefix(f"s3:{object_store.endpoint}/")
    with faulty_proxy(object_store.port) as proxy:
        yield proxy, open_bucket(parse_place(f"s3://{shown}?endpoint={proxy.endpoint}"), "films"), data


def test_links_that_the_store_signs(bucket: Bucket) -> None:
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
        for was, changed in (("a.jpg", "b.jpg"), ("Expires=600", "Expires=601"), ("films", "other")):
            assert was in links[1]
            assert http.get(links[1].replace(was, changed)).status_code == 403
        assert http.put(links[1], content=b"x").status_code == 403
        (short,) = bucket.links(["a.jpg"], 1) or ()
        wait_for(lambda: http.get(short).status_code == 403)
    assert bucket.read("a.jpg") == b"a.jpg"
    assert bucket.links([], 1) == []
    (long,) = bucket.links(["a.jpg"], 10**9) or ()
    assert "Expires=604800&" in long


def test_links_to_where_clients_find_the_store(place: str, object_store: ObjectStore) -> None:
    """Each with a signature for the host in it."""
    inside = place.replace("127.0.0.1", "localhost")
    outside = open_bucket(parse_place(f"{inside}&public_endpoint={object_store.endpoint}"), "films")
    outside.write("a.jpg", b"x", "image/jpeg")
    (link,) = outside.links(["a.jpg"], 60) or ()
    assert link.startswith(f"{object_store.endpoint}/films/a.jpg?")
    assert httpx.get(link, trust_env=False).content == b"x"
    assert open_bucket(parse_place(f"{place}&public_endpoint=none"), "films").links(["a.jpg"], 60) is None


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory, place: str) -> Service:
    with service(module_database_url, tmp_path_factory.mktemp("data")) as started:
        started.assembly.buckets.add("films", started.account_id, place, "cn-shanghai")
        clip = videos.make(started.folder / "movie.mp4", frames=250, fps=25, gop=25)
        films = open_bucket(parse_place(place), "films")
        films.write("movie.mp4", clip.path.read_bytes(), "video/mp4")
        yield started


@pytest.mark.usefixtures("sandbox_holds")
def test_a_job_from_the_store_to_the_store(running: Service, place: str) -> None:
    """The same bytes as from a folder, and as many."""
    client, films = running.client, open_bucket(parse_place(place), "films")
    jobs = {}
    for bucket in ("films", "local"):
        output = f"oss://{bucket}/thumbs/{{Count}}.jpg"
        jobs[bucket] = client.submit(f"oss://{bucket}/movie.mp4", output, Count=5, FrameType="normal")
    assert client.succeeded(jobs["films"])["Count"] == client.succeeded(jobs["local"])["Count"] == 5
    names = [facts.key for facts in films.list("thumbs/")]
    assert len(names) == 5
    assert [films.read(name) for name in names] == [(running.folder / name).read_bytes() for name in names]
    linked = client.urls(jobs["films"])["SnapshotUrls"]
    store = place.partition("endpoint=")[2]
    assert all(url.startswith(f"{store}/films/thumbs/") for url in linked)
    with httpx.Client(trust_env=False) as http:
        assert [http.get(url).content for url in linked] == [films.read(name) for name in names]


@pytest.mark.usefixtures("sandbox_holds")
def test_a_job_whose_video_is_not_in_the_store(running: Service) -> None:
    job = running.client.ended(running.client.submit("oss://films/none.mp4", "oss://films/t/{Count}.jpg"))
    assert (job["Status"], job["Code"]) == ("Fail", "ResourceNotFound")
    assert "oss://films/none.mp4" in job["Message"]


@pytest.mark.usefixtures("sandbox_holds")
def test_a_track_in_the_store(running: Service, place: str) -> None:
    """Its pictures have links of the store in it, which the stored track has not."""
    client = running.client
    output, template = "oss://films/ü t/a.vtt", "S00000002-000030"
    job_id = client.submit("oss://films/movie.mp4", output, template, Interval=2, Width=96)
    client.succeeded(job_id)
    urls = client.urls(job_id)
    films = open_bucket(parse_place(place), "films")
    stored = films.read("ü t/a.vtt").decode()
    with httpx.Client(trust_env=False) as http:
        shown = http.get(urls["WebVTTUrl"]).text
        (picture,) = {line.partition("#")[0] for line in shown.splitlines() if "#xywh=" in line}
        assert picture.startswith(place.partition("endpoint=")[2])
        assert http.get(picture).content == http.get(urls["SnapshotUrls"][0]).content
        assert shown.replace(picture, "a/snapshot-tile-00001.jpg") == stored
        films.delete("ü t/a.vtt")
        assert http.get(urls["WebVTTUrl"]).status_code == 404


def test_links_while_the_store_has_no_keys(running: Service, place: str, tmp_path: Path) -> None:
    """Of the account's other buckets they are there; what is wrong is not told to the account."""
    client, assembly = running.client, running.assembly
    profiles = tmp_path / "credentials"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
        profiles.write_text("[lent]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n")
        assembly.buckets.add("lent", running.account_id, f"{place}&profile=lent", "cn-shanghai")
        media_id = client.register(
            "oss://lent/movie.mp4", RegisterConfig={"NeedSnapshot": "false", "NeedSprite": "false"}
        )
        client.prepared(media_id)
        job_id = client.submit("oss://local/movie.mp4", "oss://lent/still.jpg")
        client.succeeded(job_id)
        profiles.write_text("")
        (file,) = client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]
        assert "FileUrl" not in file["FileBasicInfo"]
        with pytest.raises(Refused) as caught:
            client.urls(job_id)
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert str(tmp_path) not in caught.value.message
