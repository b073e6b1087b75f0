"""Which thread renders which shots of a stretch, and what is asked for beforehand.

All threads take their runs of shots from one list, first those whose bytes have arrived; where shots of a file
without an index lie so close that all between them is read, each thread has a part of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise, takewhile
from typing import NamedTuple

from stillframe.media.choose_reader import Readers, is_dense
from stillframe.media.guide import Wish
from stillframe.media.plan import Aim, coalesce, runs
from stillframe.media.shotlist import keyframe_reach_ms
from stillframe.media.source import MOST_AWAITED, ByteSource, first_there
from stillframe.media.survey import Shot, Survey


class Share(NamedTuple):
    """What a thread takes its runs from: that of all, or its own part, read from front to back up to a time."""

    waiting: Waiting
    until: int | None = None


def shares_of(
    survey: Survey, shots: Sequence[Shot], source: ByteSource, readers: Readers, threads: int
) -> list[Share]:
    """The shots of a stretch for at most so many threads; what they will read is hinted at."""
    aims = [shot.aim for shot in shots if shot.fate == "planned"]
    extents = {shot.index: shot.extent for shot in shots if shot.extent is not None}
    if extents:
        # a source far away joins them over gaps as its operator has set it
        source.prefetch(coalesce([*extents.values()], gap=0))
    ticks_a_second = survey.probe.time_base[1] / survey.probe.time_base[0]
    if not extents and _reads_through(survey, aims):
        return [
            Share(Waiting(list(runs(part, ticks_a_second)), source, {}), until)
            for part, until in _parts(aims, threads)
        ]
    waiting = list(runs(aims, ticks_a_second))
    readers.expect(_wishes(survey, waiting))
    return [Share(Waiting(waiting, source, extents))] * min(threads, len(waiting))


def looks_for_keyframes(survey: Survey) -> bool:
    """Whether each shot's keyframe is found only when it is read."""
    return survey.config.frame_type == "intra" and not survey.probe.keyframes_pts


def keyframe_reach(survey: Survey) -> int | None:
    """How far from its moment, in ticks, an intra shot may take a keyframe; None is any distance."""
    reach_ms = keyframe_reach_ms(survey.config, survey.step_ms)
    return None if reach_ms is None else survey.probe.span_ticks(reach_ms)


class Waiting:
    """The runs that nobody has taken yet: first those whose bytes have arrived."""

    def __init__(
        self, waiting: Sequence[tuple[Aim, ...]], source: ByteSource, extents: Mapping[int, tuple[int, int]]
    ) -> None:
        self._waiting = deque(waiting)
        self._source = source
        self._extents = extents
        self._lock = threading.Lock()

    def next(self) -> tuple[Aim, ...] | None:
        """The run to take now; None when none is left."""
        with self._lock:
            if not self._waiting:
                return None
            known = [self._extent(run) for run in islice(self._waiting, MOST_AWAITED)]
            awaited = [extent for extent in takewhile(bool, known) if extent is not None]
            number = first_there(self._source, awaited) if len(awaited) > 1 else 0
            run = self._waiting[number]
            del self._waiting[number]
            return run

    def _extent(self, run: tuple[Aim, ...]) -> tuple[int, int] | None:
        """From where to where in the source the frames of a run lie, as far as that is known."""
        extents = [self._extents[aim.shot] for aim in run if aim.shot in self._extents]
        if len(extents) < len(run):
            return None
        start, end = min(offset for offset, _ in extents), max(map(sum, extents))
        return start, end - start


def _reads_through(survey: Survey, aims: Sequence[Aim]) -> bool:
    """Whether shots without an index lie so close that what is between them is read, too."""
    probe = survey.probe
    if len(aims) < 2 or probe.keyframes_pts or probe.packets_from != "container":
        return False
    span = aims[-1].moment - aims[0].moment
    part_bytes = probe.size_bytes * span // max(probe.end_pts - probe.first_pts, 1)
    keyframes = {aim.keyframe for aim in aims if aim.keyframe is not None}
    moments = sum(aim.keyframe is None for aim in aims)
    return is_dense(len(keyframes), moments, part_bytes, probe.ms_of(probe.first_pts + span) / 1000)


def _parts(aims: Sequence[Aim], threads: int) -> list[tuple[Sequence[Aim], int]]:
    """The shots cut for threads that read from front to back, and up to which time each of them reads."""
    places = [len(aims) * part // threads for part in range(threads + 1)]
    return [
        (aims[first:end], aims[min(end, len(aims) - 1)].moment)
        for first, end in pairwise(places)
        if first < end
    ]


def _wishes(survey: Survey, waiting: Iterable[tuple[Aim, ...]]) -> list[Wish]:
    """The keyframes that the runs will ask for, where a guide looks for them."""
    reach = keyframe_reach(survey)
    wishes = []
    for run in waiting:
        start = run[0].anchor if run[0].anchor is not None else run[0].moment
        if run[0].keyframe is not None:
            wishes.append(Wish(run[0].keyframe))
        elif looks_for_keyframes(survey):
            wishes += [Wish(aim.moment, is_nearest=True, reach=reach, until=aim.moment) for aim in run]
        else:
            wishes.append(Wish(min(start, run[0].moment), until=run[-1].moment))
    return wishes
