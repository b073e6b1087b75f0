"""Which keys a folder on disk can hold, and what is ours in it: our own files have names that no key may have."""

from __future__ import annotations

import os
import re

from stillframe.errors import ConfigError
from stillframe.storage.addresses import demand_key, is_plain

#: bytes that one part of a path may have on every file system that matters
LONGEST_SEGMENT_BYTES = 255

_TEMPORARY = re.compile(rb"\.stillframe-[0-9a-f]{16}\.part")
_CHECK = re.compile(rb"\.stillframe-check-[0-9a-f]{16}")


def segments_of(key: str, path: str = "Key") -> tuple[bytes, ...]:
    """The folders' names and the file's. Raises ConfigError for the parameter `path` when no file can have the key."""
    demand_key(key, path)
    if not is_plain(key):
        raise ConfigError(path, key, "a key without empty, . and .. parts, in a bucket that is a folder")
    segments = tuple(segment.encode() for segment in key.split("/"))
    if any(len(segment) > LONGEST_SEGMENT_BYTES for segment in segments):
        raise ConfigError(
            path,
            key,
            f"a key with at most {LONGEST_SEGMENT_BYTES} bytes between slashes, in a bucket that is a folder",
        )
    if any(is_own(segment) for segment in segments):
        raise ConfigError(path, key, "another name: such are Stillframe's own")
    return segments


def temporary_name() -> bytes:
    """A name that nobody else uses, for a file that is being written."""
    return b".stillframe-%s.part" % os.urandom(8).hex().encode()


def check_name() -> bytes:
    """A name that nobody else uses, for a file that is written to see whether that works."""
    return b".stillframe-check-%s" % os.urandom(8).hex().encode()


def is_temporary(segment: bytes) -> bool:
    """Whether a file is one that Stillframe has not finished writing."""
    return _TEMPORARY.fullmatch(segment) is not None


def is_own(segment: bytes) -> bool:
    """Whether a file is Stillframe's own, and nobody's object."""
    return is_temporary(segment) or _CHECK.fullmatch(segment) is not None
