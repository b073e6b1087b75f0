"""An operator's database that is restarted, or goes away for good while another takes its place: nobody else ends."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from drill.lives import Life, begin
from drill.server import DEADLINE_S, Refused, Server, demand
from drill.work import TEMPLATE
from memory_folder import memory_folder
from own_postgres import OwnPostgres
from stillframe.testing import videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")
SHOTS = 4


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For databases: in memory, where there is room."""
    with memory_folder() as folder:
        yield folder or tmp_path


class Client(threading.Thread):
    """Submits one job after the other until it is told to stop."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.refused: list[tuple[int, str]] = []
        self.broken: list[Exception] = []
        self._server = server
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(0.2):
            try:
                self.accepted.append(self._submit(len(self.accepted)))
            except Refused as refused:
                status, told = refused.args
                self.refused.append((status, json.loads(told)["Code"]))
            except OSError as error:
                self.broken.append(error)

    def stop(self) -> None:
        self._stopping.set()
        self.join(DEADLINE_S)

    def _submit(self, number: int) -> str:
        answer = self._server.call(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/long.mp4"},
            Output={"Type": "OSS", "Media": f"oss://local/out/{number}/{{Count}}.png"},
            TemplateConfig={
                "TemplateId": TEMPLATE,
                "OverwriteParams": {"FrameType": "normal", "Count": SHOTS, "Width": 96},
            },
        )
        return str(answer["JobId"])


@contextmanager
def working(folder: Path, database_url: str) -> Iterator[tuple[Server, list[Life]]]:
    """A server that takes jobs, and two workers."""
    with ExitStack() as stack:
        server = Server(folder, "--no-worker", database_url=database_url)
        stack.callback(server.close)
        server.start()
        videos.make(server.bucket / "long.mp4", frames=200, bframes=2)
        workers = []
        for number in range(2):
            command = ["", "", "worker", "--data-dir", str(server.data_dir), "--slots", "1"]
            life = begin(
                command, folder / f"out-worker-{number}", folder / f"log-{number}", server.environment
            )
            stack.callback(lambda life=life: life.poll() is None and life.kill())
            workers.append(life)
        yield server, workers


def demand_all_done(server: Server, workers: list[Life], client: Client) -> None:
    """Every job that was accepted ends well and once, and nobody has ended before he was told to."""
    assert client.broken == []
    # in between the API says what it is, and that it is worth another try
    assert {*client.refused} == {(503, "ServiceUnavailable")}
    for number, job_id in enumerate(client.accepted):

        def is_over(job_id: str = job_id) -> bool:
            job = server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
            assert job["Status"] in ("Init", "Success"), job
            return bool(job["Status"] == "Success")

        demand(is_over, f"job {number} of {len(client.accepted)} has ended")
        assert len([*(server.bucket / "out" / str(number)).iterdir()]) == SHOTS
    for life in workers:
        assert life.poll() is None
        life.send_signal(signal.SIGTERM)
    assert [life.wait(DEADLINE_S) for life in workers] == [0, 0]
    assert server.terminate() == 0


@pytest.mark.parametrize("away_s", [0.5, pytest.param(20, marks=pytest.mark.full)])
def test_a_database_that_is_restarted(tmp_path: Path, folder: Path, away_s: float) -> None:
    with ExitStack() as stack:
        postgres = OwnPostgres(folder / "postgres")
        stack.callback(postgres.close)
        postgres.start()
        server, workers = stack.enter_context(working(tmp_path, postgres.url))
        client = Client(server)
        client.start()
        demand((server.bucket / "out").exists, "something is in work")
        postgres.crash()
        time.sleep(away_s)
        demand(lambda: client.refused, "somebody was told that the database is away")
        postgres.start()
        before = len(client.accepted)
        demand(lambda: len(client.accepted) > before + 3, "jobs are accepted again")
        client.stop()
        demand_all_done(server, workers, client)
        assert postgres.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


@pytest.mark.full
def test_a_database_that_another_takes_the_place_of(tmp_path: Path, folder: Path) -> None:
    """The first one never comes back; what it has confirmed, the other one has."""
    with ExitStack() as stack:
        first = OwnPostgres(folder / "first")
        stack.callback(first.close)
        first.start()
        second = first.standby(folder / "second")
        stack.callback(second.close)
        first.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
        first.sql("SELECT pg_reload_conf()", "postgres")
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        server, workers = stack.enter_context(
            working(tmp_path, f"postgresql://stillframe@{hosts}/stillframe")
        )
        client = Client(server)
        client.start()
        demand((server.bucket / "out").exists, "something is in work")
        first.crash()
        demand(lambda: client.refused, "somebody was told that the database is away")
        second.promote()
        before = len(client.accepted)
        demand(lambda: len(client.accepted) > before + 3, "jobs are accepted by the other")
        client.stop()
        demand_all_done(server, workers, client)
        assert second.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)]
