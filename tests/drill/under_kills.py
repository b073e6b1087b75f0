"""Kill the server and PostgreSQL again and again under jobs, and demand that each of them ends as it must.

python tests/drill/under_kills.py --jobs 200 --kills 20 --postgres-kills 5 [--seed 1] [--folder DIR]

No job is lost or stuck, none says Success with a file missing, empty or wrong, each one's end is told of by an event,
none of the server's processes outlives it, and nothing but complete files lies in the bucket.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from drill.launcher import POINTS
from drill.server import Server, demand
from drill.work import TEMPLATE, Kind, kinds, numbers_in
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
        submitted = _Submitter(server, kinds(server.bucket), jobs, chance)
        server.kill()
        submitted.start()
        for point in points:
            server.start(point, wait=False)
            server.wait_until_dead()
            told.points.append(point)
        submitted.points_are_done()
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
        _wait_for_all(server, submitted)
        server.look()
        _check_jobs(server, submitted, told)
        _check_probes(server, submitted, told)
        _check_events(submitted, receiver, told)
        server.kill()
    finally:
        server.close()
    told.processes = len(server.seen)
    demand(lambda: not server.left_alive(), f"all have gone with the server: {server.left_alive()}", 20)
    _check_files(server, submitted, told)
    told.seconds = time.monotonic() - began
    return told


class _Submitter:
    """Submits jobs one by one, each until it is taken, while the server comes and goes.

    When all are taken, and a server still waits for the work that brings it to its point, it goes on slowly.
    """

    def __init__(self, server: Server, kinds: list[Kind], jobs: int, chance: random.Random) -> None:
        #: what was asked for, by the id that a submit has returned, in order
        self.ids: dict[str, tuple[int, Kind]] = {}
        #: likewise, of probe jobs
        self.probes: dict[str, Kind] = {}
        self._server = server
        self._kinds = kinds
        self._jobs = jobs
        self._taken = 0
        self._chance = random.Random(chance.random())
        self._points_done = threading.Event()
        self._thread = threading.Thread(target=self._submit, daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Begin to submit."""
        self._thread.start()

    def points_are_done(self) -> None:
        """No server waits for work any more."""
        self._points_done.set()

    def join(self) -> None:
        """Wait until all are taken."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        assert len(self.ids) == self._taken, "two submits have returned the same id"

    def _submit(self) -> None:
        try:
            while self._taken < self._jobs:
                self._submit_one(self._taken)
                # spread over the time that the server is up
                time.sleep(self._chance.uniform(0, 0.15))
            while not self._points_done.wait(0.5):
                self._submit_one(self._taken)
        except BaseException as error:
            self._fault = error

    def _submit_one(self, number: int) -> None:
        kind = self._kinds[number % len(self._kinds)]
        answer = self._server.insist(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": f"oss://local/{kind.media}"},
            Output={"Type": "OSS", "Media": f"oss://local/out/{number:04}/{kind.output}"},
            TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": dict(kind.overwrite)},
            # a submit whose answer was lost is done once more, and must not be a second job
            ClientToken=f"drill-{number}",
        )
        self.ids[answer["JobId"]] = number, kind
        # without a token: when the answer was lost, there are two of them
        look = self._server.insist(
            "SubmitMediaInfoJob", Input={"Type": "OSS", "Media": f"oss://local/{kind.media}"}
        )
        self.probes[look["MediaInfoJob"]["JobId"]] = kind
        self._taken += 1


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


def _wait_for_all(server: Server, submitted: _Submitter) -> None:
    """Every job that was taken is there, once, and has ended."""
    demand(
        lambda: not server.insist("ListSnapshotJobs", Status="Init", PageSize=1)["Jobs"],
        "every job has ended",
        180,
    )
    demand(
        lambda: not server.insist("ListMediaInfoJobs", Status="Init", PageSize=1)["Jobs"],
        "every probe job has ended",
    )
    listed: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = server.insist("ListSnapshotJobs", PageSize=100, **token)
        listed += [job["JobId"] for job in page["Jobs"]]
        if not page.get("NextPageToken"):
            break
        token = {"NextPageToken": page["NextPageToken"]}
    assert sorted(listed) == sorted(submitted.ids), "jobs are lost, or there are more than were submitted"


def _check_jobs(server: Server, submitted: _Submitter, told: Told) -> None:
    """Each job says what it must."""
    for job_id, (number, kind) in submitted.ids.items():
        job = server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
        said = f"job {number}, {kind.name}: {job['Status']} {job.get('Code')} {job.get('Message')}"
        assert (job["Status"], job.get("Code")) == ("Fail" if kind.code else "Success", kind.code), said
        told.ended[kind.code or "Success"] += 1
        if kind.code is not None:
            continue
        assert job["Count"] == len(kind.numbers), said
        names = [name for name in kind.files or {} if not name.endswith(".vtt")]
        urls = server.insist("GetSnapshotUrls", JobId=job_id, PageSize=1)
        assert urls["Total"] == len(names), said
        assert bool(urls.get("WebVTTUrl")) == (kind.overwrite["Type"] == "WebVtt"), said


def _check_probes(server: Server, submitted: _Submitter, told: Told) -> None:
    """Each probe job says what it must."""
    for job_id, kind in submitted.probes.items():
        job = server.insist("GetMediaInfoJob", JobId=job_id)["MediaInfoJob"]
        assert (job["Status"], job.get("Code")) == ("Fail" if kind.code else "Success", kind.code), (
            f"the probe of {kind.media}: {job}"
        )
        told.probes[kind.code or "Success"] += 1
        if kind.code is None:
            (video,) = job["MediaInfoProperty"]["VideoStreamInfoList"]
            assert (video["Codec_name"], video["Width"]) == ("h264", "192"), kind.media


def _check_events(submitted: _Submitter, receiver: Receiver, told: Told) -> None:
    """Each job's end was told of, as it was; some of them more than once."""
    demand(
        lambda: submitted.ids.keys() <= {message.told["JobId"] for message in receiver.messages},
        "every job is told of",
    )
    for message in receiver.messages:
        number, kind = submitted.ids[message.told["JobId"]]
        assert message.told.get("Code") == kind.code, (
            f"the event of job {number}, {kind.name}: {message.told}"
        )
    told.events = len(receiver.messages)


