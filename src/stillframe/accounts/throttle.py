"""How many requests a second an account may send: token buckets, one for each account and action.

    throttle = Throttle(per_second=50)
    throttle.take("1001", "SubmitSnapshotJob")    # raises Throttled when there were too many

Each process counts for itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from stillframe.errors import Throttled

#: buckets that are looked at before those are forgotten that count for nothing
_KEPT = 10_000


class Throttle:
    """Lets `per_second` requests through, and `at_once` after a rest: by default as many as in a second, or one."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        at_once: float | None = None,
    ) -> None:
        self._per_second = per_second
        self._most = max(per_second, 1.0) if at_once is None else at_once
        self._clock = clock
        self._lock = threading.Lock()
        #: when it was looked at, and how many requests had room then
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, account_id: str, action: str) -> None:
        """One more request. Raises Throttled, with the time after which the next one has room."""
        key, now = (account_id, action), self._clock()
        with self._lock:
            before, room = self._buckets.get(key, (now, self._most))
            room = min(room + (now - before) * self._per_second, self._most)
            taken = room >= 1
            if len(self._buckets) >= _KEPT:
                self._forget_full(now)
            self._buckets[key] = now, room - taken
        if not taken:
            raise Throttled(math.ceil((1 - room) / self._per_second * 1000))

    def _forget_full(self, now: float) -> None:
        """A bucket that is full again is as good as none."""
        fills_in = self._most / self._per_second
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[0] < fills_in}
