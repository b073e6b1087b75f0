"""Every sample video beside the checkout has its outcome: refused for a reason, or the right pictures.

The table and the small reference pictures were made by `scripts/make_sample_references.py` with Debian's
ffmpeg, which decodes from the start and converts as our rules say; here our own full-size still is reduced
by the same averaging and compared with them. By default the quickest samples of each class run, each at one
of its moments: the first of one sample, the second of the next, and so on; the others have the marker `full`
(`make test-all`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_references import MEDIA, SAMPLES, RgbPicture, SampleRow, psnr, read_table, reduce

import stillframe
from stillframe import Report, SnapshotConfig
from stillframe.errors import MediaError
from stillframe.media.sink import MemorySink

pytestmark = pytest.mark.skipif(not MEDIA.is_dir(), reason="the sample videos are not beside this checkout")

TABLE = read_table()
MIN_PSNR_DB = 35.0
MIN_PIXEL_ROWS = 80

#: what the message must speak of, for each reason of a refusal
WORDS = {
    "empty": "empty",
    "not-video": "not a video",
    "playlist": "playlist",
    "audio-only": "no video",
    "cover-only": "cover",
    "encrypted": "encrypted",
    "no-picture": "picture",
    "unknown-codec": "codec",
    "damaged": "cut off",
}


def rows(
    which: Callable[[SampleRow], bool],
    moments: Callable[[SampleRow], Iterable[int | None]] = lambda _: [None],
) -> list[object]:
    """Parameters with the sample's name as id; those that do not run by default are marked `full`."""
    return [
        pytest.param(
            *([row] if moment is None else [row, moment]),
            id=row.file if moment is None else f"{row.file}@{moment}ms",
            marks=() if row.runs_by_default and at == number % len(all_of_it) else (pytest.mark.full,),
        )
        for number, row in enumerate(filter(which, TABLE))
        for all_of_it in [[*moments(row)]]
        for at, moment in enumerate(all_of_it)
    ]


@pytest.mark.parametrize(
    ("row", "moment_ms"), rows(lambda row: row.outcome == "pictures", lambda row: row.moments_ms)
)
def test_a_moment_gives_the_picture_on_screen(row: SampleRow, moment_ms: int) -> None:
    report, picture = take(row, moment_ms)

    assert report.shots[0].actual_pts == row.expected_pts[row.moments_ms.index(moment_ms)]
    assert report.shots[0].actual_ms <= moment_ms
    assert picture.shape == (row.height_px, row.width_px, 3)
    if row.compares_pixels:
        reference = np.asarray(Image.open(row.reference(moment_ms)).convert("RGB"))
        assert psnr(reduce(picture), reference) >= MIN_PSNR_DB
    else:
        # HDR: colours are tested against their formulas elsewhere; here, that there is a picture at all
        assert reduce(picture).std() > 5


@pytest.mark.parametrize("row", rows(lambda row: row.last_ms is not None))
def test_the_last_frame_can_be_had(row: SampleRow) -> None:
    assert row.last_ms is not None
    report, _ = take(row, row.last_ms)

    assert report.shots[0].actual_pts == row.last_pts


@pytest.mark.parametrize("row", rows(lambda row: row.missing_ms is not None))
def test_a_lost_end_is_missing_and_what_is_left_is_kept(row: SampleRow) -> None:
    assert row.missing_ms is not None
    assert row.last_ms is not None
    step_ms = row.missing_ms - row.last_ms
    config = SnapshotConfig(
        type="Normal", frame_type="normal", count=2, time=row.last_ms, interval_ms=step_ms
    )
    sink = MemorySink("x-{Count}.png", config)
    report = stillframe.shoot(MEDIA / row.file, sink, config)

    assert [shot.status for shot in report.shots] == ["taken", "missing"]
    assert [shot.actual_pts for shot in report.shots] == [row.last_pts, None]
    assert (report.ok, report.code) == (False, "InvalidParameter.ResourceContentBad")
    assert list(sink.files) == ["x-00001.png"]


@pytest.mark.parametrize("row", rows(lambda row: row.outcome == "refused"))
def test_what_holds_no_picture_is_refused_in_one_line(row: SampleRow) -> None:
    config = still_at(1)
    sink = MemorySink("x-{Count}.png", config)
    with pytest.raises(MediaError) as refusal:
        stillframe.shoot(MEDIA / row.file, sink, config)

    assert refusal.value.reason == row.reason
    assert WORDS[row.reason] in str(refusal.value)
    assert Path(row.file).name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not sink.files


def test_every_sample_has_its_row_and_every_class_runs_by_default() -> None:
    with (MEDIA / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        assert [row.file for row in TABLE] == [row["file"] for row in csv.DictReader(index, delimiter="\t")]
    assert sum(row.compares_pixels for row in TABLE) >= MIN_PIXEL_ROWS
    assert {row.folder for row in TABLE} == {row.folder for row in TABLE if row.runs_by_default}
    left_out = [row.file for row in TABLE if not row.runs_by_default]
    print(f"{len(left_out)} samples run with the marker `full` only:", *left_out, sep="\n  ")
    print("and of the others each at one of its moments")


def test_every_stored_reference_belongs_to_a_row() -> None:
    wanted = {row.reference(ms) for row in TABLE if row.compares_pixels for ms in row.moments_ms}
    assert wanted == set(SAMPLES.glob("*.png"))


def still_at(time_ms: int) -> SnapshotConfig:
    return SnapshotConfig(type="Normal", frame_type="normal", count=1, time=time_ms)


def take(row: SampleRow, moment_ms: int) -> tuple[Report, RgbPicture]:
    """One exact still in full size; it must come whole and without a replacement."""
    config = still_at(moment_ms)
    sink = MemorySink("x-{Count}.png", config)
    report = stillframe.shoot(MEDIA / row.file, sink, config)

    assert report.ok
    assert [shot.status for shot in report.shots] == ["taken"]
    assert list(sink.files) == ["x-00001.png"]
    return report, np.asarray(Image.open(io.BytesIO(sink.files["x-00001.png"])).convert("RGB"))
