"""Backup and restore as the guide tells them: taken under load, restored elsewhere, and every job of it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import bash, said, started
from sqlalchemy import URL

from drill.server import demand
from drill.work import TEMPLATE, Kind, kinds, numbers_in
from stillframe.errors import RequestFailed, StillframeError
from stillframe.ims.client import Client
from stillframe.storage.local import LocalBucket
from told import GUIDES, commands

pytestmark = pytest.mark.usefixtures("sandbox_holds")
GUIDE = GUIDES / "backup-and-restore.md"
#: jobs of which some have ended, some are in work and some wait while the backup is taken
BEFORE, AFTER = 24, 6
#: more than can be worked on in the meantime, and not so many that nobody wants to wait for their end
_PAUSE_S = 0.05


class Submitter:
    """Submits one job after the other, on a thread of its own, until it is told to stop."""

    def __init__(self, url: str, key: tuple[str, str], work: list[Kind]) -> None:
        #: in the order in which they were taken
        self.taken: dict[str, tuple[int, Kind]] = {}
        self._url, self._key, self._work = url, key, work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Submitter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with Client(self._url, *self._key) as client:
            # without a server, the last one was not taken
            while not self._stopping.wait(_PAUSE_S):
                number = len(self.taken)
                kind = self._work[number % len(self._work)]
                try:
                    answer = client.call(
                        "SubmitSnapshotJob",
                        Input={"Type": "OSS", "Media": f"oss://local/{kind.media}"},
                        Output={"Type": "OSS", "Media": f"oss://local/out/{number:04}/{kind.output}"},
                        TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": dict(kind.overwrite)},
                    )
                except StillframeError:
                    return
                self.taken[answer["JobId"]] = number, kind


@pytest.fixture(params=["private", "own"])
def databases(request: pytest.FixtureRequest) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of the service, and of the one that is restored."""
    if request.param == "private":
        return {}, {}
    found: list[URL] = [
        request.getfixturevalue("database_url"),
        request.getfixturevalue("empty_database_url"),
    ]
    one, other = (url.set(drivername="postgresql").render_as_string(hide_password=False) for url in found)
    return {"STILLFRAME_DATABASE_URL": one}, {"STILLFRAME_DATABASE_URL": other}


@pytest.mark.full
def test_every_job_of_a_backup_under_load_ends(
    tmp_path: Path, databases: tuple[dict[str, str], dict[str, str]]
) -> None:
    """Half a minute long."""
    before, after = databases
    backup = commands(GUIDE, "Back up")
    *restore, serve = commands(GUIDE, "Restore")
    assert (len(backup), len(restore)) == (2, 5)
    videos = tmp_path / "srv" / "videos"
    with started("stillframe serve --slots 1", tmp_path, "lost", **before) as lost:
        url = said(lost, r"API +(http://\S+)")
        key = said(lost, r"AccessKeyId (\S+)"), said(lost, r"AccessKeySecret (\S+)")
        bucket = tmp_path / "stillframe-data" / "buckets" / "local"
        work = kinds(bucket)
        with Submitter(url, key, work) as submitter:
            demand(lambda: len(submitter.taken) >= BEFORE, "jobs are taken")
            with Client(url, *key) as client:
                demand(lambda: ended(client), "a job has ended")
            surely = {*submitter.taken}
            for command in backup:
                done = bash(command, tmp_path, **before)
                assert done.returncode == 0, done.stderr
            count = len(submitter.taken)
            demand(lambda: len(submitter.taken) >= count + AFTER, "jobs are taken after the backup")
            # the machine is lost
            lost.kill()
            lost.wait()
    # nobody finds what it has left; its bucket was a disk of its own
    demand(
        lambda: not list(tmp_path.glob("stillframe-data/database/*/postmaster.pid")), "its database has ended"
    )
    videos.parent.mkdir()
    bucket.rename(videos)
    (tmp_path / "stillframe-data").rename(tmp_path / "gone")

    for command in restore:
        done = bash(command.replace("/srv/videos", str(videos)), tmp_path, **after)
        assert done.returncode == 0, done.stderr
    with (
        started(serve, tmp_path, "restored", **after) as restored,
        Client(said(restored, r"API +(http://\S+)"), *key) as client,
    ):
        demand(lambda: not jobs(client, Status="Init"), "every job has ended", 180)
        # what the killed one had begun to write; a server removes it by itself after a while
        LocalBucket(videos).clean_leftovers("out")
        known = {str(job["JobId"]) for job in all_jobs(client)}
        assert surely <= known <= submitter.taken.keys()
        for job_id in known:
            job = client.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
            number, kind = submitter.taken[job_id]
            said_of_it = f"job {number}, {kind.name}: {job['Status']} {job.get('Code')} {job.get('Message')}"
            assert (job["Status"], job.get("Code")) == ("Fail" if kind.code else "Success", kind.code), (
                said_of_it
            )
            if kind.code is None:
                folder = videos / "out" / f"{number:04}"
                files = {
                    str(path.relative_to(folder)): path.read_bytes()
                    for path in folder.rglob("*")
                    if path.is_file()
                }
                assert files == kind.files, said_of_it
                assert numbers_in(kind, files) == kind.numbers, said_of_it
        for job_id in submitter.taken.keys() - known:
            with pytest.raises(RequestFailed, match="NotFound"):
                client.call("GetSnapshotJob", JobId=job_id)


def ended(client: Client) -> bool:
    return bool(jobs(client, Status="Success"))


def jobs(client: Client, **which: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.call("ListSnapshotJobs", PageSize=1, **which)["Jobs"]
    return found


def all_jobs(client: Client) -> Iterator[dict[str, object]]:
    token: dict[str, str] = {}
    while True:
        page = client.call("ListSnapshotJobs", PageSize=100, **token)
        yield from page["Jobs"]
        if not page.get("NextPageToken"):
            return
        token = {"NextPageToken": page["NextPageToken"]}
