"""What the shots of a config will need of an MP4, as soon as its sample table is read. Pure.

libav still opens the file then, and the first picture is decoded: a source far away can be asked meanwhile. These are
hints, as the survey will give them for all shots; where it finds otherwise, they were in vain.
"""

from __future__ import annotations

from stillframe.errors import ConfigError
from stillframe.media.config import Caps, SnapshotConfig
from stillframe.media.plan import Aim, anchor_of, costs_of, nearest_keyframe, stretches
from stillframe.media.sample_table import SampleTable
from stillframe.media.shotlist import keyframe_reach_ms, shot_list

#: what a source asks for at once, and what that may be in all: the survey comes before more could have arrived
_MOST_SHOTS, _MOST_BYTES = 16, 8 << 20
_PIXELS_1080P = 1920 * 1080


def foreseen(table: SampleTable, config: SnapshotConfig, caps: Caps) -> list[tuple[int, int]]:
    """The (offset, length) that the first shots will need, in their order.

    None where the file was cut off, or where there is so much to be done that others may do it.
    """
    if table.lost_from is not None:
        return []
    second, first = table.timescale, table.first_pts
    duration_ms = ((table.end_pts - first) * 2000 + second) // (2 * second)
    try:
        asked = shot_list(config, duration_ms, caps)
    except ConfigError:
        # the survey will say so
        return []
    reach_ms = keyframe_reach_ms(config, int(asked.step_ms))
    reach = None if reach_ms is None else reach_ms * second // 1000
    aims = []
    for number, time_ms in enumerate(asked.requested_ms):
        moment = first + time_ms * second // 1000
        if moment >= table.end_pts:
            break
        keyframe = None
        if config.frame_type == "intra":
            keyframe = nearest_keyframe(table.keyframe_times, moment, reach)
        if keyframe is not None:
            aims.append(Aim(number, moment, keyframe))
        elif config.frame_type != "intra" or config.keyframe_miss != "skip":
            aims.append(Aim(number, moment, anchor=anchor_of(table.keyframe_times, moment)))
    if len(stretches(aims, 1, costs_of("h264", _PIXELS_1080P), table.usual_duration, second)) > 1:
        return []
    extents: list[tuple[int, int]] = []
    for aim in aims[:_MOST_SHOTS]:
        known = aim.keyframe
        extent = table.decoding_extent(aim.moment) if known is None else table.keyframe_extent(known)
        if sum(length for _, length in extents) + extent[1] > _MOST_BYTES:
            break
        extents.append(extent)
    return extents
