"""The first step: what is in the source, which shots there are, how large, and how the work is cut up.

A `Survey` is plain data: the steps that follow may run in other processes (see `to_json`, `from_json`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from stillframe.errors import PastTheEnd
from stillframe.media.avi_reader import AviReader
from stillframe.media.config import DEFAULT_CAPS, SINGLE_SHOT_BLACK_LEVEL, Caps, SnapshotConfig
from stillframe.media.decode import FrameTaker
from stillframe.media.fragment_feed import FragmentFeed
from stillframe.media.geometry import Placement, SheetGeometry, cell_size, place, sheet_geometry, still_size
from stillframe.media.opening import Ahead, Opened, Wanted
from stillframe.media.plan import Aim, Stretch, anchor_of, costs_of, nearest_keyframe, stretches
from stillframe.media.playlist_reader import PlaylistReader
from stillframe.media.probe import Probe, open_and_probe
from stillframe.media.reader import VideoReader
from stillframe.media.sample_table import SampleTable
from stillframe.media.shotlist import ShotList, keyframe_reach_ms, shot_list
from stillframe.media.source import ByteSource

#: a replacement is looked for this far around a single shot, and never farther than the most
_SINGLE_REACH_MS = 500
_MOST_REACH_MS = 10_000
#: a single exact shot may lie behind the end by one frame, but not by more than this
_CLAMP_MS = 500

Fate = Literal["planned", "dropped", "skipped", "missing"]


@dataclass(frozen=True, slots=True)
class Shot:
    """One requested moment. `position` numbers the planned ones from 0: the still's or the cell's place.

    `moment`, `keyframe` and `anchor` are ticks (see `plan.Aim`); `extent` is the (offset, length) in the
    source that its frame needs, where the container tells.
    """

    index: int
    requested_ms: int
    moment: int
    fate: Fate = "planned"
    position: int | None = None
    keyframe: int | None = None
    anchor: int | None = None
    black_level: int | None = None
    extent: tuple[int, int] | None = None
    reason: str | None = None

    @property
    def aim(self) -> Aim:
        """The shot as the planner sees it."""
        return Aim(self.index, self.moment, self.keyframe, self.anchor)


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that rendering needs to know, and nothing that changes."""

    config: SnapshotConfig
    probe: Probe
    shots: tuple[Shot, ...]
    step_ms: int
    runs_to_end: bool
    placement: Placement
    sheet: SheetGeometry | None
    stretches: tuple[Stretch, ...]

    @property
    def planned(self) -> int:
        """How many pictures there will be."""
        return sum(shot.position is not None for shot in self.shots)

    def to_json(self) -> bytes:
        """The survey as JSON."""
        import msgspec

        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Survey:
        """A survey from its JSON. Raises msgspec.ValidationError for anything else."""
        from stillframe.media import plain_json

        return plain_json.decode(data, cls)


def survey(source: ByteSource, config: SnapshotConfig, caps: Caps = DEFAULT_CAPS) -> Survey:
    """Survey a source. Raises MediaError, SourceError, or ConfigError when the config cannot fit the video."""
    found, reader = survey_and_keep(source, config, caps)
    reader.close()
    return found


def survey_and_keep(
    source: ByteSource,
    config: SnapshotConfig,
    caps: Caps = DEFAULT_CAPS,
    opening: Ahead[Opened] | None = None,
) -> tuple[Survey, VideoReader]:
    """As `survey`, and the open reader, for rendering in the same process. `opening` may have begun before."""
    reader, table, probe = open_and_probe(source, opening, Wanted(config, caps))
    try:
        return _survey(config, caps, probe, reader, table), reader
    except BaseException:
        reader.close()
        raise


