"""The same steps in this very process, with no barrier at all: `sandbox=off`, at the operator's own risk.

For systems that have no sandbox (macOS), and for videos that come from nobody but the operator.
"""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import Self

from stillframe.errors import ChildKilled
from stillframe.media.config import DEFAULT_CAPS, Caps, SnapshotConfig
from stillframe.media.describe import describe
from stillframe.media.plan import Stretch
from stillframe.media.render import OnShot, Rendered, counters, render
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Sink
from stillframe.media.source import ByteSource, MeteredSource, unchanged
from stillframe.media.survey import Survey, survey_and_keep
from stillframe.sandbox.decoder import ALONE, Described, Surveyed, Work


class Unlocked:
    """A `Decoder` that decodes in this process. It hears of `cancelled` between two shots."""

    def __init__(self, caps: Caps = DEFAULT_CAPS) -> None:
        self._caps = caps
        self._closed = threading.Event()

    def survey(self, source: ByteSource, config: SnapshotConfig, work: Work = ALONE) -> Survey:
        self._demand_wanted(work)
        with unchanged(source):
            found, reader = survey_and_keep(MeteredSource(source, work.limit), config, self._caps)
            reader.close()
        return found

    def survey_and_render(
        self, source: ByteSource, config: SnapshotConfig, sink: Sink, work: Work = ALONE
    ) -> Surveyed:
        self._demand_wanted(work)
        metered = MeteredSource(source, work.limit)
        started = time.perf_counter()
        with unchanged(source), contextlib.ExitStack() as held:
            found, reader = survey_and_keep(metered, config, self._caps)
            held.callback(reader.close)
            stats = counters(reader)
            stats.spend("survey", time.perf_counter() - started)
            if work.on_survey is not None:
                work.on_survey(found)
            rendered = None
            if len(found.stretches) == 1:
                rendered = render(
                    found,
                    found.stretches[0],
                    metered,
                    sink,
                    threads=work.threads,
                    readers=[reader],
                    on_shot=self._watched(work),
                )
                stats.add(rendered.stats)
                rendered = Rendered(rendered.shots, rendered.outputs, Stats())
        metered.count_into(stats)
        return Surveyed(found, rendered, stats)

    def render(
        self, survey: Survey, stretch: Stretch, source: ByteSource, sink: Sink, work: Work = ALONE
    ) -> Rendered:
        self._demand_wanted(work)
        metered = MeteredSource(source, work.limit)
        watched = self._watched(work)
        with unchanged(source):
            rendered = render(survey, stretch, metered, sink, threads=work.threads, on_shot=watched)
        metered.count_into(rendered.stats)
        return rendered

    def describe(self, source: ByteSource, work: Work = ALONE) -> Described:
        self._demand_wanted(work)
        metered = MeteredSource(source, work.limit)
        with unchanged(source):
            facts = describe(metered)
        stats = Stats()
        metered.count_into(stats)
        return Described(facts, stats)

    def close(self) -> None:
        """What is running ends after its next shot."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watched(self, work: Work) -> OnShot:
        def tell(shot: ShotReport) -> None:
            self._demand_wanted(work)
            if work.on_shot is not None:
                work.on_shot(shot)

        return tell

    def _demand_wanted(self, work: Work) -> None:
        if self._closed.is_set() or (work.cancelled is not None and work.cancelled.is_set()):
            raise ChildKilled("cancelled", "its pictures are not wanted any more")
