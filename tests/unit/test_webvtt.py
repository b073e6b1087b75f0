"""Which shot is shown from when to when, and the text that says so."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.media.tracks.lint import lint
from stillframe.media.tracks.vtt_text import read
from stillframe.media.tracks.webvtt import Cue, cue_spans, timestamp, write

S = 1000
THIRDS = Fraction(10_000, 3)


@pytest.mark.parametrize(
    ("requested_ms", "missing", "interval_ms", "duration_ms", "runs_to_end", "spans"),
    [
        pytest.param([], "", 10 * S, 60 * S, True, [], id="no shots"),
        pytest.param([0, 10 * S], "01", 10 * S, 20 * S, True, [], id="no pictures"),
        pytest.param([0], "", 0, 4200, False, [(0, 0, 5 * S)], id="one shot without a step: to the end"),
        pytest.param([3 * S], "", 0, 4200, False, [(0, 0, 5 * S)], id="one later shot starts at 0, too"),
        pytest.param(
            [0, 10 * S, 20 * S],
            "",
            10 * S,
            25_040,
            True,
            [(0, 0, 10 * S), (1, 10 * S, 20 * S), (2, 20 * S, 26 * S)],
            id="to the end: the duration rounded up",
        ),
        pytest.param(
            [0, 10 * S],
            "",
            10 * S,
            20 * S,
            True,
            [(0, 0, 10 * S), (1, 10 * S, 20 * S)],
            id="to the end of a whole number of seconds",
        ),
        pytest.param(
            [0, 10 * S],
            "",
            10 * S,
            60 * S,
            False,
            [(0, 0, 10 * S), (1, 10 * S, 20 * S)],
            id="not to the end: one interval after the last",
        ),
        pytest.param(
            [5 * S, 15 * S],
            "",
            10 * S,
            60 * S,
            False,
            [(0, 0, 15 * S), (1, 15 * S, 25 * S)],
            id="a first moment later than 0",
        ),
        pytest.param(
            [0, 10 * S, 20 * S],
            "1",
            10 * S,
            30 * S,
            True,
            [(0, 0, 20 * S), (2, 20 * S, 30 * S)],
            id="a missing shot lengthens the one before",
        ),
        pytest.param(
            [0, 10 * S, 20 * S],
            "01",
            10 * S,
            30 * S,
            True,
            [(2, 0, 30 * S)],
            id="missing first shots: the first there is starts at 0",
        ),
        pytest.param(
            [0, 10 * S, 20 * S],
            "2",
            10 * S,
            60 * S,
            False,
            [(0, 0, 10 * S), (1, 10 * S, 30 * S)],
            id="a missing last shot lengthens the one before",
        ),
        pytest.param(
            [0, 3333, 6667],
            "",
            THIRDS,
            10 * S,
            True,
            [(0, 0, 3 * S), (1, 3 * S, 7 * S), (2, 7 * S, 10 * S)],
            id="thirds, on whole seconds",
        ),
        pytest.param(
            [0, 1500, 3000],
            "",
            1500,
            60 * S,
            False,
            [(0, 0, 2 * S), (1, 2 * S, 3 * S), (2, 3 * S, 5 * S)],
            id="half a second is rounded up",
        ),
        pytest.param(
            [0, 333, 667],
            "",
            Fraction(1000, 3),
            60 * S,
            False,
            [(0, 0, 333), (1, 333, 667), (2, 667, 1000)],
            id="below a second: exact",
        ),
        pytest.param(
            [0, 500, 1000],
            "",
            500,
            1200,
            True,
            [(0, 0, 500), (1, 500, 1000), (2, 1000, 2000)],
            id="below a second, to the end: still rounded up",
        ),
        pytest.param(
            [5500, 15_500],
            "",
            10 * S,
            15_600,
            True,
            [(0, 0, 15 * S), (1, 15 * S, 16 * S)],
            id="rounding does not push the last cue out of the video",
        ),
        pytest.param(
            [500, 1500, 2500],
            "",
            1 * S,
            2600,
            True,
            [(0, 0, 2 * S), (1, 2 * S, 3 * S), (2, 3 * S, 4 * S)],
            id="unless there is no room before it",
        ),
        pytest.param(
            [0, 10 * S],
            "",
            10 * S,
            0,
            True,
            [(0, 0, 10 * S), (1, 10 * S, 11 * S)],
            id="an unknown duration moves no boundary",
        ),
        pytest.param(
            [0, 0, 0],
            "",
            0,
            10 * S,
            True,
            [(0, 0, 1), (1, 1, 2), (2, 2, 10 * S)],
            id="the same moment thrice",
        ),
    ],
)
def test_cue_spans(
    requested_ms: list[int],
    missing: str,
    interval_ms: int | Fraction,
    duration_ms: int,
    runs_to_end: bool,
    spans: list[tuple[int, int, int]],
) -> None:
    present = [str(position) not in missing for position in range(len(requested_ms))]
    assert (
        cue_spans(
            requested_ms, present, interval_ms=interval_ms, duration_ms=duration_ms, runs_to_end=runs_to_end
        )
        == spans
    )


def test_cue_spans_wants_one_answer_per_moment() -> None:
    with pytest.raises(ValueError, match="zip"):
        cue_spans([0, 1], [True], interval_ms=0, duration_ms=10, runs_to_end=True)


@given(
    first_ms=st.integers(0, 100 * S),
    interval_ms=st.fractions(1, 100 * S, max_denominator=7),
    present=st.lists(st.booleans(), max_size=30),
    tail_ms=st.integers(0, 100 * S),
    runs_to_end=st.booleans(),
)
def test_spans_are_contiguous_from_0_and_near_the_moments(
    first_ms: int, interval_ms: Fraction, present: list[bool], tail_ms: int, runs_to_end: bool
) -> None:
    requested = [round(first_ms + k * interval_ms) for k in range(len(present))]
    duration_ms = (requested[-1] if requested else 0) + tail_ms + 1
    spans = cue_spans(
        requested, present, interval_ms=interval_ms, duration_ms=duration_ms, runs_to_end=runs_to_end
    )
    assert [position for position, _, _ in spans] == [k for k, there in enumerate(present) if there]
    edges = [start for _, start, _ in spans] + [end for _, _, end in spans[-1:]]
    assert edges[:1] in ([], [0])
    assert all(end == start for (_, _, end), (_, start, _) in pairwise(spans))
    assert all(start < end for _, start, end in spans)
    if interval_ms >= S:
        assert all(edge % S == 0 for edge in edges)
        assert all(abs(start - requested[k]) < 2 * S for k, start, _ in spans[1:])
    else:
        assert all(abs(start - requested[k]) <= len(present) for k, start, _ in spans[1:])


def test_write_is_the_common_dialect_to_the_byte() -> None:
    cues = [
        Cue(0, 5000, "sprite-0001.jpg", 0, 0, 160, 90),
        Cue(5000, 3_605_250, "movie/sprite-0002.jpg", 160, 90, 160, 90),
    ]
    assert write(cues) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:05.000\n"
        "sprite-0001.jpg#xywh=0,0,160,90\n"
        "\n"
        "00:00:05.000 --> 01:00:05.250\n"
        "movie/sprite-0002.jpg#xywh=160,90,160,90\n"
    )


def test_write_of_no_cues_is_still_a_track() -> None:
    assert write([]) == "WEBVTT\n"


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a b.jpg", "a%20b.jpg"),
        ("vidéo #1.jpg", "vid%C3%A9o%20%231.jpg"),
        ("100%.jpg", "100%25.jpg"),
        ("why?.jpg", "why%3F.jpg"),
        ("s1:e2/x.jpg", "s1%3Ae2/x.jpg"),
        ("(1) 'a', \"b\".jpg", "%281%29%20%27a%27%2C%20%22b%22.jpg"),
        ("a\\b\n.jpg", "a%5Cb%0A.jpg"),
        ("a-->b.jpg", "a--%3Eb.jpg"),
        ("caf\udce9.jpg", "caf%E9.jpg"),
        ("日本/🎬.jpg", "%E6%97%A5%E6%9C%AC/%F0%9F%8E%AC.jpg"),
    ],
)
def test_write_percent_encodes_names(url: str, written: str) -> None:
    assert write([Cue(0, 1000, url, 0, 0, 1, 1)]).splitlines()[3] == f"{written}#xywh=0,0,1,1"


@pytest.mark.parametrize("url", ["", "/a.jpg", "//host/a.jpg", "https://host/a.jpg", "a//b.jpg"])
def test_write_refuses_names_that_are_not_relative(url: str) -> None:
    with pytest.raises(ValueError, match="relative name"):
        write([Cue(0, 1000, url, 0, 0, 1, 1)])


@pytest.mark.parametrize(
    ("time_ms", "written"),
    [
        (0, "00:00:00.000"),
        (59_999, "00:00:59.999"),
        (60_000, "00:01:00.000"),
        (3_599_999, "00:59:59.999"),
        (359_999_999, "99:59:59.999"),
        (360_000_000, "100:00:00.000"),
    ],
)
def test_timestamp(time_ms: int, written: str) -> None:
    assert timestamp(time_ms) == written


# `surrogateescape` names are in the table above; other lone surrogates cannot be file names.
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: not name.startswith("/") and "//" not in name
)


@given(
    shown=st.lists(
        st.tuples(names, st.integers(1, 3600), st.integers(0, 8000), st.integers(0, 1800)), max_size=10
    )
)
def test_what_is_written_is_read_back_and_clean(shown: list[tuple[str, int, int, int]]) -> None:
    cues = []
    start_ms = 0
    for url, seconds, x, y in shown:
        cues.append(Cue(start_ms, start_ms + seconds * S, url, x, y, 160, 90))
        start_ms = cues[-1].end_ms
    text = write(cues)
    assert re.fullmatch(r"[\n -~]*", text)
    back = [
        Cue(cue.start_ms, cue.end_ms, unquote(cue.image.url), *cue.image.rectangle)  # type: ignore[union-attr, misc, arg-type]
        for cue in read(text.encode()).cues
    ]
    assert back == cues
    asked = set()

    def resolve(name: str) -> tuple[int, int]:
        asked.add(name)
        return 8160, 1890

    findings = lint(text.encode(), resolve=resolve)
    assert [finding.rule for finding in findings] == ([] if cues else ["no-cues"])
    assert asked == {cue.url for cue in cues}
