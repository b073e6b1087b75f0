"""Files of media assets as answers show them."""

from __future__ import annotations

from typing import Any

from stillframe.ims.media_spelling import aspect, common, fraction, kilobits, rate, seconds, text
from stillframe.ims.models_media_files import (
    DatedMediaFile,
    DatedMediaFileInfo,
    MediaAudioStream,
    MediaFile,
    MediaFileInfo,
    MediaFileSummary,
    MediaSubtitleStream,
    MediaVideoStream,
)
from stillframe.media.media_facts import AudioFacts, StreamFacts, VideoFacts
from stillframe.service.assets import AssetDetails


def dated_file_infos(details: AssetDetails) -> list[DatedMediaFileInfo]:
    """The file with its streams; nothing as long as it was not looked at."""
    if details.facts is None:
        return []
    return [DatedMediaFileInfo(file_basic_info=_dated(details), **_streams(details))]


def file_infos(details: AssetDetails) -> list[MediaFileInfo]:
    """The same without dates."""
    if details.facts is None:
        return []
    return [MediaFileInfo(file_basic_info=MediaFile(**_basics(details)), **_streams(details))]


def file_summaries(details: AssetDetails) -> list[MediaFileSummary]:
    """The file without its streams."""
    return [] if details.facts is None else [MediaFileSummary(file_basic_info=_dated(details))]


def _dated(details: AssetDetails) -> DatedMediaFile:
    written_at = details.asset.file_modified_at
    assert written_at is not None
    return DatedMediaFile(**_basics(details), create_time=written_at, modified_time=written_at)


def _basics(details: AssetDetails) -> dict[str, Any]:
    asset, facts = details.asset, details.facts
    assert facts is not None
    found: dict[str, Any] = {
        "file_name": asset.key.rpartition("/")[2],
        "file_status": "Normal",
        "file_type": "source_file",
        "file_size": str(asset.size_bytes),
        "file_url": details.file_url,
        "region": asset.region,
    }
    if facts.picture is not None:
        found["format_name"] = facts.picture.format_name
        found["width"], found["height"] = text(facts.picture.width_px), text(facts.picture.height_px)
    if facts.media is not None:
        found["format_name"] = facts.media.format_name
        found["duration"] = seconds(facts.media.duration_us)
        found["bitrate"] = kilobits(facts.media.bit_rate)
        for film in facts.media.film[:1]:
            found["width"], found["height"] = str(film.width_px), str(film.height_px)
    return found


def _streams(details: AssetDetails) -> dict[str, Any]:
    media = details.facts.media if details.facts is not None else None
    return {
        "video_stream_info_list": [_video(stream) for stream in (media.video if media else ())],
        "audio_stream_info_list": [_audio(stream) for stream in (media.audio if media else ())],
        "subtitle_stream_info_list": [
            MediaSubtitleStream(**_common(stream)) for stream in (media.subtitles if media else ())
        ],
    }


def _common(stream: StreamFacts) -> dict[str, Any]:
    return {**common(stream), "timebase": fraction(stream.time_base)}


def _timed(stream: VideoFacts | AudioFacts) -> dict[str, Any]:
    return {
        **_common(stream),
        "codec_time_base": fraction(stream.codec_time_base),
        "bitrate": kilobits(stream.bit_rate),
        "profile": stream.profile,
    }


def _audio(stream: AudioFacts) -> MediaAudioStream:
    return MediaAudioStream(
        **_timed(stream),
        channel_layout=stream.channel_layout,
        channels=str(stream.channels),
        num_frames=text(stream.number_of_frames),
        sample_fmt=stream.sample_format,
        sample_rate=str(stream.sample_rate_hz),
    )


def _video(stream: VideoFacts) -> MediaVideoStream:
    frames = text(stream.number_of_frames)
    return MediaVideoStream(
        **_timed(stream),
        avg_fps=rate(stream.average_frame_rate),
        dar=aspect(stream.display_aspect),
        fps=rate(stream.frame_rate),
        has_b_frames=str(stream.b_frames),
        height=str(stream.height_px),
        level=text(stream.level),
        nb_frames=frames,
        num_frames=frames,
        pix_fmt=stream.pixel_format,
        rotate=str(stream.rotation),
        sar=aspect(stream.sample_aspect),
        width=str(stream.width_px),
    )
