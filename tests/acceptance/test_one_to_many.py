"""The step from one machine to many, as the README tells it, with real processes: nothing of the one is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import bash, said, started
from sqlalchemy import URL
from the_command import rgb

from drill.server import demand
from drill.work import TEMPLATE
from stillframe.ims.client import Client
from stillframe.testing import barcode, videos
from told import README, commands

pytestmark = pytest.mark.usefixtures("sandbox_holds")
SHOTS = 5


def test_the_readme_leads_from_one_machine_to_many(tmp_path: Path, empty_database_url: URL) -> None:
    backup, variables, restore, serve, work = commands(README, "One machine to many")
    shared = empty_database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    place = tmp_path / "etc" / "keyring"
    place.parent.mkdir()

    def here(command: str) -> str:
        """With the addresses of this machine."""
        told = command.replace("postgresql://stillframe:secret@db/stillframe", f"'{shared}'")
        return told.replace("/etc/stillframe/keyring", f"'{place}'")

    with started("stillframe serve", tmp_path, "one") as one:
        url = said(one, r"API +(http://\S+)")
        key = said(one, r"AccessKeyId (\S+)"), said(one, r"AccessKeySecret (\S+)")
        bucket = tmp_path / "stillframe-data" / "buckets" / "local"
        clip = videos.make(bucket / "movie.mp4", frames=40, bframes=2)
        with Client(url, *key) as client:
            (pipeline,) = client.call("ListPipelines")["PipelineList"]
            client.call("UpdatePipeline", PipelineId=pipeline["PipelineId"], Status="Paused")
            waiting = submit(client, "waiting")

    for command in (backup, f"{variables} && {restore}"):
        done = bash(here(command), tmp_path)
        assert done.returncode == 0, done.stderr
    # what goes on from here has the database from the restore alone
    (tmp_path / "stillframe-data" / "database").rename(tmp_path / "database of the one")
    many = "\n".join([here(variables), "exec "])
    with (
        started(many + serve, tmp_path, "api") as api,
        started(many + work, tmp_path, "worker") as worker,
        Client(said(api, r"API +(http://\S+)"), *key) as client,
    ):
        said(worker, r"Stillframe works: (\d+) slots")
        assert status(client, waiting) == "Init"
        client.call("UpdatePipeline", PipelineId=pipeline["PipelineId"], Status="Active")
        for job, folder in ((waiting, "waiting"), (submit(client, "asked"), "asked")):
            demand(lambda job=job: status(client, job) != "Init", "the job has ended")
            assert status(client, job) == "Success"
            pictures = sorted((bucket / folder).iterdir())
            assert [barcode.read(rgb(path)) for path in pictures] == [
                clip.number_at(clip.duration_ms * number / SHOTS) for number in range(SHOTS)
            ]


def submit(client: Client, name: str) -> str:
    answer = client.call(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
        Output={"Type": "OSS", "Media": f"oss://local/{name}/{{Count}}.png"},
        TemplateConfig={
            "TemplateId": TEMPLATE,
            "OverwriteParams": {"Type": "Normal", "FrameType": "normal", "Count": SHOTS},
        },
    )
    return str(answer["JobId"])


def status(client: Client, job_id: str) -> str:
    return str(client.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"])
