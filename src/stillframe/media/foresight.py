"""What the shots of a config will need of an MP4, as soon as its sample table is read. Pure.

libav still opens the file then, and the first picture is decoded: a source far away can be asked meanwhile. These are
hints, as the survey will give them for all shots; where it finds otherwise, they were in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from stillframe.errors import ConfigError
from stillframe.media.config import Caps, SnapshotConfig
from stillframe.media.plan import Aim, anchor_of, costs_of, is_one_stretch, nearest_keyframe
from stillframe.media.sample_table import SampleTable
from stillframe.media.shotlist import ShotList, keyframe_reach_ms, shot_list

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
    costs = costs_of("h264", _PIXELS_1080P)
    if not is_one_stretch(_aims(table, config, asked), costs, table.usual_duration, second):
        return []
    extents: list[tuple[int, int]] = []
    for aim in islice(_aims(table, config, asked), _MOST_SHOTS):
        known = aim.keyframe
        extent = table.decoding_extent(aim.moment) if known is None else table.keyframe_extent(known)
        if sum(length for _, length in extents) + extent[1] > _MOST_BYTES:
            break
        extents.append(extent)
    return extents


def _aims(table: SampleTable, config: SnapshotConfig, asked: ShotList) -> Iterator[Aim]:
    second = table.timescale
    reach_ms = keyframe_reach_ms(config, int(asked.step_ms))
    reach = None if reach_ms is None else reach_ms * second // 1000
    for number, time_ms in enumerate(asked.requested_ms):
        moment = table.first_pts + time_ms * second // 1000
        if moment >= table.end_pts:
            break
        keyframe = None
        if config.frame_type == "intra":
            keyframe = nearest_keyframe(table.keyframe_times, moment, reach)
        if keyframe is not None:
            yield Aim(number, moment, keyframe)
        elif config.frame_type != "intra" or config.keyframe_miss != "skip":
            yield Aim(number, moment, anchor=anchor_of(table.keyframe_times, moment))
