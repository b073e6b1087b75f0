"""Survey, render and finish in a row, in one process: the library's and the command's way.

report = shoot("movie.mp4", "thumbs/{Count}.jpg", SnapshotConfig(count=5))
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from stillframe.media.config import SnapshotConfig
from stillframe.media.meter import limit_of
from stillframe.media.opening import Ahead, Wanted, open_video
from stillframe.media.reader_kinds import open_reader
from stillframe.media.sink import FolderSink, Sink, demand_room
from stillframe.media.source import ByteSource, MeteredSource, open_source

if TYPE_CHECKING:
    from stillframe.media.render import OnShot
    from stillframe.media.report import Report
    from stillframe.media.survey import Survey

    OnSurvey = Callable[[Survey], None]

#: more threads than this gain nothing, and cost a decoder's memory each
_MOST_THREADS = 8


def shoot(
    source: str | os.PathLike[str] | ByteSource,
    output: str | os.PathLike[str] | Sink,
    config: SnapshotConfig | None = None,
    *,
    threads: int | None = None,
    on_survey: OnSurvey | None = None,
    on_shot: OnShot | None = None,
) -> Report:
    """Make the pictures (and the track) of a video, and report on every one.

    `source` is a path or a ByteSource, `output` a template such as `thumbs/{Count}.jpg`,
    `sheet-{TileCount}.png` or `thumbs/movie.vtt`, or a Sink. `threads` share the shots; default: one for each
    processor. `on_survey` and `on_shot` tell of progress (from any thread).

    Returns a Report whose `ok` is False when shots are missing beyond AllowMissing; the pictures that could
    be made are kept. Raises ConfigError, SourceError, MediaError (no picture can be made) or SinkError.
    """
    config = config or SnapshotConfig()
    sink = (
        output if not isinstance(output, str | os.PathLike) else FolderSink(os.fspath(Path(output)), config)
    )
    opened = open_source(source)
    try:
        metered = MeteredSource(opened, limit_of(config))
        return _shoot(metered, sink, config, threads or default_threads(), on_survey, on_shot)
    finally:
        if opened is not source:
            opened.close()


def _shoot(
    source: MeteredSource,
    sink: Sink,
    config: SnapshotConfig,
    threads: int,
    on_survey: OnSurvey | None,
    on_shot: OnShot | None,
) -> Report:
    started = time.perf_counter()
    with ExitStack() as held:
        # while the container is opened, the rest of us is imported; while the second thread's is, the index is read
        opening = Ahead(lambda: open_video(source, Wanted(config)))
        held.callback(opening.close)
        from stillframe.media.finish import finish
        from stillframe.media.render import counters, render
        from stillframe.media.report import Stats
        from stillframe.media.survey import survey_and_keep

        second = Ahead(lambda: open_reader(source)) if threads > 1 and config.count != 1 else None
        if second is not None:
            held.callback(second.close)
        survey, reader = survey_and_keep(source, config, opening=opening)
        held.callback(reader.close)
        files = -(-survey.planned // survey.sheet.cells) if survey.sheet else survey.planned
        demand_room(sink.names, "sheet" if survey.sheet else "still", files)
        stats = Stats()
        stats.add(counters(reader))
        stats.spend("survey", time.perf_counter() - started)
        if on_survey is not None:
            on_survey(survey)
        rendered = [
            render(
                survey,
                stretch,
                source,
                sink,
                threads=threads,
                readers=(reader, second) if second is not None else (reader,),
                on_shot=on_shot,
            )
            for stretch in survey.stretches
        ]
        report = finish(survey, rendered, sink, stats)
        source.count_into(report.stats)
        stats.seconds["wall"] = time.perf_counter() - started
        return report


def default_threads() -> int:
    """One thread for each processor that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_THREADS)
