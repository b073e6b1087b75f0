"""`stillframe.shoot`: in this process, or with the decoding done in the sandbox. The pictures are the same.

report = shoot("upload.mp4", "thumbs/{Count}.jpg", SnapshotConfig(count=5), sandbox=True)
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from stillframe.media import shoot as in_process
from stillframe.media.config import SnapshotConfig
from stillframe.media.meter import limit_of, meter_of
from stillframe.media.sink import FolderSink, Sink, demand_room
from stillframe.media.source import ByteSource, open_source

if TYPE_CHECKING:
    from stillframe.media.render import OnShot
    from stillframe.media.report import Report, Stats
    from stillframe.media.shoot import OnSurvey
    from stillframe.media.survey import Survey
    from stillframe.sandbox.parent import Sandbox


def shoot(
    source: str | os.PathLike[str] | ByteSource,
    output: str | os.PathLike[str] | Sink,
    config: SnapshotConfig | None = None,
    *,
    threads: int | None = None,
    sandbox: bool | Sandbox = False,
    on_survey: OnSurvey | None = None,
    on_shot: OnShot | None = None,
) -> Report:
    """Make the pictures (and the track) of a video, and report on every one.

    `source` is a path or a ByteSource, `output` a template such as `thumbs/{Count}.jpg`,
    `sheet-{TileCount}.png` or `thumbs/movie.vtt`, or a Sink. `threads` share the shots; default: one for each
    processor. `on_survey` and `on_shot` tell of progress (from any thread). With `sandbox`, the video is decoded
    by a process that has no network, no files and little memory; a Sandbox that is given serves for many videos.

    Returns a Report whose `ok` is False when shots are missing beyond AllowMissing; the pictures that could
    be made are kept. Raises ConfigError, SourceError, MediaError (no picture can be made) or SinkError; and with
    `sandbox` SandboxUnavailable and ChildKilled.
    """
    threads = threads or in_process.default_threads()
    if sandbox is False:
        return in_process.shoot(source, output, config, threads=threads, on_survey=on_survey, on_shot=on_shot)
    from stillframe.sandbox.parent import Sandbox

    config = config or SnapshotConfig()
    sink = (
        output if not isinstance(output, str | os.PathLike) else FolderSink(os.fspath(Path(output)), config)
    )
    with ExitStack() as held:
        opened = open_source(source)
        if opened is not source:
            held.callback(opened.close)
        box = held.enter_context(Sandbox()) if sandbox is True else sandbox
        return _shoot(box, opened, sink, config, threads, on_survey, on_shot)


def _shoot(
    box: Sandbox,
    source: ByteSource,
    sink: Sink,
    config: SnapshotConfig,
    threads: int,
    on_survey: OnSurvey | None,
    on_shot: OnShot | None,
) -> Report:
    from stillframe.media.finish import finish
    from stillframe.sandbox.decoder import Work

    def surveyed(survey: Survey) -> None:
        files = -(-survey.planned // survey.sheet.cells) if survey.sheet else survey.planned
        demand_room(sink.names, "sheet" if survey.sheet else "still", files)
        if on_survey is not None:
            on_survey(survey)

    started = time.perf_counter()
    counts_itself = meter_of(source) is not None
    parts: list[Stats] = []
    limit = limit_of(config, before=lambda: 0 if counts_itself else sum(stats.bytes_read for stats in parts))
    work = Work(threads=threads, on_survey=surveyed, on_shot=on_shot, limit=limit)
    first = box.survey_and_render(source, config, sink, work)
    parts.append(first.stats)
    survey, rendered = first.survey, [] if first.rendered is None else [first.rendered]
    for stretch in survey.stretches[len(rendered) :]:
        rendered.append(box.render(survey, stretch, source, sink, work))
        parts.append(rendered[-1].stats)
    report = finish(survey, rendered, sink, first.stats)
    report.stats.seconds["wall"] = time.perf_counter() - started
    return report
