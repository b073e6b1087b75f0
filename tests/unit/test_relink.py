"""Tracks with other addresses: what a track names, what of it is a picture of its own, and what comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.media.tracks.relink import image_names, relinked
from stillframe.media.tracks.webvtt import Cue, write
from stillframe.service.shown_tracks import picture_key

TRACK = b"""\xef\xbb\xbfWEBVTT x/a.jpg\r
x/b.jpg\r
\r
NOTE x/c.jpg\r
x/d.jpg\r
\r
1
00:00.000 --> 00:01.000 x/e.jpg
x/1.jpg#xywh=0,0,160,90
00:01.000 --> 00:02.000
  x/1.jpg #xywh=160,0,160,90
x/2.jpg\r\rx/f.jpg

00:02.000 --> 00:03.000
x/\xff.jpg
#xywh=0,0,1,1
x/3.jpg#xywh=0,0,1,1"""


def test_names_stand_under_timing_lines() -> None:
    assert image_names(TRACK, 5) == {"x/1.jpg", "x/2.jpg", "x/\udcff.jpg", "x/3.jpg"}


def test_what_has_a_link_is_replaced_and_nothing_else() -> None:
    links = {f"x/{name}.jpg": f"https://cdn.example/{name}?s=1" for name in "abcdef123"}
    lines = TRACK.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert relinked(TRACK, {}) == b"\n".join(lines) + b"\n"
    lines[lines.index(b"x/1.jpg#xywh=0,0,160,90")] = b"https://cdn.example/1?s=1#xywh=0,0,160,90"
    lines[lines.index(b"  x/1.jpg #xywh=160,0,160,90")] = b"https://cdn.example/1?s=1#xywh=160,0,160,90"
    lines[lines.index(b"x/2.jpg")] = b"https://cdn.example/2?s=1"
    lines[-1] = b"https://cdn.example/3?s=1#xywh=0,0,1,1"
    assert relinked(TRACK, links) == b"\n".join(lines) + b"\n"


def test_what_we_write() -> None:
    text = write(
        [Cue(1000 * k, 1000 * k + 1000, f"ü x/{k // 2}.jpg", 160 * (k % 2), 0, 160, 90) for k in range(4)]
    )
    names = {f"%C3%BC%20x/{k}.jpg" for k in range(2)}
    assert image_names(text.encode(), 4) == names
    assert (
        relinked(text.encode(), {name: f"/{name}" for name in names}) == text.replace("%C3", "/%C3").encode()
    )


def test_a_track_that_names_too_many() -> None:
    with pytest.raises(ValueError, match="names more than 4 images"):
        image_names(TRACK, 4)


@pytest.mark.parametrize("track", [b"", b"\n", b"-->", b"a --> b\n\n", b"\x00\xff", b"WEBVTT"])
def test_what_is_no_track(track: bytes) -> None:
    assert image_names(track, 0) == set()
    assert relinked(track, {}).rstrip() == track.rstrip()


@given(
    st.lists(
        st.sampled_from([b"a --> b", b"x/1.jpg#xywh=0,0,1,1", b"\xff", b"\r", b"\n", b"\n\n", b"#", b" "])
    )
)
def test_any_bytes(parts: list[bytes]) -> None:
    track = b"".join(parts)
    names = image_names(track, len(parts))
    once = relinked(track, dict.fromkeys(names, "https://cdn.example/1"))
    assert image_names(once, len(parts)) == ({"https://cdn.example/1"} if names else set())
    assert relinked(once, {}) == once


@pytest.mark.parametrize(
    ("track", "name", "key"),
    [
        ("a/x.vtt", "x/snapshot-00001.jpg", "a/x/snapshot-00001.jpg"),
        ("a/x.VTT", "x/b/c.png", "a/x/b/c.png"),
        ("x.vtt", "x/1.webp", "x/1.webp"),
        ("ü/电 影.vtt", "%E7%94%B5%20%E5%BD%B1/1%252.jpg", "ü/电 影/1%2.jpg"),
        ("a/12:30.vtt", "12%3A30/1.jpg", "a/12:30/1.jpg"),
        ("a/x?.vtt", "x%3F/1.jpg", "a/x?/1.jpg"),
    ],
)
def test_a_picture_of_its_own(track: str, name: str, key: str) -> None:
    assert picture_key(track, name) == key


@pytest.mark.parametrize(
    ("track", "name"),
    [
        ("a/x.vtt", "y/1.jpg"),
        ("a/x.vtt", "1.jpg"),
        ("a/x.vtt", "x.vtt"),
        ("a/x.vtt", "x"),
        ("a/x.vtt", "x/"),
        ("a/x.vtt", "xy/1.jpg"),
        ("a/x.vtt", "X/1.jpg"),
        ("a/x.vtt", "x/../y/1.jpg"),
        ("a/x.vtt", "x/%2e%2e/%2e%2e/b/1.jpg"),
        ("a/x.vtt", "x%2f..%2f..%2fb%2f1.jpg"),
        ("a/x.vtt", "../a/x/1.jpg"),
        ("a/x.vtt", "./x/1.jpg"),
        ("a/x.vtt", "x//1.jpg"),
        ("a/x.vtt", "/a/x/1.jpg"),
        ("a/x.vtt", "//evil.example/x/1.jpg"),
        ("a/x.vtt", "https://evil.example/x/1.jpg"),
        ("https:.vtt", "https://evil.example/1.jpg"),
        ("https:.vtt", "https:/1.jpg"),
        ("a/x.vtt", "x/1.jpg?size=1"),
        ("a/x.vtt", "x\\1.jpg"),
        ("a/x.vtt", "x/secret.mp4"),
        ("a/x.vtt", "x/secret"),
        ("a/x.vtt", "x/%ff.jpg"),
        ("a/x.vtt", "x/\udcff.jpg"),
        ("a/.vtt", "/1.jpg"),
        ("a/.vtt", "1.jpg"),
        ("a/x.jpg", "x/1.jpg"),
    ],
)
def test_what_is_none(track: str, name: str) -> None:
    assert picture_key(track, name) is None
