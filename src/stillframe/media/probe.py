"""What is in the file: streams, duration, rotation, aspect, colour, keyframes.

The first picture is really decoded: its tags, its size and its time are facts, a header's are claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.video.frame import VideoFrame

from stillframe.media.colour import TRC_HLG, TRC_PQ, UNSPECIFIED, Colour, colour_of
from stillframe.media.ending import find_end
from stillframe.media.fragment_feed import FragmentFeed
from stillframe.media.guided_reader import GuidedReader
from stillframe.media.opening import Ahead, Opened, Wanted, open_video
from stillframe.media.orientation import orientation_of
from stillframe.media.playlist import playlist_of
from stillframe.media.reader import VideoReader
from stillframe.media.sample_table import SampleTable
from stillframe.media.source import ByteSource
from stillframe.media.table_feed import table_of


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream of the container."""

    index: int
    type: str
    codec: str
    chosen: bool = False
    attached_picture: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """What is in a source. Plain data: it can be written to JSON and read back.

    `first_pts` is the time of the first picture in ticks of `time_base` (numerator, denominator) seconds;
    `end_pts` is where the announced video ends, `available_end_pts` where its data ends (less when the file
    was cut off). `width_px` and `height_px` are the coded picture, `display_width_px` and
    `display_height_px` the upright one with square pixels. `keyframes_pts` holds the keyframes that the
    container lists, none when it has no index. `packets_from` says where packets are read: the demuxer's where the
    `container` has them, or straight from where the sample `table` says, or the `fragments`.
    """

    source: str
    identity: str
    size_bytes: int
    container: str
    streams: tuple[StreamFacts, ...]
    stream_index: int
    codec: str
    time_base: tuple[int, int]
    first_pts: int
    end_pts: int
    available_end_pts: int
    frame_ticks: int
    width_px: int
    height_px: int
    display_width_px: int
    display_height_px: int
    sample_aspect: tuple[int, int]
    rotation: int
    mirrored: bool
    interlaced: bool
    pixel_format: str
    colour: Colour
    colour_tags: dict[str, int]
    keyframes_pts: tuple[int, ...]
    packets_from: Literal["container", "table", "fragments"]
    notes: tuple[str, ...]

    @property
    def bytes_a_pixel(self) -> float:
        """What a decoded frame takes in memory for each of its pixels."""
        return av.VideoFormat(self.pixel_format).padded_bits_per_pixel / 8

    @property
    def duration_ms(self) -> int:
        """Milliseconds from the first picture to the announced end."""
        return self.ms_of(self.end_pts, round_up=False)

    def ticks_of(self, time_ms: int) -> int:
        """The last tick that is not later than `time_ms` after the first picture."""
        numerator, denominator = self.time_base
        return self.first_pts + time_ms * denominator // (1000 * numerator)

    def span_ticks(self, span_ms: int) -> int:
        """How many ticks a span of time is."""
        return self.ticks_of(span_ms) - self.first_pts

    def ms_of(self, pts: int, *, round_up: bool = True) -> int:
        """Milliseconds after the first picture; rounded up, asking for that time again finds the same frame."""
        exact = Fraction(pts - self.first_pts) * 1000 * Fraction(*self.time_base)
        return -int(-exact // 1) if round_up else int(exact + Fraction(1, 2))


def probe(source: ByteSource) -> Probe:
    """Look into a source. Raises MediaError when there is no video that can be shown, SourceError when unreadable."""
    reader, _, found = open_and_probe(source)
    reader.close()
    return found


def open_and_probe(
    source: ByteSource, opening: Ahead[Opened] | None = None, wanted: Wanted | None = None
) -> tuple[VideoReader, SampleTable | None, Probe]:
    """As `probe`, and keep the open reader and an MP4's sample table for the survey that goes on with them.

    `opening` may have begun before; else it is opened for what is `wanted`.
    """
    opened = opening.take() if opening is not None else open_video(source, wanted)
    try:
        return opened.reader, *_look(source, opened)
    except BaseException:
        opened.close()
        raise


def _look(source: ByteSource, opened: Opened) -> tuple[SampleTable | None, Probe]:
    reader, first, boxes = opened.reader, opened.first, opened.boxes
    notes: list[str] = []
    first_pts = first.pts if first.pts is not None else opened.packets[0][0] or 0
    table = opened.table or table_of(reader, boxes, opened.packets)
    end = find_end(reader, table, boxes, first_pts, first.duration or 0)
    notes += end.notes
    playlist = playlist_of(source)
    notes += playlist.notes if playlist is not None else ()
    keyframes = _keyframes(reader, table)
    colour = colour_of(first)
    track = boxes.tracks.get(reader.stream.id) if boxes else None
    if colour.dolby_vision_5 or (track is not None and track.dolby_vision_profile == 5):
        notes.append("Dolby Vision profile 5: shown without its own colour transform, colours will be wrong")
    if not colour.consistent:
        notes.append("its colour tags contradict each other; the picture's transfer and matrix are believed")
    elif _container_disagrees(reader, first):
        notes.append("the container's colour tags contradict those of the pictures, which are believed")
    orientation = orientation_of(first)
    aspect = _sample_aspect(reader)
    square = _square(first.width, first.height, aspect)
    upright = square[::-1] if orientation.transpose else square
    return table, Probe(
        source=source.name,
        identity=source.identity,
        size_bytes=source.size,
        container=("hls, " if playlist is not None else "") + reader.container.format.name,
        streams=_stream_facts(reader),
        stream_index=reader.stream.index,
        codec=reader.codec_name,
        time_base=(reader.time_base.numerator, reader.time_base.denominator),
        first_pts=first_pts,
        end_pts=end.announced,
        available_end_pts=end.available,
        frame_ticks=end.frame_ticks,
        width_px=first.width,
        height_px=first.height,
        display_width_px=upright[0],
        display_height_px=upright[1],
        sample_aspect=(aspect.numerator, aspect.denominator),
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        interlaced=first.interlaced_frame,
        pixel_format=first.format.name,
        colour=colour,
        colour_tags={
            "primaries": int(first.color_primaries),
            "transfer": int(first.color_trc),
            "matrix": int(first.colorspace),
            "range": int(first.color_range),
        },
        keyframes_pts=keyframes,
        packets_from=_packets_from(reader),
        notes=tuple(notes),
    )


def _packets_from(reader: VideoReader) -> Literal["container", "table", "fragments"]:
    if isinstance(reader.packet_feed, FragmentFeed):
        return "fragments"
    return "container" if reader.packet_feed is None else "table"


def _keyframes(reader: VideoReader, table: SampleTable | None) -> tuple[int, ...]:
    if table is not None:
        return table.keyframe_times
    if "matroska" in reader.container.format.name and not (
        isinstance(reader, GuidedReader) and not reader.lists_keyframes
    ):
        # the cues, which libav reads at its first seek (done when the end was looked for)
        return tuple(sorted({entry.timestamp for entry in reader.stream.index_entries if entry.is_keyframe}))
    return ()


def _container_disagrees(reader: VideoReader, first: VideoFrame) -> bool:
    """Whether the container said PQ, HLG or neither, and the pictures say otherwise."""
    said, is_so = reader.container_trc, int(first.color_trc)
    return said != is_so and said not in UNSPECIFIED and bool({said, is_so} & {TRC_PQ, TRC_HLG})


def _sample_aspect(reader: VideoReader) -> Fraction:
    aspect = reader.stream.sample_aspect_ratio or reader.stream.codec_context.sample_aspect_ratio
    if not aspect or not Fraction(1, 20) <= aspect <= 20:
        return Fraction(1)
    return Fraction(aspect)


def _square(width_px: int, height_px: int, aspect: Fraction) -> tuple[int, int]:
    """The size with square pixels: the longer way is stretched, never the other one shrunk, as browsers do."""
    if aspect >= 1:
        return max(int(width_px * aspect + Fraction(1, 2)), 1), height_px
    return width_px, max(int(height_px / aspect + Fraction(1, 2)), 1)


def _stream_facts(reader: VideoReader) -> tuple[StreamFacts, ...]:
    return tuple(
        StreamFacts(
            index=stream.index,
            type=stream.type or "unknown",
            codec=stream.codec_context.name if getattr(stream, "codec_context", None) else "unknown",
            chosen=stream.index == reader.stream.index,
            attached_picture=bool(stream.disposition & av.stream.Disposition.attached_pic),
        )
        for stream in reader.container.streams
    )
