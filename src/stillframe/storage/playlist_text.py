"""What an HLS playlist says, as plain data: RFC 8216, as far as pictures need it. Pure.

    parse(data, "oss://films/a.m3u8")    # a MediaPlaylist, or the Variant that a master playlist is read by

Whoever wrote a playlist may mean harm: its length, its segments and its times are bounded here, and where the segments
lie is for `playlist_keys.py` to judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stillframe.errors import MediaError

MOST_BYTES: Final = 8 << 20
MOST_SEGMENTS: Final = 20_000
#: ten for a segment: what is no tag costs the library some time, too
MOST_LINES: Final = 10 * MOST_SEGMENTS
#: all that `str.splitlines` takes for the end of a line
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_MOST = {"#EXT-X-STREAM-INF": 1000}
_LONGEST_LINE = 16 << 10
_MOST_SEGMENT_S = 24 * 3600
_MOST_S = 31 * 24 * 3600

#: the tags that the library is to read; it stumbles over the many others when they are odd, and we need none of them
_READ = frozenset(
    [
        *("#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-MAP", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP"),
        *("#EXT-X-ENDLIST", "#EXT-X-STREAM-INF"),
    ]
)
_REFUSED = {
    "#EXT-X-I-FRAMES-ONLY": (
        "lists keyframes only (EXT-X-I-FRAMES-ONLY); give the playlist of the video itself"
    ),
    "#EXT-X-DEFINE": "uses variables (EXT-X-DEFINE), which are not supported",
    "#EXT-X-SKIP": "leaves out segments (EXT-X-SKIP): it is an update for players, not the whole playlist",
}
_METHOD = re.compile(r"(?:^|,)\s*METHOD\s*=\s*\"?([^,\"]*)")
_RANGE = re.compile(r"(\d{1,14})(?:@(\d{1,14}))?")
_VIDEO_CODECS = (
    "avc",
    "hvc",
    "hev",
    "av01",
    "vp08",
    "vp8",
    "vp09",
    "vp9",
    "mp4v",
    "vvc",
    "vvi",
    "dvh",
    "dva",
    "dav1",
)
#: shown without their own colour transform, colours are wrong: other variants are better
_DOLBY_VISION_CODECS = ("dvh", "dva", "dav1")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an object: all of it, or `length` bytes from `offset`."""

    uri: str
    offset: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment; `init` goes before it (EXT-X-MAP). Timestamps jump where `period` changes."""

    piece: Piece
    init: Piece | None
    duration_us: int
    period: int
    is_gap: bool


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The segments of one video in their order; one without an end is still being written to."""

    entries: tuple[Entry, ...]
    has_end: bool


@dataclass(frozen=True, slots=True)
class Variant:
    """The best one of a master playlist's: the address of its media playlist."""

    uri: str


def parse(data: bytes, name: str) -> MediaPlaylist | Variant:
    """What a playlist says. `name` is for messages. Raises MediaError."""
    parsed = _parsed(_text(data, name), name)
    if parsed["is_variant"]:
        return _best_variant(parsed["playlists"], name)
    if not parsed["segments"]:
        raise _error(name, "lists no segments")
    return MediaPlaylist(_entries(parsed["segments"], name), bool(parsed["is_endlist"]))


def _text(data: bytes, name: str) -> str:
    if len(data) > MOST_BYTES:
        raise _error(name, f"has more than the {MOST_BYTES >> 20} MiB that a playlist may have")
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise _error(name, "is no text in UTF-8, as a playlist must be") from error
    if not text.lstrip().startswith("#EXTM3U"):
        raise _error(name, "is called a playlist, and does not begin with #EXTM3U as one does")
    if sum(map(text.count, _LINE_ENDS)) - text.count("\r\n") > MOST_LINES:
        raise _error(name, f"has more than {MOST_LINES:,} lines, which is the most allowed")
    return text


