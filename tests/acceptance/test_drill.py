"""A short sample of `make drill`: what a cluster is made of is killed under jobs, and all of these end as they must."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill import one
from drill.faults import Fault, Stage, at_points, kill_children, kill_postgres, kill_server, set_next_clocks
from drill.launcher import POINTS, WORK_POINTS
from drill.lives import can_fake_time
from drill.many import drill

#: tried by `make drill` alone; the points next to them in a job's life are tried here, too
LEFT_OUT = {
    "after the receipt of a job and before it is kept",
    "after the claim of a survey",
    "between temporary file and rename",
    "after the write of a job's only slice and before its commit",
}
BAD = {"InvalidParameter.ResourceContentBad", "ResourceNotFound"}
#: seconds, instead of 30: no less than between two signs of life
DEAD_AFTER_S = 12

pytestmark = pytest.mark.usefixtures("sandbox_holds")


def test_no_job_is_lost_by_many(tmp_path: Path) -> None:
    points = [point for point in WORK_POINTS if point not in LEFT_OUT]
    assert len(points) + 2 == len(POINTS) - len(LEFT_OUT)
    print("left to `make drill`:", *LEFT_OUT, "other faults", sep="\n  ")

    def do(stage: Stage) -> int:
        if can_fake_time():
            set_next_clocks(stage, [-60])
        else:
            print("LEFT OUT: clocks that differ: no faketime here")
        # what takes long to be made good comes first
        faults = (kill_postgres(1, 0.5), kill_children(1), at_points(points), kill_server(2))
        return sum(fault(stage) for fault in faults)

    rows = drill(
        tmp_path,
        jobs=18,
        seed=1,
        faults=[Fault("a few of them", do, waits_for_work=True)],
        dead_after_s=DEAD_AFTER_S,
        with_store=False,
    )
    for row in rows:
        assert row.found.ended.keys() == BAD | {"Success"}
        assert row.found.ended.total() > 18
        assert row.found.pictures
        assert row.found.events >= row.found.ended.total()


@pytest.mark.full
def test_no_job_is_lost_by_one(tmp_path: Path) -> None:
    told = one.drill(tmp_path, jobs=18, kills=1, postgres_kills=1, seed=1)
    assert (told.kills, told.postgres_kills, told.points) == (1, 1, [*POINTS])
    assert told.ended.keys() == BAD | {"Success"}
    # and more, while a server had no work that brought it to its point
    assert told.ended.total() >= 18
    assert told.probes == told.ended
    assert told.pictures
    assert told.events >= told.ended.total()
