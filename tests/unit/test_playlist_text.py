"""What playlists say, which are refused, and where their addresses lead."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import MediaError
from stillframe.storage.addresses import is_plain
from stillframe.storage.playlist_keys import is_playlist, key_of
from stillframe.storage.playlist_text import (
    MOST_BYTES,
    MOST_LINES,
    MOST_SEGMENTS,
    Entry,
    MediaPlaylist,
    Piece,
    Variant,
    parse,
)

HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:10\n"
END = "#EXT-X-ENDLIST\n"
NAME = "oss://films/a.m3u8"


def media(text: str, end: str = END) -> MediaPlaylist:
    parsed = parse(f"{HEAD}{text}{end}".encode(), NAME)
    assert isinstance(parsed, MediaPlaylist)
    return parsed


def test_segments() -> None:
    found = media(
        "#EXTINF:9.009,a title, with a comma\n1.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:5\nhttp://x/2.ts\n#EXT-X-GAP\n#EXTINF:1.5,\n3.ts\n"
    )
    assert found.entries == (
        Entry(Piece("1.ts"), None, 9_009_000, 0, False),
        Entry(Piece("http://x/2.ts"), None, 5_000_000, 1, False),
        Entry(Piece("3.ts"), None, 1_500_000, 1, True),
    )
    assert found.has_end
    assert not media("#EXTINF:1,\n1.ts\n", end="").has_end


def test_ranges_and_maps() -> None:
    found = media(
        '#EXT-X-MAP:URI="init, 1.mp4",BYTERANGE="700@100"\n'
        "#EXTINF:2,\n#EXT-X-BYTERANGE:1000@800\nall.mp4\n"
        "#EXTINF:2,\n#EXT-X-BYTERANGE:500\nall.mp4\n"
        '#EXT-X-MAP:URI="init2.mp4"\n'
        "#EXT-X-BYTERANGE:10@0\n#EXTINF:2,\nother.mp4\n"
    )
    assert [entry.piece for entry in found.entries] == [
        Piece("all.mp4", 800, 1000),
        Piece("all.mp4", 1800, 500),
        Piece("other.mp4", 0, 10),
    ]
    assert [entry.init for entry in found.entries] == [Piece("init, 1.mp4", 100, 700)] * 2 + [
        Piece("init2.mp4")
    ]


def test_tags_that_are_not_needed_may_be_odd() -> None:
    odd = "#EXT-X-DATERANGE:DURATION=x\n#EXT-X-PROGRAM-DATE-TIME:never\n#EXT-X-CUE-OUT:\n#EXT-X-KEY:METHOD=NONE\n"
    odd += "#EXT-X-MEDIA-SEQUENCE:x\n#EXT-X-PART:DURATION=0.3\n#EXT-X-DISCONTINUITY-SEQUENCE:7\n# a word\n\n"
    (entry,) = media(f"{odd}#EXTINF:1,\n1.ts\n").entries
    assert (entry.piece.uri, entry.period) == ("1.ts", 0)


STREAM = "#EXT-X-STREAM-INF:BANDWIDTH="


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (f"{STREAM}100\nlow.m3u8\n{STREAM}300\nhigh.m3u8\n{STREAM}200\nmiddle.m3u8\n", "high.m3u8"),
        (f'{STREAM}900,CODECS="mp4a.40.2"\nsound.m3u8\n{STREAM}300,CODECS="avc1.4d,mp4a.40.2"\nv.m3u8\n', "v.m3u8"),
        (f"{STREAM}300,RESOLUTION=640x360\nsmall.m3u8\n{STREAM}300,RESOLUTION=1280x720\nlarge.m3u8\n", "large.m3u8"),
        (f'{STREAM}900,CODECS="dvh1.05.01"\ndv.m3u8\n{STREAM}300,CODECS="hvc1.2.4"\nplain.m3u8\n', "plain.m3u8"),
        (f'{STREAM}900,CODECS="dvh1.05.01"\ndv.m3u8\n', "dv.m3u8"),
        (f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=900,URI="keys.m3u8"\n{STREAM}300\nv.m3u8\n', "v.m3u8"),
    ],
)  # fmt: skip
def test_the_best_variant(text: str, chosen: str) -> None:
    assert parse(f"#EXTM3U\n{text}".encode(), NAME) == Variant(chosen)


INF = "#EXTINF:4,\n1.ts\n"
REFUSED: dict[str, tuple[str, str, str]] = {
    "AES-128": ('#EXT-X-KEY:METHOD=AES-128,URI="k"\n' + INF, "encrypted", "METHOD=AES-128"),
    "SAMPLE-AES": (INF + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://k"\n' + INF, "encrypted", "SAMPLE-AES"),
    "some DRM": ('#EXT-X-KEY:URI="x",METHOD=SAMPLE-AES-CTR\n' + INF, "encrypted", "SAMPLE-AES-CTR"),
    "a key of no method": ("#EXT-X-KEY:x\n" + INF, "encrypted", "METHOD=unknown"),
    "keyframes only": ("#EXT-X-I-FRAMES-ONLY\n" + INF, "playlist", "keyframes only"),
    "variables": ('#EXT-X-DEFINE:NAME="a",VALUE="b"\n' + INF, "playlist", "EXT-X-DEFINE"),
    "an update": ("#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n" + INF, "playlist", "EXT-X-SKIP"),
    "nothing": ("", "playlist", "lists no segments"),
    "no duration": ("#EXT-X-BYTERANGE:1@1\n1.ts\n", "playlist", "segment 1 has no duration"),
    "below zero": ("#EXTINF:-1,\n1.ts\n", "playlist", "segment 1 has no duration"),
    "no number": ("#EXTINF:x,\n1.ts\n", "playlist", "cannot be understood"),
    "not a number": ("#EXTINF:nan,\n1.ts\n", "playlist", "segment 1 has no duration"),
    "for ever": ("#EXTINF:inf,\n1.ts\n", "playlist", "segment 1 has no duration"),
    "too long": ("#EXTINF:86400,\n1.ts\n" * 32, "playlist", "its segments last 2,764,800 s"),
    "no time at all": ("#EXTINF:0,\n1.ts\n", "playlist", "its segments last 0 s"),
    "a range that is none": ("#EXTINF:1,\n#EXT-X-BYTERANGE:a@b\n1.ts\n", "playlist", "no range of bytes"),
    "a huge range": ("#EXTINF:1,\n#EXT-X-BYTERANGE:999999999999999@0\n1.ts\n", "playlist", "no range of bytes"),
    "a range after nothing": (INF + "#EXTINF:1,\n#EXT-X-BYTERANGE:5\n1.ts\n", "playlist", "has no place"),
    "a map of nothing": ('#EXT-X-MAP:BYTERANGE="1@2"\n' + INF, "playlist", "EXT-X-MAP without a URI"),
    "too many segments": ("#EXTINF:1,\n1.ts\n" * (MOST_SEGMENTS + 1), "playlist", "more than 20,000"),
    "too many ranges": ("#EXT-X-BYTERANGE:1@1\n1.ts\n" * (MOST_SEGMENTS + 1), "playlist", "more than 20,000"),
    "too many variants": (f"{STREAM}1\nx\n" * 1001, "playlist", "more than 1,000"),
    "too many addresses": (INF + "a\n" * MOST_LINES, "playlist", "more than 200,000 lines"),
    "too many odd lines": (INF + "a\u2028" * MOST_LINES, "playlist", "more than 200,000 lines"),
    "variants without names": (f"{STREAM}1\n" * 10, "playlist", "names none"),
    "sound alone": (f'{STREAM}1,CODECS="mp4a.40.2"\nx\n', "audio-only", "none of its variants has video"),
    "a long line": ("#EXTINF:1," + "x" * 20_000 + "\n1.ts\n", "playlist", "a line of 20,010 characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    text, reason, words = REFUSED[name]
    with pytest.raises(MediaError) as caught:
        parse(f"{HEAD}{text}{END}".encode(), NAME)
    assert caught.value.reason == reason
    assert words in caught.value.message
    assert str(caught.value).startswith(f"{NAME}: ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin with #EXTM3U"),
        (b"\x00\x00\x00\x20ftypisom", "does not begin with #EXTM3U"),
        (b"#EXTM3U\n\xff\xfe", "no text in UTF-8"),
        (b"#EXTM3U\n" + b"\n" * MOST_BYTES, "more than the 8 MiB"),
    ],
)
def test_what_is_no_playlist(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        parse(data, NAME)


LINES = st.sampled_from(
    [
        *("#EXTM3U", "#EXTINF:4,", "#EXTINF:", "#EXTINF:1e400,", "1.ts", "http://x/2.ts", "", "#", "\x00", '"', "'"),
        *("#EXT-X-BYTERANGE:5@5", "#EXT-X-BYTERANGE:", '#EXT-X-MAP:URI="i",BYTERANGE="1@1"', "#EXT-X-MAP:"),
        *("#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXT-X-KEY:METHOD=NONE", "#EXT-X-KEY", "#EXT-X-ENDLIST", "\u2028"),
        *("#EXT-X-STREAM-INF:BANDWIDTH=1", "#EXT-X-STREAM-INF:BANDWIDTH=x", "#EXT-X-STREAM-INF", "#EXT-X-STREAM-INF:A"),
        *('#EXT-X-STREAM-INF:RESOLUTION=1x1,CODECS="a,b"', "#EXT-X-PART:x", "#EXT-X-DATERANGE:x", "#EXT-X-VERSION:x"),
    ]
)  # fmt: skip


@given(lines=st.lists(LINES, max_size=12))
def test_whatever_is_written_is_understood_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(MediaError):
        parsed = parse("\n".join(["#EXTM3U", *lines]).encode(), NAME)
        assert isinstance(parsed, Variant) or sum(entry.duration_us for entry in parsed.entries) > 0


@given(uri=st.text(alphabet=st.sampled_from("./%2eE?#:\\a"), max_size=12))
def test_no_address_leads_out(uri: str) -> None:
    with contextlib.suppress(MediaError):
        assert is_plain(key_of(uri, "films/a.m3u8", "local", NAME))


def test_a_mark_before_the_text() -> None:
    assert isinstance(parse(b"\xef\xbb\xbf" + f"{HEAD}{INF}{END}".encode(), NAME), MediaPlaylist)


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("1.ts", "films/hls/1.ts"),
        ("v/1.ts", "films/hls/v/1.ts"),
        ("./1.ts", "films/hls/1.ts"),
        ("../1.ts", "films/1.ts"),
        ("../../1.ts", "1.ts"),
        ("/1.ts", "1.ts"),
        ("a%20b%C3%BC.ts", "films/hls/a bü.ts"),
        ("a b.ts", "films/hls/a b.ts"),
        ("1.ts?token=x&y=../..", "films/hls/1.ts"),
        ("%2e%2e/1.ts", "films/1.ts"),
        ("a/../1.ts", "films/hls/1.ts"),
        ("oss://local/x/1.ts", "x/1.ts"),
        ("https://local.oss-cn-shanghai.aliyuncs.com/x/a%20b.ts?sig=1", "x/a b.ts"),
    ],
)
def test_where_an_address_leads(uri: str, key: str) -> None:
    assert key_of(uri, "films/hls/a.m3u8", "local", NAME) == key


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("../../../1.ts", "must not lead out"),
        ("%2e%2e/%2e%2e/%2e%2e/1.ts", "must not lead out"),
        ("/../1.ts", "must not lead out"),
        ("http://example.com/1.ts", "must lie in the playlist's own bucket"),
        ("https://other.oss-cn-shanghai.aliyuncs.com/1.ts", "must lie in the playlist's own bucket"),
        ("oss://other/1.ts", "must lie in the playlist's own bucket"),
        ("s3://local/1.ts", "must lie in the playlist's own bucket"),
        ("//local/1.ts", "must lie in the playlist's own bucket"),
        ("file:///etc/passwd", "must lie in the playlist's own bucket"),
        ("data:video/mp2t;base64,AAAA", "must lie in the playlist's own bucket"),
        ("concat:1.ts", "must lie in the playlist's own bucket"),
        ("..", "must name an object"),
        ("v/", "must name an object"),
        ("?x", "must name an object"),
        ("%ff.ts", "percent-encoded UTF-8"),
        ("a\x1bb.ts", "must be printable"),
        ("x" * 5000, "not longer than 4,096"),
    ],
)  # fmt: skip
def test_where_no_address_may_lead(uri: str, rule: str) -> None:
    with pytest.raises(MediaError, match=rule) as caught:
        key_of(uri, "films/hls/a.m3u8", "local", NAME)
    assert caught.value.reason == "playlist"
    assert caught.value.message.isprintable()


def test_a_bucket_without_a_name_has_no_addresses() -> None:
    with pytest.raises(MediaError, match="own bucket"):
        key_of("oss://local/1.ts", "a.m3u8", None, NAME)


def test_playlists_are_known_by_their_names() -> None:
    assert is_playlist("a/b.m3u8")
    assert is_playlist("B.M3U8")
    assert is_playlist("b.m3u")
    assert not is_playlist("b.mp4")
    assert not is_playlist("m3u8")
