"""A place to work that nothing else can take: for requests that are answered only when their work is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stillframe.errors import Throttled

_COME_AGAIN_MS = 1000


class ReservedSlot:
    """One piece of work at a time, or so many `at_once`, in the order in which it came.

    `most_waiting` may wait for that, of one account half of them at the most (but at least one). Each holds a thread of
    the API, of which there must be some left for others.
    """

    def __init__(self, most_waiting: int, *, at_once: int = 1) -> None:
        self._most = most_waiting
        self._at_once = at_once
        self._changed = threading.Condition()
        #: whose work it is; the first ones are done, the others wait
        self._turns: list[_Turn] = []

    @contextmanager
    def held(self, account_id: str, timeout_s: float) -> Iterator[None]:
        """Work inside the block. Raises Throttled when too many wait, or it was waited for so long in vain."""
        turn = _Turn(account_id)
        with self._changed:
            waiting = self._turns[self._at_once :]
            own = sum(other.account_id == account_id for other in waiting)
            if len(self._turns) >= self._at_once and (
                len(waiting) >= self._most or own >= max(self._most // 2, 1)
            ):
                raise Throttled(_COME_AGAIN_MS)
            self._turns.append(turn)
            if not self._changed.wait_for(lambda: turn in self._turns[: self._at_once], timeout_s):
                self._turns.remove(turn)
                raise Throttled(_COME_AGAIN_MS)
        try:
            yield
        finally:
            with self._changed:
                self._turns.remove(turn)
                self._changed.notify_all()


class _Turn:
    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
