"""Going on and back over packets that were read: to the right keyframe, and each of them is read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from stillframe.media.trail import Trail

GOP, GOPS = 12, 40
MIB = 1 << 20


@dataclass(frozen=True)
class Packet:
    """One coded picture; see `packets.VideoPacket`."""

    pts: int | None
    dts: int
    size: int
    is_keyframe: bool
    is_discard: bool = False
    is_corrupt: bool = False
    is_disposable: bool = False


class Film:
    """Pictures a tick apart, which come as I P B B P B B; counts what is read."""

    def __init__(self, size: int = 1000, *, is_timed: bool = True) -> None:
        self.read = 0
        self._packets = self._all(size, is_timed)

    def next_packet(self) -> Packet | None:
        packet = next(self._packets, None)
        self.read += packet is not None
        return packet

    def _all(self, size: int, is_timed: bool) -> Iterator[Packet]:
        shown = [0, *(time + shift for time in range(1, GOP - 1, 3) for shift in (2, 0, 1))][:GOP]
        for number in range(GOP * GOPS):
            gop, place = divmod(number, GOP)
            pts = gop * GOP + shown[place] if is_timed else None
            yield Packet(pts, number - 2, size, is_keyframe=place == 0)


def keyframe_of(pts: int) -> int:
    return min(pts // GOP, GOPS - 1) * GOP


def begun(film: Film) -> Trail:
    trail = Trail(film.next_packet)
    first = trail.next_packet()
    assert first is not None
    assert first.pts == 0
    return trail


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([0, 0, 0], id="where it is"),
        pytest.param([5, 11, 12, 13, 23, 24], id="on, and over the ends of GOPs"),
        pytest.param([100, 40, 13, 0], id="far on, and back"),
        pytest.param([GOP * GOPS - 1, GOP * GOPS + 50, 7], id="to the end, and behind it"),
    ],
)
def test_it_goes_to_the_last_keyframe_at_or_before_a_time(moments: list[int]) -> None:
    film = Film()
    trail = begun(film)
    for moment in moments:
        assert trail.seek(moment)
        packets = [trail.next_packet() for _ in range(GOP)]
        assert packets[0] is not None
        assert (packets[0].pts, packets[0].is_keyframe) == (keyframe_of(moment), True)
        # nothing is left out behind it
        decoded = [packet.dts for packet in packets if packet is not None]
        assert decoded == list(range(decoded[0], decoded[0] + GOP))
    assert film.read <= min(max(moments) + 2 * GOP + 18, GOP * GOPS)


@pytest.mark.parametrize(
    ("film", "moments"),
    [
        pytest.param(Film(), [-1], id="before the first"),
        pytest.param(Film(is_timed=False), [5], id="without times"),
        pytest.param(Film(size=MIB), [10 * GOP, 5 * GOP], id="farther back than is held"),
    ],
)
def test_what_is_not_held_is_sought_elsewhere(film: Film, moments: list[int]) -> None:
    trail = Trail(film.next_packet)
    trail.next_packet()
    assert [trail.seek(moment) for moment in moments] == [True] * (len(moments) - 1) + [False]


def test_of_a_trail_that_was_left_nothing_comes_any_more() -> None:
    film = Film()
    trail = begun(film)
    trail.seek(50)
    trail.forget()
    assert not trail.seek(50)
    read = film.read
    packet = trail.next_packet()
    assert packet is not None
    assert packet.dts == read - 2
