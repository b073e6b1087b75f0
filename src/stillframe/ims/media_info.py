"""The facts of a file as probe jobs tell them."""

from __future__ import annotations

from stillframe.ims.media_spelling import aspect, common, fraction, kilobits, rate, seconds, text
from stillframe.ims.models_media import http_url
from stillframe.ims.models_media_info import (
    AudioStreamInfo,
    FileBasicInfo,
    MediaInfoProperty,
    VideoStreamInfo,
)
from stillframe.media.media_facts import AudioFacts, MediaFacts, VideoFacts
from stillframe.service.ports import Address


def media_info(facts: MediaFacts, address: Address) -> MediaInfoProperty:
    """What is in a file that lies at an address."""
    film = facts.film[0] if facts.film else None
    return MediaInfoProperty(
        file_basic_info=FileBasicInfo(
            media_id=address.media if address.type == "Media" else None,
            file_name=address.key.rpartition("/")[2],
            file_size=str(facts.size_bytes),
            file_url=http_url(address),
            region=address.region,
            format_name=facts.format_name,
            duration=seconds(facts.duration_us),
            bitrate=kilobits(facts.bit_rate),
            width=str(film.width_px) if film is not None else None,
            height=str(film.height_px) if film is not None else None,
        ),
        video_stream_info_list=[_video(stream) for stream in facts.video],
        audio_stream_info_list=[_audio(stream) for stream in facts.audio],
    )


def _video(stream: VideoFacts) -> VideoStreamInfo:
    return VideoStreamInfo(
        **common(stream),
        codec_time_base=fraction(stream.codec_time_base),
        time_base=f"{stream.time_base[0]}/{stream.time_base[1]}",
        bit_rate=kilobits(stream.bit_rate),
        num_frames=text(stream.number_of_frames),
        width=str(stream.width_px),
        height=str(stream.height_px),
        rotate=str(stream.rotation),
        sar=aspect(stream.sample_aspect),
        dar=aspect(stream.display_aspect),
        fps=rate(stream.frame_rate),
        avg_fps=rate(stream.average_frame_rate),
        has_b_frames=str(stream.b_frames),
        pix_fmt=stream.pixel_format,
        profile=stream.profile,
        level=text(stream.level),
    )


def _audio(stream: AudioFacts) -> AudioStreamInfo:
    return AudioStreamInfo(
        **common(stream),
        codec_time_base=fraction(stream.codec_time_base),
        timebase=f"{stream.time_base[0]}/{stream.time_base[1]}",
        bitrate=kilobits(stream.bit_rate),
        channels=str(stream.channels),
        channel_layout=stream.channel_layout,
        sample_fmt=stream.sample_format,
        sample_rate=str(stream.sample_rate_hz),
    )
