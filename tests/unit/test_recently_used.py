"""What is kept in so many bytes: what was asked for longest ago goes first."""

from __future__ import annotations

from stillframe.service.recently_used import RecentlyUsed


def test_what_was_not_asked_for_goes() -> None:
    kept = RecentlyUsed[str](10)
    for name in "abc":
        kept.keep(name, name.upper(), 3)
    assert kept.of("a") == "A"
    kept.keep("d", "D", 4)
    assert [kept.of(name) for name in "abcd"] == ["A", None, "C", "D"]


def test_a_value_takes_its_own_place_and_no_more() -> None:
    kept = RecentlyUsed[str](10)
    for number in range(5):
        kept.keep("a", str(number), 6)
    kept.keep("b", "B", 4)
    assert (kept.of("a"), kept.of("b")) == ("4", "B")
    # the room that it had is free again
    kept.keep("a", "small", 1)
    kept.keep("c", "C", 5)
    assert [kept.of(name) for name in "abc"] == ["small", "B", "C"]


def test_what_is_larger_than_everything_is_not_kept() -> None:
    kept = RecentlyUsed[str](10)
    kept.keep("a", "A", 10)
    kept.keep("b", "B", 11)
    assert (kept.of("a"), kept.of("b")) == ("A", None)
