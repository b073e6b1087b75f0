"""How many jobs a pipeline may hold: a submit above that is refused, and must cost nothing below it.

with backlog.room(pipeline_id):
    create(job)
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stillframe.database.engine import Database
from stillframe.errors import QuotaExceeded
from stillframe.jobs import pipelines

_COUNT_AGAIN_S = 1.0


@dataclass(slots=True)
class _Pipeline:
    """When its jobs were counted, and how many there are since; `coming` have room, and may not be stored yet."""

    counting: threading.Lock = field(default_factory=threading.Lock)
    counted_at: float = -math.inf
    count: int = 0
    coming: int = 0


class Backlog:
    """Counts the live jobs of pipelines, each once a second at the most, and what is submitted here in between.

    Other servers on the database may submit in that second, too: the limit is exact to that.
    """

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most
        self._lock = threading.Lock()
        self._pipelines: dict[str, _Pipeline] = {}

    @contextmanager
    def room(self, pipeline_id: str) -> Iterator[None]:
        """One more job becomes live within the block. Raises QuotaExceeded when the pipeline is full."""
        with self._lock:
            pipeline = self._pipelines.setdefault(pipeline_id, _Pipeline())
        self._take(pipeline, pipeline_id)
        try:
            yield
        finally:
            with self._lock:
                pipeline.coming -= 1

    def _take(self, pipeline: _Pipeline, pipeline_id: str) -> None:
        with pipeline.counting:
            is_old = time.monotonic() - pipeline.counted_at >= _COUNT_AGAIN_S
            if is_old or pipeline.count >= self._most:
                self._count(pipeline, pipeline_id)
            if pipeline.count >= self._most:
                raise QuotaExceeded(
                    "Pipeline", f"it has {self._most} jobs that are not done, and {self._most} are allowed"
                )
            pipeline.count += 1
            with self._lock:
                pipeline.coming += 1

    def _count(self, pipeline: _Pipeline, pipeline_id: str) -> None:
        # looked at first: what is stored meanwhile counts twice for a moment, rather than not at all
        with self._lock:
            coming = pipeline.coming
        now = time.monotonic()
        with self._database.transaction() as session:
            pipeline.count = pipelines.live_jobs(session, pipeline_id, self._most) + coming
        pipeline.counted_at = now
