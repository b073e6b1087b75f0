"""The same steps in this very process, with no barrier at all: `sandbox=off`, at the operator's own risk.

For systems that have no sandbox (macOS), and for videos that come from nobody but the operator.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from stillframe.errors import ChildKilled
from stillframe.media.config import SnapshotConfig
from stillframe.media.plan import Stretch
from stillframe.media.render import OnShot, Rendered, counters, render
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Sink
from stillframe.media.source import ByteSource, MeteredSource
from stillframe.media.survey import Survey, survey_and_keep
from stillframe.sandbox.decoder import OnSurvey, Surveyed


class Unlocked:
    """A `Decoder` that decodes in this process. It hears of `cancelled` between two shots."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def survey(
        self, source: ByteSource, config: SnapshotConfig, *, cancelled: threading.Event | None = None
    ) -> Survey:
        self._demand_wanted(cancelled)
        found, reader = survey_and_keep(source, config)
        reader.close()
        return found

    def survey_and_render(
        self,
        source: ByteSource,
        config: SnapshotConfig,
        sink: Sink,
        *,
        threads: int = 1,
        on_survey: OnSurvey | None = None,
        on_shot: OnShot | None = None,
        cancelled: threading.Event | None = None,
    ) -> Surveyed:
        self._demand_wanted(cancelled)
        metered = MeteredSource(source)
        started = time.perf_counter()
        found, reader = survey_and_keep(metered, config)
        try:
            stats = counters(reader)
            stats.spend("survey", time.perf_counter() - started)
            if on_survey is not None:
                on_survey(found)
            rendered = None
            if len(found.stretches) == 1:
                rendered = render(
                    found,
                    found.stretches[0],
                    metered,
                    sink,
                    threads=threads,
                    readers=[reader],
                    on_shot=self._watched(on_shot, cancelled),
                )
                stats.add(rendered.stats)
                rendered = Rendered(rendered.shots, rendered.outputs, Stats())
        finally:
            reader.close()
        stats.bytes_read, stats.reads = metered.bytes_read, metered.reads
        return Surveyed(found, rendered, stats)

    def render(
        self,
        survey: Survey,
        stretch: Stretch,
        source: ByteSource,
        sink: Sink,
        *,
        threads: int = 1,
        on_shot: OnShot | None = None,
        cancelled: threading.Event | None = None,
    ) -> Rendered:
        self._demand_wanted(cancelled)
        metered = MeteredSource(source)
        watched = self._watched(on_shot, cancelled)
        rendered = render(survey, stretch, metered, sink, threads=threads, on_shot=watched)
        rendered.stats.bytes_read, rendered.stats.reads = metered.bytes_read, metered.reads
        return rendered

    def close(self) -> None:
        """What is running ends after its next shot."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watched(self, on_shot: OnShot | None, cancelled: threading.Event | None) -> OnShot:
        def tell(shot: ShotReport) -> None:
            self._demand_wanted(cancelled)
            if on_shot is not None:
                on_shot(shot)

        return tell

    def _demand_wanted(self, cancelled: threading.Event | None) -> None:
        if self._closed.is_set() or (cancelled is not None and cancelled.is_set()):
            raise ChildKilled("cancelled", "its pictures are not wanted any more")
