"""The second step: one stretch's shots -> pictures in the sink.

Several threads share a stretch: each has its own container and takes the next run of shots that are decoded
together. What a run gives does not depend on the thread, so one thread and two give the same bytes. The
thread that called sets up the darkroom meanwhile, and waits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

import av.error

from stillframe.errors import SourceError
from stillframe.media.choose_reader import Readers
from stillframe.media.decode import FrameTaker, Reach, Taken
from stillframe.media.opening import Ahead
from stillframe.media.plan import Aim, Stretch
from stillframe.media.reader import VideoReader
from stillframe.media.report import ShotReport, Stats
from stillframe.media.shares import Share, keyframe_reach, looks_for_keyframes, shares_of
from stillframe.media.sink import Output, Sink
from stillframe.media.source import ByteSource
from stillframe.media.survey import Shot, Survey, replacement_reach_ms

if TYPE_CHECKING:
    from stillframe.media.darkroom import Darkroom
    from stillframe.media.develop import Developer
    from stillframe.media.picture import Picture

OnShot = Callable[[ShotReport], None]

#: how long a picture that is not black is looked for, and how far apart the frames are that are looked at
_BLACK_SEARCH_MS = 5_000
_BLACK_STEP_MS = 200
_DAMAGED = "the part of the video of this moment is damaged"
#: frames that a thread takes, at most, before the darkroom is ready
_MOST_UNDEVELOPED = 6


class Rendered(NamedTuple):
    """What came of one stretch. Plain data."""

    shots: tuple[ShotReport, ...]
    outputs: tuple[Output, ...]
    stats: Stats


def render(
    survey: Survey,
    stretch: Stretch,
    source: ByteSource,
    sink: Sink,
    *,
    threads: int = 1,
    readers: Sequence[VideoReader | Ahead[VideoReader]] = (),
    on_shot: OnShot | None = None,
) -> Rendered:
    """Make the pictures of a stretch. `readers` may be handed in, open or being opened; they stay open."""
    if source.identity != survey.probe.identity:
        raise SourceError(source.name, "the file has changed since it was surveyed")
    shots = [shot for shot in survey.shots[stretch.first : stretch.last + 1] if shot.position is not None]
    work = _Work(survey, shots, on_shot)
    shared = Readers(source, survey.probe)
    shares = shares_of(survey, shots, source, shared, threads)
    workers = [
        _Worker(work, shared, share, readers[k] if k < len(readers) else None)
        for k, share in enumerate(shares)
    ]
    try:
        _run_all(workers, lambda: work.set_up_darkroom(sink))
    finally:
        shared.close()
    for worker in workers:
        work.stats.add(worker.stats)
    reports = tuple(sorted(work.reports, key=lambda report: report.index))
    outputs = tuple(sorted(work.darkroom.result().outputs, key=lambda output: (output.kind, output.index)))
    return Rendered(reports, outputs, work.stats)


class _Work:
    """What the threads of a stretch share."""

    def __init__(self, survey: Survey, shots: Sequence[Shot], on_shot: OnShot | None) -> None:
        self.survey = survey
        self.shots = {shot.index: shot for shot in shots}
        self.reports: list[ShotReport] = []
        self.stats = Stats()
        self.failed = threading.Event()
        self.darkroom: Future[Darkroom] = Future()
        self._on_shot = on_shot
        self._lock = threading.Lock()

    def set_up_darkroom(self, sink: Sink) -> None:
        """Make the darkroom, for which the threads wait with their first frames; deliver what needs no frame."""
        try:
            from stillframe.media.darkroom import Darkroom

            self.darkroom.set_result(Darkroom(self.survey, sink))
        except BaseException as error:
            self.darkroom.set_exception(error)
            raise
        for shot in self.shots.values():
            if shot.fate == "missing":
                self.deliver(shot, Taken(shot.index, "missing", None, reason=shot.reason), None, self.stats)

    def deliver(self, shot: Shot, taken: Taken, picture: Picture | None, stats: Stats) -> None:
        """Keep a shot's picture, and report on it."""
        assert shot.position is not None
        self.darkroom.result().keep(shot.position, picture, stats)
        probe = self.survey.probe
        report = ShotReport(
            index=shot.index,
            requested_ms=shot.requested_ms,
            status=taken.status if shot.reason is None or taken.frame is None else "replaced",
            actual_pts=taken.pts,
            actual_ms=None if taken.pts is None else probe.ms_of(taken.pts),
            keyframe=taken.keyframe,
            reason=taken.reason or shot.reason,
        )
        with self._lock:
            self.reports.append(report)
        if self._on_shot is not None:
            self._on_shot(report)


