"""What befalls a server beside bad input: no room, no folder, no database, no decoder, no time to end its work."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drill.server import Server, demand, descendants
from stillframe.server.cleaning import LEFT_AFTER_S
from stillframe.testing import Clip, barcode, videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

TEMPLATE = "S00000002-000011"
#: a few of these are more than the small disk holds
LARGE = {"Width": 1280, "Height": 720}


@contextmanager
def serving(folder: Path, *options: str, point: str = "", **settings: object) -> Iterator[Server]:
    """A server that takes jobs, and kills itself at `point`; whatever it is then, it is gone at the end."""
    server = Server(folder, *options, **settings)
    try:
        server.start(point)
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that has everything befall it, and goes on."""
    with serving(tmp_path_factory.mktemp("server"), "--slots", "2", slice_attempts=2) as running:
        yield running
        running.look()
        assert running.terminate() == 0
        assert not running.left_alive()


@pytest.fixture(scope="module")
def clip(server: Server) -> Clip:
    """oss://local/long.mp4"""
    return videos.make(server.bucket / "long.mp4", frames=400, bframes=2)


def submit(server: Server, output: str, media: str = "oss://local/long.mp4", **overwrite: Any) -> str:
    answer = server.insist(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": media},
        Output={"Type": "OSS", "Media": output},
        TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": overwrite},
    )
    job_id: str = answer["JobId"]
    return job_id


