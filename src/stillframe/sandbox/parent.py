"""The sandbox as the service uses it: the steps of `media`, done by a child that can do nothing else.

    with Sandbox() as sandbox:
        found = sandbox.survey(source, config)
        made = [sandbox.render(found, stretch, source, sink) for stretch in found.stretches]
        report = finish(found, made, sink)

The sources, sinks and results are those of `media`, and so are the bytes of the pictures.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

import msgspec

from stillframe.errors import ChildKilled, SandboxUnavailable, SourceError, TooMuchRead
from stillframe.media.config import DEFAULT_CAPS, Caps, SnapshotConfig
from stillframe.media.media_facts import MediaFacts
from stillframe.media.meter import meter_of
from stillframe.media.plan import Stretch
from stillframe.media.playlist import playlist_of
from stillframe.media.render import OnShot, Rendered
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Item, Output, OutputKind, Sink
from stillframe.media.source import ByteSource, unchanged
from stillframe.media.survey import Survey
from stillframe.sandbox import check
from stillframe.sandbox.check import Broken
from stillframe.sandbox.decoder import ALONE, Described, Surveyed, Work
from stillframe.sandbox.forkserver import CHILD, Child, ForkServer
from stillframe.sandbox.session import Limits, Message, Session, decoded, out_of_memory
from stillframe.sandbox.wire import (
    MAX_JSON,
    MAX_PICTURE,
    SOURCE_IDENTITY,
    SOURCE_NAME,
    Failure,
    Kind,
    Request,
)

_READING_THREADS = 32
_STARTS = 3
_START_TIMEOUT_S = 60


class Sandbox:
    """A `Decoder` that surveys and renders in locked-in children, as many at once as threads ask for it.

    It starts its fork server (0.3 s) at once, and anew when that has died; the first child waits for it.
    `entry` is what a child runs once it is locked in: tests put their attacks there.
    """

    def __init__(
        self, limits: Limits | None = None, caps: Caps = DEFAULT_CAPS, *, entry: str = CHILD
    ) -> None:
        self._limits = limits or Limits()
        self._caps = caps
        self._entry = entry
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_READING_THREADS, "stillframe-read")
        self._server: ForkServer | None = ForkServer(entry)

    def survey(self, source: ByteSource, config: SnapshotConfig, work: Work = ALONE) -> Survey:
        """As `media.survey.survey`. Raises what it raises, ChildKilled and SandboxUnavailable."""
        request = Request("survey", source.size, config, self._caps, playlist=playlist_of(source))
        with self._session(source, request, work) as session:
            survey = _hear_survey(session, source, request)
            _hear_end(session, source)
        return survey

    def survey_and_render(
        self, source: ByteSource, config: SnapshotConfig, sink: Sink, work: Work = ALONE
    ) -> Surveyed:
        """As `survey`, and as `render` when all fits one stretch, in the same child."""
        request = Request(
            "survey-and-render",
            source.size,
            config,
            self._caps,
            picture_format=sink.names.picture_format,
            threads=work.threads,
            playlist=playlist_of(source),
        )
        with self._session(source, request, work) as session:
            survey = _hear_survey(session, source, request)
            if len(survey.stretches) == 1:
                # it goes on while the survey is kept; its pictures are not taken before that
                session.send()
            if work.on_survey is not None:
                work.on_survey(survey)
            if len(survey.stretches) != 1:
                return Surveyed(survey, None, _hear_end(session, source))
            rendered = _Rendering(survey, survey.stretches[0], sink, work.on_shot).hear(session, source)
        return Surveyed(survey, rendered._replace(stats=Stats()), rendered.stats)

    def render(
        self, survey: Survey, stretch: Stretch, source: ByteSource, sink: Sink, work: Work = ALONE
    ) -> Rendered:
        """As `media.render.render`, by threads of the child. Raises what it raises and what `survey` does."""
        if source.identity != survey.probe.identity:
            raise SourceError(source.name, "the file has changed since it was surveyed")
        request = Request(
            "render",
            source.size,
            survey=_named(survey, SOURCE_NAME, SOURCE_IDENTITY),
            stretch=stretch,
            picture_format=sink.names.picture_format,
            threads=work.threads,
            playlist=playlist_of(source),
        )
        with self._session(source, request, work) as session:
            return _Rendering(survey, stretch, sink, work.on_shot).hear(session, source)

    def describe(self, source: ByteSource, work: Work = ALONE) -> Described:
        """As `media.describe.describe`. Raises what it raises and what `survey` does."""
        request = Request("describe", source.size, playlist=playlist_of(source))
        with self._session(source, request, work) as session:
            session.allowed = {kind: MAX_JSON[kind] for kind in (Kind.FACTS, Kind.FAILED)}
            session.allow_reads(1)
            message = next(session.messages())
            if message.kind is Kind.FAILED:
                raise _error(message, source, session)
            facts = check.checked_facts(decoded(message.payload, MediaFacts), source.size)
            return Described(facts, _hear_end(session, source))

    def close(self) -> None:
        """End the fork server and every child."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The fork server's process id; None when it is closed."""
        return self._server.pid if self._server is not None else None

    def fork(self, video: int | None = None, cpu_s: int = 60) -> Child:
        """A child that runs the sandbox's entry, for those who speak with it themselves. It must be killed."""
        for _ in range(_STARTS):
            server = self._running()
            try:
                child = server.fork(video, cpu_s)
            except BrokenPipeError:
                server.stop()
                continue
            # the first one waits until everything is loaded: none of that is the child's time
            if child.forked.wait(_START_TIMEOUT_S) and child.pid is not None:
                return child
            child.kill()
        raise SandboxUnavailable(("its fork server does not start, or cannot fork",))

    @contextlib.contextmanager
    def _session(self, source: ByteSource, request: Request, work: Work) -> Iterator[Session]:
        limits = self._limits
        if work.total_s is not None:
            limits = replace(limits, total_s=min(work.total_s, limits.total_s))
        meter = meter_of(source)
        if meter is not None:
            meter.allow(work.limit)
        elif work.limit is not None:
            request = replace(request, most_bytes=max(work.limit.most_bytes - work.limit.before(), 0))
        with _descriptor_of(source) as video:
            child = self.fork(video, max(math.ceil(limits.total_s), 1) * request.threads)
        try:
            leading = Session(child, source, self._pool, limits, work)
        except BaseException:
            child.kill()
            raise
        with unchanged(source), leading as session:
            session.send(msgspec.json.encode(request))
            try:
                yield session
            except (Broken, ChildKilled, RuntimeError) as error:
                if self._server is None:
                    raise ChildKilled("cancelled", "the sandbox was closed") from error
                if isinstance(error, Broken):
                    raise ChildKilled("protocol", str(error)) from error
                raise

    def _running(self) -> ForkServer:
        with self._lock:
            if self._server is None:
                raise SandboxUnavailable(("it is closed",))
            if not self._server.is_running:
                self._server.stop()
                self._server = ForkServer(self._entry)
            return self._server


