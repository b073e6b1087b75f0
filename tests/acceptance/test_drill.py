"""A short sample of `make drill`: server and PostgreSQL are killed under jobs, and all of these end as they must."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill.launcher import POINTS
from drill.under_kills import drill

#: tried by `make drill` alone; the points next to them in a job's life are tried here, too
LEFT_OUT = {
    "after the claim of a survey",
    "between temporary file and rename",
    "after the write of a job's only slice and before its commit",
}

pytestmark = pytest.mark.usefixtures("sandbox_holds")


def test_no_job_is_lost_under_kills(tmp_path: Path) -> None:
    points = [point for point in POINTS if point not in LEFT_OUT]
    assert len(points) == len(POINTS) - len(LEFT_OUT)
    print("left to `make drill`:", *LEFT_OUT, sep="\n  ")
    told = drill(tmp_path, jobs=18, kills=1, postgres_kills=1, seed=1, points=points)
    assert (told.kills, told.postgres_kills, told.points) == (1, 1, points)
    assert told.ended.keys() == {"Success", "InvalidParameter.ResourceContentBad", "ResourceNotFound"}
    # and more, while a server had no work that brought it to its point
    assert told.ended.total() >= 18
    assert told.probes == told.ended
    assert told.pictures
    assert told.events >= told.ended.total()
