"""The step from one machine to many, as the README tells it, with real processes: nothing of the one is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL
from the_command import COMMAND, DEADLINE_S, rgb

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


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What stands in its output, once it does."""
    out = Path(str(process.args[-1]))  # type: ignore[index]

    def found() -> re.Match[str] | None:
        assert process.poll() is None, out.with_suffix(".log").read_text()
        return re.search(pattern, out.read_text())

    demand(found, f"it has said {pattern}")
    match = found()
    assert match is not None
    return match[1]


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@contextmanager
def started(script: str, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A server or worker as it is started by hand, on a free port; it is told to end, and does."""
    out = folder / f"{name}.out"
    with out.open("w") as output, out.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            # where its output lies stands among its arguments, for `said`
            ["bash", "-c", script if "exec" in script else f"exec {script}", str(out)],
            cwd=folder,
            env=_environment(),
            stdout=output,
            stderr=log,
            text=True,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """The command as it is installed, and nothing that is set already."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    return {**own, "PATH": f"{Path(COMMAND[0]).parent}:{own['PATH']}", "STILLFRAME_PORT": "0"}
