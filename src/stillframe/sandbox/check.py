"""What may be believed of what a child says: all that can be worked out again is, the rest is bounded.

A child that was taken over by a hostile video can lie about the video, and about nothing else: not about the
config, the moments, the geometry, the places of pictures or their names.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from stillframe.errors import ConfigError, MediaError, PastTheEnd, SourceError, StillframeError
from stillframe.media.config import Caps, SnapshotConfig
from stillframe.media.geometry import cell_size, place, sheet_geometry, still_size
from stillframe.media.media_facts import MOST_STREAMS, MediaFacts, Ratio, StreamFacts
from stillframe.media.plan import costs_of, stretches
from stillframe.media.probe import Probe
from stillframe.media.reader import MAX_PIXELS
from stillframe.media.report import ShotReport, Stats
from stillframe.media.shotlist import shot_list
from stillframe.media.sink import PictureFormat
from stillframe.media.survey import Shot, Survey
from stillframe.sandbox.wire import SOURCE_IDENTITY, SOURCE_NAME, Failure

_INT64 = 1 << 63
_MOST_TEXT = 1000
_MOST_NAMES = 10_000
_MOST_ASPECT = 20
_MEDIA_REASONS = frozenset(
    [
        *("empty", "not-video", "playlist", "audio-only", "cover-only", "encrypted", "unknown-codec"),
        *("zero-size", "too-large", "damaged", "no-picture"),
    ]
)
_STAGES = frozenset(["survey", "open", "decode", "black", "develop", "encode", "write"])
_MOST_SECONDS = 1e7
_MOST_COUNTED = 1 << 53


class Broken(Exception):
    """What a child said cannot be true, or is not allowed."""


def checked_survey(survey: Survey, config: SnapshotConfig, caps: Caps, size: int) -> Survey:
    """The survey, when it follows from the config and from a probe that a video could have. Raises Broken."""
    probe = survey.probe
    _check_probe(probe, size)
    try:
        asked = shot_list(config, probe.duration_ms, caps)
        width, height = probe.display_width_px, probe.display_height_px
        canvas = (cell_size if config.makes_sheets else still_size)(config, width, height)
        sheet = sheet_geometry(config, width, height, caps) if config.makes_sheets else None
    except ConfigError as error:
        raise Broken(f"a survey of a video that does not go with the config: {error}") from error
    _demand(len(survey.shots) == len(asked.requested_ms) + len(asked.dropped_ms), "shots that were not asked")
    position = 0
    for index, (shot, time_ms) in enumerate(
        zip(survey.shots, [*asked.requested_ms, *asked.dropped_ms], strict=True)
    ):
        placed = shot.fate in ("planned", "missing")
        _demand(shot.index == index and shot.requested_ms == time_ms, "a shot that was not asked")
        _demand((shot.fate == "dropped") == (index >= len(asked.requested_ms)), "a shot with a wrong fate")
        _demand(shot.position == (position if placed else None), "a shot with a wrong place")
        _check_shot_plan(shot)
        position += placed
    costs = costs_of(probe.codec, probe.width_px * probe.height_px)
    own = replace(
        survey,
        config=config,
        step_ms=int(asked.step_ms),
        runs_to_end=asked.runs_to_end,
        placement=place(*canvas, config.fit, width, height),
        sheet=sheet,
        stretches=tuple(
            stretches(
                [shot.aim for shot in survey.shots if shot.position is not None],
                sheet.cells if sheet else 1,
                costs,
                probe.frame_ticks,
                probe.time_base[1] / probe.time_base[0],
            )
        ),
    )
    _demand(own == survey, "a survey that does not follow from its config")
    return own


def checked_facts(facts: MediaFacts, size: int) -> MediaFacts:
    """The description of a source of this size, when there could be such a file. Raises Broken."""
    _demand(facts.size_bytes == size, "a source of another size")
    _demand(bool(facts.video or facts.audio), "a source with neither video nor sound")
    _check_text(facts.format_name)
    _check_count(facts.duration_us, "a duration")
    _check_count(facts.bit_rate, "a bit rate")
    streams: list[StreamFacts] = [*facts.video, *facts.audio, *facts.subtitles]
    for kind in (facts.video, facts.audio, facts.subtitles):
        _demand(len(kind) <= MOST_STREAMS, "too many streams")
    _demand(len({stream.index for stream in streams}) == len(streams), "two streams in one place")
    for stream in streams:
        _check_stream(stream)
    for video in facts.video:
        _check_count(video.width_px, "a width")
        _check_count(video.height_px, "a height")
        _check_count(video.b_frames, "a number of frames")
        _check_number(video.level, "a level")
        _check_text(video.pixel_format)
        ratios = (video.sample_aspect, video.display_aspect, video.frame_rate, video.average_frame_rate)
        for ratio in ratios:
            _check_ratio(ratio)
        _demand(video.rotation in (0, 90, 180, 270), "an impossible rotation")
    for audio in facts.audio:
        _check_count(audio.channels, "a number of channels")
        _check_count(audio.sample_rate_hz, "a sample rate")
        _check_text(audio.channel_layout)
        _check_text(audio.sample_format)
    return facts


def checked_shot(report: ShotReport, shot: Shot, probe: Probe) -> ShotReport:
    """The report of one of the stretch's shots. Raises Broken."""
    _demand(report.requested_ms == shot.requested_ms, "a shot of another moment")
    has_frame = report.status in ("taken", "replaced")
    _demand(has_frame or report.status == "missing", f"a rendered shot that is {report.status}")
    _demand(has_frame or report.actual_pts is None, "a missing shot with a frame")
    _demand(shot.fate == "planned" or not has_frame, "a picture of what is missing")
    _check_number(report.actual_pts, "a frame's time")
    _check_text(report.reason)
    if report.actual_pts is not None:
        _demand(report.actual_ms == probe.ms_of(report.actual_pts), "a frame's time in two ways")
    else:
        _demand(report.actual_ms is None, "a frame's time without a frame")
    return report


