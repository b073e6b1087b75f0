"""How the facts of a file are spelt on the wire: names, and values that are all text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stillframe.ims import media_info
from stillframe.media.media_facts import AudioFacts, MediaFacts, SubtitleFacts, VideoFacts
from stillframe.service.ports import Address

ADDRESS = Address("OSS", "oss://local/films/a b.mp4", "local", "cn-shanghai", "films/a b.mp4")
VIDEO = VideoFacts(
    index=0,
    codec_name="h264",
    codec_long_name="H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10",
    codec_tag=0x1B,
    time_base=(1, 90_000),
    codec_time_base=(1, 50),
    start_us=1_473_556,
    duration_us=403_039_989,
    bit_rate=888_563,
    number_of_frames=10_040,
    language="eng",
    profile="High",
    width_px=848,
    height_px=478,
    sample_aspect=(478, 477),
    display_aspect=(16, 9),
    frame_rate=(25, 1),
    average_frame_rate=(30_000, 1001),
    b_frames=2,
    level=31,
    pixel_format="yuv420p",
    rotation=90,
    is_cover=False,
)
AUDIO = AudioFacts(
    index=1,
    codec_name="aac",
    codec_long_name="AAC (Advanced Audio Coding)",
    codec_tag=0x6134706D,
    time_base=(1, 48_000),
    codec_time_base=(1, 48_000),
    start_us=-21_333,
    duration_us=403_000_000,
    bit_rate=128_000,
    number_of_frames=18_890,
    language="und",
    profile="LC",
    channels=2,
    channel_layout="stereo",
    sample_format="fltp",
    sample_rate_hz=48_000,
)
NOTHING: dict[str, Any] = dict.fromkeys(
    [
        *("codec_tag", "codec_time_base", "start_us", "duration_us", "bit_rate"),
        *("number_of_frames", "language", "profile"),
    ]
)
SUBTITLES = SubtitleFacts(
    index=2, codec_name="subrip", codec_long_name="SubRip subtitle", time_base=(1, 1000), **NOTHING
)
FACTS = MediaFacts("mov,mp4,m4a", 27_013, 216_206_667, 999, (VIDEO,), (AUDIO,), (SUBTITLES,))


def wire(facts: MediaFacts) -> Any:
    return media_info.media_info(facts, ADDRESS).model_dump(by_alias=True, exclude_none=True)


def test_every_name_and_every_value() -> None:
    assert wire(FACTS) == {
        "FileBasicInfo": {
            "FileName": "a b.mp4",
            "FileSize": "27013",
            "FileStatus": "Normal",
            "FileType": "source_file",
            "FileUrl": "http://local.oss-cn-shanghai.aliyuncs.com/films/a%20b.mp4",
            "Region": "cn-shanghai",
            "FormatName": "mov,mp4,m4a",
            "Duration": "216.206667",
            "Bitrate": "0.999",
            "Width": "848",
            "Height": "478",
        },
        "VideoStreamInfoList": [
            {
                "Index": "0",
                "Codec_name": "h264",
                "Codec_long_name": "H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10",
                "Codec_tag": "0x001b",
                "Codec_tag_string": "[27][0][0][0]",
                "Codec_time_base": "1/50",
                "Time_base": "1/90000",
                "Start_time": "1.473556",
                "Duration": "403.039989",
                "Bit_rate": "888.563",
                "NumFrames": "10040",
                "Width": "848",
                "Height": "478",
                "Rotate": "90",
                "Sar": "478:477",
                "Dar": "16:9",
                "Fps": "25.0",
                "Avg_fps": "29.97",
                "Has_b_frames": "2",
                "PixFmt": "yuv420p",
                "Profile": "High",
                "Level": "31",
                "Lang": "eng",
            }
        ],
        "AudioStreamInfoList": [
            {
                "Index": "1",
                "CodecName": "aac",
                "CodecLongName": "AAC (Advanced Audio Coding)",
                "CodecTag": "0x6134706d",
                "CodecTagString": "mp4a",
                "CodecTimeBase": "1/48000",
                "Timebase": "1/48000",
                "StartTime": "-0.021333",
                "Duration": "403.000000",
                "Bitrate": "128.000",
                "Channels": "2",
                "ChannelLayout": "stereo",
                "SampleFmt": "fltp",
                "SampleRate": "48000",
                "Lang": "und",
            }
        ],
    }


def test_sound_alone_has_no_size() -> None:
    told = wire(replace(FACTS, video=()))
    assert told["VideoStreamInfoList"] == []
    assert not {"Width", "Height"} & told["FileBasicInfo"].keys()


def test_a_cover_does_not_give_the_file_its_size() -> None:
    told = wire(replace(FACTS, video=(replace(VIDEO, is_cover=True), replace(VIDEO, index=5, width_px=64))))
    assert [stream["Index"] for stream in told["VideoStreamInfoList"]] == ["0", "5"]
    assert told["FileBasicInfo"]["Width"] == "64"


def test_an_asset_is_named() -> None:
    asset = replace(ADDRESS, type="Media", media="0" * 32)
    told = media_info.media_info(FACTS, asset).model_dump(by_alias=True)["FileBasicInfo"]
    assert (told["MediaId"], told["FileName"]) == ("0" * 32, "a b.mp4")


def test_what_a_file_does_not_tell_is_absent() -> None:
    least = replace(VIDEO, **NOTHING, frame_rate=None, average_frame_rate=None, level=None, pixel_format=None)
    told = wire(replace(FACTS, video=(least,), duration_us=None, bit_rate=None))
    assert told["VideoStreamInfoList"][0].keys() == {
        *("Index", "Codec_name", "Codec_long_name", "Codec_tag", "Codec_tag_string"),
        *("Time_base", "Width", "Height"),
        *("Rotate", "Sar", "Dar", "Has_b_frames"),
    }
    assert not {"Duration", "Bitrate"} & told["FileBasicInfo"].keys()
