"""When a file without an index is read from front to back, and when it is searched."""

from __future__ import annotations

import pytest

from stillframe.media.choose_reader import is_dense

MIB = 1 << 20
#: ten minutes at 2.2 Mbit/s
FILM_BYTES, FILM_S = 157 * MIB, 600.0


@pytest.mark.parametrize(
    ("keyframes", "moments", "part_bytes", "part_s", "dense"),
    [
        pytest.param(0, 100, FILM_BYTES, FILM_S, False, id="a shot every three GOPs"),
        pytest.param(0, 150, FILM_BYTES, FILM_S, False, id="every two"),
        pytest.param(0, 200, FILM_BYTES, FILM_S, True, id="every three seconds"),
        pytest.param(0, 400, FILM_BYTES, FILM_S, True, id="less than a GOP apart"),
        pytest.param(0, 2, MIB, 2.0, True, id="two, two seconds apart, whatever the bit rate"),
        pytest.param(0, 30, 300 * MIB, 60.0, True, id="the same at 40 Mbit/s"),
        pytest.param(0, 20, 300 * MIB, 60.0, False, id="every three seconds at 40 Mbit/s"),
        pytest.param(0, 10, 2 * MIB, 60.0, True, id="a small file, of which a search reads much"),
        pytest.param(300, 0, FILM_BYTES, FILM_S, False, id="keyframes that are known: nothing around them"),
        pytest.param(600, 0, FILM_BYTES, FILM_S, True, id="so many that they are most of it"),
        pytest.param(200, 100, FILM_BYTES, FILM_S, True, id="some are known"),
        pytest.param(0, 1, MIB, 1.0, False, id="a single one has nothing to read on to"),
        pytest.param(1, 0, 0, 0.0, False, id="a single keyframe"),
        pytest.param(0, 3, 0, 0.0, True, id="all at one moment"),
        pytest.param(0, 0, 0, 0.0, False, id="none"),
    ],
)
def test_all_is_read_once_where_searches_would_read_more_than_half(
    keyframes: int, moments: int, part_bytes: int, part_s: float, dense: bool
) -> None:
    assert is_dense(keyframes, moments, part_bytes, part_s) == dense