def _survey(
    config: SnapshotConfig, caps: Caps, probe: Probe, reader: VideoReader, table: SampleTable | None
) -> Survey:
    asked = shot_list(config, probe.duration_ms, caps)
    _refuse_past_the_end(config, probe, asked)
    shots = [
        _aimed(Shot(index, time_ms, probe.ticks_of(time_ms)), config, probe, asked)
        for index, time_ms in enumerate(asked.requested_ms)
    ]
    if isinstance(reader, PlaylistReader):
        shots = [_out_of_gap(shot, probe, int(asked.step_ms), reader) for shot in shots]
    if config.frame_type == "intra" and config.keyframe_miss == "skip" and not probe.keyframes_pts:
        shots = _skip_by_looking(shots, config, probe, asked, reader)
    shots += [
        Shot(
            len(shots) + k, time_ms, probe.ticks_of(time_ms), "dropped", reason="behind the end of the video"
        )
        for k, time_ms in enumerate(asked.dropped_ms)
    ]
    shots = _numbered(shots, config, table or _places(reader))
    if isinstance(reader, PlaylistReader):
        shots = [replace(shot, extent=_extent(shot, reader)) for shot in shots]
    width, height = probe.display_width_px, probe.display_height_px
    size = cell_size if config.makes_sheets else still_size
    sheet = sheet_geometry(config, width, height, caps) if config.makes_sheets else None
    return Survey(
        config=config,
        probe=probe,
        shots=tuple(shots),
        step_ms=int(asked.step_ms),
        runs_to_end=asked.runs_to_end,
        placement=place(*size(config, width, height), config.fit, width, height),
        sheet=sheet,
        stretches=tuple(
            stretches(
                [shot.aim for shot in shots if shot.position is not None],
                sheet.cells if sheet else 1,
                costs_of(probe.codec, probe.width_px * probe.height_px),
                probe.frame_ticks,
                float(1 / reader.time_base),
            )
        ),
    )


def _refuse_past_the_end(config: SnapshotConfig, probe: Probe, asked: ShotList) -> None:
    duration_s = probe.duration_ms / 1000
    if not asked.requested_ms:
        raise PastTheEnd(
            probe.source,
            f"Time {config.time} ms lies at or behind the end of the video ({duration_s:.3f} s): "
            "no shot is left",
        )
    if asked.single and config.frame_type == "normal":
        frame_ms = probe.ms_of(probe.first_pts + probe.frame_ticks)
        if config.time > probe.duration_ms + min(frame_ms, _CLAMP_MS):
            raise PastTheEnd(
                probe.source,
                f"Time {config.time} ms lies behind the end of the video ({duration_s:.3f} s); "
                "FrameType intra would take the nearest keyframe",
            )


