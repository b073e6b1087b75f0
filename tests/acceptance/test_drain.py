"""SIGTERM: what is in work ends or is given back, and the next start does the rest."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from the_command import demand_one_line, run

from drill.server import DEADLINE_S, Server, demand
from drill.work import TEMPLATE
from stillframe.testing import barcode, videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

JOBS, COUNT = 4, 50


def test_a_server_that_is_asked_to_end_drains(tmp_path: Path) -> None:
    server = Server(tmp_path, "--slots", "1")
    server.start()
    try:
        clip = videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
        ids = [
            server.insist(
                "SubmitSnapshotJob",
                Input={"Type": "OSS", "Media": "oss://local/long.mp4"},
                Output={"Type": "OSS", "Media": f"oss://local/out/{number}/{{Count}}.png"},
                TemplateConfig={
                    "TemplateId": TEMPLATE,
                    "OverwriteParams": {"Type": "Normal", "FrameType": "normal", "Count": COUNT},
                },
            )["JobId"]
            for number in range(JOBS)
        ]
        demand((server.bucket / "out").exists, "something is in work")
        server.look()
        assert server.terminate() == 0
        assert not server.left_alive()
        assert "draining" in server.log.read_text()
        before = len([*(server.bucket / "out").rglob("*.png")])
        assert 0 < before < JOBS * COUNT
        assert not [*server.bucket.rglob("*.part")]

        server.start()
        # nothing was in work any more when the first one ended
        assert "brought back what was lost" not in server.log.read_text()
        demand(
            lambda: not server.insist("ListSnapshotJobs", Status="Init", PageSize=1)["Jobs"], "all have ended"
        )
        for job_id in ids:
            job = server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
            assert (job["Status"], job["Count"]) == ("Success", COUNT)
        assert server.terminate() == 0
    finally:
        server.close()
    for number in range(JOBS):
        pictures = sorted((server.bucket / "out" / str(number)).iterdir())
        assert [_number(path) for path in pictures][:2] == [clip.number_at(0), clip.number_at(16000 // COUNT)]
        assert len({_number(path) for path in pictures}) == COUNT


def test_the_second_ctrl_c_gives_back_what_is_in_work(tmp_path: Path) -> None:
    """It waits for nothing, and still leaves all behind in order."""
    server = Server(tmp_path, "--slots", "1", drain_seconds=DEADLINE_S)
    server.start()
    try:
        videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
        job_id = server.insist(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/long.mp4"},
            Output={"Type": "OSS", "Media": "oss://local/out/{Count}.png"},
            TemplateConfig={
                "TemplateId": TEMPLATE,
                "OverwriteParams": {"FrameType": "normal", "Count": 40, "Width": 4096, "Height": 4096},
            },
        )["JobId"]
        demand((server.bucket / "out").exists, "something is in work")
        server.look()
        os.kill(server.pid, signal.SIGINT)
        demand(lambda: "draining" in server.log.read_text(), "it drains")
        told = run("job list", tmp_path, env={"STILLFRAME_DATA_DIR": str(server.data_dir)})
        demand_one_line(told, "its server is starting or stopping")
        assert not server.has_ended, "the work was over before it could be given back"
        os.kill(server.pid, signal.SIGINT)
        assert server.wait() == 130
        assert not server.left_alive()
        assert "stopped" in server.log.read_text().splitlines()[-1]
        assert not [*server.bucket.rglob("*.part")]
        pictures = len([*(server.bucket / "out").iterdir()])

        server.start()
        assert "brought back what was lost" not in server.log.read_text()
        assert server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"] == "Init"
        server.insist("CancelSnapshotJob", JobId=job_id)
        assert len([*(server.bucket / "out").iterdir()]) >= pictures
        assert server.terminate() == 0
    finally:
        server.close()


def _number(path: Path) -> int:
    with Image.open(path) as picture:
        return barcode.read(np.asarray(picture.convert("RGB")))
