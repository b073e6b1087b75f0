"""One server with its private database is killed again and again under jobs, and so is that database."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drill import audit
from drill.launcher import POINTS
from drill.server import Server, demand
from drill.submitter import Submitter
from drill.work import kinds
from receiver import Receiver, receiving
from stillframe.storage.local import LocalBucket


@dataclass
class Told:
    """What was done, and what came of it."""

    seconds: float = 0.0
    kills: int = 0
    postgres_kills: int = 0
    points: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    events: int = 0
    pictures: int = 0
    leftovers: int = 0
    probes: Counter[str] = field(default_factory=Counter)
    processes: int = 0


def drill(
    folder: Path,
    *,
    jobs: int,
    kills: int,
    postgres_kills: int,
    seed: int,
    points: Sequence[str] = tuple(POINTS),
) -> Told:
    """Do it all in a folder. Raises AssertionError for the first thing that is not as it must be."""
    with receiving() as receiver:
        return _drill(folder, receiver, jobs, kills, postgres_kills, random.Random(seed), points)


def _drill(
    folder: Path,
    receiver: Receiver,
    jobs: int,
    kills: int,
    postgres_kills: int,
    chance: random.Random,
    points: Sequence[str],
) -> Told:
    began = time.monotonic()
    told = Told()
    server = Server(folder, "--slots", "2", callback_allow_networks="127.0.0.1")
    server.start()
    try:
        server.insist("SetEventCallback", CallbackURL=receiver.url, EventTypeList="SnapshotComplete")
        submitted = Submitter(server, kinds(server.bucket), chance)
        server.kill()
        submitted.begin(jobs)
        for point in points:
            server.start(point, wait=False)
            server.wait_until_dead()
            told.points.append(point)
        submitted.enough()
        server.start()
        for number in range(max(kills, postgres_kills)):
            if number < kills:
                _pause(chance, 1.5)
                server.kill()
                told.kills += 1
                server.start()
            if number < postgres_kills:
                _pause(chance, 0.5)
                told.postgres_kills += _kill_postgres(server)
        submitted.join()
        audit.wait_for_all(server, submitted)
        server.look()
        told.ended = audit.check_jobs(server, submitted.ids)
        told.probes = audit.check_probes(server, submitted)
        told.events = audit.check_events(submitted.ids, receiver)
        server.kill()
    finally:
        server.close()
    told.processes = len(server.seen)
    demand(lambda: not server.left_alive(), f"all have gone with the server: {server.left_alive()}", 20)
    told.leftovers = LocalBucket(server.bucket).clean_leftovers("out")
    files = audit.files_of(submitted.ids, {"local": audit.files_in(server.bucket)})
    told.pictures = audit.check_files(submitted.ids, files)
    told.seconds = time.monotonic() - began
    return told


def _pause(chance: random.Random, most_s: float) -> None:
    """Let the server work for a while: the moment of the next blow is what the drill is about."""
    time.sleep(chance.uniform(0.02, most_s))


def _kill_postgres(server: Server) -> int:
    postmaster = server.postmaster()
    assert postmaster is not None
    server.look()
    os.kill(postmaster, signal.SIGKILL)
    demand(lambda: server.postmaster() not in (None, postmaster) and server.is_ready(), "PostgreSQL is back")
    return 1


def tell(told: Told) -> None:
    """Say what was done, and what came of it."""
    print(f"{told.ended.total()} jobs in {told.seconds:.0f} s: {dict(told.ended)}")
    print(f"{told.events} events told of them; and {told.probes.total()} probe jobs: {dict(told.probes)}")
    print(f"{told.pictures} pictures verified; {told.processes} processes seen, none left")
    print(
        f"{told.kills} kills of the server, {told.postgres_kills} of PostgreSQL; and at: {', '.join(told.points)}"
    )
    print(f"{told.leftovers} temporary files that killed writers had left were removed")