class _Rendering:
    """What is heard of one stretch: each shot and each picture of it once, and no other."""

    def __init__(self, survey: Survey, stretch: Stretch, sink: Sink, on_shot: OnShot | None) -> None:
        self._survey = survey
        self._sink = sink
        self._on_shot = on_shot
        shots = survey.shots[stretch.first : stretch.last + 1]
        self._shots = {shot.index: shot for shot in shots if shot.position is not None}
        self._reports: dict[int, ShotReport] = {}
        self._outputs: dict[int, Output] = {}
        box = survey.placement.canvas
        self._size = (
            (survey.sheet.width_px, survey.sheet.height_px) if survey.sheet else (box.width, box.height)
        )
        self._indexes = {self._index_of(shot.index) for shot in shots if shot.position is not None}

    def hear(self, session: Session, source: ByteSource) -> Rendered:
        session.allow_reads(len(self._shots))
        picture = Kind.SHEET if self._survey.sheet else Kind.STILL
        session.allowed = {
            Kind.SHOT: MAX_JSON[Kind.SHOT],
            picture: MAX_PICTURE,
            Kind.DONE: MAX_JSON[Kind.DONE],
            Kind.FAILED: MAX_JSON[Kind.FAILED],
        }
        for message in session.messages():
            match message.kind:
                case Kind.SHOT:
                    self._note_shot(decoded(message.payload, ShotReport))
                case Kind.DONE:
                    stats = _stats(message, session, source)
                    break
                case Kind.FAILED:
                    raise _error(message, source, session)
                case _:
                    self._put(message, "sheet" if message.kind is Kind.SHEET else "still")
        self._demand_all()
        reports = tuple(self._reports[index] for index in sorted(self._reports))
        outputs = tuple(self._outputs[index] for index in sorted(self._outputs))
        return Rendered(reports, outputs, stats)

    def _note_shot(self, report: ShotReport) -> None:
        shot = self._shots.get(report.index)
        if shot is None or report.index in self._reports:
            raise Broken(f"shot {report.index}, which is not to be had, or was had before")
        self._reports[report.index] = check.checked_shot(report, shot, self._survey.probe)
        if self._on_shot is not None:
            self._on_shot(report)

    def _put(self, message: Message, kind: OutputKind) -> None:
        index = message.number
        if index not in self._indexes or index in self._outputs:
            raise Broken(f"{kind} {index}, which is not to be had, or was had before")
        width, height = self._size
        if message.first != width << 32 | height:
            raise Broken(f"a {kind} that is said to have another size than {width}x{height}")
        data = bytes(message.payload)
        check.check_picture(data, self._sink.names.picture_format, width, height)
        self._outputs[index] = self._sink.put(Item(kind, index, width, height), data)

    def _demand_all(self) -> None:
        """A stretch is whole when each shot is reported, and what has a frame has a picture."""
        if self._reports.keys() != self._shots.keys():
            raise Broken("it says that it is done, and has not reported every shot")
        taken = {index for index, report in self._reports.items() if report.status in ("taken", "replaced")}
        if self._outputs.keys() != {self._index_of(index) for index in taken}:
            raise Broken("it says that it is done, and its pictures are not those of the shots that it took")

    def _index_of(self, shot: int) -> int:
        """The index of the picture that a shot is on."""
        position = self._survey.shots[shot].position
        assert position is not None
        return (position // self._survey.sheet.cells if self._survey.sheet else position) + 1


def _hear_survey(session: Session, source: ByteSource, request: Request) -> Survey:
    config = request.config
    assert config is not None
    session.allowed = {kind: MAX_JSON[kind] for kind in (Kind.SURVEY, Kind.FAILED)}
    # the first picture; and for KeyframeMiss skip without an index, every shot's keyframe is looked for
    session.allow_reads((config.count or request.caps.shots) if config.keyframe_miss == "skip" else 1)
    message = next(session.messages())
    if message.kind is Kind.FAILED:
        raise _error(message, source, session)
    survey = check.checked_survey(decoded(message.payload, Survey), config, request.caps, source.size)
    return _named(survey, source.name, source.identity)


def _hear_end(session: Session, source: ByteSource) -> Stats:
    session.allowed = {kind: MAX_JSON[kind] for kind in (Kind.DONE, Kind.FAILED)}
    message = next(session.messages())
    if message.kind is Kind.FAILED:
        raise _error(message, source, session)
    return _stats(message, session, source)


def _stats(message: Message, session: Session, source: ByteSource) -> Stats:
    stats = check.checked_stats(decoded(message.payload, Stats))
    if session.reads:
        # what has gone through our own hands
        stats.bytes_read, stats.reads = session.bytes_read, session.reads
    stats.requests = stats.reads
    meter = meter_of(source)
    if meter is not None:
        meter.take(stats)
    return stats


def _error(message: Message, source: ByteSource, session: Session) -> Exception:
    failure = decoded(message.payload, Failure)
    if failure.kind == "memory":
        return out_of_memory()
    if failure.kind == "TooMuchRead":
        if session.limit is None:
            raise Broken("a limit that it was not given")
        return TooMuchRead(source.name, session.limit.most_bytes, source.size)
    known = check.error_of(failure, source.name)
    return known or ChildKilled("crash", f"an error that was not foreseen: {check.shown(failure.message)}")


def _named(survey: Survey, name: str, identity: str) -> Survey:
    return replace(survey, probe=replace(survey.probe, source=name, identity=identity))


@contextlib.contextmanager
def _descriptor_of(source: ByteSource) -> Iterator[int | None]:
    """A read-only descriptor of a local file that nobody else holds; None for a source that is no such file."""
    fileno = getattr(source, "fileno", None)
    if fileno is None:
        yield None
        return
    try:
        # opened anew: a descriptor that is handed on as it is shares its flags and its position with ours
        own = os.open(f"/proc/self/fd/{fileno()}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield own if stat.S_ISREG(os.fstat(own).st_mode) else None
    finally:
        os.close(own)