def check_picture(data: bytes, form: PictureFormat, width: int, height: int) -> None:
    """Demand a whole JPEG or PNG of this size. Raises Broken."""
    found = _png_size(data) if form == "png" else _jpeg_size(data)
    _demand(found is not None, f"bytes that are no {form.upper()}")
    _demand(found == (width, height), f"a picture of {found} pixels instead of {(width, height)}")


def checked_stats(stats: Stats) -> Stats:
    """Numbers of work done. Raises Broken."""
    counted = (
        *(stats.bytes_read, stats.reads, stats.requests, stats.packets_read),
        *(stats.packets_decoded, stats.frames_decoded, stats.decode_errors),
    )
    _demand(all(0 <= number < _MOST_COUNTED for number in counted), "impossible numbers of work")
    _demand(_STAGES.issuperset(stats.seconds), "an unknown stage of work")
    _demand(all(0 <= spent < _MOST_SECONDS for spent in stats.seconds.values()), "impossible seconds")
    return stats


def error_of(failure: Failure, source: str) -> StillframeError | None:
    """The error that a child has met, as it would be raised without the sandbox; None for no error of ours."""
    message = shown(failure.message)
    match failure.kind:
        case "ConfigError":
            value = failure.value
            if isinstance(value, str):
                value = shown(value)
            elif isinstance(value, int):
                _check_number(value, "a value")
            return ConfigError(shown(failure.path), value, message)
        case "SourceError":
            return SourceError(source, message, transient=failure.transient)
        case "PastTheEnd":
            return PastTheEnd(source, message)
        case "MediaError":
            _demand(failure.reason in _MEDIA_REASONS, "an unknown reason of an error")
            return MediaError(source, failure.reason, message)
    return None


