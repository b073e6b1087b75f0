"""Small videos of every awkward kind, each with the frame number in its pixels.

A recipe takes a folder, writes one file there, and returns a :class:`Clip`: its path, and which number is on
screen when. Most take a tenth of a second. :func:`make` builds what has no recipe.

    clip = videos.h264_pyramid(tmp_path)
    clip.number_at(time_ms=1000)  # 25

``PLAYABLE`` names recipes whose every picture shows its number once it is upright and deinterlaced,
``DAMAGED`` those that lost some of their pictures, ``REFUSED`` those from which no true picture can be had.
Each is called with a folder alone, so that a test can go through all of them.
"""

from __future__ import annotations

from stillframe.testing.videos.catalogue import DAMAGED, PLAYABLE, REFUSED
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.codecs import (
    av1_mp4,
    ffv1_mkv,
    gif,
    h264_flv,
    h264_one_keyframe,
    h264_open_gop,
    h264_pyramid,
    hevc_open_gop,
    mjpeg_mov,
    mpeg2_ps,
    mpeg2_ts,
    mpeg4_avi,
    prores_mov,
    vp8_webm,
    vp9_webm,
)
from stillframe.testing.videos.colours import (
    BT601,
    BT709,
    BT2020_HLG,
    BT2020_PQ,
    UNTAGGED_BT601,
    UNTAGGED_BT709,
    Colour,
)
from stillframe.testing.videos.containers import (
    VFR_PTS_MS,
    edit_list_cut,
    edit_list_empty,
    fragmented,
    late_start,
    mkv_without_cues,
    moov_front,
    negative_pts,
    ts_wrap,
    vfr,
    webm_live,
    with_audio,
)
from stillframe.testing.videos.damaged import (
    bit_flipped,
    claims_ten_hours,
    dolby_vision_5,
    moov_missing,
    truncated,
    zero_size,
    zero_size_header,
)
from stillframe.testing.videos.disguised import DISGUISES, disguised
from stillframe.testing.videos.encoding import make
from stillframe.testing.videos.encrypted import encrypted
from stillframe.testing.videos.facts import facts_of
from stillframe.testing.videos.looks import (
    BARS,
    RAMP_CODES,
    all_black,
    anamorphic,
    black_lead,
    colour_bars,
    full_range,
    hdr_ramp,
    interlaced,
    odd_size,
    rotated,
    size_change,
    ten_bit,
    transparent_mov,
    transparent_webm,
)
from stillframe.testing.videos.streams import (
    COVER_NUMBER,
    audio_only,
    cover_first,
    cover_only,
    jpeg,
    two_videos,
)

__all__ = [
    "BARS",
    "BT601",
    "BT709",
    "BT2020_HLG",
    "BT2020_PQ",
    "COVER_NUMBER",
    "DAMAGED",
    "DISGUISES",
    "PLAYABLE",
    "RAMP_CODES",
    "REFUSED",
    "UNTAGGED_BT601",
    "UNTAGGED_BT709",
    "VFR_PTS_MS",
    "Clip",
    "Colour",
    "all_black",
    "anamorphic",
    "audio_only",
    "av1_mp4",
    "bit_flipped",
    "black_lead",
    "claims_ten_hours",
    "colour_bars",
    "cover_first",
    "cover_only",
    "disguised",
    "dolby_vision_5",
    "edit_list_cut",
    "edit_list_empty",
    "encrypted",
    "facts_of",
    "ffv1_mkv",
    "fragmented",
    "full_range",
    "gif",
    "h264_flv",
    "h264_one_keyframe",
    "h264_open_gop",
    "h264_pyramid",
    "hdr_ramp",
    "hevc_open_gop",
    "interlaced",
    "jpeg",
    "late_start",
    "make",
    "mjpeg_mov",
    "mkv_without_cues",
    "moov_front",
    "moov_missing",
    "mpeg2_ps",
    "mpeg2_ts",
    "mpeg4_avi",
    "negative_pts",
    "odd_size",
    "prores_mov",
    "rotated",
    "size_change",
    "ten_bit",
    "transparent_mov",
    "transparent_webm",
    "truncated",
    "ts_wrap",
    "two_videos",
    "vfr",
    "vp8_webm",
    "vp9_webm",
    "webm_live",
    "with_audio",
    "zero_size",
    "zero_size_header",
]
