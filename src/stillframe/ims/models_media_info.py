"""What is in a file, as probe jobs tell it: every value is text, and video streams spell their names otherwise.

Numbers are decimal, times in seconds, bit rates in kbit a second. What a file does not tell is absent.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from stillframe.ims.action import AnswerObject
from stillframe.media.media_facts import MOST_STREAMS


class FileBasicInfo(AnswerObject):
    """The file as a whole. Width and height are those of its first video stream, as it is coded."""

    media_id: str | None = Field(default=None, description="The media asset, where one was named.")
    file_name: str = Field(description="What stands behind the last slash of its key.")
    file_size: str = Field(description="In bytes.")
    file_status: str = Field(default="Normal", description="Always Normal.")
    file_type: str = Field(default="source_file", description="Always source_file.")
    file_url: str = Field(description="Its address at OSS; this server serves it only by signed links.")
    region: str = Field(description="The region of its bucket.")
    format_name: str = Field(description="The container; several names where FFmpeg has one reader for them.")
    duration: str | None = Field(default=None, description="In seconds.")
    bitrate: str | None = Field(default=None, description="In kbit a second.")
    width: str | None = Field(default=None, description="In pixels.")
    height: str | None = Field(default=None, description="In pixels.")


class AudioStreamInfo(AnswerObject):
    """An audio stream."""

    index: str = Field(description="Its place among the streams, from 0.")
    codec_name: str = Field(description="Such as aac.")
    codec_long_name: str = Field(description="Such as AAC (Advanced Audio Coding).")
    codec_tag: str = Field(description="Such as 0x6134706d.")
    codec_tag_string: str = Field(description="Such as mp4a.")
    codec_time_base: str | None = Field(default=None, description="The length of a sample, such as 1/48000.")
    timebase: str = Field(description="The unit of the container's times, in seconds.")
    start_time: str | None = Field(default=None, description="In seconds.")
    duration: str | None = Field(
        default=None, description="In seconds; that of the file where none is told of the stream."
    )
    bitrate: str | None = Field(default=None, description="In kbit a second.")
    channels: str = Field(description="How many.")
    channel_layout: str | None = Field(default=None, description="Such as stereo.")
    sample_fmt: str | None = Field(default=None, description="Such as fltp.")
    sample_rate: str = Field(description="In hertz.")
    lang: str | None = Field(
        default=None, description="Such as eng; und where the file says that it is not determined."
    )


class VideoStreamInfo(AnswerObject):
    """A video stream."""

    model_config = ConfigDict(alias_generator=str.capitalize, populate_by_name=True)

    index: str = Field(description="Its place among the streams, from 0.")
    codec_name: str = Field(description="Such as h264.")
    codec_long_name: str = Field(description="Such as H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10.")
    codec_tag: str = Field(description="Such as 0x31637661.")
    codec_tag_string: str = Field(description="Such as avc1.")
    codec_time_base: str | None = Field(
        default=None, description="The length of a frame, or of a field for codecs that count those."
    )
    time_base: str = Field(description="The unit of the container's times, in seconds.")
    start_time: str | None = Field(default=None, description="In seconds.")
    duration: str | None = Field(
        default=None, description="In seconds; that of the file where none is told of the stream."
    )
    bit_rate: str | None = Field(default=None, description="In kbit a second.")
    num_frames: str | None = Field(
        default=None, serialization_alias="NumFrames", description="How many frames it has."
    )
    width: str = Field(description="As coded, before it is turned.")
    height: str = Field(description="As coded, before it is turned.")
    rotate: str = Field(description="How far to turn it clockwise: 0, 90, 180 or 270.")
    sar: str = Field(description="The shape of a pixel, such as 1:1.")
    dar: str = Field(description="The shape of the coded picture, such as 16:9.")
    fps: str | None = Field(default=None, description="The rate in which all times can be told.")
    avg_fps: str | None = Field(default=None, description="Frames by duration.")
    has_b_frames: str = Field(description="By how many frames decoding runs ahead; 0: there are no B-frames.")
    pix_fmt: str | None = Field(default=None, serialization_alias="PixFmt", description="Such as yuv420p.")
    profile: str | None = Field(default=None, description="The codec's, such as High.")
    level: str | None = Field(default=None, description="The codec's, such as 31 for 3.1 of H.264.")
    lang: str | None = Field(
        default=None, description="Such as eng; und where the file says that it is not determined."
    )


class MediaInfoProperty(AnswerObject):
    """What is in a file."""

    file_basic_info: FileBasicInfo = Field(description="The file as a whole.")
    video_stream_info_list: list[VideoStreamInfo] = Field(
        description=f"Its video streams, the first {MOST_STREAMS}; covers in sound files, too."
    )
    audio_stream_info_list: list[AudioStreamInfo] = Field(
        description=f"Its audio streams, the first {MOST_STREAMS}."
    )
