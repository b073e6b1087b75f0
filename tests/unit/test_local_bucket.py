"""A folder as a bucket: what is written is read, nothing outside is reached, and errors say what is wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stillframe.errors import ConfigError, SinkError, SourceError
from stillframe.jobs.outputs import JobSink
from stillframe.media.config import SnapshotConfig
from stillframe.media.sink import Item, names_for
from stillframe.storage import beneath, local_writer
from stillframe.storage.bucket import Written
from stillframe.storage.local import LocalBucket

TEMPORARY = ".stillframe-0123456789abcdef.part"
SECRET = b"not for everybody"


@pytest.fixture(params=["openat2", "part by part"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalBucket:
    """A bucket beside a folder that it must never reach, on a kernel with and without openat2."""
    if request.param == "openat2" and not beneath.has_openat2():
        pytest.skip("no openat2 here")
    monkeypatch.setattr(beneath, "has_openat2", lambda: request.param == "openat2")
    (tmp_path / "bucket").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jpg").write_bytes(SECRET)
    return LocalBucket(tmp_path / "bucket", "local")


def names_in(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    before = names_in("/dev/fd")
    yield
    assert names_in("/dev/fd") == before


def keys(bucket: LocalBucket, prefix: str = "") -> list[str]:
    return [facts.key for facts in bucket.list(prefix)]


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "a/b/c.jpg",
        "a b/%2e%2e/ü 电影+#?&.jpg",
        ".hidden/..x/...",
        "a\\..\\b",
        "a\nb",
        "x" * 255,
        "é" * 127 + "x",
        "/".join(["d" * 200] * 5),
        "/".join("d" * 512),
    ],
)
def test_what_is_written_is_read(bucket: LocalBucket, key: str) -> None:
    data = key.encode() * 3
    with no_descriptor_left():
        written = bucket.write(key, data, "image/jpeg")

        assert bucket.read(key) == data
        assert (bucket.root / key).read_bytes() == data
        facts = bucket.stat(key)
        assert (facts.key, facts.size, facts.etag) == (key, len(data), written.etag)
        assert facts.modified_s == pytest.approx((bucket.root / key).stat().st_mtime)
        assert written.sha256 == hashlib.sha256(data).hexdigest()
        assert keys(bucket) == [key]
        bucket.delete(key)
        assert keys(bucket) == []
        with pytest.raises(SourceError, match="no such file"):
            bucket.stat(key)


def test_an_empty_object(bucket: LocalBucket) -> None:
    assert bucket.write("x", b"").size == 0
    assert bucket.read("x") == b""


def test_the_new_content_takes_the_old_ones_place(bucket: LocalBucket) -> None:
    first = bucket.write("x", b"one")
    with bucket.open_source("x") as source:
        second = bucket.write("x", b"two")
        assert source.read_at(0, 9) == b"one"
        assert source.facts.etag == first.etag != second.etag
    assert bucket.read("x") == b"two"
    assert names_in(bucket.root) == ["x"]


def test_what_is_written_is_on_the_disk_before_it_has_its_name(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content, then name, then the folder that holds the name: no power cut leaves a file with a part in it."""
    (bucket.root / "a").mkdir()
    fsync, replace = os.fsync, os.replace
    done: list[tuple[str, int, int]] = []

    def settled(descriptor: int) -> None:
        facts = os.fstat(descriptor)
        done.append(("settled", facts.st_ino, 0 if stat.S_ISDIR(facts.st_mode) else facts.st_size))
        fsync(descriptor)

    def named(source: bytes, target: bytes, **folders: int) -> None:
        replace(source, target, **folders)
        done.append(("named", (bucket.root / "a" / os.fsdecode(target)).stat().st_ino, 0))

    monkeypatch.setattr(os, "fsync", settled)
    monkeypatch.setattr(os, "replace", named)
    bucket.write("a/x", b"whole")
    file, folder = (path.stat().st_ino for path in (bucket.root / "a" / "x", bucket.root / "a"))
    assert done == [("settled", file, 5), ("named", file, 0), ("settled", folder, 0)]


