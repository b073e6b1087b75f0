"""`stillframe worker` with a decoder that takes no time, or just sleeps: what is measured is everything else.

python benchmarks/stub_worker.py SECONDS STARTS worker ...

Each shot is a slice of its own, takes SECONDS, and makes no picture. The moment at which a job is begun is appended to
the file STARTS, in seconds of Unix time; STARTS.count tells how many statements were sent.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from counting_worker import count
from stillframe.cli.main import main
from stillframe.media.config import SnapshotConfig
from stillframe.media.plan import Stretch
from stillframe.media.render import Rendered
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Sink
from stillframe.media.source import ByteSource
from stillframe.media.survey import Survey
from stillframe.sandbox.decoder import ALONE, Surveyed, Work
from stillframe.sandbox.unlocked import Unlocked
from stillframe.server.assembly import Assembly


class Sleeping(Unlocked):
    """A real survey, and no pictures."""

    def __init__(self, seconds: float, starts: Path) -> None:
        super().__init__()
        self._seconds = seconds
        self._starts = starts

    def survey_and_render(
        self, source: ByteSource, config: SnapshotConfig, sink: Sink, work: Work = ALONE
    ) -> Surveyed:
        with self._starts.open("a") as starts:
            starts.write(f"{time.time()!r}\n")
        found = self.survey(source, config, work)
        stretches = tuple(Stretch(shot.index, shot.index, 0.01) for shot in found.shots)
        found = replace(found, stretches=stretches)
        if work.on_survey is not None:
            work.on_survey(found)
        is_small = len(stretches) == 1
        return Surveyed(
            found, self.render(found, stretches[0], source, sink, work) if is_small else None, Stats()
        )

    def render(
        self, survey: Survey, stretch: Stretch, source: ByteSource, sink: Sink, work: Work = ALONE
    ) -> Rendered:
        time.sleep(self._seconds)
        shots = survey.shots[stretch.first : stretch.last + 1]
        reports = tuple(ShotReport(shot.index, shot.requested_ms, "taken") for shot in shots)
        return Rendered(reports, (), Stats())


def run() -> None:
    """Replace the decoder, and be the command."""
    seconds, starts, *sys.argv[1:] = sys.argv[1:]
    count(Path(f"{starts}.count"))
    Assembly._make_decoder = lambda _: Sleeping(float(seconds), Path(starts))  # type: ignore[method-assign]
    main()


if __name__ == "__main__":
    run()
