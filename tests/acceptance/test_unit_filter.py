"""The system calls of a whole life of service, database and decoder: the units of systemd allow them all."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from by_hand import bash, said, started
from the_command import DEADLINE_S

from drill.server import demand
from stillframe.testing import videos
from unit_filter import UNITS, calls, settings

pytestmark = pytest.mark.usefixtures("sandbox_holds")


@pytest.mark.full
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)")
def test_no_call_of_the_service_is_refused(tmp_path: Path) -> None:
    """Half a minute long: strace counts what every process of it calls."""
    counted = tmp_path / "calls"
    with started(
        f"strace --follow-forks --summary-only --summary-columns=name,calls --output={counted} stillframe serve",
        tmp_path,
        "traced",
    ) as traced:
        said(traced, r"oss://(\w+)")
        bucket = tmp_path / "stillframe-data" / "buckets" / "local"
        videos.make(bucket / "movie.mp4", frames=40, bframes=2)
        done = bash(
            "stillframe job submit oss://local/movie.mp4 -o 'oss://local/out/{Count}.jpg' "
            "--template S00000002-000012 --wait",
            tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert len([*(bucket / "out").iterdir()]) == 10
        # strace passes no signal on
        os.kill(int((tmp_path / "stillframe-data" / "lock").read_text()), signal.SIGTERM)
        demand(lambda: traced.poll() is not None, "it has ended", DEADLINE_S)
    lines = [line.split() for line in counted.read_text().splitlines()]
    used = {line[0] for line in lines if len(line) == 2 and line[1].isdigit() and line[0] != "total"}
    # those of the decoder's barriers among them
    assert {"seccomp", "unshare", "landlock_restrict_self"} <= used
    for unit in UNITS:
        assert used <= calls(settings(unit)["SystemCallFilter"][0].split())
