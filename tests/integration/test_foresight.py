"""What is asked for before libav has opened an MP4 is what the survey finds that its first shots need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from clips import MadeClip
from stillframe.errors import StillframeError
from stillframe.media.boxes import read_mp4
from stillframe.media.config import DEFAULT_CAPS, SnapshotConfig
from stillframe.media.foresight import foreseen
from stillframe.media.sample_table import SampleTable
from stillframe.media.source import FileSource
from stillframe.media.survey import survey
from stillframe.testing import videos

#: clips of which something is foreseen, at the least
_MANY = 15
PLAIN = "h264 pyramid"
CONFIGS = {
    "keyframes": SnapshotConfig(count=7),
    "exact": SnapshotConfig(frame_type="normal", count=5, time=250),
    "one": SnapshotConfig(frame_type="normal", count=1, time=700),
    "behind the end": SnapshotConfig(interval_ms=400, count=50),
    "skipping": SnapshotConfig(interval_ms=300, keyframe_miss="skip"),
    "nearest": SnapshotConfig(interval_ms=300, keyframe_miss="nearest"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_hints_are_the_surveys(made_clip: MadeClip, config: SnapshotConfig) -> None:
    compared = 0
    for name in sorted(videos.PLAYABLE):
        path = made_clip(name).path
        with FileSource(path) as source:
            table = _table(source)
            hinted = foreseen(table, config, DEFAULT_CAPS) if table is not None else []
            if not hinted:
                continue
            try:
                found = survey(source, config)
            except StillframeError:
                # the moment lies behind the end, or nothing can be decoded
                continue
        wanted = [shot.extent for shot in found.shots if shot.fate == "planned"]
        assert hinted == wanted[: len(hinted)], name
        assert len(hinted) == min(len(wanted), 16), name
        compared += 1
    assert compared >= _MANY


def test_hints_come_before_the_first_picture_is_read(made_clip: MadeClip) -> None:
    with Told(made_clip(PLAIN).path) as source:
        table = _table(source)
        assert table is not None
        config = SnapshotConfig(count=3)
        hinted = foreseen(table, config, DEFAULT_CAPS)
        source.told.clear()
        survey(source, config)
    first_sample = table.offset(0)
    assert len(hinted) == 3
    assert source.told.index(hinted) < source.told.index(first_sample)


def test_little_is_foreseen_of_much_work(made_clip: MadeClip) -> None:
    """What others may do is not read here; and of what is done here, as much as can arrive."""
    with FileSource(made_clip(PLAIN).path) as source:
        table = _table(source)
    assert table is not None
    frames = SnapshotConfig(frame_type="normal", interval_ms=40)
    assert 0 < len(foreseen(table, frames, DEFAULT_CAPS)) <= 16
    long = replace(table, sizes=[4 << 20] * table.number)
    assert len(foreseen(long, CONFIGS["keyframes"], DEFAULT_CAPS)) <= 2


def test_nothing_is_foreseen_of_a_file_that_was_cut_off(made_clip: MadeClip) -> None:
    with FileSource(made_clip(PLAIN).path) as source:
        table = _table(source)
        assert table is not None
        lost = replace(table, file_size=table.offset(table.number - 1))
    assert foreseen(lost, CONFIGS["keyframes"], DEFAULT_CAPS) == []


class Told(FileSource):
    """Tells in which order it was asked, by places, and hinted at, by extents."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.told: list[int | list[tuple[int, int]]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.told.append(offset)
        return super().read_at(offset, length)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self.told.append([*extents])
        super().prefetch(extents)


def _table(source: FileSource) -> SampleTable | None:
    """The only track's sample table, as `opening` looks for it."""
    boxes = read_mp4(source)
    if boxes is None or boxes.fragmented:
        return None
    tables = [track.table for track in boxes.tracks.values() if track.table is not None]
    return tables[0] if len(tables) == 1 else None