class _Worker:
    """One thread's share: a reader, a developer, and the runs it takes."""

    def __init__(
        self,
        work: _Work,
        readers: Readers,
        share: Share,
        given: VideoReader | Ahead[VideoReader] | None,
    ) -> None:
        self.stats = Stats()
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self._work = work
        self._readers = readers
        self._share = share
        self._given = given
        self._reader: VideoReader | None = None
        #: frames that wait for the darkroom
        self._undeveloped: deque[Taken] = deque()
        survey = work.survey
        self._developer: Developer | None = None
        self._reach = Reach(
            replacement=self._ticks(replacement_reach_ms(survey.step_ms)),
            keyframe=keyframe_reach(survey),
        )

    def run(self) -> None:
        """Take runs until none is left, or another thread has failed."""
        try:
            while not self._work.failed.is_set():
                run = self._share.waiting.next()
                if run is None:
                    break
                self._take(run)
            self._develop_all()
        except BaseException as error:
            self.error = error
            self._work.failed.set()
        finally:
            self._close()
            self.ended.set()

    def stop(self) -> None:
        """Make all workers end after the frame that they are at."""
        self._work.failed.set()

    def _take(self, run: tuple[Aim, ...]) -> None:
        reader = self._open()
        taker = self._taker(reader)
        before = counters(reader)
        decoding = time.perf_counter()
        for taken in self._frames(taker, run):
            self.stats.spend("decode", time.perf_counter() - decoding)
            self._undeveloped.append(taken)
            if self._work.darkroom.done() or len(self._undeveloped) >= _MOST_UNDEVELOPED:
                self._develop_all()
            if self._work.failed.is_set():
                return
            decoding = time.perf_counter()
        self.stats.spend("decode", time.perf_counter() - decoding)
        self.stats.add(counters(reader) - before)

    def _develop_all(self) -> None:
        """Develop and deliver the frames that have been taken."""
        while self._undeveloped and not self._work.failed.is_set():
            taken = self._undeveloped.popleft()
            shot = self._work.shots[taken.shot]
            if shot.black_level is not None and taken.frame is not None:
                with self.stats.stage("black"):
                    taken = self._not_black(shot, taken)
            picture = None
            if taken.frame is not None:
                with self.stats.stage("develop"):
                    picture, taken = self._developed(taken)
            self._work.deliver(shot, taken, picture, self.stats)

    def _developed(self, taken: Taken) -> tuple[Picture | None, Taken]:
        assert taken.frame is not None
        if self._developer is None:
            self._developer = self._work.darkroom.result().developer()
        try:
            return self._developer.develop(taken.frame), taken
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, MemoryError):
                raise
            reason = f"its frame ({taken.frame.format.name}) cannot be converted: {error}"
            return None, Taken(taken.shot, "missing", None, reason=reason)

    def _frames(self, taker: FrameTaker, run: tuple[Aim, ...]) -> Iterator[Taken]:
        if looks_for_keyframes(self._work.survey) and run[0].keyframe is None:
            without: list[Aim] = []
            for aim in run:
                keyframe = taker.find_keyframe(aim.moment, self._reach.keyframe)
                if keyframe is None:
                    without.append(aim)
                    continue
                # at once, while what was read to find it is at hand; as is what lies before it
                yield from taker.keyframe([aim._replace(keyframe=keyframe)], self._reach)
                if without:
                    yield from self._exact(taker, without)
                    without = []
            if without:
                yield from self._exact(taker, without)
        elif run[0].keyframe is not None:
            yield from taker.keyframe(run, self._reach)
        else:
            yield from self._exact(taker, run)

    def _exact(self, taker: FrameTaker, run: Sequence[Aim]) -> Iterator[Taken]:
        """The frames of moments; where a part of the video is damaged, the picture before it is not the moment's."""
        moments = {aim.shot: aim.moment for aim in run}
        for taken in taker.exact(run, self._reach):
            moment = moments[taken.shot]
            assert self._reader is not None
            if taken.pts is None or not self._reader.is_lost(moment, taken.pts):
                yield taken
            elif moment - taken.pts <= self._reach.replacement:
                yield taken._replace(
                    status="replaced", reason=f"{_DAMAGED}; the picture before it stands for it"
                )
            else:
                yield Taken(taken.shot, "missing", None, reason=_DAMAGED)

    def _not_black(self, shot: Shot, taken: Taken) -> Taken:
        """The first frame that is not black, in the seconds from the shot on; else the shot's own."""
        config, survey = self._work.survey.config, self._work.survey
        level, darkroom = shot.black_level, self._work.darkroom.result()
        assert taken.frame is not None
        assert level is not None
        if not darkroom.is_black(taken.frame, level):
            return taken
        span_ms = _BLACK_SEARCH_MS
        if config.black_scope == "every" and survey.step_ms:
            span_ms = min(span_ms, survey.step_ms)
        # a reader of its own: the run that the shot belongs to goes on where it was
        reader = self._readers.open()
        try:
            taker = self._taker(reader)
            end = shot.moment + self._ticks(span_ms)
            for frame in taker.candidates(shot.moment, end, self._ticks(_BLACK_STEP_MS)):
                if not darkroom.is_black(frame, level):
                    return taken._replace(
                        frame=frame,
                        pts=frame.pts,
                        keyframe=bool(frame.key_frame),
                        reason="a black picture was passed over",
                    )
        finally:
            self.stats.add(counters(reader))
            reader.close()
        return taken._replace(reason="black, and so is everything in the seconds after it")

    def _ticks(self, time_ms: int) -> int:
        return self._work.survey.probe.span_ticks(time_ms)

    def _taker(self, reader: VideoReader) -> FrameTaker:
        probe = self._work.survey.probe
        return FrameTaker(reader, probe.first_pts, interlaced=probe.interlaced)

    def _open(self) -> VideoReader:
        if self._reader is None:
            with self.stats.stage("open"):
                if self._given is not None:
                    given = self._given.get() if isinstance(self._given, Ahead) else self._given
                    self._reader = self._readers.prepared(given, self._share.until)
                else:
                    self._reader = self._readers.open(self._share.until)
                    self.stats.add(counters(self._reader))
        return self._reader

    def _close(self) -> None:
        if self._given is None and self._reader is not None:
            self._reader.close()
            self._reader = None


def _run_all(workers: Sequence[_Worker], meanwhile: Callable[[], None]) -> None:
    """Run the workers, each on a thread, and something else meanwhile; raise the first error."""
    threads = [
        threading.Thread(target=worker.run, name=f"stillframe-render-{number}", daemon=True)
        for number, worker in enumerate(workers, 1)
    ]
    for thread in threads:
        thread.start()
    try:
        meanwhile()
        for worker in workers:
            worker.ended.wait()
    except BaseException:
        # Ctrl-C while waiting: the threads must not go on with containers that are being closed. They are not
        # joined: a join that was interrupted takes its thread for ended (Python 3.11, bpo-45274)
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.ended.wait()
        raise
    for worker in workers:
        if worker.error is not None:
            raise worker.error


def counters(reader: VideoReader) -> Stats:
    """What a reader has read and decoded so far."""
    return Stats(
        packets_read=reader.packets_read,
        packets_decoded=reader.packets_decoded,
        frames_decoded=reader.frames_decoded,
        decode_errors=reader.decode_errors,
    )
