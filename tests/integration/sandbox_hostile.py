"""Children that lie, flood, hang and die: what a decoder that was taken over might say to its parent.

`behave` runs in the sandbox's child. Which behaviour is wanted comes with the request: the margin of sheets, where none
is asked for, is its number.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from stillframe.errors import MediaError
from stillframe.sandbox.channel import Channel
from stillframe.sandbox.child import REQUESTS, answer
from stillframe.sandbox.wire import MAX_JSON, MAX_READ, MESSAGE, Kind

NOISE = np.random.default_rng(7).bytes(1 << 20)
#: of the size that is asked for, so that nothing but its kind is wrong
A_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 64, 36) + b"x" * 20 + b"IEND\xaeB`\x82"

#: places in what a survey holds as tuples: Placement, Box, Stretch
CANVAS, WIDTH, LAST = 0, 2, 1

Said = tuple[Kind, bytes, int, int]
Lie = Callable[[Kind, bytes, int, int], Iterator[Said]]


def _picture(kind: str, width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


SMALL_JPEG, SMALL_PNG = _picture("JPEG", 8, 8), _picture("PNG", 8, 8)
A_JPEG = _picture("JPEG", 64, 36)


def message(kind: int, number: int = 0, first: int = 0, length: int = 0, payload: bytes = b"") -> bytes:
    return MESSAGE.pack(kind, number, first, length or len(payload), 0) + payload


def speak(*parts: bytes) -> Callable[[socket.socket], None]:
    """Say this, and then wait."""

    def say(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        hang(connection)

    return say


def hang(connection: socket.socket) -> None:
    while True:
        time.sleep(60)


def spin(connection: socket.socket) -> None:
    while True:
        pass


def trickle(connection: socket.socket) -> None:
    for byte in message(Kind.SURVEY, payload=b"{}" * 4000):
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def ask_and_never_read(connection: socket.socket) -> None:
    for number in range(1, 100_000):
        connection.sendall(message(Kind.READ, number, 0, MAX_READ))


def ask_for_bytes_and_never_read(connection: socket.socket) -> None:
    for number in range(1, 1 << 30):
        connection.sendall(message(Kind.READ, number, 0, 1))


def flood_of(part: bytes) -> Callable[[socket.socket], None]:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(part)

    return flood


def wish_now_and_then(connection: socket.socket) -> None:
    while True:
        connection.sendall(message(Kind.PREFETCH, payload=b"[]"))
        time.sleep(0.1)


def flood_of_reads(connection: socket.socket) -> None:
    for number in range(1, 1 << 30):
        connection.sendall(message(Kind.READ, number, 0, 1))
        connection.recv(9)


def longest_survey(connection: socket.socket) -> None:
    """As long as a survey may be, and all of it numbers."""
    facts = {
        **dict.fromkeys(("container", "codec", "pixel_format"), ""),
        **dict.fromkeys(("size_bytes", "stream_index", "first_pts", "end_pts", "available_end_pts"), 1),
        **dict.fromkeys(("frame_ticks", "width_px", "height_px", "display_width_px", "display_height_px"), 1),
        "source": "video",
        "identity": "-",
        "streams": [],
        "time_base": [1, 1],
        "sample_aspect": [1, 1],
        "rotation": 0,
        "mirrored": False,
        "interlaced": False,
        "colour_tags": {},
        "colour": {"kind": "sdr", "matrix": 1, "full_range": False},
    }
    start = b'{"probe":' + json.dumps(facts).encode()[:-1] + b',"keyframes_pts":[0'
    left = MAX_JSON[Kind.SURVEY] - len(start)
    connection.sendall(message(Kind.SURVEY, length=MAX_JSON[Kind.SURVEY]) + start)
    connection.sendall(b",0" * (left // 2) + b" " * (left % 2))
    hang(connection)


def close(connection: socket.socket) -> None:
    connection.close()
    hang(connection)


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    hang(connection)


#: instead of doing what was asked; and how the parent calls it
AT_ONCE: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "noise": (speak(NOISE), "protocol"),
    "a kind that there is not": (speak(message(77)), "protocol"),
    "the kind nought": (speak(message(0)), "protocol"),
    "a survey of 4 GiB": (speak(message(Kind.SURVEY, length=0xFFFF_FFFF)), "protocol"),
    "a failure of 1 MiB": (speak(message(Kind.FAILED, payload=NOISE)), "protocol"),
    "ranges of 4 GiB": (speak(message(Kind.PREFETCH, length=0xFFFF_FFFF)), "protocol"),
    "ranges that are none": (speak(message(Kind.PREFETCH, payload=b'["x"]')), "protocol"),
    "a question about ranges that are none": (
        speak(message(Kind.FIRST, number=1, payload=b'["x"]')),
        "protocol",
    ),
    "a question about a range before the start": (
        speak(message(Kind.FIRST, number=1, payload=b"[[-5, 5]]")),
        "protocol",
    ),
    "a question about too many ranges": (
        speak(message(Kind.FIRST, number=1, payload=b"[" + b"[0,1]," * 16 + b"[0,1]]")),
        "protocol",
    ),
    "a flood of questions": (flood_of(message(Kind.FIRST, number=1, payload=b"[[0,1]]")), "protocol"),
    "a range before the start": (speak(message(Kind.PREFETCH, payload=b"[[-5, 5]]")), "protocol"),
    "the same range a thousand times": (
        speak(message(Kind.PREFETCH, payload=b"[" + b"[0,33554432]," * 999 + b"[0,1]]")),
        "protocol",
    ),
    "a read of 4 GiB": (speak(message(Kind.READ, 1, 0, 0xFFFF_FFFF)), "protocol"),
    "a read at 2^63": (speak(message(Kind.READ, 1, 1 << 63, 16)), "protocol"),
    "a read at 2^64 - 1": (speak(message(Kind.READ, 1, (1 << 64) - 1, 16)), "protocol"),
    "a read behind the end": (speak(message(Kind.READ, 1, (32 << 20) - 1, 2)), "protocol"),
    "a read of nothing": (speak(MESSAGE.pack(Kind.READ, 1, 0, 0, 0)), "protocol"),
    "a read with the request's number": (speak(message(Kind.READ, 0, 0, 16)), "protocol"),
    "a header with more in it": (speak(MESSAGE.pack(Kind.PROGRESS, 0, 0, 0, 9)), "protocol"),
    "a shot before the survey": (speak(message(Kind.SHOT, payload=b"{}")), "protocol"),
    "a still before the survey": (speak(message(Kind.STILL, 1, 0, payload=SMALL_JPEG)), "protocol"),
    "the end before the survey": (speak(message(Kind.DONE, payload=b"{}")), "protocol"),
    "a survey that is no JSON": (speak(message(Kind.SURVEY, payload=NOISE)), "protocol"),
    "a survey of brackets": (speak(message(Kind.SURVEY, payload=b"[" * (1 << 20))), "protocol"),
    "a survey of nothing": (speak(message(Kind.SURVEY, payload=b"{}")), "protocol"),
    "the longest survey": (longest_survey, "protocol"),
    "a failure of a new kind": (
        speak(message(Kind.FAILED, payload=b'{"kind":"x","message":""}')),
        "protocol",
    ),
    "a failure for a new reason": (
        speak(message(Kind.FAILED, payload=b'{"kind":"MediaError","message":"","reason":"because"}')),
        "protocol",
    ),
    "a limit that it was not given": (
        speak(message(Kind.FAILED, payload=b'{"kind":"TooMuchRead","message":""}')),
        "protocol",
    ),
    "a failure with a number of 5,000 digits": (
        speak(
            message(Kind.FAILED, payload=b'{"kind":"ConfigError","message":"","value":' + b"9" * 5000 + b"}")
        ),
        "protocol",
    ),
    "hang": (hang, "no-progress"),
    "spin": (spin, "no-progress"),
    "one byte now and then": (trickle, "no-progress"),
    "ask and never read": (ask_and_never_read, "no-progress"),
    "ask for bytes and never read": (ask_for_bytes_and_never_read, "no-progress"),
    "wish for nothing now and then": (wish_now_and_then, "no-progress"),
    "a flood of progress": (flood_of(message(Kind.PROGRESS)), "protocol"),
    "a flood of no ranges": (flood_of(message(Kind.PREFETCH, payload=b"[]")), "protocol"),
    "a flood of empty ranges": (flood_of(message(Kind.PREFETCH, payload=b"[[0,0]]")), "protocol"),
    "a flood of ranges behind the end": (
        flood_of(message(Kind.PREFETCH, payload=f"[[{1 << 40},9]]".encode())),
        "protocol",
    ),
    "a message full of empty ranges": (
        speak(message(Kind.PREFETCH, payload=b"[" + b"[0,0]," * 99_999 + b"[0,0]]")),
        "protocol",
    ),
    "a flood of reads": (flood_of_reads, "protocol"),
    "close": (close, "protocol"),
    "half close": (half_close, "protocol"),
    "leave": (lambda _: os._exit(0), "protocol"),
    "leave with a code": (lambda _: os._exit(3), "crash"),
    "segmentation fault": (lambda _: ctypes.string_at(0) and None, "crash"),
    "abort": (lambda _: os.abort(), "crash"),
}


def of_survey(change: Callable[[dict[str, Any]], object]) -> Lie:
    """Change the survey that is told."""

    def lie(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
        if kind is Kind.SURVEY:
            survey = json.loads(payload)
            change(survey)
            payload = json.dumps(survey).encode()
        yield kind, payload, number, first

    return lie


def of_json(which: Kind, change: Callable[[dict[str, Any]], object]) -> Lie:
    def lie(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
        if kind is which:
            facts = json.loads(payload)
            change(facts)
            payload = json.dumps(facts).encode()
        yield kind, payload, number, first

    return lie


def of_still(change: Callable[[bytes, int, int], tuple[Kind, bytes, int, int]]) -> Lie:
    def lie(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
        yield change(payload, number, first) if kind is Kind.STILL else (kind, payload, number, first)

    return lie


def twice(which: Kind) -> Lie:
    def lie(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
        yield kind, payload, number, first
        if kind is which:
            yield kind, payload, number, first

    return lie


def never(which: Kind) -> Lie:
    def lie(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
        if kind is not which:
            yield kind, payload, number, first

    return lie


def done_at_once(kind: Kind, payload: bytes, number: int, first: int) -> Iterator[Said]:
    yield (Kind.DONE, b"{}", 0, 0) if kind is Kind.STILL else (kind, payload, number, first)


#: the work is done, and something else is told
LIES: dict[str, Lie] = {
    "a survey of another source": of_survey(lambda s: s["probe"].update(source="/etc/passwd")),
    "a survey of another size": of_survey(lambda s: s["probe"].update(size_bytes=1)),
    "another config": of_survey(lambda s: s["config"].update(quality=1)),
    "a time base of nought": of_survey(lambda s: s["probe"].update(time_base=[1, 0])),
    "a time beyond 64 bits": of_survey(lambda s: s["probe"].update(first_pts=1 << 64)),
    "a video of a million years": of_survey(
        lambda s: s["probe"].update(end_pts=(1 << 63) - 1, time_base=[1 << 30, 1])
    ),
    "pictures of no size": of_survey(lambda s: s["probe"].update(display_width_px=0)),
    "pictures of a huge size": of_survey(lambda s: s["probe"].update(width_px=1 << 30)),
    "a frame of no length": of_survey(lambda s: s["probe"].update(frame_ticks=0)),
    "keyframes that go back": of_survey(lambda s: s["probe"].update(keyframes_pts=[5, 4])),
    "escape codes in a note": of_survey(lambda s: s["probe"].update(notes=["\x1b[2J"])),
    "a codec's name of 1 MiB": of_survey(lambda s: s["probe"].update(codec="x" * (1 << 20))),
    "a shot too many": of_survey(lambda s: s["shots"].append(s["shots"][-1] | {"index": len(s["shots"])})),
    "a shot too few": of_survey(lambda s: s["shots"].pop()),
    "a shot of another moment": of_survey(lambda s: s["shots"][1].update(requested_ms=7)),
    "a shot in another's place": of_survey(lambda s: s["shots"][1].update(position=0)),
    "a shot that is dropped": of_survey(lambda s: s["shots"][1].update(fate="dropped", position=None)),
    "a range before the start of the video": of_survey(lambda s: s["shots"][1].update(extent=[-1, 5])),
    "another canvas": of_survey(lambda s: s["placement"][CANVAS].__setitem__(WIDTH, 4000)),
    "other stretches": of_survey(lambda s: s["stretches"][0].__setitem__(LAST, 10**6)),
    "a still that was not asked": of_still(
        lambda data, number, first: (Kind.STILL, data, number + 99, first)
    ),
    "the still nought": of_still(lambda data, number, first: (Kind.STILL, data, 0, first)),
    "a still as a sheet": of_still(lambda data, number, first: (Kind.SHEET, data, number, first)),
    "a still as a track": of_still(lambda data, number, first: (Kind.SURVEY, data, number, first)),
    "a still that is said to be larger": of_still(
        lambda data, number, first: (Kind.STILL, data, number, first + 1)
    ),
    "a still that is smaller": of_still(lambda data, number, first: (Kind.STILL, SMALL_JPEG, number, first)),
    "a PNG for a JPEG": of_still(lambda data, number, first: (Kind.STILL, A_PNG, number, first)),
    "noise for a JPEG": of_still(lambda data, number, first: (Kind.STILL, NOISE, number, first)),
    "nothing for a JPEG": of_still(lambda data, number, first: (Kind.STILL, b"", number, first)),
    "a JPEG without its end": of_still(lambda data, number, first: (Kind.STILL, data[:-2], number, first)),
    "a JPEG of 65 MiB": of_still(lambda data, number, first: (Kind.STILL, NOISE * 65, number, first)),
    "each still twice": twice(Kind.STILL),
    "each shot twice": twice(Kind.SHOT),
    "no stills": never(Kind.STILL),
    "no shots": never(Kind.SHOT),
    "the survey twice": twice(Kind.SURVEY),
    "done at once": done_at_once,
    "a shot of another stretch": of_json(Kind.SHOT, lambda shot: shot.update(index=77)),
    "a shot that was asked for another moment": of_json(Kind.SHOT, lambda shot: shot.update(requested_ms=1)),
    "a shot that is skipped": of_json(Kind.SHOT, lambda shot: shot.update(status="skipped")),
    "a shot of an unknown status": of_json(Kind.SHOT, lambda shot: shot.update(status="great")),
    "a missing shot with a frame": of_json(Kind.SHOT, lambda shot: shot.update(status="missing")),
    "a still of a shot that the survey misses": of_survey(lambda s: s["shots"][1].update(fate="missing")),
    "a missing shot with a still": of_json(
        Kind.SHOT, lambda shot: shot.update(status="missing", actual_pts=None, actual_ms=None)
    ),
    "a frame's time in two ways": of_json(Kind.SHOT, lambda shot: shot.update(actual_ms=-1)),
    "escape codes in a reason": of_json(Kind.SHOT, lambda shot: shot.update(reason="\x1b[2J")),
    "work done backwards": of_json(Kind.DONE, lambda stats: stats.update(reads=-1)),
    "an unknown stage of work": of_json(Kind.DONE, lambda stats: stats.update(seconds={"x" * 99: 1.0})),
    "seconds without end": of_json(Kind.DONE, lambda stats: stats.update(seconds={"decode": 1e300})),
}

#: the same, where PNGs are asked for
LIES_OF_PNGS: dict[str, Lie] = {
    "a PNG that is smaller": of_still(lambda data, number, first: (Kind.STILL, SMALL_PNG, number, first)),
    "a JPEG for a PNG": of_still(lambda data, number, first: (Kind.STILL, A_JPEG, number, first)),
    "noise for a PNG": of_still(lambda data, number, first: (Kind.STILL, NOISE, number, first)),
    "nothing for a PNG": of_still(lambda data, number, first: (Kind.STILL, b"", number, first)),
    "the start of a PNG": of_still(lambda data, number, first: (Kind.STILL, data[:20], number, first)),
    "a PNG without its end": of_still(lambda data, number, first: (Kind.STILL, data[:-2], number, first)),
}

HONEST, GREEDY, REFUSING = "honest", "memory without end", "a refusal with escape codes"
NAMES = [HONEST, GREEDY, REFUSING, *AT_ONCE, *LIES, *LIES_OF_PNGS]


#: instead of the description of a source; which of them is told by the source's size
LIES_OF_FACTS: dict[str, Said] = {
    "nothing": (Kind.FACTS, b"", 0, 0),
    "facts of another source": (
        Kind.FACTS,
        b'{"format_name":"mov","size_bytes":77,"duration_us":1,"bit_rate":1,"video":[],"audio":[],"subtitles":[]}',
        0,
        0,
    ),
    "more than there may be": (Kind.FACTS, b" " * (MAX_JSON[Kind.FACTS] + 1), 0, 0),
    "a survey": (Kind.SURVEY, b"{}", 0, 0),
    "a picture": (Kind.STILL, A_JPEG, 1, 64 << 32 | 36),
    "that all is done": (Kind.DONE, b"{}", 0, 0),
}


def misdescribe(connection: socket.socket, video: int | None) -> None:
    """Tell a lie about a source, and that all is done."""
    channel = Channel(connection)
    request = REQUESTS.decode(channel.frame(0))
    kind, payload, number, first = [*LIES_OF_FACTS.values()][request.size - 1]
    channel.send(kind, payload, number=number, first=first)
    channel.send(Kind.DONE, b"{}")
    hang(connection)


def stay(connection: socket.socket, video: int | None) -> None:
    """Never do anything."""
    hang(connection)


def behave(connection: socket.socket, video: int | None) -> None:
    """Hear the request, and do what its margin is the number of."""
    channel = Channel(connection)
    request = REQUESTS.decode(channel.frame(0))
    config = request.config or (request.survey.config if request.survey else None)
    assert config is not None
    name = NAMES[config.sprite_snapshot_config.margin]
    if name in AT_ONCE:
        AT_ONCE[name][0](connection)
    elif name in LIES | LIES_OF_PNGS:
        channel = Liar(connection, (LIES | LIES_OF_PNGS)[name])
    elif name == GREEDY:
        channel = Greedy(connection)
    elif name == REFUSING:
        channel = Refusing(connection)
    answer(channel, request, video)


class Greedy(Channel):
    """Takes memory as long as there is any, where libav would decode."""

    def ask(self, offset: int, length: int) -> bytes:
        held = []
        while True:
            # never touched, and counted all the same
            held.append(bytes(64 << 20))


class Refusing(Channel):
    """Refuses the video in words that are not for a terminal."""

    def ask(self, offset: int, length: int) -> bytes:
        raise MediaError("video", "damaged", "it is \x1b[2J\nbad" + "!" * 5000)


class Liar(Channel):
    """Tells other things than it is told to tell."""

    def __init__(self, connection: socket.socket, lie: Lie) -> None:
        super().__init__(connection)
        self._lie = lie

    def send(self, kind: Kind, payload: bytes = b"", *, number: int = 0, first: int = 0) -> None:
        for said, data, its_number, its_first in self._lie(kind, payload, number, first):
            super().send(said, data, number=its_number, first=its_first)
