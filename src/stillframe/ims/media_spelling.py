"""Facts of files as IMS writes them: every number is text, in the units and the forms that ffprobe has."""

from __future__ import annotations

from typing import Any

from stillframe.media.media_facts import Ratio, StreamFacts


def seconds(microseconds: int | None) -> str | None:
    """Such as 12.480000."""
    return None if microseconds is None else f"{microseconds / 1_000_000:.6f}"


def kilobits(bits_a_second: int | None) -> str | None:
    """In a second, such as 1193.204."""
    return None if bits_a_second is None else f"{bits_a_second / 1000:.3f}"


def rate(frames_a_second: Ratio | None) -> str | None:
    """Such as 25.0 or 29.97."""
    return None if frames_a_second is None else str(round(frames_a_second[0] / frames_a_second[1], 3))


def fraction(value: Ratio | None) -> str | None:
    """Of a second, such as 1/12800."""
    return None if value is None else f"{value[0]}/{value[1]}"


def aspect(value: Ratio) -> str:
    """Such as 16:9."""
    return f"{value[0]}:{value[1]}"


def text(number: int | None) -> str | None:
    """The number, where there is one."""
    return None if number is None else str(number)


def common(stream: StreamFacts) -> dict[str, Any]:
    """What every stream has under the same names in all answers, by the names of their fields."""
    codec_tag, codec_tag_string = tag(stream)
    return {
        "index": str(stream.index),
        "codec_name": stream.codec_name,
        "codec_long_name": stream.codec_long_name,
        "codec_tag": codec_tag,
        "codec_tag_string": codec_tag_string,
        "start_time": seconds(stream.start_us),
        "duration": seconds(stream.duration_us),
        "lang": stream.language,
    }


def tag(stream: StreamFacts) -> tuple[str, str]:
    """A codec's tag as a number and as its letters; where the container has none, as ffprobe writes that."""
    if stream.codec_tag is None:
        return "0x0000", "[0][0][0][0]"
    return f"0x{stream.codec_tag:04x}", stream.codec_tag_string or ""
