"""WebVTT tracks: each cue is read, and the part of the image that it names.

This is the row "WebVTT tracks" of docs/parameters.md.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image
from taking import Taken, take

from stillframe.media.config import SpriteSnapshotConfig
from stillframe.testing import Clip, barcode, videos

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Ten seconds of 192x108, with a keyframe every 0.48 s."""
    return videos.make(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=250, bframes=2)


CUE = re.compile(
    r"(\d\d):(\d\d):(\d\d)\.(\d\d\d) --> (\d\d):(\d\d):(\d\d)\.(\d\d\d)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)"
)


def track(
    clip: Clip, template: str = "a b/x %1.vtt", **parameters: Any
) -> tuple[Taken, list[tuple[int, int, int | str]]]:
    """A track, and its cues: from when to when (ms), and the number on the part of the image that it names."""
    taken = take(clip, template, type="WebVtt", **parameters)
    text = taken.files[template].decode()
    folder = template.rpartition("/")[0]
    cues = []
    for match in CUE.finditer(text):
        hours, minutes, seconds, thousandths, *end = map(int, match.groups()[:8])
        x, y, width, height = map(int, match.groups()[9:])
        image = taken.picture(f"{folder}/{unquote(match[9])}".lstrip("/"))
        assert x + width <= image.shape[1]
        assert y + height <= image.shape[0]
        cues.append(
            (
                ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths,
                ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[3],
                barcode.read(image[y : y + height, x : x + width]),
            )
        )
    assert text.startswith("WEBVTT\n\n")
    assert len(cues) == text.count(" --> ")
    return taken, cues


TILED = {"is_spt_frag": True, "sprite_snapshot_config": SpriteSnapshotConfig(columns=3, lines=2)}
PADDED = {
    "is_spt_frag": True,
    "sprite_snapshot_config": SpriteSnapshotConfig(columns=2, lines=2, padding=3, margin=5),
}


@pytest.mark.parametrize(
    "layout", [TILED, PADDED, {}], ids=["tiled", "tiled with padding and margin", "single"]
)
@pytest.mark.parametrize(
    "moments",
    [
        pytest.param({"interval": 1}, id="Interval 1"),
        pytest.param({"interval": 3}, id="Interval 3"),
        pytest.param({"interval_ms": 400}, id="Interval 0.4 s"),
        pytest.param({"count": 5}, id="evenly"),
        pytest.param({"count": 20}, id="evenly, 0.5 s apart"),
        pytest.param({"count": 4, "interval": 2}, id="ending before the end"),
    ],
)
def test_each_cue_shows_the_frame_of_its_time(
    clip: Clip, layout: dict[str, Any], moments: dict[str, Any]
) -> None:
    taken, cues = track(clip, width=96, frame_type="normal", **layout, **moments)

    assert [start for start, _, _ in cues] == [shot.requested_ms for shot in taken.report.shots]
    assert [number for _, _, number in cues] == [clip.number_at(start) for start, _, _ in cues]
    assert [end for _, end, _ in cues[:-1]] == [start for start, _, _ in cues[1:]]
    assert cues[-1][1] == (8000 if moments == {"count": 4, "interval": 2} else 10_000)


def test_boundaries_are_whole_seconds_from_a_second_on(clip: Clip) -> None:
    _, cues = track(clip, width=96, frame_type="normal", interval_ms=1600)

    # 0, 1.6, 3.2, 4.8, 6.4, 8, 9.6 s: the last one is not rounded onto the very end
    assert [start for start, _, _ in cues] == [0, 2000, 3000, 5000, 6000, 8000, 9000]
    assert [number for _, _, number in cues] == [clip.number_at(1600 * k) for k in range(7)]


def test_the_first_cue_starts_at_0(clip: Clip) -> None:
    _, cues = track(clip, width=96, frame_type="normal", interval=3, time=2000)

    assert cues == [(0, 5000, 50), (5000, 8000, 125), (8000, 10_000, 200)]


def test_a_dropped_shot_has_no_cue(clip: Clip) -> None:
    _, cues = track(clip, width=96, frame_type="normal", interval=4, count=4)

    assert cues == [(0, 4000, 0), (4000, 8000, 100), (8000, 10_000, 200)]


@pytest.mark.parametrize("layout", [TILED, {}], ids=["tiled", "single"])
def test_a_skipped_shot_lengthens_the_cue_before_it(tmp_path: Path, layout: dict[str, Any]) -> None:
    long_gop = videos.make(tmp_path / "long_gop.mp4", frames=150, gop=100)

    taken, cues = track(long_gop, width=96, interval=1, keyframe_miss="skip", **layout)

    assert cues == [(0, 4000, 0), (4000, 6000, 100)]
    assert len(taken.names) == (1 if layout else 2)


@pytest.mark.parametrize("layout", [TILED, {}], ids=["tiled", "single"])
def test_a_missing_shot_lengthens_the_cue_before_it(tmp_path: Path, layout: dict[str, Any]) -> None:
    taken, cues = track(videos.truncated(tmp_path), width=96, count=10, frame_type="normal", **layout)

    starts = [0, 200, 400, 600, 800, 1000, 2000]
    numbers = [0, 5, 10, 15, 20, 25]
    assert cues == list(zip(starts, starts[1:], numbers, strict=False))
    assert taken.report.code == "InvalidParameter.ResourceContentBad"


def test_every_ten_seconds_if_nothing_is_said(tmp_path: Path) -> None:
    """The track that docs/parameters.md shows."""
    clip = videos.make(tmp_path / "clip.mp4", frames=127, fps=5)

    taken, cues = track(clip, "x.vtt", is_spt_frag=True, width=160)

    assert [number for _, _, number in cues] == [0, 48, 96]
    assert f"```\n{taken.files['x.vtt'].decode()}```" in DOCUMENTED


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        pytest.param(
            TILED, ["a b/x %1/snapshot-tile-00001.jpg", "a b/x %1/snapshot-tile-00002.jpg"], id="tiled"
        ),
        pytest.param({}, [f"a b/x %1/snapshot-{number:05d}.jpg" for number in range(1, 11)], id="single"),
    ],
)
def test_names_of_a_track(clip: Clip, layout: dict[str, Any], names: list[str]) -> None:
    taken, _ = track(clip, width=96, interval=1, **layout)

    assert taken.names == names
    assert {output.name for output in taken.report.outputs} == {"a b/x %1.vtt", *names}
    # the track is written last, when all that it names is there
    assert list(taken.files)[-1] == "a b/x %1.vtt"
    assert all(Image.open(io.BytesIO(taken.files[name])).format == "JPEG" for name in names)
