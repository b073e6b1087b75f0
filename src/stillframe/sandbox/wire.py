"""What parent and child say to each other over their socket: fixed headers, small JSON, bytes. Never pickle.

The child speaks in messages of a 24-byte header and, for most kinds, a payload of `length` bytes; the parent in
frames of an 8-byte header. The first frame is the request (number 0); the others answer a READ by its number,
or let a surveyed child go on with its rendering (number 0 again).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from stillframe.media.config import DEFAULT_CAPS, Caps, SnapshotConfig
from stillframe.media.plan import Stretch
from stillframe.media.playlist import Playlist
from stillframe.media.sink import PictureFormat
from stillframe.media.survey import Survey

#: kind, number, then two numbers whose meaning is the kind's, and the payload's length
MESSAGE = struct.Struct("<BxxxIQII")
#: what answers a FIRST
NUMBER = struct.Struct("<I")
#: number of the read that is answered, length
FRAME = struct.Struct("<II")

#: bytes that one READ may ask for
MAX_READ = 8 << 20
#: bytes of one picture
MAX_PICTURE = 64 << 20

#: what the child calls the source: it has no use for addresses
SOURCE_NAME = "video"
SOURCE_IDENTITY = "-"


class Kind(IntEnum):
    """What a message of the child's is."""

    #: `number` is its own, `first` the offset, `length` how many bytes: no payload
    READ = 1
    #: JSON: a list of (offset, length) that will be read soon
    PREFETCH = 2
    #: something was read or decoded since the last one: no payload
    PROGRESS = 3
    #: JSON: the Survey; the child waits to be told to go on when it is to render
    SURVEY = 4
    #: JSON: a ShotReport
    SHOT = 5
    #: a finished picture: `number` is its index, `first` holds width and height in 32 bits each
    STILL = 6
    SHEET = 7
    #: JSON: Stats; everything is said
    DONE = 8
    #: JSON: a Failure; everything is said
    FAILED = 9
    #: JSON: the MediaFacts
    FACTS = 10
    #: JSON: a list of (offset, length), of which the first that is there is asked for; `number` as a read's
    FIRST = 11


#: the most bytes of JSON for each kind that has any
MAX_JSON = {
    Kind.PREFETCH: 2 << 20,
    Kind.FIRST: 4 << 10,
    # a million keyframes; ten times that in memory, when it is a list of numbers only
    Kind.SURVEY: 16 << 20,
    Kind.SHOT: 8 << 10,
    Kind.DONE: 16 << 10,
    Kind.FAILED: 64 << 10,
    # three hundred streams (MOST_STREAMS), with the longest texts
    Kind.FACTS: 1 << 20,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a child is to do: survey (`config`), survey and go on when told, render one stretch of `survey`, or
    describe the source.
    """

    task: Literal["survey", "survey-and-render", "render", "describe"]
    size: int
    config: SnapshotConfig | None = None
    caps: Caps = DEFAULT_CAPS
    survey: Survey | None = None
    stretch: Stretch | None = None
    picture_format: PictureFormat = "jpeg"
    threads: int = 1
    #: where the segments of a playlist lie in the source
    playlist: Playlist | None = None
    #: the most that the child may read, where its reads are what is counted
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as plain data. `kind` is a class of errors.py, or memory, unavailable (no sandbox), unexpected."""

    kind: Literal[
        "ConfigError",
        "SourceError",
        "TooMuchRead",
        "MediaError",
        "PastTheEnd",
        "memory",
        "unavailable",
        "unexpected",
    ]
    message: str
    reason: str = ""
    path: str = ""
    value: str | int | float | bool | None = None
    transient: bool = False