def _check_probe(probe: Probe, size: int) -> None:
    _demand((probe.source, probe.identity) == (SOURCE_NAME, SOURCE_IDENTITY), "another source")
    _demand(probe.size_bytes == size, "a source of another size")
    _demand(all(0 < number < 1 << 31 for number in probe.time_base), "an impossible time base")
    for number in (probe.first_pts, probe.end_pts, probe.available_end_pts):
        _check_number(number, "a time")
    _demand(0 < probe.frame_ticks < _INT64, "an impossible length of a frame")
    width, height = probe.width_px, probe.height_px
    _demand(width > 0 and height > 0 and width * height <= MAX_PIXELS, "impossible pictures")
    sides = (probe.display_width_px, probe.display_height_px)
    _demand(all(0 < side <= MAX_PIXELS * _MOST_ASPECT for side in sides), "impossible pictures on a display")
    _demand(all(0 < number < 1 << 31 for number in probe.sample_aspect), "an impossible aspect")
    _demand(probe.rotation % 90 == 0 and 0 <= probe.rotation < 360, "an impossible rotation")
    _demand(
        len(probe.streams) <= _MOST_NAMES and len(probe.notes) <= _MOST_NAMES, "too many streams or notes"
    )
    for stream in probe.streams:
        _check_number(stream.index, "a stream")
        _check_text(stream.type)
        _check_text(stream.codec)
    for text in (probe.container, probe.codec, probe.pixel_format, *probe.notes):
        _check_text(text)
    _check_number(probe.stream_index, "a stream")
    _check_number(probe.colour.matrix, "a colour matrix")
    _check_tags(probe.colour_tags)
    before = -_INT64
    for pts in probe.keyframes_pts:
        _demand(before < pts < _INT64, "keyframes that do not ascend")
        before = pts


def _check_tags(tags: Mapping[str, int]) -> None:
    _demand(set(tags) == {"primaries", "transfer", "matrix", "range"}, "unknown colour tags")
    for number in tags.values():
        _check_number(number, "a colour tag")


def _check_shot_plan(shot: Shot) -> None:
    for number in (shot.moment, shot.keyframe, shot.anchor, *(shot.extent or ())):
        _check_number(number, "a time or place of a shot")
    _demand(shot.extent is None or min(shot.extent) >= 0, "a place before the start of the source")
    _demand(shot.black_level is None or 30 <= shot.black_level <= 100, "an impossible black level")
    _check_text(shot.reason)


def _check_stream(stream: StreamFacts) -> None:
    for text in (stream.codec_name, stream.codec_long_name, stream.language, stream.profile):
        _check_text(text)
    _check_count(stream.index, "a stream")
    _demand(stream.codec_tag is None or 0 <= stream.codec_tag < 1 << 32, "a tag of more than four bytes")
    _check_ratio(stream.time_base)
    _check_ratio(stream.codec_time_base)
    _check_number(stream.start_us, "a time")
    _check_count(stream.duration_us, "a duration")
    _check_count(stream.bit_rate, "a bit rate")
    _check_count(stream.number_of_frames, "a number of frames")


def _check_ratio(ratio: Ratio | None) -> None:
    _demand(ratio is None or all(0 < number < _INT64 for number in ratio), "an impossible ratio")


def _check_count(number: int | None, what: str) -> None:
    _demand(number is None or 0 <= number < _INT64, f"{what} below zero, or beyond 64 bits")


def _check_number(number: int | None, what: str) -> None:
    _demand(number is None or -_INT64 < number < _INT64, f"{what} beyond 64 bits")


def _check_text(text: str | None) -> None:
    _demand(text is None or (len(text) <= _MOST_TEXT and text.isprintable()), "text that cannot be shown")


def shown(text: str) -> str:
    """Text that is safe on a terminal and in a log."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_MOST_TEXT]
    )


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") or not data.endswith(b"IEND\xaeB`\x82"):
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the start of frame, which is found by walking over the segments."""
    if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9"):
        return None
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        if marker in (0xD9, 0xDA) or length < 2:
            return None
        position += 2 + length
    return None
