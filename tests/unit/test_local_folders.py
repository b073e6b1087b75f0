"""Buckets on disk as people fill and browse them: folders page by page, and objects written piece by piece."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillframe.errors import ConfigError, SourceError
from stillframe.storage import local_folder
from stillframe.storage.local import LocalBucket


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path, "local")


def test_a_folder_is_shown_in_pages(bucket: LocalBucket) -> None:
    for key in ("a b", "a/1", "a/2/x", "ab", "b/c/d", "ü", "\n"):
        bucket.write(key, key.encode())
    (bucket.root / "link").symlink_to("ab")
    (bucket.root / "folder-link").symlink_to("a")
    (bucket.root / ".stillframe-0123456789abcdef.part").touch()
    Path(os.fsdecode(os.fsencode(bucket.root) + b"/\xff")).touch()
    os.mkfifo(bucket.root / "pipe")
    for most in (1, 2, 3, 100):
        found: list[str] = []
        after: str | None = None
        while True:
            page = bucket.look_in("", "", after, most)
            assert len(page.folders) + len(page.objects) <= most
            found += sorted([*page.folders, *(one.key for one in page.objects)], key=str.encode)
            if (after := page.next) is None:
                break
        assert found == ["\n", "a b", "a/", "ab", "b/", "ü"]
    inside = bucket.look_in("a/", "", None, 100)
    assert (inside.folders, [one.key for one in inside.objects]) == (["a/2/"], ["a/1"])
    assert inside.objects[0] == bucket.stat("a/1")
    assert [one.key for one in bucket.look_in("", "a", "a/", 9).objects] == ["ab"]
    for folder in ("none/", "ab/", "folder-link/"):
        gone = bucket.look_in(folder, "", None, 9)
        assert [*gone.folders, *gone.objects] == []
    with pytest.raises(ConfigError):
        bucket.look_in("../", "", None, 9)


def test_a_folder_that_takes_too_long_is_told(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.write("x", b"")
    monkeypatch.setattr(local_folder, "_LONGEST_S", -1.0)
    with pytest.raises(SourceError, match="could not be listed within") as caught:
        bucket.look_in("", "", None, 9)
    assert caught.value.transient


def test_an_object_that_is_written_piece_by_piece(bucket: LocalBucket) -> None:
    writer = bucket.open_writer("a/b/film", "video/mp4")
    writer.add(b"first ")
    writer.add(b"second")
    # it is in nobody's way, and neither are its folders
    assert bucket.find("a/b/film") is None
    assert not (bucket.root / "a").exists()
    written = writer.finish()
    assert bucket.read("a/b/film") == b"first second"
    assert bucket.verify("a/b/film", written)
    assert bucket.find("a/b/film") == bucket.stat("a/b/film")
    writer.abort()
    assert bucket.read("a/b/film") == b"first second"


def test_an_object_that_is_given_up_leaves_nothing(bucket: LocalBucket) -> None:
    writer = bucket.open_writer("a/b/film", "video/mp4")
    writer.add(b"first ")
    writer.abort()
    writer.abort()
    assert [*bucket.root.rglob("*")] == []
    bucket.write("there/film", b"before")
    writer = bucket.open_writer("there/film", "video/mp4")
    writer.add(b"after")
    writer.abort()
    assert bucket.read("there/film") == b"before"
    assert [path.name for path in (bucket.root / "there").iterdir()] == ["film"]
    with pytest.raises(SourceError, match="is a folder"):
        bucket.find("there")
