"""The recipes by name, for tests that go through all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path

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
from stillframe.testing.videos.containers import (
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
from stillframe.testing.videos.disguised import (
    DISGUISES,
    disguised,
)
from stillframe.testing.videos.encrypted import (
    encrypted,
)
from stillframe.testing.videos.looks import (
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
    audio_only,
    cover_first,
    cover_only,
    two_videos,
)

__all__ = ["DAMAGED", "PLAYABLE", "REFUSED"]

Recipe = Callable[[Path], Clip]

PLAYABLE: Mapping[str, Recipe] = {
    "h264 pyramid": h264_pyramid,
    "h264 open gop mp4": h264_open_gop,
    "h264 open gop ts": partial(h264_open_gop, suffix="ts"),
    "h264 open gop mkv": partial(h264_open_gop, suffix="mkv"),
    "h264 one keyframe": h264_one_keyframe,
    "h264 flv": h264_flv,
    "hevc open gop mp4": hevc_open_gop,
    "hevc open gop ts": partial(hevc_open_gop, suffix="ts"),
    "vp8": vp8_webm,
    "vp9": vp9_webm,
    "av1": av1_mp4,
    "mpeg2 ts": mpeg2_ts,
    "mpeg2 ps": mpeg2_ps,
    "mpeg4 avi": mpeg4_avi,
    "mjpeg mov": mjpeg_mov,
    "prores mov": prores_mov,
    "ffv1 mkv": ffv1_mkv,
    "gif": gif,
    "late start ts": late_start,
    "late start mp4": partial(late_start, suffix="mp4"),
    "late start mkv": partial(late_start, suffix="mkv"),
    "ts wrap": ts_wrap,
    "vfr mp4": vfr,
    "vfr mkv": partial(vfr, suffix="mkv"),
    "vfr webm": partial(vfr, suffix="webm"),
    "mkv without cues": mkv_without_cues,
    "webm live": webm_live,
    "fragmented": fragmented,
    "fragmented bare": partial(fragmented, sidx=False, mfra=False),
    "moov front": moov_front,
    "with audio": with_audio,
    "edit list cut": edit_list_cut,
    "edit list empty": edit_list_empty,
    "negative pts": negative_pts,
    "rotated 90": partial(rotated, degrees=90),
    "rotated 180": partial(rotated, degrees=180),
    "rotated 270": partial(rotated, degrees=270),
    "mirrored": partial(rotated, degrees=0, mirrored=True),
    "mirrored and rotated 90": partial(rotated, degrees=90, mirrored=True),
    "mirrored and rotated 180": partial(rotated, degrees=180, mirrored=True),
    "mirrored and rotated 270": partial(rotated, degrees=270, mirrored=True),
    "anamorphic 2:1": anamorphic,
    "anamorphic 1:2": partial(anamorphic, sar=Fraction(1, 2)),
    "interlaced tff": interlaced,
    "interlaced bff": partial(interlaced, field_order="bff"),
    "interlaced mpeg2": partial(interlaced, codec="mpeg2video"),
    "odd size 4:2:0": odd_size,
    "odd size 4:4:4": partial(odd_size, pix_fmt="yuv444p"),
    "ten bit h264": ten_bit,
    "ten bit hevc": partial(ten_bit, codec="libx265"),
    "ten bit av1": partial(ten_bit, codec="libsvtav1"),
    "full range": full_range,
    "full range untagged": partial(full_range, tagged=False),
    "colour bars 480": colour_bars,
    "colour bars 720": partial(colour_bars, height=720),
    "hdr pq": hdr_ramp,
    "hdr hlg": partial(hdr_ramp, transfer="hlg"),
    "transparent webm": transparent_webm,
    "transparent png": transparent_mov,
    "transparent qtrle": partial(transparent_mov, codec="qtrle"),
    "size change": size_change,
    "black lead": black_lead,
    "cover first mp4": cover_first,
    "cover first mkv": partial(cover_first, suffix="mkv"),
    "two videos": two_videos,
    "dolby vision 5": dolby_vision_5,
    "claims ten hours mp4": claims_ten_hours,
    "claims ten hours mkv": partial(claims_ten_hours, suffix="mkv"),
    "zero size header": zero_size_header,
}

DAMAGED: Mapping[str, Recipe] = {
    "truncated mp4": truncated,
    "truncated mkv": partial(truncated, suffix="mkv"),
    "truncated ts": partial(truncated, suffix="ts"),
    "bit flipped": bit_flipped,
}

REFUSED: Mapping[str, Recipe] = {
    "audio only m4a": audio_only,
    "audio only mp4": partial(audio_only, suffix="mp4"),
    "audio only mp3": partial(audio_only, suffix="mp3"),
    "audio only wav": partial(audio_only, suffix="wav"),
    "audio only mkv": partial(audio_only, suffix="mkv"),
    "cover only": cover_only,
    "moov missing": moov_missing,
    "zero size": zero_size,
    "encrypted encv": encrypted,
    "encrypted senc": partial(encrypted, encv=False, senc=True),
    "encrypted encv and senc": partial(encrypted, senc=True),
    **{kind: partial(disguised, kind=kind) for kind in DISGUISES},
}
