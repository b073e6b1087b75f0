"""Buckets in stores, a real S3 server and an OSS: what is written is read, by ranges, and links lead to it."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import pytest
from taking import Taken

from hls import cut
from service_client import wait_for
from stillframe import MemorySink, SnapshotConfig, shoot
from stillframe.errors import ConfigError, SourceError
from stillframe.storage import remote
from stillframe.storage.bucket import Bucket, ObjectFacts
from stillframe.storage.places import open_bucket, parse_place
from stillframe.storage.playlist_source import open_playlist
from stillframe.testing import videos
from store_kinds import MIB, bucket, kind, place, short_pauses

__all__ = ["bucket", "kind", "place", "short_pauses"]
KEY = "a b/ü+%41&c.jpg"


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


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_a_cache_header(place: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written in one request, and in parts."""
    monkeypatch.setattr(remote, "PART_BYTES", 5 * MIB)
    bucket = open_bucket(parse_place(f"{place}&cache_control=public, max-age=60"), "films")
    for opened, header in ((bucket, "public, max-age=60"), (open_bucket(parse_place(place), "films"), None)):
        opened.write("cached.jpg", bytes(size), "image/jpeg")
        (link,) = opened.links(["cached.jpg"], 60) or ()
        told = httpx.get(link, trust_env=False)
        assert (told.headers.get("cache-control"), told.headers["content-type"]) == (header, "image/jpeg")


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


def test_a_folder_is_shown_in_pages(bucket: Bucket, kind: str) -> None:
    if kind == "oss v1":
        with pytest.raises(SourceError, match="SignatureDoesNotMatch"):
            bucket.look_in("", "", None, 10)
        return
    keys = [
        "a b.mp4",
        "a/1.jpg",
        "a/2.jpg",
        "a/b/3.jpg",
        "ab.mp4",
        "b/c/1.jpg",
        "x%41&+<i>\"'.mp4",
        "ü/日本.jpg",
        "new\nline/new\nline.mp4",
    ]
    for key in reversed(keys):
        bucket.write(key, key.encode(), "image/jpeg")
    for most in (1, 2, 3, 100):
        found: list[str] = []
        after: str | None = None
        while True:
            page = bucket.look_in("", "", after, most)
            assert len(page.folders) + len(page.objects) <= most
            found += sorted([*page.folders, *(one.key for one in page.objects)], key=str.encode)
            if (after := page.next) is None:
                break
        assert found == ["a b.mp4", "a/", "ab.mp4", "b/", "new\nline/", "x%41&+<i>\"'.mp4", "ü/"], most
    page = bucket.look_in("a/", "", None, 100)
    assert (page.folders, [one.size for one in page.objects]) == (["a/b/"], [7, 7])
    page = bucket.look_in("", "a", None, 100)
    assert (page.folders, [one.key for one in page.objects]) == (["a/"], ["a b.mp4", "ab.mp4"])
    assert bucket.look_in("ü/", "日", None, 100).objects[0].key == "ü/日本.jpg"
    assert bucket.look_in("new\nline/", "", None, 100).objects[0].key == "new\nline/new\nline.mp4"
    for folder, starts in (("nothing/", ""), ("a//", ""), ("../", ""), ("a/", "1.jpg/"), ("", " ")):
        page = bucket.look_in(folder, starts, None, 100)
        assert [*page.folders, *page.objects] == [], (folder, starts)


def test_an_object_that_is_written_piece_by_piece(bucket: Bucket) -> None:
    data = random.Random(5).randbytes(18 * MIB)
    writer = bucket.open_writer("film.mp4", "video/mp4")
    for at in range(0, len(data), MIB):
        writer.add(data[at : at + MIB])
    assert bucket.find("film.mp4") is None
    written = writer.finish()
    writer.abort()
    assert (written.size, bucket.verify("film.mp4", written)) == (len(data), True)
    assert bucket.read("film.mp4") == data
    given_up = bucket.open_writer("film.mp4", "video/mp4")
    given_up.add(data[:MIB] * 17)
    given_up.abort()
    found = bucket.find("film.mp4")
    assert found is not None
    assert (found.etag, found.size) == (written.etag, len(data))
    empty = bucket.open_writer("empty.txt", "text/plain")
    assert empty.finish().size == 0
    assert bucket.read("empty.txt") == b""
