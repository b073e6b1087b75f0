"""The reserved slot: one at a time, in order, a few that wait, and nobody for long."""

from __future__ import annotations

import threading
import time

import pytest

from stillframe.errors import Throttled
from stillframe.service.reserved_slot import ReservedSlot

DEADLINE_S = 60


class Work(threading.Thread):
    """Holds the slot until it is told to let go."""

    def __init__(self, slot: ReservedSlot, account_id: str, done: list[str]) -> None:
        super().__init__(daemon=True)
        self.slot, self.account_id, self.done = slot, account_id, done
        self.has_it, self.may_end = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self.slot.held(self.account_id, DEADLINE_S):
            self.has_it.set()
            assert self.may_end.wait(DEADLINE_S)
            self.done.append(self.account_id)

    def end(self) -> None:
        self.may_end.set()
        self.join(DEADLINE_S)


def waiting(slot: ReservedSlot, number: int) -> None:
    """Wait until so many have come, the one in work included."""
    deadline = time.monotonic() + DEADLINE_S
    while len(slot._turns) < number:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_one_after_the_other_in_their_order() -> None:
    slot, done = ReservedSlot(4), list[str]()
    works = []
    for number, account_id in enumerate("abcd", 1):
        works.append(Work(slot, account_id, done))
        waiting(slot, number)
    for work in works:
        assert work.has_it.wait(DEADLINE_S)
        assert not any(other.has_it.is_set() for other in works[works.index(work) + 1 :])
        work.end()
    assert done == [*"abcd"]


@pytest.mark.parametrize(
    ("most", "there", "account_id"),
    [
        (0, "a", "b"),
        (1, "ab", "c"),
        (4, "abcde", "f"),
        # half of the four are one account's: another one's still comes in
        (4, "aaa", "a"),
        (1, "aa", "a"),
    ],
)
def test_who_is_one_too_many_is_told_to_come_again(most: int, there: str, account_id: str) -> None:
    slot = ReservedSlot(most)
    works = []
    for number, owner in enumerate(there, 1):
        works.append(Work(slot, owner, []))
        waiting(slot, number)
    with pytest.raises(Throttled) as told, slot.held(account_id, DEADLINE_S):
        pass
    assert told.value.retry_after_ms > 0
    if len(there) <= most:
        works.append(Work(slot, "another", []))
        waiting(slot, len(works))
    for work in works:
        work.end()
    with slot.held(account_id, 0):
        pass


def test_nobody_waits_for_long() -> None:
    slot = ReservedSlot(4)
    first = Work(slot, "a", [])
    assert first.has_it.wait(DEADLINE_S)
    with pytest.raises(Throttled), slot.held("b", 0.01):
        pass
    first.end()
    with slot.held("b", 0.01):
        pass


def test_one_that_breaks_lets_go() -> None:
    slot = ReservedSlot(0)
    with pytest.raises(ZeroDivisionError), slot.held("a", 0):
        raise ZeroDivisionError
    with slot.held("a", 0):
        pass


def test_several_at_once_and_the_next_when_one_is_done() -> None:
    slot, done = ReservedSlot(2, at_once=2), list[str]()
    works = []
    for number, account_id in enumerate("abcd", 1):
        works.append(Work(slot, account_id, done))
        waiting(slot, number)
    assert all(work.has_it.wait(DEADLINE_S) for work in works[:2])
    assert not any(work.has_it.is_set() for work in works[2:])
    with pytest.raises(Throttled), slot.held("e", DEADLINE_S):
        pass
    # the second one makes room as well as the first
    works[1].end()
    assert works[2].has_it.wait(DEADLINE_S)
    assert not works[3].has_it.is_set()
    for work in (works[0], *works[2:]):
        work.end()
    assert sorted(done) == [*"abcd"]
