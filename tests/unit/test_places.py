"""Where a bucket is bound to, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillframe.errors import ConfigError, NotSupported
from stillframe.storage.local import LocalBucket
from stillframe.storage.places import LocalPlace, open_bucket, parse_place


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("fs:/srv/videos", "/srv/videos"),
        ("FS:/srv/videos", "/srv/videos"),
        ("fs:/srv/videos/", "/srv/videos"),
        ("fs:/srv//videos/.", "/srv/videos"),
        ("fs:/a b/ü:x", "/a b/ü:x"),
        ("fs:/", "/"),
    ],
)
def test_a_folder(text: str, folder: str) -> None:
    place = parse_place(text)

    assert place == LocalPlace(Path(folder))
    assert str(place) == f"fs:{folder}"
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("s3://videos", "not supported in this version yet", id="s3"),
        pytest.param("S3://videos", "not supported in this version yet", id="S3"),
        pytest.param("oss://videos", "not supported in this version yet", id="oss"),
        pytest.param("/srv/videos", "fs:/srv/videos", id="a path alone"),
        pytest.param("", "fs:/srv/videos", id="empty"),
        pytest.param("file:/srv", "fs:/srv/videos", id="another scheme"),
        pytest.param("fs:", "absolute path", id="no path"),
        pytest.param("fs:videos", "absolute path", id="a relative path"),
        pytest.param("fs:~/videos", "absolute path", id="a home folder"),
        pytest.param("fs://srv/videos", "absolute path", id="a host"),
        pytest.param("fs:/srv/../etc", "without ..", id="climbing"),
        pytest.param("fs:/srv\0", "NUL", id="a NUL"),
    ],
)
def test_what_is_no_place(text: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_place(text, "Bucket.To")

    assert (caught.value.path, caught.value.value) == ("Bucket.To", text)
    assert allowed in caught.value.allowed
    assert isinstance(caught.value, NotSupported) == ("not supported" in allowed)


def test_the_bucket_at_a_place(tmp_path: Path) -> None:
    bucket = open_bucket(parse_place(f"fs:{tmp_path}"), "videos")

    assert isinstance(bucket, LocalBucket)
    bucket.write("x.jpg", b"picture", "image/jpeg")
    assert (tmp_path / "x.jpg").read_bytes() == b"picture"
