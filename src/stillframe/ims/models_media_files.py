"""What is in the file of a media asset, in answers: all values are text, in the spelling of IMS."""

from __future__ import annotations

from pydantic import Field

from stillframe.ims.action import AnswerObject
from stillframe.ims.fields import UtcTime
from stillframe.media.media_facts import MOST_STREAMS


class MediaFile(AnswerObject):
    """The file itself, as BatchGetMediaInfos shows it."""

    file_name: str = Field(description="The last part of the object's key.")
    file_status: str = Field(description="Always Normal.")
    file_type: str = Field(description="Always source_file.")
    file_size: str = Field(description="Bytes.")
    file_url: str | None = Field(
        default=None,
        description="A signed link, the store's own for what lies in one. Absent where the account may not read the "
        "object any more, or the keys of its store cannot be had.",
    )
    region: str = Field(description="The region of its bucket.")
    format_name: str | None = Field(default=None, description="The container, or the kind of a picture.")
    duration: str | None = Field(default=None, description="Seconds.")
    bitrate: str | None = Field(default=None, description="Kbit/s.")
    width: str | None = Field(default=None, description="Pixels.")
    height: str | None = Field(default=None, description="Pixels.")


class DatedMediaFile(MediaFile):
    """The file itself, with when it was written: an object is always written whole."""

    create_time: UtcTime = Field(description="When the object was written.")
    modified_time: UtcTime = Field(description="When the object was written.")


class MediaStream(AnswerObject):
    """What every stream has."""

    index: str = Field(description="Its number in the file.")
    codec_name: str = Field(description="The codec, by its short name.")
    codec_long_name: str = Field(description="The codec, by its long name.")
    codec_tag: str = Field(description="The container's name of the codec, as a number.")
    codec_tag_string: str = Field(description="The same in letters.")
    timebase: str = Field(description="The unit of its times, in seconds.")
    start_time: str | None = Field(default=None, description="Seconds.")
    duration: str | None = Field(default=None, description="Seconds.")
    lang: str | None = Field(default=None, description="The language, as the file names it.")


class MediaSubtitleStream(MediaStream):
    """A subtitle stream."""


class MediaTimedStream(MediaStream):
    """What video and sound have."""

    codec_time_base: str | None = Field(
        default=None, description="How long a frame, or a field, of its codec is, in seconds."
    )
    bitrate: str | None = Field(default=None, description="Kbit/s.")
    profile: str | None = Field(default=None, description="The profile of the codec.")


class MediaAudioStream(MediaTimedStream):
    """An audio stream."""

    channel_layout: str | None = Field(default=None, description="Such as stereo.")
    channels: str = Field(description="How many there are.")
    num_frames: str | None = Field(default=None, description="How many packets it has.")
    sample_fmt: str | None = Field(default=None, description="The format of a sample.")
    sample_rate: str = Field(description="Samples of a channel in a second.")


class MediaVideoStream(MediaTimedStream):
    """A video stream."""

    avg_fps: str | None = Field(default=None, serialization_alias="AvgFPS", description="Frames a second.")
    dar: str = Field(description="The aspect ratio of the picture as it is shown.")
    fps: str | None = Field(default=None, description="The lowest rate with which all times can be told.")
    has_b_frames: str = Field(
        serialization_alias="HasBFrames", description="By how many frames a decoder runs ahead."
    )
    height: str = Field(description="Pixels.")
    level: str | None = Field(default=None, description="The level of the codec.")
    nb_frames: str | None = Field(
        default=None, serialization_alias="Nb_frames", description="How many frames it has."
    )
    num_frames: str | None = Field(default=None, description="The same as Nb_frames.")
    pix_fmt: str | None = Field(default=None, description="The format of a pixel.")
    rotate: str = Field(description="Degrees, clockwise.")
    sar: str = Field(description="The aspect ratio of a pixel.")
    width: str = Field(description="Pixels.")


class MediaStreams(AnswerObject):
    """The streams of a file; the lists of a picture or a text are empty."""

    video_stream_info_list: list[MediaVideoStream] = Field(
        description=f"Video streams, the first {MOST_STREAMS}; covers in sound files, too."
    )
    audio_stream_info_list: list[MediaAudioStream] = Field(
        description=f"Audio streams, the first {MOST_STREAMS}."
    )
    subtitle_stream_info_list: list[MediaSubtitleStream] = Field(
        description=f"Subtitle streams, the first {MOST_STREAMS}."
    )


class MediaFileInfo(MediaStreams):
    """A file and its streams."""

    file_basic_info: MediaFile = Field(description="The file itself.")


class DatedMediaFileInfo(MediaStreams):
    """A file and its streams, as GetMediaInfo shows them."""

    file_basic_info: DatedMediaFile = Field(description="The file itself.")


class MediaFileSummary(AnswerObject):
    """A file as lists show it."""

    file_basic_info: DatedMediaFile = Field(description="The file itself.")
