"""What a locked-in child does: one request, with the steps of `media`, and plain data back.

It has its socket, and for a local video an open file; it can get nothing else. What it says is not believed
either (`check.py`).
"""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
import traceback
from collections.abc import Sequence

import msgspec

from stillframe.errors import ConfigError, MediaError, PastTheEnd, SourceError, TooMuchRead
from stillframe.media.describe import describe
from stillframe.media.meter import ReadLimit
from stillframe.media.plan import threads_that_fit
from stillframe.media.reader import VideoReader
from stillframe.media.reader_kinds import open_reader
from stillframe.media.render import counters, render
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Item, Names, Output
from stillframe.media.source import MeteredSource
from stillframe.media.survey import Survey, survey_and_keep
from stillframe.sandbox.channel import Channel, DescriptorSource, RemoteSource
from stillframe.sandbox.layers import MEMORY_BYTES
from stillframe.sandbox.wire import MAX_JSON, MAX_PICTURE, SOURCE_NAME, Failure, Kind, Request

#: made before any child is forked: it takes milliseconds
REQUESTS = msgspec.json.Decoder(Request)
_OUT_OF_MEMORY = msgspec.json.encode(Failure("memory", ""))
_PROGRESS_EVERY_S = 1.0
_MOST_TRACEBACK = 8000


def run(connection: socket.socket, video: int | None) -> None:
    """Do the one request that comes over the socket; a local video is read through its descriptor."""
    channel = Channel(connection)
    answer(channel, REQUESTS.decode(channel.frame(0)), video)


def answer(channel: Channel, request: Request, video: int | None) -> None:
    """Do a request, and say what came of it."""
    try:
        kind, said = Kind.DONE, msgspec.json.encode(_do(channel, request, video))
    except MemoryError:
        kind, said = Kind.FAILED, _OUT_OF_MEMORY
    except Exception as error:
        kind, said = Kind.FAILED, msgspec.json.encode(_failure(error))
    if said is _OUT_OF_MEMORY:
        # what the error held on to is given back, so that there is enough to say so
        gc.collect()
    channel.send(kind, said)
    # the parent has it killed as soon as it has read that; until then the socket stays open
    with contextlib.suppress(OSError):
        channel.frame(0)


def _do(channel: Channel, request: Request, video: int | None) -> Stats:
    limit = ReadLimit(request.most_bytes) if request.most_bytes is not None else None
    if video is None:
        source = MeteredSource(RemoteSource(channel, request.size, request.playlist), limit)
    else:
        source = MeteredSource(DescriptorSource(channel, video, request.size), limit)
    readers: list[VideoReader] = []
    _Ticker(channel, source, readers).start()
    stats = Stats()
    started = time.perf_counter()
    if request.task == "describe":
        channel.send(Kind.FACTS, msgspec.json.encode(describe(source)))
    survey, stretch = request.survey, request.stretch
    if request.config is not None:
        survey, reader = survey_and_keep(source, request.config, request.caps)
        readers.append(reader)
        stats.add(counters(reader))
        stats.spend("survey", time.perf_counter() - started)
        channel.send(Kind.SURVEY, _as_json(survey))
        fits = request.task == "survey-and-render" and len(survey.stretches) == 1
        stretch = survey.stretches[0] if fits else None
        if stretch is not None:
            channel.frame(0)
    if survey is not None and stretch is not None:
        probe = survey.probe
        fit = threads_that_fit(probe.width_px * probe.height_px, probe.bytes_a_pixel, MEMORY_BYTES)
        threads = min(request.threads, fit, stretch.last - stretch.first + 1)
        # opened here, so that the ticker sees how they get on
        for _ in range(len(readers), threads):
            readers.append(open_reader(source, probe.stream_index))

        def tell(shot: ShotReport) -> None:
            channel.send(Kind.SHOT, msgspec.json.encode(shot))

        sink = _Pictures(channel, request)
        rendered = render(survey, stretch, source, sink, threads=threads, readers=readers, on_shot=tell)
        stats.add(rendered.stats)
    source.count_into(stats)
    return stats


def _as_json(survey: Survey) -> bytes:
    data = survey.to_json()
    if len(data) > MAX_JSON[Kind.SURVEY]:
        message = f"its {len(survey.probe.keyframes_pts):,} keyframes are too many to be listed"
        raise MediaError(SOURCE_NAME, "too-large", message)
    return data


class _Pictures:
    """A sink whose pictures go to the parent, which knows their names."""

    def __init__(self, channel: Channel, request: Request) -> None:
        self.names = Names("{Count}.png" if request.picture_format == "png" else "{Count}.jpg")
        self._channel = channel

    def put(self, item: Item, data: bytes) -> Output:
        if len(data) > MAX_PICTURE:
            message = f"a picture of it is {len(data):,} bytes large; {MAX_PICTURE:,} are allowed"
            raise MediaError(SOURCE_NAME, "too-large", message)
        kind = Kind.SHEET if item.kind == "sheet" else Kind.STILL
        self._channel.send(kind, data, number=item.index, first=item.width_px << 32 | item.height_px)
        return Output(item.kind, item.index, "", len(data), item.width_px, item.height_px)


class _Ticker(threading.Thread):
    """Tells the parent that work goes on, but only when something was read or decoded since it last did."""

    def __init__(self, channel: Channel, source: MeteredSource, readers: Sequence[VideoReader]) -> None:
        super().__init__(name="stillframe-progress", daemon=True)
        self._channel = channel
        self._source = source
        self._readers = readers

    def run(self) -> None:
        told = 0
        while True:
            time.sleep(_PROGRESS_EVERY_S)
            done = self._source.bytes_read + sum(reader.packets_decoded for reader in list(self._readers))
            if done != told:
                told = done
                self._channel.send(Kind.PROGRESS)


def _failure(error: Exception) -> Failure:
    """An error as plain data; where it comes from is the parent's to say."""
    match error:
        case PastTheEnd():
            return Failure("PastTheEnd", error.message)
        case MediaError():
            return Failure("MediaError", error.message, reason=error.reason)
        case TooMuchRead():
            return Failure("TooMuchRead", "")
        case SourceError():
            return Failure("SourceError", error.message, transient=error.transient)
        case ConfigError():
            value = error.value if isinstance(error.value, str | int | float | None) else str(error.value)
            return Failure("ConfigError", error.allowed, path=error.path, value=value)
    return Failure("unexpected", "".join(traceback.format_exception(error))[-_MOST_TRACEBACK:])
