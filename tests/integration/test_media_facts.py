"""What a file is said to hold is what it holds; and what ffprobe prints of it, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest
from sample_references import MEDIA

from stillframe.errors import MediaError, SourceError
from stillframe.media.describe import describe
from stillframe.media.media_facts import AudioFacts, MediaFacts, StreamFacts, VideoFacts
from stillframe.media.source import FileSource, MemorySource
from stillframe.testing import Clip, videos

FFPROBE = shutil.which("ffprobe")
MOST_BYTES_BY_DEFAULT = 300_000
ONE_IN = 6

Recipe = Callable[[Path], Clip]


def described(path: Path) -> MediaFacts:
    with FileSource(path) as source:
        return describe(source)


def test_all_that_is_known_of_an_mp4_with_sound(tmp_path: Path) -> None:
    clip = videos.with_audio(tmp_path)
    facts = described(clip.path)
    duration_s = Fraction(len(clip.numbers), 25)

    assert facts.format_name == "mov,mp4,m4a,3gp,3g2,mj2"
    assert facts.size_bytes == clip.path.stat().st_size
    assert facts.duration_us is not None
    assert abs(Fraction(facts.duration_us, 1_000_000) - duration_s) < Fraction(1, 10)
    assert facts.bit_rate == facts.size_bytes * 8 * 1_000_000 // facts.duration_us
    assert facts.film == facts.video
    (video,), (audio,) = facts.video, facts.audio
    assert (video.codec_name, video.codec_tag_string, video.codec_tag) == ("h264", "avc1", 0x31637661)
    assert video.codec_long_name == "H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10"
    assert (video.width_px, video.height_px) == (clip.width_px, clip.height_px)
    assert (video.sample_aspect, video.rotation, video.is_cover) == ((1, 1), 0, False)
    assert Fraction(*video.display_aspect) == Fraction(clip.width_px, clip.height_px)
    assert (video.average_frame_rate, video.frame_rate, video.codec_time_base) == ((25, 1), (25, 1), (1, 50))
    assert (video.number_of_frames, video.pixel_format) == (len(clip.numbers), "yuv420p")
    assert video.duration_us == duration_s * 1_000_000
    assert video.start_us == clip.pts_s[0] * 1_000_000
    assert video.level in range(10, 63)
    assert video.bit_rate
    assert video.profile
    assert (audio.codec_name, audio.codec_tag_string, audio.profile) == ("aac", "mp4a", "LC")
    assert audio.codec_time_base == audio.time_base == (1, audio.sample_rate_hz)
    assert audio.channel_layout == {1: "mono", 2: "stereo"}[audio.channels]
    assert (audio.sample_format, audio.language) == ("fltp", "und")
    assert audio.duration_us
    assert audio.bit_rate
    assert audio.number_of_frames
    assert {video.index, audio.index} == {0, 1}


@pytest.mark.parametrize(
    ("recipe", "rotation"),
    [
        (partial(videos.rotated, degrees=90), 90),
        (partial(videos.rotated, degrees=180), 180),
        (partial(videos.rotated, degrees=270), 270),
        (videos.moov_front, 0),
    ],
)
def test_a_turned_picture_is_told_as_it_lies(tmp_path: Path, recipe: Recipe, rotation: int) -> None:
    clip = recipe(tmp_path)
    (video,) = described(clip.path).video
    upright = (clip.width_px, clip.height_px)
    assert video.rotation == rotation
    assert (video.width_px, video.height_px) == (upright[::-1] if rotation % 180 else upright)


def test_stretched_pixels(tmp_path: Path) -> None:
    (video,) = described(videos.anamorphic(tmp_path).path).video
    assert video.sample_aspect == (2, 1)
    assert Fraction(*video.display_aspect) == Fraction(2 * video.width_px, video.height_px)


@pytest.mark.parametrize("suffix", ["m4a", "mp3", "wav", "mkv"])
def test_sound_alone_is_described_as_well(tmp_path: Path, suffix: str) -> None:
    facts = described(videos.audio_only(tmp_path, suffix=suffix).path)
    assert (facts.video, facts.film, facts.subtitles) == ((), (), ())
    (audio,) = facts.audio
    assert min(audio.channels, audio.sample_rate_hz, audio.duration_us or 0, facts.duration_us or 0) > 0


def test_sound_that_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "sound.aiff"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16be", rate=8000, layout="mono")
        silence = av.AudioFrame("s16", "mono", 800)
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    (audio,) = described(path).audio
    assert (audio.codec_name, audio.sample_rate_hz, audio.channel_layout) == ("pcm_s16be", 8000, "mono")


def test_of_very_many_streams_the_first_are_told(tmp_path: Path) -> None:
    """A page tells of a hundred files: of a thousand streams each it would need hundreds of megabytes."""
    path = tmp_path / "choir.mkv"
    silence = av.AudioFrame("s16", "mono", 80)
    silence.sample_rate = 8000
    with av.open(str(path), "w") as container:
        for stream in [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(120)]:
            container.mux(stream.encode(silence))
    assert [stream.index for stream in described(path).audio] == [*range(100)]


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    facts = described(videos.cover_only(tmp_path).path)
    assert [stream.is_cover for stream in facts.video] == [True]
    assert facts.film == ()
    both = described(videos.cover_first(tmp_path).path)
    assert sorted(stream.is_cover for stream in both.video) == [False, True]
    assert [stream.codec_name for stream in both.film] == ["h264"]


def test_what_is_encrypted_is_described_all_the_same(tmp_path: Path) -> None:
    clip = videos.encrypted(tmp_path, encv=False, senc=True)
    (video,) = described(clip.path).film
    assert (video.codec_name, video.rotation) == ("h264", 0)


@pytest.mark.parametrize("name", sorted(videos.DAMAGED))
def test_damaged_videos_are_described(tmp_path: Path, name: str) -> None:
    facts = described(videos.DAMAGED[name](tmp_path).path)
    assert facts.film[0].codec_name
    assert facts.film[0].width_px > 0


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("moov missing", "damaged", "moov"),
        ("text", "not-video", "a text file"),
        ("jpeg", "not-video", "a JPEG picture"),
        ("m3u8", "playlist", "names other files"),
        ("ffconcat", "playlist", "names other files"),
        ("empty", "empty", "0 bytes"),
    ],
)
def test_what_is_neither_video_nor_sound_is_refused(
    tmp_path: Path, name: str, reason: str, words: str
) -> None:
    with pytest.raises(MediaError, match=words) as refused:
        described(videos.REFUSED[name](tmp_path).path)
    assert refused.value.reason == reason


def test_a_source_that_cannot_be_read_is_no_bad_file(tmp_path: Path) -> None:
    class Failing(MemorySource):
        def read_at(self, offset: int, length: int) -> bytes:
            if length > 16 << 10:
                # the first look is a short one
                raise SourceError(self.name, "is away", transient=True)
            return super().read_at(offset, length)

    data = videos.ffv1_mkv(tmp_path).path.read_bytes()
    with pytest.raises(SourceError, match="is away"):
        describe(Failing(data))


def samples() -> list[Any]:
    """Of the samples that can be described, the smallest of some folders run by default."""
    files = sorted(path for path in MEDIA.glob("*/*") if path.is_file()) if MEDIA.is_dir() else []
    smallest = {path.parent: path for path in sorted(files, key=lambda path: -path.stat().st_size)}
    small = sorted(path for path in smallest.values() if path.stat().st_size <= MOST_BYTES_BY_DEFAULT)
    chosen = {*small[::ONE_IN], MEDIA / "multistream" / "nasa_13013.mp4"}
    return [
        pytest.param(path, id=str(path.relative_to(MEDIA)), marks=() if path in chosen else pytest.mark.full)
        for path in files
    ]


#: what Debian's FFmpeg 5.1 says otherwise than the FFmpeg 8 in PyAV, or does not round; by the sample's name
OTHERWISE = {
    "AudioVideoInterleave.avi": {"has_b_frames"},
    "frame_exceeds_screen.gif": {"r_frame_rate"},
    "people-detection.gif": {"avg_frame_rate"},
    "video_512x288_h264-360k_enc_dashinit.mp4": {"bit_rate"},
    "sample_fragmented_seekable.mp4": {"bit_rate"},
    "360p30_h264_48k_160_aac_ts-0000000024.ts": {"bit_rate"},
    "0.ts": {"bit_rate"},
    "missing-keyframe-labels.ts": {"bit_rate"},
    "bbb_1ch_48kHz_q10_opus.webm": {"start_time"},
    "testsrc2_vp8.webm": {"profile"},
    # PyAV knows tags of ASCII only
    "Sony ILCE-7M3 (A7M3).mts": {"codec_tag", "codec_tag_string"},
}
#: ffprobe's ways to say that something is not known
NOT_TOLD = (None, "0/0", "0.000000", "unknown", -99)


@pytest.mark.skipif(FFPROBE is None, reason="there is no ffprobe")
@pytest.mark.parametrize("path", samples())
def test_it_is_what_ffprobe_prints(path: Path) -> None:
    assert FFPROBE is not None
    command = [FFPROBE, "-v", "error", "-show_format", "-show_streams", "-of", "json", f"file:{path}"]
    printed = json.loads(subprocess.run(command, capture_output=True, check=False, timeout=60).stdout or "{}")
    try:
        facts = described(path)
    except MediaError:
        assert printed.get("format", {}).get("format_name", "jpeg_pipe") == "jpeg_pipe"
        return

    assert (facts.format_name, str(facts.size_bytes)) == (
        printed["format"]["format_name"],
        printed["format"]["size"],
    )
    if "mov" not in facts.format_name and facts.duration_us is not None:
        # of an MP4, the two versions count the whole in different ways
        assert f"{facts.duration_us / 1e6:.6f}" == printed["format"]["duration"]
        assert str(facts.bit_rate) == printed["format"]["bit_rate"]
    kinds = {"video": facts.video, "audio": facts.audio, "subtitle": facts.subtitles}
    for kind, streams in kinds.items():
        theirs = {found["index"]: found for found in printed["streams"] if found.get("codec_type") == kind}
        assert [stream.index for stream in streams] == sorted(theirs)
        for stream in streams:
            if "codec_name" in theirs[stream.index] and stream.codec_name != "unknown":
                _compare(stream, theirs[stream.index], OTHERWISE.get(path.name, set()))


def _compare(stream: StreamFacts, printed: dict[str, Any], otherwise: set[str]) -> None:
    ours = _as_printed(stream)
    turned = [side["rotation"] for side in printed.get("side_data_list", []) if "rotation" in side]
    theirs = {key: printed.get(key) for key in ours} | {
        "TAG:language": printed.get("tags", {}).get("language"),
        "r_frame_rate": _reduced(printed.get("r_frame_rate")),
        # a file that says nothing of these is upright, and has square pixels
        "rotation": -turned[0] % 360 if turned else 0,
        "sample_aspect_ratio": printed.get("sample_aspect_ratio", "1:1"),
    }
    told = {key for key in ours if theirs[key] not in NOT_TOLD and key not in otherwise}
    assert {key: ours[key] for key in told} == {key: theirs[key] for key in told}


def _reduced(rate: str | None) -> str | None:
    if rate is None or rate.endswith("/0"):
        return None
    ratio = Fraction(rate)
    return f"{ratio.numerator}/{ratio.denominator}"


def _as_printed(stream: StreamFacts) -> dict[str, object]:
    """The facts of a stream under the names, and in the spelling, of ffprobe."""
    facts: dict[str, object] = {
        "codec_name": stream.codec_name,
        "codec_long_name": stream.codec_long_name,
        "codec_tag": f"0x{stream.codec_tag or 0:04x}",
        "codec_tag_string": stream.codec_tag_string or "[0][0][0][0]",
        "time_base": _ratio(stream.time_base),
        "start_time": _seconds(stream.start_us),
        "duration": _seconds(stream.duration_us),
        "bit_rate": str(stream.bit_rate),
        "nb_frames": str(stream.number_of_frames),
        "profile": stream.profile,
        "TAG:language": stream.language,
    }
    if isinstance(stream, VideoFacts):
        facts |= {
            "width": stream.width_px,
            "height": stream.height_px,
            "sample_aspect_ratio": _ratio(stream.sample_aspect, ":"),
            "display_aspect_ratio": _ratio(stream.display_aspect, ":"),
            "r_frame_rate": _ratio(stream.frame_rate),
            "avg_frame_rate": _ratio(stream.average_frame_rate),
            "has_b_frames": stream.b_frames,
            "level": stream.level,
            "pix_fmt": stream.pixel_format,
            "rotation": stream.rotation,
        }
    if isinstance(stream, AudioFacts):
        facts |= {
            "channels": stream.channels,
            "channel_layout": stream.channel_layout,
            "sample_fmt": stream.sample_format,
            "sample_rate": str(stream.sample_rate_hz),
        }
    return facts


def _ratio(ratio: tuple[int, int] | None, sign: str = "/") -> str | None:
    return f"{ratio[0]}{sign}{ratio[1]}" if ratio is not None else None


def _seconds(microseconds: int | None) -> str | None:
    return f"{microseconds / 1e6:.6f}" if microseconds is not None else None