def _check_files(server: Server, submitted: _Submitter, told: Told) -> None:
    """In each job's folder lies what it must give, and nothing else; the server is not asked."""
    told.leftovers = LocalBucket(server.bucket).clean_leftovers("out")
    for number, kind in submitted.ids.values():
        folder = server.bucket / "out" / f"{number:04}"
        found = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        said = f"the files of job {number}, {kind.name}"
        assert sorted(found) == sorted(kind.files or {}), said
        assert numbers_in(kind, found) == kind.numbers, said
        assert found == (kind.files or {}), said
        told.pictures += sum(not name.endswith(".vtt") for name in found)


def main() -> None:
    """The full drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--postgres-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="an empty folder that is kept")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="stillframe-drill-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            told = drill(
                folder,
                jobs=options.jobs,
                kills=options.kills,
                postgres_kills=options.postgres_kills,
                seed=seed,
            )
        except BaseException:
            log = folder / "log"
            if log.exists():
                print("".join(log.read_text().splitlines(keepends=True)[-60:]), file=sys.stderr)
            raise
    print(f"{sum(told.ended.values())} jobs in {told.seconds:.0f} s: {dict(told.ended)}")
    print(
        f"{told.events} events told of them; and {sum(told.probes.values())} probe jobs: {dict(told.probes)}"
    )
    print(f"{told.pictures} pictures read back; {told.processes} processes seen, none left")
    print(
        f"{told.kills} kills of the server, {told.postgres_kills} of PostgreSQL; and at: {', '.join(told.points)}"
    )
    print(f"{told.leftovers} temporary files that killed writers had left were removed")


if __name__ == "__main__":
    main()
