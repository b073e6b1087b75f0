"""One database, and servers and workers in processes of their own."""

from __future__ import annotations

import ctypes
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL
from the_command import demand_one_line, run

from drill.lives import Life, begin
from drill.server import DEADLINE_S, Server, demand
from drill.work import TEMPLATE
from stillframe.testing import videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")


@pytest.fixture
def server(tmp_path: Path, database_url: URL) -> Iterator[Server]:
    """One that takes jobs and works on none."""
    shared = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    server = Server(tmp_path, "--no-worker", database_url=shared)
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def worker(server: Server, name: str, *options: str, data_dir: Path | None = None) -> Iterator[Life]:
    """A worker on the server's database; killed at the end where it still lives."""
    folder = server.data_dir.parent
    command = ["", "", "worker", "--data-dir", str(data_dir or server.data_dir), "--slots", "1", *options]
    life = begin(command, folder / f"out-{name}", folder / f"log-{name}", server.environment)
    try:
        yield life
    finally:
        if life.poll() is None:
            life.kill()
            life.wait(DEADLINE_S)


def submit(server: Server, name: str, count: int) -> str:
    answer = server.insist(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": "oss://local/long.mp4"},
        Output={"Type": "OSS", "Media": f"oss://local/{name}/{{Count}}.png"},
        TemplateConfig={
            "TemplateId": TEMPLATE,
            "OverwriteParams": {"Type": "Normal", "FrameType": "normal", "Count": count},
        },
    )
    return str(answer["JobId"])


def status(server: Server, job_id: str) -> str:
    return str(server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"])


def listed(server: Server) -> list[dict[str, Any]]:
    """All nodes, as the command lists them."""
    done = run(
        ["node", "list", "--json", "--data-dir", str(server.data_dir)],
        server.data_dir.parent,
        env={name: value for name, value in server.environment.items() if name.startswith("STILLFRAME_")},
    )
    assert done.code == 0, done.err
    nodes: list[dict[str, Any]] = json.loads(done.out)
    return nodes


def there(server: Server) -> list[tuple[str, str, int]]:
    """Role, status and slots of all nodes."""
    return sorted((node["Role"], node["Status"], node["Slots"]) for node in listed(server))


def test_jobs_wait_for_a_worker(server: Server) -> None:
    videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
    job = submit(server, "out", 10)
    assert there(server) == [("server", "Alive", 0)]
    assert status(server, job) == "Init"
    refused = run(
        ["worker", "--pipelines", "nobody", "--data-dir", str(server.data_dir)],
        server.data_dir.parent,
        env={name: value for name, value in server.environment.items() if name.startswith("STILLFRAME_")},
    )
    assert refused.code == 1
    assert "stillframe: --pipelines is 'nobody', but must be" in refused.err
    with worker(server, "only", "--nice", "5", "--pipelines", "default") as only:
        demand(lambda: status(server, job) == "Success", "the job is done")
        serving, at_work = listed(server)
        assert (serving["Role"], serving["Status"], serving["Pipelines"]) == ("server", "Alive", None)
        assert (at_work["Role"], at_work["Status"], at_work["Slots"]) == ("worker", "Alive", 1)
        assert at_work["Pipelines"] == [
            server.insist("GetSnapshotJob", JobId=job)["SnapshotJob"]["PipelineId"]
        ]
        terminate_beside(only)
        assert only.wait(DEADLINE_S) == 0
    assert there(server) == [("server", "Alive", 0)]


def terminate_beside(worker: Life) -> None:
    """SIGTERM, taken by another thread than the main one: the kernel may choose any."""
    threads = [int(entry.name) for entry in Path(f"/proc/{worker.pid}/task").iterdir()]
    other = next(thread for thread in threads if thread != worker.pid)
    assert ctypes.CDLL(None).tgkill(worker.pid, other, signal.SIGTERM) == 0


def test_a_cancel_ends_the_work_of_another_process(server: Server) -> None:
    videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
    with worker(server, "only") as only:
        job = submit(server, "out", 400)
        demand((server.bucket / "out").exists, "something is in work")
        server.call("CancelSnapshotJob", JobId=job)
        written = sorted((server.bucket / "out").iterdir())
        assert 0 < len(written) < 400
        assert server.call("GetSnapshotJob", JobId=job)["SnapshotJob"]["Code"] == "OperationCanceled"
        # it has nothing left to do, and does it no more
        only.send_signal(signal.SIGTERM)
        assert only.wait(DEADLINE_S) == 0
    assert sorted((server.bucket / "out").iterdir()) == written


@pytest.mark.full
def test_a_job_outlives_its_worker(server: Server) -> None:
    """Half a minute long, in which the killed one might still be heard of."""
    videos.make(server.bucket / "long.mp4", frames=400, bframes=2)
    first = submit(server, "first", 120)
    with worker(server, "killed") as killed:
        demand((server.bucket / "first").exists, "something is in work")
        killed.kill()
        assert killed.wait(DEADLINE_S) == -signal.SIGKILL
    assert status(server, first) == "Init"
    # it may still live, for all that the others know
    assert there(server) == [("server", "Alive", 0), ("worker", "Alive", 1)]
    with worker(server, "other") as other:
        second = submit(server, "second", 1)
        demand(lambda: status(server, second) == "Success", "the job is done by the other")
        # what the killed one had begun is given back when it was not heard of for long enough
        demand(lambda: status(server, first) == "Success", "the job of the killed one is done, too", 90)
        assert len([*(server.bucket / "first").glob("*.png")]) == 120
        other.send_signal(signal.SIGTERM)
        assert other.wait(DEADLINE_S) == 0
    assert there(server) == [("server", "Alive", 0), ("worker", "Lost", 1)]


def test_a_worker_needs_the_keyring_of_its_servers(server: Server, tmp_path: Path) -> None:
    with worker(server, "stranger", data_dir=tmp_path / "elsewhere") as stranger:
        assert stranger.wait(DEADLINE_S) == 1
    assert (
        "all servers and workers on a database need the same keyring"
        in (tmp_path / "log-stranger").read_text()
    )
    assert not (tmp_path / "elsewhere" / "keyring").exists()
    keyring = str(server.data_dir / "keyring")
    environment = {**server.environment, "STILLFRAME_KEYRING_FILE": keyring}
    command = ["", "", "worker", "--data-dir", str(tmp_path / "elsewhere"), "--slots", "1"]
    life = begin(command, tmp_path / "out-friend", tmp_path / "log-friend", environment)
    try:
        out = tmp_path / "out-friend"
        demand(lambda: out.exists() and "Stillframe works" in out.read_text(), "it works")
        life.send_signal(signal.SIGTERM)
        assert life.wait(DEADLINE_S) == 0
    finally:
        life.kill()


def test_what_only_many_can_do_says_so(tmp_path: Path) -> None:
    demand_one_line(run("serve --no-worker --data-dir data", tmp_path), "needs database_url")
    demand_one_line(run("worker --data-dir data", tmp_path), "needs the database of its servers")
