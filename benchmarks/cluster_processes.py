"""An external PostgreSQL, one server that works on nothing, and workers that come and go (Linux only)."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from light_client import LightClient
from server_process import Cpu, Served, cpu_of, environment_with, serving
from stillframe.database.embedded import EmbeddedPostgres
from stillframe.database.engine import psycopg_dsn

#: PostgreSQL as an operator sets it up on a small machine of its own; all that is safe is on, as it is by default
POSTGRES: Mapping[str, str] = {"shared_buffers": "512MB", "max_wal_size": "2GB", "autovacuum_naptime": "15s"}
TEMPLATE = "S00000002-000011"
STUB = Path(__file__).with_name("stub_worker.py")
COUNTING = Path(__file__).with_name("counting_worker.py")
_DEADLINE_S = 300.0


@dataclass(slots=True)
class Cluster:
    """What is measured; `folder` is for files of the benchmark's own."""

    postgres: EmbeddedPostgres
    server: Served
    client: LightClient
    folder: Path
    command: Sequence[str]
    settings: Mapping[str, str]
    workers: list[subprocess.Popen[str]] = field(default_factory=list)
    asking: psycopg.Connection[Any] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextlib.contextmanager
    def working(
        self,
        number: int,
        *,
        slots: int = 1,
        stub_s: float | None = None,
        pinned: bool = False,
        counts: bool = False,
    ) -> Iterator[Path]:
        """So many workers, ready, in the block; with `stub_s` their decoder just takes that long for each slice.

        `pinned`: each to a processor of its own. The file tells when jobs were begun, with a stub; or how many
        statements were sent, by one worker that `counts` them.
        """
        told = self.folder / f"told-{next(self.numbers)}"
        told.touch()
        program = [*self.command]
        if stub_s is not None:
            program = [sys.executable, str(STUB), str(stub_s), str(told)]
        elif counts:
            program = [sys.executable, str(COUNTING), str(told)]
        line = [*program, "worker", "--slots", str(slots), "--data-dir", str(self.server.data_dir)]
        made = []
        try:
            for place in range(number):
                pin = ["taskset", "-c", str(place)] if pinned else []
                with (self.folder / "workers.log").open("a") as log:
                    made.append(
                        subprocess.Popen(
                            [*pin, *line],
                            stdout=subprocess.PIPE,
                            stderr=log,
                            text=True,
                            env=environment_with(**self.settings),
                        )
                    )
            for worker in made:
                assert worker.stdout is not None
                if not worker.stdout.readline():
                    raise RuntimeError((self.folder / "workers.log").read_text()[-2000:])
            self.workers += made
            # what a start does besides is over
            time.sleep(1)
            yield told
        finally:
            for worker in made:
                worker.send_signal(signal.SIGTERM)
            for worker in made:
                worker.communicate()
            self.workers = [worker for worker in self.workers if worker not in made]

    def cpu(self) -> Cpu:
        """Of all processes of the cluster."""
        return cpu_of(self.postgres.supervisor_pid, self.server.pid, *(worker.pid for worker in self.workers))

    def submit(self, movie: str = "small.mp4", name: str = "{Count}.jpg", **overwrite: Any) -> bytes:
        """A signed request for a job."""
        stem = f"out/{next(self.numbers)}"
        return self.client.signed(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": f"oss://local/{movie}"},
            Output={"Type": "OSS", "Media": f"oss://local/{stem}/{name}"},
            TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": {"FrameType": "normal", **overwrite}},
        )

    def send(self, requests: Sequence[bytes]) -> list[str]:
        """The ids of the jobs."""
        return [str(answer.body["JobId"]) for answer in self.client.drive(requests, connections=8)]

    def pipeline(self, status: str) -> None:
        """Make the default pipeline Active or Paused."""
        found = self.client.call("ListPipelines")["PipelineList"]
        self.client.call("UpdatePipeline", PipelineId=found[0]["PipelineId"], Status=status)

    def wait_until_done(self, look_s: float = 0.02) -> None:
        """Until no job is live, which is looked for so often; raises RuntimeError when one has failed."""
        self.wait(lambda: not self.ask("SELECT EXISTS (SELECT FROM jobs WHERE status = 'Init')"), look_s)
        failed = self.ask(
            "SELECT message FROM jobs WHERE status = 'Fail' AND finished_at > now() - interval '5 min' "
            "AND input_key IN ('small.mp4', 'film.mp4') LIMIT 1"
        )
        if failed:
            raise RuntimeError(f"a job has failed: {failed}")

    def wait(self, is_so: Callable[[], Any], look_s: float = 0.02) -> None:
        """Until it is so."""
        deadline = time.monotonic() + _DEADLINE_S
        while not is_so():
            if time.monotonic() > deadline:
                raise RuntimeError("waited in vain")
            time.sleep(look_s)

    def ask(self, question: str, *values: Any) -> Any:
        """The first value that the database answers, on a connection that stays open."""
        if self.asking is None:
            self.asking = self.connect()
            self.asking.autocommit = True
        row = self.asking.execute(question, values).fetchone()
        return row[0] if row is not None else None

    def connect(self, *, as_superuser: bool = False) -> psycopg.Connection[Any]:
        """A connection to the product's database."""
        url = self.postgres.url
        if as_superuser:
            url = self.postgres.superuser_url.set(database=url.database)
        return psycopg.connect(psycopg_dsn(url))


@contextlib.contextmanager
def cluster(command: Sequence[str], folder: Path, **settings: str) -> Iterator[Cluster]:
    """A database and a server; no worker yet."""
    with EmbeddedPostgres(folder / "postgres", options=POSTGRES) as postgres:
        address = postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
        settings = {"database_url": address, "max_queued_jobs": "1000000", **settings}
        with serving(command, folder / "data", "--no-worker", **settings) as server:
            client = LightClient(server.url, *server.key)
            made = Cluster(postgres, server, client, folder, command, settings)
            try:
                yield made
            finally:
                if made.asking is not None:
                    made.asking.close()


def processors() -> int:
    """How many there are for this process."""
    return len(os.sched_getaffinity(0))