def replacement_reach_ms(step_ms: int) -> int:
    """How far from its moment a shot may take a replacement: half its interval, 10 s at most; 0.5 s if single."""
    return min(step_ms // 2, _MOST_REACH_MS) if step_ms else _SINGLE_REACH_MS


def _aimed(shot: Shot, config: SnapshotConfig, probe: Probe, asked: ShotList) -> Shot:
    """Choose the keyframe and the anchor, where the container tells; see to data that was cut off."""
    step_ms = int(asked.step_ms)
    if shot.moment >= probe.available_end_pts and probe.available_end_pts < probe.end_pts:
        return _cut_off(shot, probe, step_ms)
    if config.frame_type == "intra" and probe.keyframes_pts:
        reach_ms = keyframe_reach_ms(config, step_ms)
        reach = None if reach_ms is None else probe.span_ticks(reach_ms)
        keyframe = nearest_keyframe(probe.keyframes_pts, shot.moment, reach)
        if keyframe is not None:
            return replace(shot, keyframe=keyframe)
        if config.keyframe_miss == "skip":
            return replace(shot, fate="skipped", reason="no keyframe within half an interval")
    return replace(shot, anchor=anchor_of(probe.keyframes_pts, shot.moment))


def _cut_off(shot: Shot, probe: Probe, step_ms: int) -> Shot:
    """A shot whose data is not there: the last picture stands for it when it is near enough."""
    last = probe.available_end_pts - 1
    if shot.moment - last > probe.span_ticks(replacement_reach_ms(step_ms)):
        return replace(shot, fate="missing", reason="the file was cut off before this moment")
    reason = "the file was cut off before this moment; its last picture stands for it"
    return replace(shot, moment=last, anchor=anchor_of(probe.keyframes_pts, last), reason=reason)


def _out_of_gap(shot: Shot, probe: Probe, step_ms: int, reader: PlaylistReader) -> Shot:
    """A shot where segments of a playlist are missing: the last picture before them stands for it when near enough."""
    gap = reader.playlist.gap_at(reader.time_us(shot.moment))
    if gap is None:
        return shot
    last = reader.pts_of(gap[0]) - 1
    if shot.moment - last > probe.span_ticks(replacement_reach_ms(step_ms)):
        return replace(shot, fate="missing", reason="the playlist's segment of this moment is missing")
    reason = "the playlist's segment of this moment is missing; the last picture before it stands for it"
    return replace(shot, moment=last, reason=reason)


def _extent(shot: Shot, reader: PlaylistReader) -> tuple[int, int] | None:
    """What is read for a shot of a playlist: the segment of its moment, up to about there."""
    return reader.playlist.extent(reader.time_us(shot.moment)) if shot.fate == "planned" else None


def _skip_by_looking(
    shots: list[Shot], config: SnapshotConfig, probe: Probe, asked: ShotList, reader: VideoReader
) -> list[Shot]:
    """KeyframeMiss skip without an index: look for each shot's keyframe now, since skipped shots have no place."""
    taker = FrameTaker(reader, probe.first_pts, interlaced=probe.interlaced)
    reach_ms = keyframe_reach_ms(config, int(asked.step_ms))
    reach = None if reach_ms is None else probe.span_ticks(reach_ms)
    found = []
    for shot in shots:
        if shot.fate == "missing" or shot.reason is not None:
            found.append(shot)
            continue
        keyframe = taker.find_keyframe(shot.moment, reach)
        if keyframe is None:
            found.append(replace(shot, fate="skipped", reason="no keyframe within half an interval"))
        else:
            found.append(replace(shot, keyframe=keyframe, fate="planned"))
    return found


class _Places(Protocol):
    """Who knows where in the source a frame lies, or most likely does, as (offset, length)."""

    def keyframe_extent(self, time: int) -> tuple[int, int]:
        """Of the keyframe of a time, or the one nearest to it."""

    def decoding_extent(self, moment: int) -> tuple[int, int]:
        """From the keyframe on to the frame that is shown at a moment."""


def _places(reader: VideoReader) -> _Places | None:
    if isinstance(reader, AviReader):
        return reader.index
    return reader.packet_feed if isinstance(reader.packet_feed, FragmentFeed) else None


def _numbered(shots: list[Shot], config: SnapshotConfig, places: _Places | None) -> list[Shot]:
    """Give the shots that get a picture their places; a missing one keeps its place, so that names stay."""
    numbered, position = [], 0
    for shot in shots:
        if shot.fate not in ("planned", "missing"):
            numbered.append(shot)
            continue
        level = _black_level(config, shot.index, single=len(shots) == 1)
        extent = None
        if places is not None and shot.fate == "planned":
            key = shot.keyframe
            if key is None and config.frame_type == "intra" and shot.anchor is None:
                # which one is nearest is found when it is read
                key = shot.moment
            extent = places.decoding_extent(shot.moment) if key is None else places.keyframe_extent(key)
        numbered.append(replace(shot, position=position, black_level=level, extent=extent))
        position += 1
    return numbered


def _black_level(config: SnapshotConfig, index: int, *, single: bool) -> int | None:
    """The BlackLevel that applies to a shot; None leaves it as it is."""
    if config.black_scope == "every" or (single and config.time == 0):
        return config.black_level or SINGLE_SHOT_BLACK_LEVEL
    return config.black_level if config.time == 0 and index == 0 else None
