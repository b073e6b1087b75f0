"""What a container says of itself and of its streams, as `ffprobe -show_format -show_streams` would print it.

    facts = decoder.describe(source).facts         # in a worker: the decoder of `sandbox/decoder.py`
    facts = describe(source)                       # in this process: `media/describe.py`
    facts.film, facts.audio, facts.subtitles       # any of them may be empty: a file of sound alone is fine

Plain data that needs no libav: it can be written to JSON (msgspec) and read back with `plain_json.decode`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: numerator and denominator
Ratio = tuple[int, int]
#: streams of one kind that are told of: a file may hold a thousand, and a page of a hundred jobs as many times that
MOST_STREAMS = 100


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What any stream has. What the file does not tell is None.

    Times are microseconds; `time_base` and `codec_time_base` are in seconds. `codec_tag` is the container's name of the
    codec, four bytes with the first in the lowest place. `start_us` may be negative. `duration_us` is the whole file's
    where the container has none for the stream.
    """

    index: int
    codec_name: str
    codec_long_name: str
    codec_tag: int | None
    time_base: Ratio
    codec_time_base: Ratio | None
    start_us: int | None
    duration_us: int | None
    bit_rate: int | None
    number_of_frames: int | None
    language: str | None
    profile: str | None

    @property
    def codec_tag_string(self) -> str | None:
        """The tag as FFmpeg writes it: `avc1`, or `[27][0][0][0]` where its bytes are no letters."""
        if self.codec_tag is None:
            return None
        return "".join(_tag_letter(byte) for byte in self.codec_tag.to_bytes(4, "little"))


@dataclass(frozen=True, slots=True)
class VideoFacts(StreamFacts):
    """A video stream. Width and height are those of the coded picture, before it is turned and stretched.

    `rotation` is how far it must be turned clockwise, in degrees (0, 90, 180 or 270). `frame_rate` is the lowest with
    which all times can be told, `average_frame_rate` the real one, both in frames per second. `b_frames` is by how many
    frames a decoder runs ahead: 0 says that there are no B-frames. `sample_aspect` and `display_aspect` are those of a
    pixel and of the coded picture; a file that tells none has square pixels. `is_cover` is a picture that stands for a
    file, not a part of the film.
    """

    width_px: int
    height_px: int
    sample_aspect: Ratio
    display_aspect: Ratio
    frame_rate: Ratio | None
    average_frame_rate: Ratio | None
    b_frames: int
    level: int | None
    pixel_format: str | None
    rotation: int
    is_cover: bool


@dataclass(frozen=True, slots=True)
class AudioFacts(StreamFacts):
    """An audio stream; `sample_rate_hz` counts samples of one channel."""

    channels: int
    channel_layout: str | None
    sample_format: str | None
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class SubtitleFacts(StreamFacts):
    """A subtitle stream."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What is in a file.

    `format_name` is libavformat's name of the container, which may be several with commas. `bit_rate` is in bits a
    second, `duration_us` in microseconds. Of each kind the first MOST_STREAMS are told, and of other kinds (data,
    attachments) none.
    """

    format_name: str
    size_bytes: int
    duration_us: int | None
    bit_rate: int | None
    video: tuple[VideoFacts, ...]
    audio: tuple[AudioFacts, ...]
    subtitles: tuple[SubtitleFacts, ...]

    @property
    def film(self) -> tuple[VideoFacts, ...]:
        """The video streams without covers: none of them in a file of sound alone, whatever stands on its cover."""
        return tuple(stream for stream in self.video if not stream.is_cover)


def _tag_letter(byte: int) -> str:
    letter = chr(byte)
    return letter if byte < 128 and (letter.isalnum() or letter in ". -_") else f"[{byte}]"
