"""What the service asks of whoever decodes for it: the sandbox, or, where an operator has turned that off, itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from stillframe.media.config import SnapshotConfig
from stillframe.media.media_facts import MediaFacts
from stillframe.media.meter import ReadLimit
from stillframe.media.plan import Stretch
from stillframe.media.render import OnShot, Rendered
from stillframe.media.report import Stats
from stillframe.media.sink import Sink
from stillframe.media.source import ByteSource
from stillframe.media.survey import Survey

OnSurvey = Callable[[Survey], None]


@dataclass(frozen=True, slots=True)
class Work:
    """How a step is worked on: by how many threads, who is told of it (from any thread), and until when.

    `total_s` is how long it may take, where that is less than the sandbox's own limit; without a sandbox nobody can be
    stopped. `on_survey` is called between survey and rendering: what it raises ends it all, and no picture is made.
    `limit` is on what may be read, over the network where the source is there.
    """

    threads: int = 1
    on_survey: OnSurvey | None = None
    on_shot: OnShot | None = None
    cancelled: threading.Event | None = None
    total_s: float | None = None
    limit: ReadLimit | None = None


#: one thread, to the end, and nobody is told
ALONE = Work()


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey; what was rendered of it at once, where it fits one stretch; and what both have cost."""

    survey: Survey
    rendered: Rendered | None
    stats: Stats


@dataclass(frozen=True, slots=True)
class Described:
    """What is in a source, and what it has cost to look."""

    facts: MediaFacts
    stats: Stats


class Decoder(Protocol):
    """The steps of `media` that read video. Safe to use from several threads at once; a context.

    All raise what the steps of `media` raise. They are stopped soon after the work's `cancelled` is set, and raise
    ChildKilled with the reason `cancelled`. `sandbox.parent.Sandbox` raises ChildKilled for other reasons, and
    SandboxUnavailable.
    """

    def survey(self, source: ByteSource, config: SnapshotConfig, work: Work = ALONE) -> Survey:
        """As `media.survey.survey`."""

    def survey_and_render(
        self, source: ByteSource, config: SnapshotConfig, sink: Sink, work: Work = ALONE
    ) -> Surveyed:
        """As `survey`, and as `render` when all fits one stretch, without opening the source again."""

    def render(
        self, survey: Survey, stretch: Stretch, source: ByteSource, sink: Sink, work: Work = ALONE
    ) -> Rendered:
        """As `media.render.render`."""

    def describe(self, source: ByteSource, work: Work = ALONE) -> Described:
        """As `media.describe.describe`."""

    def close(self) -> None:
        """End what is running, and give back what is held."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
