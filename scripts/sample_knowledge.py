"""What was found out by looking at the sample videos, and what no program can decide about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: No picture can be made of these: the reason that `MediaError.reason` has to give, and why.
REFUSED = {
    "audio/bbb_1ch_48kHz_q10_opus.webm": ("audio-only", "Opus alone"),
    "audio/sample_audio_only.mp4": ("audio-only", "AAC alone"),
    "corrupt/AudioVideoInterleave.avi": ("no-picture", "a valid header and not one video packet"),
    "corrupt/bipbop_nonfragment_header.mp4": ("no-picture", "a header whose samples lie in another file"),
    "corrupt/block_ends_beyond_cluster.mkv": (
        "no-picture",
        "one predicted frame and no keyframe: decoders make flat grey with a few edges of it",
    ),
    "corrupt/invalid-codec.mp4": ("unknown-codec", "a codec tag that nobody knows"),
    "coverart/testMP3_coverArt.mp3": ("cover-only", "the only picture is an attached cover"),
    "coverart/testMP4_coverArt.m4a": ("cover-only", "the only picture is an attached cover"),
    "crafted-corrupt/jpeg-soi.mp4": ("not-video", "a JPEG header with another ending"),
    "crafted-corrupt/text.mp4": ("not-video", "text"),
    "crafted-corrupt/truncated-50pct-bottle.mp4": ("damaged", "the moov atom is in the lost half"),
    "crafted-corrupt/zero.mp4": ("empty", "0 bytes"),
    "crafted-security/playlist.mp4": ("playlist", "an HLS playlist that names a local file and a port"),
    "encrypted/sample_fragmented_clearkey.mp4": ("encrypted", "CENC; libav cannot even open it"),
    "encrypted/video_512x288_h264-360k_enc_dashinit.mp4": ("encrypted", "CENC; libav makes garbage of it"),
}

#: Which of two video streams is shown: libav's best stream (default disposition, then more frames and bits).
STREAM = {
    "fourk/mv_with_2_top_shots.mp4": (0, "stream 0, the film; stream 1 holds two larger photographs"),
    "multistream/nasa_13013.mp4": (3, "stream 3: both are default, this one is larger and longer"),
}

#: FFmpeg's own VP9 decoder drops the alpha plane.
DECODER = {"alpha/transparency.webm": ("libvpx-vp9", "straight alpha over black, by the decoder libvpx-vp9")}

#: FFmpeg 5.1 has no decoder for it, so PyAV's reads the frames; ffmpeg still converts them.
READ_BY_PYAV = {
    "unsupported/sample_vvc.mp4": (
        "yuv420p10le",
        "decoded by PyAV, converted by ffmpeg 5.1, which has no VVC",
    )
}


@dataclass(frozen=True, slots=True)
class Damage:
    """Frames after `good_until_pts` are not what was filmed; `missing_ms` was announced and lost."""

    good_until_pts: int
    note: str
    missing_ms: int | None = None


DAMAGED = {
    "corrupt/corrupted.mp4": Damage(
        28672, "the frame at 30720 is lost; what refers to it differs by decoder"
    ),
    "crafted-corrupt/truncated-60pct-learn.mkv": Damage(1067, "ends at 1.07 s of 2.03 s", missing_ms=1800),
    "crafted-corrupt/truncated-90pct-counting.mp4": Damage(5320, "ends at 8.9 s of 9.83 s", missing_ms=9500),
    "mpeg2/sample_mpeg2.m2v": Damage(
        456422, "the last frame is cut; colour tags say GBR for YUV: as untagged"
    ),
}

NOTES = {
    "fragmented/go-mp4-sample_fragmented.mp4": "flat grey is what was filmed",
    "editlist/iibbibb_editlist_videoonly.mp4": "the keyframe before the edit list is decoded and not shown",
    "interlaced/Sony ILCE-7M3 (A7M3).mts": "two B-frames are shown before the first keyframe; deinterlaced",
    "resolution-change/400x300-red-resize-200x150-green.mp4": "later, smaller frames are scaled to the first",
    "rollover/360p30_h264_48k_160_aac_ts-0000000024.ts": "pts near the 33-bit rollover: negative",
    "ts/0.ts": "8-bit H.264 tagged HLG",
}


def notes(file: str) -> Iterator[str]:
    """What the table says about one sample."""
    if file in STREAM:
        yield STREAM[file][1]
    if file in DECODER:
        yield DECODER[file][1]
    if file in READ_BY_PYAV:
        yield READ_BY_PYAV[file][1]
    if file in DAMAGED:
        yield DAMAGED[file].note
    if file in NOTES:
        yield NOTES[file]
