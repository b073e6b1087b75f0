"""One database that is nobody's own, a server that takes jobs, and workers: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drill.audit import Files, files_in
from drill.far_store import FarStore, far_store
from drill.launcher import DEAD_AFTER
from drill.member import Member, Process, end_all, start_all
from drill.server import Server
from own_postgres import OwnPostgres
from receiver import Receiver, receiving

_SLOTS = 2


@dataclass(frozen=True)
class Cluster:
    """All of it, at work."""

    folder: Path
    server: Server
    workers: list[Member]
    postgres: OwnPostgres
    receiver: Receiver
    store: FarStore | None
    #: workers that were there for a while
    _guests: list[Member] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        """Everyone but the database."""
        return [self.server, *self.workers]

    @property
    def buckets(self) -> dict[str, Files]:
        """The buckets that jobs write to, by their names."""
        stores = {"store": self.store.files} if self.store is not None else {}
        return {"local": files_in(self.server.bucket), **stores}

    def left_behind(self) -> list[Process]:
        """Processes that belonged to a life that has ended, and still live."""
        return [process for member in [*self.members, *self._guests] for process in member.left_behind()]

    @contextmanager
    def another_worker(self) -> Iterator[None]:
        """One more, until the end of the block; its processes are looked after as those of the others."""
        number = len(self.workers) + len(self._guests) + 1
        another = Member(self.folder, f"worker-{number}", _worker(self.server), self.server.environment)
        self._guests.append(another)
        try:
            another.start()
            yield
            end_all([another])
        finally:
            another.close()


def _worker(server: Server) -> list[str]:
    return ["worker", "--data-dir", str(server.data_dir), "--slots", str(_SLOTS)]


@contextmanager
def cluster(
    folder: Path, *, workers: int = 3, dead_after_s: int | None = None, with_store: bool = True
) -> Iterator[Cluster]:
    """A new one. `dead_after_s`: others take a worker for dead after so long, instead of what the product says."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        store = stack.enter_context(far_store(folder)) if with_store else None
        postgres = OwnPostgres(folder / "postgres", fsync="on")
        stack.callback(postgres.close)
        postgres.start()
        server = Server(folder, "--no-worker", database_url=postgres.url, callback_allow_networks="127.0.0.1")
        for name in [name for name in server.environment if name.startswith("AWS_")]:
            del server.environment[name]
        server.environment |= store.keys if store is not None else {}
        server.environment |= {DEAD_AFTER: str(dead_after_s)} if dead_after_s is not None else {}
        stack.callback(server.close)
        server.start()
        if store is not None:
            _add_bucket(server, "store", store.place)
        members = [
            Member(folder, f"worker-{number + 1}", _worker(server), server.environment)
            for number in range(workers)
        ]
        for member in members:
            stack.callback(member.close)
        start_all(members)
        server.insist("SetEventCallback", CallbackURL=receiver.url, EventTypeList="SnapshotComplete")
        yield Cluster(folder, server, members, postgres, receiver, store)


def _add_bucket(server: Server, name: str, place: str) -> None:
    command = [sys.executable, "-m", "stillframe", "bucket", "add", name, "--to", place]
    subprocess.run(
        [*command, "--data-dir", str(server.data_dir)],
        check=True,
        capture_output=True,
        env={**server.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