def get(server: Server, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
    return job


def ended(server: Server, job_id: str) -> dict[str, Any]:
    demand(lambda: get(server, job_id)["Status"] != "Init", f"job {job_id} has ended")
    return get(server, job_id)


def add_bucket(server: Server, name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "stillframe", "bucket", "add", name, "--to", f"fs:{folder}"]
    subprocess.run([*command, "--data-dir", str(server.data_dir)], check=True, capture_output=True)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def number_in(path: Path) -> int:
    """The picture's number; one that is not whole has none."""
    with Image.open(path) as picture:
        return barcode.read(np.asarray(picture.convert("RGB")))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, for a few pictures."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96K", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_fills_up_while_pictures_are_written(server: Server, clip: Clip, disk: Path) -> None:
    add_bucket(server, "small", disk)
    job_id = submit(server, "oss://small/{Count}.png", Count=10, **LARGE)
    job = ended(server, job_id)
    assert (job["Status"], job.get("Code")) == ("Fail", "OperationDenied")
    assert re.fullmatch(r"oss://small/\d{5}\.png: no space left on the disk", job["Message"])

    # what there is, is whole, and listed
    found = files(disk)
    assert 0 < len(found) < 10
    urls = server.insist("GetSnapshotUrls", JobId=job_id, PageSize=30)
    assert urls["Total"] == job["Count"] == len(found)
    for name in found:
        assert number_in(disk / name) == clip.number_at((int(name[:5]) - 1) * 1600)

    # the server goes on; and with room again, so does the job
    other = submit(server, "oss://local/other/{Count}.jpg", Count=2)
    assert ended(server, other)["Status"] == "Success"
    subprocess.run(["mount", "-o", "remount,size=100M", str(disk)], check=True)
    server.insist("RetrySnapshotJob", JobId=job_id)
    assert ended(server, job_id)["Status"] == "Success"
    assert len(files(disk)) == 10


def test_a_bucket_whose_folder_is_gone(server: Server, clip: Clip, tmp_path: Path) -> None:
    folder = tmp_path / "passing"
    folder.mkdir()
    add_bucket(server, "passing", folder)
    folder.rmdir()
    reading = submit(server, "oss://local/gone/{Count}.jpg", "oss://passing/long.mp4", Count=2)
    writing = submit(server, "oss://passing/gone/{Count}.jpg", Count=2)
    for job_id, code in ((reading, "ResourceNotFound"), (writing, "OperationDenied")):
        job = ended(server, job_id)
        assert (job["Status"], job.get("Code"), job["Count"]) == ("Fail", code, 0)
        assert job["Message"] == "oss://passing: the bucket's folder: does not exist"
    # it is not made anew, and nothing lies elsewhere
    assert not folder.exists()
    assert not (server.bucket / "gone").exists()


def postgres(server: Server) -> int:
    pid = server.postmaster()
    assert pid is not None
    return pid


def fork_server(server: Server) -> int:
    return next(
        pid for pid in descendants(server.pid) if b"zygote" in cmdline(pid) and parent(pid) == server.pid
    )


def cmdline(pid: int) -> bytes:
    # the fork server's children come and go meanwhile
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def parent(pid: int) -> int | None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


@pytest.mark.parametrize(
    ("find", "counted"),
    [(postgres, "stillframe_database_restarts_total"), (fork_server, None)],
    ids=["database", "fork server"],
)
def test_what_the_server_needs_is_killed(
    server: Server, clip: Clip, find: Callable[[Server], int], counted: str | None
) -> None:
    """When nothing is in work, and in the middle of jobs: these end all the same, and so do those that follow."""
    before = metric(server, counted) if counted else 0
    first = find(server)
    os.kill(first, signal.SIGKILL)
    demand(lambda: not Path(f"/proc/{first}").exists(), "it is gone")
    folder = find.__name__
    jobs = [submit(server, f"oss://local/{folder}/{job}/{{Count}}.png", Count=40) for job in range(3)]
    demand((server.bucket / folder).exists, "something is in work")
    second = find(server)
    assert second != first
    os.kill(second, signal.SIGKILL)
    for job, job_id in enumerate(jobs):
        assert ended(server, job_id)["Status"] == "Success"
        written = sorted((server.bucket / folder / str(job)).iterdir())
        assert [number_in(path) for path in written] == [
            clip.number_at(position * 400) for position in range(40)
        ]
    if counted:
        demand(lambda: metric(server, counted) == before + 2, "it was counted")


def metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_work_that_is_not_done_in_time_is_given_back(tmp_path: Path) -> None:
    with serving(tmp_path, "--slots", "1", drain_seconds=0) as server:
        clip = videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
        job_id = submit(server, "oss://local/out/{Count}.png", Count=8, Width=2560, Height=1440)
        demand((server.bucket / "out").exists, "it is in work")
        server.look()
        assert server.terminate() == 0
        assert not server.left_alive()
        assert "giving back what is in work" in server.log.read_text()
        before = files(server.bucket / "out")
        assert len(before) < 8
        assert not [name for name in before if not name.endswith(".png")]

        server.start()
        # it was in the queue, and not with somebody who is dead
        assert "brought back what was lost" not in server.log.read_text()
        job = ended(server, job_id)
        assert (job["Status"], job["Count"]) == ("Success", 8)
        written = sorted((server.bucket / "out").iterdir())
        assert [number_in(path) for path in written] == [
            clip.number_at(position * 2000) for position in range(8)
        ]
        assert server.terminate() == 0


def test_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    with serving(tmp_path, "--slots", "1", point="between temporary file and rename") as server:
        videos.make(server.bucket / "long.mp4", frames=25)
        job_id = submit(server, "oss://local/out/{Count}.png", Count=4)
        server.wait_until_dead()
        # beside the folder, which is not made before there is something to be in it
        (left,) = server.bucket.rglob("*.part")
        check = server.bucket / f".stillframe-check-{'0' * 16}"
        fresh = server.bucket / f".stillframe-{'0' * 16}.part"
        for path in (check, fresh):
            path.write_bytes(b"left")
        long_ago = time.time() - LEFT_AFTER_S - 60
        for path in (left, check):
            os.utime(path, (long_ago, long_ago))

        server.start()
        demand(lambda: not left.exists() and not check.exists(), "they are gone")
        assert fresh.exists()
        assert ended(server, job_id)["Status"] == "Success"
        assert len(files(server.bucket / "out")) == 4
        assert server.terminate() == 0
