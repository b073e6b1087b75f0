"""Describe a source: what `ffprobe -show_format -show_streams` would print of it, as `MediaFacts`.

`probe` answers another question: how pictures are made of the one video stream that is chosen for that. Here nothing
is chosen and nothing is corrected, and no more is decoded than the first picture of each video stream, which alone
knows how it is turned.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Any, Final, TypeVar

import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stillframe.errors import MediaError
from stillframe.media.boxes import demand_index, read_mp4
from stillframe.media.media_facts import (
    MOST_STREAMS,
    AudioFacts,
    MediaFacts,
    Ratio,
    SubtitleFacts,
    VideoFacts,
)
from stillframe.media.orientation import orientation_of
from stillframe.media.playlist import Playlist, playlist_of
from stillframe.media.playlist_reader import first_good, segment_bytes
from stillframe.media.reader import DEMUXERS, MAX_PIXELS, has_decoder, open_container
from stillframe.media.sniff import refuse_what_is_no_media
from stillframe.media.source import ByteSource, SourceFile

Facts = TypeVar("Facts", VideoFacts, AudioFacts, SubtitleFacts)

#: those of a video that has no pictures, and those of sound alone
_DEMUXERS = f"{DEMUXERS},aiff,amr,ac3,eac3,dts,ape,au,caf,w64,wv,tta"
#: packets among which the first pictures are looked for
_FIRST_PACKETS = 300
_MOST_TEXT = 200
_INT64 = 1 << 63
#: libavcodec's AV_CODEC_PROP_FIELDS: the codec counts its time in fields, two of which are a frame
_COUNTS_FIELDS: Final = 1 << 4
_UNKNOWN_LEVEL: Final = -99
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails
_DURATION_TAG = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")

_USUAL_LAYOUTS = {1: "mono", 2: "stereo"}
#: where FFmpeg's decoder has another name than its codec
_LONG_NAMES = {
    "gif": "CompuServe GIF (Graphics Interchange Format)",
    "hevc": "H.265 / HEVC (High Efficiency Video Coding)",
    "mjpeg": "Motion JPEG",
    "mov_text": "MOV text",
    "opus": "Opus (Opus Interactive Audio Codec)",
}


def describe(source: ByteSource) -> MediaFacts:
    """Describe a source. Raises MediaError when it holds neither video nor sound, SourceError when unreadable."""
    playlist = playlist_of(source)
    if playlist is not None:
        return _of_playlist(source, playlist)
    refuse_what_is_no_media(source)
    file = SourceFile(source)
    try:
        container = open_container(file, source.name, _DEMUXERS)
    except MediaError:
        # its boxes may tell why
        demand_index(source, read_mp4(source))
        raise
    with container:
        # first of all: a decoder that is opened changes what is known
        streams = container.streams
        video = [_video(stream, container) for stream in streams.video[:MOST_STREAMS]]
        audio = tuple(_audio(stream, container) for stream in streams.audio[:MOST_STREAMS])
        subtitles = tuple(
            SubtitleFacts(**_common(stream, container)) for stream in streams.subtitles[:MOST_STREAMS]
        )
        if not video and not audio:
            raise MediaError(source.name, "not-video", "there is neither video nor sound in it")
        turns = _rotations(container, file)
        return MediaFacts(
            format_name=container.format.name,
            size_bytes=source.size,
            duration_us=_positive(container.duration),
            bit_rate=_positive(container.bit_rate),
            video=tuple(replace(stream, rotation=turns.get(stream.index, 0)) for stream in video),
            audio=audio,
            subtitles=subtitles,
        )


def _of_playlist(source: ByteSource, playlist: Playlist) -> MediaFacts:
    """What is in the first segment that is not damaged, with the durations of all."""
    facts = first_good(playlist, lambda index: describe(segment_bytes(source, playlist.segments[index])))
    duration_us = playlist.duration_us
    return replace(
        facts,
        format_name="hls",
        size_bytes=source.size,
        duration_us=duration_us,
        bit_rate=_positive(source.size * 8_000_000 // max(duration_us, 1)),
        video=tuple(_lasting(stream, duration_us) for stream in facts.video),
        audio=tuple(_lasting(stream, duration_us) for stream in facts.audio),
        subtitles=tuple(_lasting(stream, duration_us) for stream in facts.subtitles),
    )


def _lasting(stream: Facts, duration_us: int) -> Facts:
    """A stream of the first segment that goes on in the others."""
    return replace(stream, start_us=0, duration_us=duration_us, bit_rate=None, number_of_frames=None)


def _video(stream: VideoStream, container: InputContainer) -> VideoFacts:
    context = stream.codec_context
    width, height = (context.width, context.height) if context is not None else (0, 0)
    pixel = Fraction(*(_ratio(stream.sample_aspect_ratio) or (1, 1))) if context is not None else Fraction(1)
    display = pixel * width / height if width > 0 and height > 0 else Fraction(1)
    average = _ratio(stream.average_rate)
    return VideoFacts(
        **_common(stream, container) | {"codec_time_base": _video_time_base(stream, average)},
        width_px=max(width, 0),
        height_px=max(height, 0),
        sample_aspect=(pixel.numerator, pixel.denominator),
        display_aspect=(display.numerator, display.denominator),
        frame_rate=_ratio(stream.base_rate),
        average_frame_rate=average,
        b_frames=max(context.reorder_depth, 0) if context is not None else 0,
        level=context.level if context is not None and context.level != _UNKNOWN_LEVEL else None,
        pixel_format=context.pix_fmt if context is not None else None,
        rotation=0,
        is_cover=bool(stream.disposition & _COVER),
    )


def _video_time_base(stream: VideoStream, average: Ratio | None) -> Ratio | None:
    """How long a frame is, or a field for codecs that count those."""
    if average is None or stream.codec_context is None:
        return None
    fields = 2 if stream.codec_context.codec.properties & _COUNTS_FIELDS else 1
    return _ratio(1 / (Fraction(*average) * fields))


def _audio(stream: AudioStream, container: InputContainer) -> AudioFacts:
    context = stream.codec_context
    rate = max(context.sample_rate or 0, 0) if context is not None else 0
    return AudioFacts(
        **_common(stream, container) | {"codec_time_base": (1, rate) if rate > 0 else None},
        channels=max(context.channels, 0) if context is not None else 0,
        channel_layout=_layout(context) if context is not None else None,
        sample_format=context.format.name if context is not None and context.format is not None else None,
        sample_rate_hz=rate,
    )


def _layout(context: AudioCodecContext) -> str | None:
    """The name of the layout; of one that is not told, for which libav has `2 channels`, the usual one if there is."""
    name = _text(context.layout.name)
    return _USUAL_LAYOUTS.get(context.channels) if name is not None and name.endswith(" channels") else name


def _common(stream: Stream, container: InputContainer) -> dict[str, Any]:
    """The fields of StreamFacts."""
    context: CodecContext | None = stream.codec_context
    time_base = Fraction(*(_ratio(stream.time_base) or (1, 1_000_000)))
    duration_us = _positive(_microseconds(stream.duration, time_base)) or _tagged_duration(stream)
    return {
        "index": stream.index,
        "codec_name": context.codec.canonical_name if context is not None else "unknown",
        "codec_long_name": _long_name(context.codec) if context is not None else "unknown",
        "codec_tag": _tag(context) if context is not None else None,
        "time_base": (time_base.numerator, time_base.denominator),
        "codec_time_base": None,
        "start_us": _microseconds(stream.start_time, time_base),
        "duration_us": duration_us or _positive(container.duration),
        "bit_rate": _positive(context.bit_rate) if context is not None else None,
        "number_of_frames": _positive(stream.frames),
        "language": _text(stream.language),
        "profile": _text(stream.profile) if context is not None else None,
    }


def _rotations(container: InputContainer, file: SourceFile) -> dict[int, int]:
    """How each video stream's first picture is turned, by the stream's index; without those that show none soon."""
    waiting = {
        stream.index: stream
        for stream in container.streams.video[:MOST_STREAMS]
        if not stream.disposition & _COVER and has_decoder(stream)
    }
    for stream in container.streams:
        stream.discard = Discard.default if stream.index in waiting else Discard.all
    for stream in waiting.values():
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    found: dict[int, int] = {}
    packets = container.demux(*waiting.values()) if waiting else iter(())
    try:
        for packet in islice(packets, _FIRST_PACKETS):
            index = packet.stream.index
            if index in waiting and (frame := _picture(packet)) is not None:
                found[index] = orientation_of(frame).rotation
                del waiting[index]
            if not waiting:
                break
    except (av.error.FFmpegError, IndexError):
        # where no more can be read, the rest is told without it; IndexError: see `VideoReader.demux`
        file.raise_error()
    return found


def _picture(packet: Packet[Any]) -> VideoFrame | None:
    """What is shown first of a video packet, if anything."""
    try:
        frame: VideoFrame | None = next(iter(packet.decode()), None)
        return frame
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError):
        return None


def _long_name(codec: Codec) -> str:
    """The codec's name, not that of the decoder which happens to be used for it."""
    if codec.canonical_name in _LONG_NAMES:
        return _LONG_NAMES[codec.canonical_name]
    with contextlib.suppress(ValueError):
        codec = Codec(codec.canonical_name, "r")
    return codec.long_name or codec.canonical_name


def _tag(context: CodecContext) -> int | None:
    try:
        return int.from_bytes(context.codec_tag.encode(), "little") or None
    except UnicodeDecodeError:
        # PyAV knows tags of ASCII only
        return None


def _tagged_duration(stream: Stream) -> int | None:
    """What programs that write Matroska say of a stream's duration, such as 00:01:02.500000000."""
    match = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)) * 1_000_000) or None


def _microseconds(ticks: int | None, time_base: Fraction) -> int | None:
    if ticks is None:
        return None
    microseconds = round(ticks * time_base * 1_000_000)
    return microseconds if abs(microseconds) < _INT64 else None


def _positive(number: int | None) -> int | None:
    """A number that says something: what was computed of a damaged file may be anything."""
    return number if number is not None and 0 < number < _INT64 else None


def _ratio(value: Fraction | None) -> Ratio | None:
    return (value.numerator, value.denominator) if value is not None and value > 0 else None


def _text(value: str | None) -> str | None:
    """Text that is short, and can be shown."""
    return "".join(letter for letter in (value or "")[:_MOST_TEXT] if letter.isprintable()) or None
