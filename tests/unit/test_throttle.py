"""So many requests a second, and no more; each account and action for itself."""

from __future__ import annotations

import pytest

from stillframe.accounts.throttle import Throttle
from stillframe.errors import Throttled


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def let_through(
    throttle: Throttle, requests: int, account: str = "1001", action: str = "GetSnapshotJob"
) -> int:
    """How many of so many requests at this moment."""
    passed = 0
    for _ in range(requests):
        try:
            throttle.take(account, action)
        except Throttled:
            continue
        passed += 1
    return passed


def test_a_second_of_requests_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    throttle = Throttle(5, clock)
    assert let_through(throttle, 20) == 5
    clock.now += 0.2
    assert let_through(throttle, 20) == 1
    clock.now += 0.7
    assert let_through(throttle, 20) == 3
    clock.now += 3600
    assert let_through(throttle, 20) == 5


def test_each_account_and_action_for_itself() -> None:
    throttle = Throttle(2, Clock())
    assert let_through(throttle, 9) == 2
    assert let_through(throttle, 9, action="SubmitSnapshotJob") == 2
    assert let_through(throttle, 9, account="1002") == 2
    assert let_through(throttle, 9) == 0


@pytest.mark.parametrize(("per_second", "wait_ms"), [(5, 200), (0.5, 2000), (1000, 1), (3, 334)])
def test_who_waits_as_long_as_told_is_let_through(per_second: float, wait_ms: int) -> None:
    clock = Clock()
    throttle = Throttle(per_second, clock)
    let_through(throttle, max(int(per_second), 1))
    with pytest.raises(Throttled) as caught:
        throttle.take("1001", "GetSnapshotJob")
    assert caught.value.retry_after_ms == wait_ms
    clock.now += wait_ms / 1000 + 1e-9
    assert let_through(throttle, 1) == 1


def test_a_clock_that_stands_still_gives_nothing() -> None:
    throttle = Throttle(1, Clock())
    assert let_through(throttle, 100) == 1
