"""Where an operator binds a bucket to: `fs:/srv/videos` is a folder on this machine.

parse_place("fs:/srv/videos")           # LocalPlace(Path("/srv/videos"))
str(parse_place("fs:/srv/videos/"))     # "fs:/srv/videos"
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stillframe.errors import ConfigError, NotSupported
from stillframe.storage.bucket import Bucket
from stillframe.storage.local import LocalBucket

_CLOUDS = ("s3://", "oss://")


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on this machine, as an absolute path."""

    folder: Path

    def __str__(self) -> str:
        return f"fs:{self.folder}"


def parse_place(text: str, path: str = "To") -> LocalPlace:
    """Read a place's text form. Raises ConfigError for the parameter `path`, NotSupported for S3 and OSS."""
    if text.lower().startswith(_CLOUDS):
        raise NotSupported(
            path, text, "fs:/folder: buckets on S3 and OSS are not supported in this version yet"
        )
    scheme, separator, folder = text.partition(":")
    if not separator or scheme.lower() != "fs":
        raise ConfigError(path, text, "a place such as fs:/srv/videos")
    if not folder.startswith("/") or folder.startswith("//"):
        raise ConfigError(path, text, "fs: and an absolute path, such as fs:/srv/videos")
    if "\0" in folder or ".." in folder.split("/"):
        raise ConfigError(path, text, "a path without .. and NUL in it")
    return LocalPlace(Path(folder))


def open_bucket(place: LocalPlace, name: str) -> Bucket:
    """The bucket at a place; `name` is what users call it. Nothing is read or written yet."""
    return LocalBucket(place.folder, name)
