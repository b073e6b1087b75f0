"""How many jobs a pipeline may hold: a submit above that is refused, and must cost nothing below it."""

from __future__ import annotations

import threading
import time

from stillframe.database.engine import Database
from stillframe.errors import QuotaExceeded
from stillframe.jobs import pipelines

_COUNT_AGAIN_S = 1.0


class Backlog:
    """Counts the live jobs of pipelines, each once a second at the most, and what is submitted here in between.

    Other servers on the database may submit in that second, too: the limit is exact to that.
    """

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most
        self._lock = threading.Lock()
        #: when it was counted, and how many there are since
        self._counts: dict[str, tuple[float, int]] = {}

    def demand_room(self, pipeline_id: str) -> None:
        """One more job is about to be submitted. Raises QuotaExceeded when the pipeline is full."""
        now = time.monotonic()
        with self._lock:
            counted_at, count = self._counts.get(pipeline_id, (0.0, self._most))
            is_current = now - counted_at < _COUNT_AGAIN_S and count < self._most
            if is_current:
                self._counts[pipeline_id] = counted_at, count + 1
        if is_current:
            return
        with self._database.transaction() as session:
            count = pipelines.live_jobs(session, pipeline_id, self._most)
        if count >= self._most:
            raise QuotaExceeded(
                "Pipeline", f"it has {count} jobs that are not done, and {self._most} are allowed"
            )
        with self._lock:
            self._counts[pipeline_id] = now, count + 1