def test_a_new_folder_is_on_the_disk_as_well(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, settled = os.fsync, []

    def settle(descriptor: int) -> None:
        settled.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", settle)
    bucket.write("a/b/x", b"whole")
    held_by = [bucket.root / "a" / "b" / "x", bucket.root, bucket.root / "a", bucket.root / "a" / "b"]
    assert settled == [path.stat().st_ino for path in held_by]


def test_an_open_object_has_a_read_only_descriptor(bucket: LocalBucket) -> None:
    bucket.write("x", b"0123456789")
    with bucket.open_source("x") as source:
        assert os.pread(source.fileno(), 3, 4) == b"456"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(source.fileno(), b"x")
        assert not os.get_inheritable(source.fileno())
        assert (source.name, source.size) == ("oss://local/x", 10)


def test_modes_are_left_to_the_umask(bucket: LocalBucket) -> None:
    before = os.umask(0o027)
    try:
        bucket.write("a/x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((bucket.root / "a").stat().st_mode) == 0o750
    assert stat.S_IMODE((bucket.root / "a" / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("", "1 to 1023 bytes"),
        ("/x", "not start with /"),
        ("..", "empty, . and .. parts"),
        (".", "empty, . and .. parts"),
        ("../outside/secret.jpg", "empty, . and .. parts"),
        ("a/../../outside/secret.jpg", "empty, . and .. parts"),
        ("a/./x", "empty, . and .. parts"),
        ("a//x", "empty, . and .. parts"),
        ("a/", "empty, . and .. parts"),
        ("a/..", "empty, . and .. parts"),
        ("a\0b", "NUL"),
        ("\ud800", "UTF-8"),
        ("x" * 256, "255 bytes"),
        ("a/" + "é" * 128 + "/x", "255 bytes"),
        ("x/" * 511 + "xx", "1023 bytes"),
        (TEMPORARY, "another name"),
        (f"a/{TEMPORARY}", "another name"),
        (f"{TEMPORARY}/x", "another name"),
    ],
)
def test_keys_that_no_file_can_have(bucket: LocalBucket, key: str, allowed: str) -> None:
    for ask in (
        bucket.stat,
        bucket.open_source,
        bucket.read,
        bucket.delete,
        lambda key: bucket.write(key, b""),
    ):
        with pytest.raises(ConfigError) as caught:
            ask(key)
        assert allowed in caught.value.allowed
    assert names_in(bucket.root) == []


@pytest.mark.parametrize(
    ("link", "target", "key"),
    [
        pytest.param("x.jpg", "../outside/secret.jpg", "x.jpg", id="a file outside"),
        pytest.param("a", "../outside", "a/secret.jpg", id="a folder outside"),
        pytest.param("a/b", "../../outside", "a/b/secret.jpg", id="a folder outside, deeper"),
        pytest.param("x.jpg", "{outside}/secret.jpg", "x.jpg", id="an absolute path"),
        pytest.param("a", "{outside}", "a/secret.jpg", id="an absolute path of a folder"),
        pytest.param("x.jpg", "real.jpg", "x.jpg", id="a file inside"),
        pytest.param("a", "real", "a/real.jpg", id="a folder inside"),
        pytest.param("a", "..", "a/outside/secret.jpg", id="the folder above"),
        pytest.param("x.jpg", "x.jpg", "x.jpg", id="itself"),
        pytest.param("x.jpg", "/proc/self/environ", "x.jpg", id="the environment"),
        pytest.param("a", "/proc/self/cwd", "a/x.jpg", id="a magic link"),
    ],
)
def test_no_link_is_followed(bucket: LocalBucket, tmp_path: Path, link: str, target: str, key: str) -> None:
    bucket.write("real.jpg", b"real")
    bucket.write("real/real.jpg", b"real")
    path = bucket.root / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target.format(outside=tmp_path / "outside"))

    with no_descriptor_left():
        for read in (bucket.stat, bucket.open_source, bucket.read):
            with pytest.raises(SourceError, match="symbolic link") as caught:
                read(key)
            assert not caught.value.transient
        assert keys(bucket) == ["real.jpg", "real/real.jpg"]
        assert keys(bucket, f"{link}/") == []
        if key == link:
            with pytest.raises(SinkError, match="not a regular file"):
                bucket.delete(key)
            assert path.is_symlink()
            # the name is taken over, and what it pointed to stays as it was
            bucket.write(key, b"mine")
            assert bucket.read(key) == b"mine"
            assert not path.is_symlink()
        else:
            with pytest.raises(SinkError, match="symbolic link"):
                bucket.write(key, b"mine")
            with pytest.raises(SinkError, match="symbolic link"):
                bucket.delete(key)
    assert names_in(tmp_path / "outside") == ["secret.jpg"]
    assert (tmp_path / "outside" / "secret.jpg").read_bytes() == SECRET
    assert (bucket.root / "real.jpg").read_bytes() == b"real"
    assert names_in(bucket.root / "real") == ["real.jpg"]


def test_the_buckets_own_path_may_hold_links(bucket: LocalBucket, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(bucket.root)
    LocalBucket(tmp_path / "linked").write("a/x", b"data")
    assert bucket.read("a/x") == b"data"


def test_a_named_pipe_does_not_hold_anybody_up(bucket: LocalBucket) -> None:
    os.mkfifo(bucket.root / "x.mp4")
    with no_descriptor_left():
        for read in (bucket.stat, bucket.open_source, bucket.read):
            with pytest.raises(SourceError, match=r"oss://local/x\.mp4: is not a regular file"):
                read("x.mp4")
        with pytest.raises(SinkError, match="is not a regular file"):
            bucket.delete("x.mp4")
    assert keys(bucket) == []


def test_a_socket(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bucket.root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x.mp4")
        with pytest.raises(SourceError, match="is not a regular file"):
            bucket.open_source("x.mp4")
    assert keys(bucket) == []


def test_a_device(bucket: LocalBucket) -> None:
    try:
        os.mknod(bucket.root / "x.mp4", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices may be made here")
    # some disks are mounted so that no device on them opens
    with pytest.raises(SourceError, match=r"is not a regular file|permission denied"):
        bucket.open_source("x.mp4")


def test_a_folder_is_no_object(bucket: LocalBucket) -> None:
    (bucket.root / "a").mkdir()
    with pytest.raises(SourceError, match="oss://local/a: is a folder"):
        bucket.open_source("a")
    with pytest.raises(SinkError, match="oss://local/a: is a folder"):
        bucket.write("a", b"data")
    with pytest.raises(SinkError, match="oss://local/a: is a folder"):
        bucket.delete("a")
    assert names_in(bucket.root) == ["a"]
    assert names_in(bucket.root / "a") == []


def test_below_a_file_there_is_nothing(bucket: LocalBucket) -> None:
    bucket.write("a", b"data")
    with pytest.raises(SourceError, match="oss://local/a/x: a part of the path is a file"):
        bucket.open_source("a/x")
    with pytest.raises(SinkError, match="oss://local/a/x: a part of the path is a file"):
        bucket.write("a/x", b"data")


def test_deleting_what_is_not_there(bucket: LocalBucket) -> None:
    bucket.delete("x")
    bucket.delete("a/b/x")
    bucket.write("a/x", b"")
    bucket.delete("a/x")
    bucket.delete("a/x")
    assert names_in(bucket.root) == ["a"]


def test_a_bucket_whose_folder_is_gone(bucket: LocalBucket) -> None:
    bucket.root.rmdir()
    message = "oss://local: the bucket's folder: does not exist"
    for ask in (
        bucket.stat,
        bucket.open_source,
        lambda key: keys(bucket),
        lambda key: bucket.clean_leftovers(),
    ):
        with pytest.raises(SourceError, match=message) as caught:
            ask("x")
        assert caught.value.transient
    for put in (lambda: bucket.write("a/x", b""), lambda: bucket.delete("x"), bucket.check):
        with pytest.raises(SinkError, match=message) as refused:
            put()
        assert refused.value.transient
    with pytest.raises(SourceError, match=message):
        bucket.verify("x", Written(0, "", ""))
    assert not bucket.root.exists()
    bucket.root.mkdir()
    bucket.check()


def test_a_bucket_whose_folder_is_a_file(bucket: LocalBucket) -> None:
    bucket.root.rmdir()
    bucket.root.write_bytes(b"")
    with pytest.raises(SinkError, match="the bucket's folder: is a file, not a folder"):
        bucket.check()


def test_without_a_name_messages_show_the_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        LocalBucket(tmp_path).open_source("a/x")
    assert str(caught.value) == f"{tmp_path}/a/x: no such file"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a", "b/c", "b/d/e", "b/d/é", "b/d.f", "b0/g", "b1", "ba"]),
        ("b", ["b/c", "b/d/e", "b/d/é", "b/d.f", "b0/g", "b1", "ba"]),
        ("b/", ["b/c", "b/d/e", "b/d/é", "b/d.f"]),
        ("b/d", ["b/d/e", "b/d/é", "b/d.f"]),
        ("b/d/", ["b/d/e", "b/d/é"]),
        ("b/d/e", ["b/d/e"]),
        ("a", ["a"]),
        ("a/", []),
        ("x", []),
        ("x/y", []),
        ("/", []),
    ],
)
def test_a_list_is_in_the_order_of_bytes(bucket: LocalBucket, prefix: str, expected: list[str]) -> None:
    everything = ["a", "b/c", "b/d.f", "b/d/e", "b/d/é", "b0/g", "b1", "ba"]
    for key in random.sample(everything, len(everything)):
        bucket.write(key, key.encode())
    with no_descriptor_left():
        found = list(bucket.list(prefix))
    assert [facts.key for facts in found] == sorted(expected, key=str.encode)
    assert [facts.size for facts in found] == [len(facts.key.encode()) for facts in found]
    assert all(facts == bucket.stat(facts.key) for facts in found)


def test_a_list_leaves_out_what_is_no_object(bucket: LocalBucket) -> None:
    bucket.write("x", b"")
    (bucket.root / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    (bucket.root / TEMPORARY).write_bytes(b"half")
    (bucket.root / "empty").mkdir()
    os.mkfifo(bucket.root / "pipe")
    assert keys(bucket) == ["x"]


def test_a_list_is_not_for_climbing(bucket: LocalBucket) -> None:
    with pytest.raises(ConfigError):
        keys(bucket, "../outside/")


def test_what_killed_writers_left_is_removed(bucket: LocalBucket) -> None:
    bucket.write("a/x", b"whole")
    bucket.write("b/x", b"whole")
    for folder in ("", "a", "a/b", "b"):
        (bucket.root / folder).mkdir(exist_ok=True)
        (bucket.root / folder / TEMPORARY).write_bytes(b"half")
    (bucket.root / "a" / ".other.part").write_bytes(b"not ours")

    with no_descriptor_left():
        assert bucket.clean_leftovers("a") == 2
        assert not (bucket.root / "a" / TEMPORARY).exists()
        assert (bucket.root / TEMPORARY).exists()
        assert bucket.clean_leftovers() == 2
        assert bucket.clean_leftovers() == 0
    assert keys(bucket) == ["a/.other.part", "a/x", "b/x"]


def test_what_a_killed_check_left_is_removed_and_is_no_object(bucket: LocalBucket) -> None:
    left = bucket.root / f".stillframe-check-{'0' * 16}"
    left.write_bytes(b"whole")
    assert keys(bucket) == []
    with pytest.raises(ConfigError):
        bucket.write(left.name, b"")
    assert bucket.clean_leftovers() == 1
    assert not left.exists()


@pytest.mark.parametrize(("older_than_s", "removed"), [(30, 1), (3600, 0)])
def test_only_old_leftovers_are_removed(bucket: LocalBucket, older_than_s: float, removed: int) -> None:
    left = bucket.root / TEMPORARY
    left.write_bytes(b"half")
    a_minute_ago = time.time() - 60
    os.utime(left, (a_minute_ago, a_minute_ago))
    assert bucket.clean_leftovers(older_than_s=older_than_s) == removed
    assert left.exists() is not bool(removed)


def test_what_is_being_written_is_not_removed(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = []
    write_all = local_writer._write_all

    def clean_meanwhile(descriptor: int, data: bytes) -> None:
        write_all(descriptor, data)
        removed.append(bucket.clean_leftovers())

    monkeypatch.setattr(local_writer, "_write_all", clean_meanwhile)
    bucket.write("a/x", b"whole")
    assert removed == [0]
    assert bucket.read("a/x") == b"whole"


def test_a_folder_that_goes_while_it_is_written_to_is_made_again(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folders = beneath.make_folders
    made = []

    def sweep(root: int, segments: tuple[bytes, ...]) -> int:
        folder = make_folders(root, segments)
        made.append(segments)
        if len(made) < 3:
            (bucket.root / "a" / "b").rmdir()
        return folder

    monkeypatch.setattr(beneath, "make_folders", sweep)
    bucket.write("a/b/x", b"whole")
    assert len(made) == 3
    assert bucket.read("a/b/x") == b"whole"


@pytest.mark.parametrize(
    ("number", "message", "transient"),
    [
        (errno.ENOSPC, "no space left on the disk", True),
        (errno.EDQUOT, "the disk quota is used up", True),
        (errno.EIO, "input/output error", True),
        (errno.EMFILE, "too many open files", True),
        (errno.EROFS, "the file system is read-only", False),
        (errno.EACCES, "permission denied", False),
        (errno.EFBIG, "file too large", False),
    ],
)
def test_a_write_that_fails_says_why_and_leaves_nothing(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, number: int, message: str, transient: bool
) -> None:
    bucket.write("a/x", b"before")

    def fail(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local_writer, "_write_all", fail)
    with no_descriptor_left(), pytest.raises(SinkError) as caught:
        bucket.write("a/x", b"after")
    assert str(caught.value) == f"oss://local/a/x: {message}"
    assert caught.value.transient is transient
    assert names_in(bucket.root / "a") == ["x"]
    assert bucket.read("a/x") == b"before"


def test_verify(bucket: LocalBucket) -> None:
    written = bucket.write("x", b"data")
    assert bucket.verify("x", written)
    assert not bucket.verify("y", written)
    again = bucket.write("x", b"data")
    assert again.etag != written.etag
    assert bucket.verify("x", written), "the same content, written again by another attempt"
    bucket.write("x", b"DATA")
    assert not bucket.verify("x", written)
    bucket.write("x", b"dat")
    assert not bucket.verify("x", written)
    bucket.delete("x")
    assert not bucket.verify("x", written)
    (bucket.root / "x").mkdir()
    assert not bucket.verify("x", written)


def test_check_leaves_nothing(bucket: LocalBucket) -> None:
    with no_descriptor_left():
        bucket.check()
    assert names_in(bucket.root) == []


def test_a_sink_into_a_bucket(bucket: LocalBucket) -> None:
    config = SnapshotConfig(type="WebVtt", is_spt_frag=True)
    sink = JobSink(bucket, names_for("a/x.vtt", config), threading.Event())

    output = sink.put(Item("sheet", 2, width_px=160, height_px=90), b"picture")
    sink.put(Item("track", 1), b"WEBVTT\n")

    assert (output.name, output.size_bytes) == ("a/x/snapshot-tile-00002.jpg", 7)
    assert (output.kind, output.index, output.width_px, output.height_px) == ("sheet", 2, 160, 90)
    assert keys(bucket) == ["a/x.vtt", "a/x/snapshot-tile-00002.jpg"]
    assert [item.output.kind for item in sink.kept] == ["sheet", "track"]
    assert all(bucket.verify(item.output.name, item.written) for item in sink.kept)
    assert bucket.read("a/x.vtt") == b"WEBVTT\n"
