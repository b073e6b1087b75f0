"""Threads that wait for stores, and how many of them one account may have, lest it holds up all others.

shares = Shares(16, of_one=6)
await shares.of("1001").run(bucket.check)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

Result = TypeVar("Result")
_Values = TypeVarTuple("_Values")


@dataclass(frozen=True, slots=True)
class Share:
    """What one account has of the threads."""

    own: CapacityLimiter
    everyones: CapacityLimiter

    async def run(self, work: Callable[[*_Values], Result], *values: *_Values) -> Result:
        """Do something in a thread, as soon as the account and all of them have room for it."""
        async with self.own:
            return await run_sync(work, *values, limiter=self.everyones)


class Shares:
    """So many threads, and `of_one` at the most for each account. To be used on one event loop."""

    def __init__(self, threads: int, *, of_one: int) -> None:
        self._everyones = CapacityLimiter(threads)
        self._of_one = of_one
        #: of the accounts that have something in work
        self._own: WeakValueDictionary[str, CapacityLimiter] = WeakValueDictionary()

    def of(self, account_id: str) -> Share:
        """An account's share."""
        own = self._own.get(account_id)
        if own is None:
            own = self._own[account_id] = CapacityLimiter(self._of_one)
        return Share(own, self._everyones)