def _parsed(text: str, name: str) -> dict[str, Any]:
    import m3u8

    seen: Counter[str] = Counter()

    def passes_over(line: str, number: int, data: object, state: object) -> bool:
        tag, _, value = line.partition(":")
        if tag in _REFUSED:
            raise _error(name, _REFUSED[tag])
        if tag == "#EXT-X-KEY":
            _refuse_encrypted(value, name)
        if tag not in _READ:
            return True
        seen[tag] += 1
        if seen[tag] > _MOST.get(tag, MOST_SEGMENTS) or len(line) > _LONGEST_LINE:
            what = f"has a line of {len(line):,} characters" if len(line) > _LONGEST_LINE else ""
            raise _error(
                name, what or f"has more than {seen[tag] - 1:,} lines of {tag}, which is the most allowed"
            )
        return False

    try:
        return dict(m3u8.parse(text, custom_tags_parser=passes_over))
    except (m3u8.ParseError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _error(name, f"cannot be understood: {str(error)[:100] or type(error).__name__}") from error


def _refuse_encrypted(attributes: str, name: str) -> None:
    found = _METHOD.search(attributes)
    method = found[1].strip() if found else "unknown"
    if method != "NONE":
        message = f"its segments are encrypted (EXT-X-KEY, METHOD={method[:40]}); pictures need them without"
        raise MediaError(name, "encrypted", message)


def _best_variant(variants: list[Mapping[str, Any]], name: str) -> Variant:
    """The one with the most bits a second, of those with video; of the same ones the largest, then the first."""
    infos = [(variant["uri"], variant["stream_info"]) for variant in variants]
    told = [(uri, info) for uri, info in infos if _has_video(info)]
    if not infos:
        raise _error(name, "announces variants, and names none")
    if not told:
        raise MediaError(name, "audio-only", "none of its variants has video")
    plain = [(uri, info) for uri, info in told if not _has(info, _DOLBY_VISION_CODECS)] or told
    return Variant(max(plain, key=lambda variant: (variant[1].get("bandwidth", 0), _pixels(variant[1])))[0])


def _has_video(info: Mapping[str, Any]) -> bool:
    """One that tells neither codecs nor a size is taken to have some."""
    return "resolution" in info or "codecs" not in info or _has(info, _VIDEO_CODECS)


def _has(info: Mapping[str, Any], codecs: tuple[str, ...]) -> bool:
    told = str(info.get("codecs", "")).lower().split(",")
    return any(codec.strip().startswith(codecs) for codec in told)


def _pixels(info: Mapping[str, Any]) -> int:
    size = re.fullmatch(r"(\d{1,6})x(\d{1,6})", str(info.get("resolution", "")))
    return int(size[1]) * int(size[2]) if size else 0


def _entries(segments: list[Mapping[str, Any]], name: str) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    period = total_us = 0
    for number, segment in enumerate(segments, 1):
        uri, seconds = segment.get("uri"), segment.get("duration")
        if uri is None:
            # what is announced of a segment that is not there yet
            continue
        if seconds is None or not 0 <= seconds <= _MOST_SEGMENT_S:
            raise _error(name, f"segment {number} has no duration (EXTINF) of 0 to {_MOST_SEGMENT_S:,} s")
        duration_us = round(seconds * 1_000_000)
        total_us += duration_us
        period += bool(segment.get("discontinuity"))
        entries.append(
            Entry(
                piece=_piece(uri, segment.get("byterange"), entries[-1].piece if entries else None, name),
                init=_init(segment.get("init_section"), name),
                duration_us=duration_us,
                period=period,
                is_gap=bool(segment.get("gap_tag")),
            )
        )
    if not 0 < total_us <= _MOST_S * 1_000_000:
        raise _error(name, f"its segments last {total_us / 1e6:,.0f} s; up to {_MOST_S:,} s are allowed")
    return tuple(entries)


def _piece(uri: str, told: str | None, before: Piece | None, name: str) -> Piece:
    """A segment's bytes: a range without a place goes on where the one before it has ended."""
    if told is None:
        return Piece(uri)
    length, offset = _range(told, name)
    if offset is None and (before is None or before.uri != uri or before.length is None):
        raise _error(
            name, f"EXT-X-BYTERANGE:{told[:40]} has no place, and goes on from no other one of {uri[:200]}"
        )
    if offset is None:
        assert before is not None
        offset = before.offset + (before.length or 0)
    return Piece(uri, offset, length)


def _init(told: Mapping[str, Any] | None, name: str) -> Piece | None:
    if not told:
        return None
    if not told.get("uri"):
        raise _error(name, "EXT-X-MAP without a URI")
    if "byterange" not in told:
        return Piece(told["uri"])
    length, offset = _range(told["byterange"], name)
    return Piece(told["uri"], offset or 0, length)


def _range(told: str, name: str) -> tuple[int, int | None]:
    found = _RANGE.fullmatch(told.strip())
    if found is None:
        raise _error(name, f"{told[:40]!r} is no range of bytes such as 1000@2000")
    return int(found[1]), int(found[2]) if found[2] else None


def _error(name: str, message: str) -> MediaError:
    return MediaError(name, "playlist", message)
