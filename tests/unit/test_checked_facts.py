"""A child that describes a file may lie about the file, but not say what no file could hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from stillframe.media.media_facts import AudioFacts, MediaFacts, SubtitleFacts, VideoFacts
from stillframe.sandbox.check import Broken, checked_facts
from stillframe.sandbox.session import decoded

COMMON: dict[str, Any] = {
    "codec_long_name": "a codec",
    "codec_tag": 0x31637661,
    "time_base": (1, 12800),
    "codec_time_base": (1, 50),
    "start_us": -40_000,
    "duration_us": 2_000_000,
    "bit_rate": 100_000,
    "number_of_frames": 50,
    "language": "und",
    "profile": "High",
}
VIDEO = VideoFacts(
    **COMMON,
    index=0,
    codec_name="h264",
    width_px=640,
    height_px=360,
    sample_aspect=(1, 1),
    display_aspect=(16, 9),
    frame_rate=(25, 1),
    average_frame_rate=(25, 1),
    b_frames=2,
    level=30,
    pixel_format="yuv420p",
    rotation=90,
    is_cover=False,
)
AUDIO = AudioFacts(
    **COMMON,
    index=1,
    codec_name="aac",
    channels=2,
    channel_layout="stereo",
    sample_format="fltp",
    sample_rate_hz=48_000,
)
SUBTITLES = SubtitleFacts(**COMMON, index=2, codec_name="mov_text")
FACTS = MediaFacts("mov,mp4", 1000, 2_000_000, 4000, (VIDEO,), (AUDIO,), (SUBTITLES,))
#: of which a file may say nothing
LEAST = replace(
    VIDEO,
    **dict.fromkeys(
        ("codec_tag", "codec_time_base", "start_us", "duration_us", "bit_rate", "language"), None
    ),
    **dict.fromkeys(("number_of_frames", "profile", "frame_rate", "average_frame_rate", "level"), None),
    width_px=0,
    height_px=0,
    pixel_format=None,
)


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        replace(FACTS, video=()),
        replace(FACTS, audio=(), subtitles=()),
        replace(FACTS, video=(LEAST,), duration_us=None, bit_rate=None),
    ],
)
def test_what_a_file_may_hold(facts: MediaFacts) -> None:
    said = bytearray(msgspec.json.encode(facts))
    assert checked_facts(decoded(said, MediaFacts), 1000) == facts


TOO_MUCH = 1 << 63
LIES: list[tuple[str, MediaFacts]] = [
    ("another size", replace(FACTS, size_bytes=999)),
    ("neither video nor sound", replace(FACTS, video=(), audio=())),
    ("cannot be shown", replace(FACTS, format_name="mov\x1b[2J")),
    ("cannot be shown", replace(FACTS, format_name="m" * 1001)),
    ("duration", replace(FACTS, duration_us=-1)),
    ("bit rate", replace(FACTS, bit_rate=TOO_MUCH)),
    ("two streams", replace(FACTS, audio=(replace(AUDIO, index=0),))),
    ("too many", replace(FACTS, audio=tuple(replace(AUDIO, index=1 + n) for n in range(101)))),
    *(
        (words, replace(FACTS, video=(replace(VIDEO, **{name: value}),)))
        for words, name, value in [
            ("a stream", "index", -1),
            ("cannot be shown", "codec_name", "h264\n"),
            ("cannot be shown", "codec_long_name", "\u202eh264"),
            ("cannot be shown", "language", "d" * 1001),
            ("cannot be shown", "profile", "\0"),
            ("cannot be shown", "pixel_format", "\x7f"),
            ("four bytes", "codec_tag", 1 << 32),
            ("four bytes", "codec_tag", -1),
            ("ratio", "time_base", (1, 0)),
            ("ratio", "codec_time_base", (-1, 50)),
            ("ratio", "sample_aspect", (0, 1)),
            ("ratio", "display_aspect", (16, TOO_MUCH)),
            ("ratio", "frame_rate", (25, 0)),
            ("ratio", "average_frame_rate", (TOO_MUCH, 1)),
            ("a time", "start_us", -TOO_MUCH),
            ("duration", "duration_us", TOO_MUCH),
            ("number of frames", "number_of_frames", -1),
            ("number of frames", "b_frames", -1),
            ("width", "width_px", -640),
            ("height", "height_px", TOO_MUCH),
            ("level", "level", TOO_MUCH),
            ("rotation", "rotation", 45),
        ]
    ),
    *(
        (words, replace(FACTS, audio=(replace(AUDIO, **{name: value}),)))
        for words, name, value in [
            ("channels", "channels", -1),
            ("sample rate", "sample_rate_hz", TOO_MUCH),
            ("cannot be shown", "channel_layout", "\x9b"),
            ("cannot be shown", "sample_format", "\r"),
        ]
    ),
    ("ratio", replace(FACTS, subtitles=(replace(SUBTITLES, time_base=(0, 1)),))),
]


@pytest.mark.parametrize(("words", "facts"), LIES)
def test_what_no_file_can_hold(words: str, facts: MediaFacts) -> None:
    with pytest.raises(Broken, match=words):
        checked_facts(facts, 1000)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"format_name": "mov"}',
        msgspec.json.encode(FACTS)[:-1],
        msgspec.json.encode(FACTS).replace(b'"rotation":90', b'"rotation":"90"'),
        msgspec.json.encode(FACTS).replace(b"[16,9]", b"[16]"),
        msgspec.json.encode(FACTS).replace(b'"width_px":640', b'"width_px":1e400'),
    ],
)
def test_json_that_describes_nothing(said: bytes) -> None:
    with pytest.raises(Broken, match="JSON that is no"):
        decoded(bytearray(said), MediaFacts)
