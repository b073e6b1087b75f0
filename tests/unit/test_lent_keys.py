"""Keys that are lent for a while are fetched once, and again before their end."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from stillframe.storage import find_keys
from stillframe.storage.find_keys import other_keys
from stillframe.storage.keys import Keys, LentKeys, NoKeys
from stillframe.storage.places import StorePlace


@dataclass(eq=False)
class Lender:
    """Lends what the test says, and counts."""

    lifetime_s: float | None = 3600.0
    now_s: float = 1000.0
    lent: int = 0
    is_away: bool = False
    is_transient: bool = True
    asked: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.let_go.set()

    def lend(self) -> Keys:
        self.asked.set()
        assert self.let_go.wait(10)
        if self.is_away:
            raise NoKeys("away", transient=self.is_transient)
        self.lent += 1
        expires_s = None if self.lifetime_s is None else self.now_s + self.lifetime_s
        return Keys(f"STS.{self.lent}", "secret", "token", expires_s)

    def clock(self) -> float:
        return self.now_s


def kept(lender: Lender) -> tuple[LentKeys, Keys]:
    lent = LentKeys(lender.clock)
    return lent, lent.keys(lender)


@pytest.mark.parametrize(
    ("lifetime_s", "later_s", "lent"),
    [
        (3600.0, 3299, 1),
        (3600.0, 3301, 2),
        (3600.0, 4000, 2),
        # a third of a short life is left
        (300.0, 199, 1),
        (300.0, 201, 2),
        (None, 10**9, 1),
    ],
)
def test_when_keys_are_fetched_again(lifetime_s: float | None, later_s: float, lent: int) -> None:
    lender = Lender(lifetime_s)
    keeper, first = kept(lender)
    lender.now_s += later_s
    assert (keeper.keys(lender) == first) == (lent == 1)
    assert lender.lent == lent


def test_lenders_have_keys_of_their_own() -> None:
    one, another = Lender(), Lender()
    keeper, _ = kept(one)
    keeper.keys(another)
    assert (one.lent, another.lent) == (1, 1)


def test_while_the_lender_is_away_what_is_good_is_used() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.is_away = True
    lender.now_s += 3400
    assert keeper.keys(lender) == first
    lender.now_s += 199
    assert keeper.keys(lender) == first
    lender.now_s += 2
    with pytest.raises(NoKeys, match="away"):
        keeper.keys(lender)
    lender.is_away = False
    assert keeper.keys(lender).access_key_id == "STS.2"


def test_a_lender_that_comes_back_is_asked_soon() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.is_away = True
    lender.now_s += 3400
    assert keeper.keys(lender) == first
    lender.is_away = False
    assert keeper.keys(lender) == first
    lender.now_s += 21
    assert keeper.keys(lender) != first


def test_refused_keys_are_fetched_anew_once() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.now_s += 30
    keeper.forget(first)
    second = keeper.keys(lender)
    # another thread was refused with the first ones, too
    keeper.forget(first)
    assert keeper.keys(lender) == second
    assert lender.lent == 2


def test_refused_keys_are_used_on_while_there_are_no_others() -> None:
    """What a store forbids looks like keys that it does not take."""
    lender = Lender()
    keeper, first = kept(lender)
    lender.now_s += 30
    lender.is_away = True
    keeper.forget(first)
    assert keeper.keys(lender) == first
    lender.is_away = False
    lender.now_s += 21
    assert keeper.keys(lender) != first


@pytest.mark.parametrize("is_transient", [True, False])
def test_who_was_refused_while_the_lender_is_away_may_try_again_later(
    is_transient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender = Lender()
    keeper, first = kept(lender)
    monkeypatch.setattr(find_keys, "LENT", keeper)
    monkeypatch.setattr(find_keys, "keys_for", lambda place: keeper.keys(lender))
    lender.now_s += 30
    lender.is_away, lender.is_transient = True, is_transient
    for _ in range(2):
        with pytest.raises(NoKeys, match="away") if is_transient else contextlib.nullcontext():
            assert other_keys(StorePlace("oss", "films"), refused=first) is None
    # what others may do, they may still
    assert keeper.keys(lender) == first
    lender.is_away = False
    found = other_keys(StorePlace("oss", "films"), refused=first)
    assert found is not None
    assert found.access_key_id == "STS.2"


def test_who_was_refused_waits_for_other_keys() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.now_s += 30
    keeper.forget(first)
    lender.let_go.clear()
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(keeper.keys, lender) for _ in range(2)]
        lender.let_go.set()
        assert {each.result(10).access_key_id for each in asked} == {"STS.2"}
    assert lender.lent == 2


def test_what_is_forbidden_does_not_have_keys_fetched_each_time() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.now_s += 19
    keeper.forget(first)
    assert keeper.keys(lender) == first


def test_many_at_once_fetch_once() -> None:
    lender = Lender()
    lender.let_go.clear()
    keeper = LentKeys(lender.clock)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(keeper.keys, lender) for _ in range(8)]
        lender.let_go.set()
        assert {each.result(10) for each in asked} == {keeper.keys(lender)}
    assert lender.lent == 1


def test_whoever_has_good_keys_does_not_wait_for_the_next_ones() -> None:
    lender = Lender()
    keeper, first = kept(lender)
    lender.now_s += 3400
    lender.let_go.clear()
    with ThreadPoolExecutor(1) as threads:
        lender.asked.clear()
        fetching = threads.submit(keeper.keys, lender)
        assert lender.asked.wait(10)
        assert keeper.keys(lender) == first
        lender.let_go.set()
        assert fetching.result(10).access_key_id == "STS.2"


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Keys("id", "hush", "hush"))
