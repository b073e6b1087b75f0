"""Jobs of many slices, each of one shot or one sheet: what a long film comes to."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from service_client import DEADLINE_S, Client, Service, service, wait_for
from stillframe.jobs import lifecycle, pipelines
from stillframe.jobs.models import Job
from stillframe.jobs.queue import WINDOW
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.testing import Clip, barcode, videos


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=125, fps=5, gop=5)


@pytest.fixture(scope="module")
def running(
    module_database_url: URL, tmp_path_factory: pytest.TempPathFactory, film: Clip
) -> Iterator[Service]:
    """One slot, and without the sandbox: its children have a plan of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "STRETCH_S", 0.0)
        folder = tmp_path_factory.mktemp("data")
        with service(module_database_url, folder, slots=1, sandbox="off") as started:
            shutil.copy(film.path, started.folder / "movie.mp4")
            yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The worker does one slice, and stands before the next one until this is set: a job is met in its middle."""
    told, begun, render = threading.Event(), itertools.count(), Unlocked.render

    def standing(*arguments: Any) -> Any:
        assert next(begun) == 0 or told.wait(DEADLINE_S)
        return render(*arguments)

    monkeypatch.setattr(Unlocked, "render", standing)
    yield told
    told.set()


def numbers(folder: Path) -> list[int]:
    """The frame numbers of a folder's pictures, by their names."""
    return [
        barcode.read(np.asarray(Image.open(path).convert("RGB"))) for path in sorted(folder.glob("*.jpg"))
    ]


def test_every_slice_has_its_pictures(client: Client, running: Service, film: Clip) -> None:
    job_id = client.submit("oss://local/movie.mp4", "oss://local/whole/{Count}.jpg", Count=12, Interval=2)
    job = client.succeeded(job_id)
    assert numbers(running.folder / "whole") == [film.number_at(2000 * k) for k in range(12)]
    assert (job["Count"], job["Report"]["Shots"]["Taken"], client.urls(job_id)["Total"]) == (12, 12, 12)


def test_a_short_job_does_not_wait_for_a_long_one(client: Client, running: Service) -> None:
    """It takes its turn between two slices; the order itself is tested in test_turns."""
    long = client.submit("oss://local/movie.mp4", "oss://local/long/{Count}.jpg", Count=120)
    client.in_work(long)
    short = client.submit("oss://local/movie.mp4", "oss://local/short.jpg", Count=1)
    before = len(numbers(running.folder / "long"))
    client.succeeded(short)
    between = len(numbers(running.folder / "long")) - before
    # a few before it; what the client was told of late comes on top
    assert between <= 4 * WINDOW
    assert client.get(long)["Status"] == "Init"
    client.call("CancelSnapshotJob", JobId=long)
    written = numbers(running.folder / "long")
    assert client.urls(long)["Total"] == client.get(long)["Count"] == len(written) < 120
    client.succeeded(client.submit("oss://local/movie.mp4", "oss://local/after.jpg", Count=1))
    assert numbers(running.folder / "long") == written


def test_a_pause_in_the_middle(client: Client, running: Service, film: Clip, go_on: threading.Event) -> None:
    job_id = client.submit("oss://local/movie.mp4", "oss://local/paused/{Count}.jpg", Count=25)
    client.in_work(job_id)
    pipeline = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
    with running.assembly.database.transaction() as session:
        pipelines.pause(session, pipeline)
    go_on.set()

    def parked() -> bool:
        with running.assembly.database.transaction() as session:
            job = session.get(Job, job_id)
            assert job is not None
            return job.parked

    wait_for(parked)
    assert 0 < client.get(job_id)["Progress"] < 100
    with running.assembly.database.transaction() as session:
        # a task that finds it parked may hold it just now: then the repair lets it in
        assert pipelines.unpause(session, running.assembly.queue, pipeline) in (0, 1)
    assert client.succeeded(job_id)["Count"] == 25
    moments = [shot["RequestedMs"] for shot in client.get(job_id)["Report"]["ShotList"]]
    assert numbers(running.folder / "paused") == [film.number_at(int(moment)) for moment in moments]


def test_outputs_that_vanish_before_the_end_are_made_again(
    client: Client, running: Service, go_on: threading.Event
) -> None:
    job_id = client.submit("oss://local/movie.mp4", "oss://local/robbed/{Count}.jpg", Count=20)
    client.in_work(job_id)
    (running.folder / "robbed" / "00001.jpg").unlink()
    go_on.set()
    assert client.succeeded(job_id)["Count"] == 20
    assert len(numbers(running.folder / "robbed")) == 20


def test_count_is_of_moments_and_not_of_files(
    client: Client, running: Service, go_on: threading.Event
) -> None:
    """In a success as in a failure, and for sheets as for stills: `Total` of the URLs counts the files."""
    sprite = {"Type": "Sprite", "Width": 32, "SpriteSnapshotConfig": {"Columns": 2, "Lines": 2}}
    part = client.submit("oss://local/movie.mp4", "oss://local/part/{TileCount}.jpg", Count=120, **sprite)
    client.in_work(part)
    go_on.set()
    client.call("CancelSnapshotJob", JobId=part)
    sheets = len(list((running.folder / "part").iterdir()))
    assert 0 < sheets < 30
    assert (client.get(part)["Count"], client.urls(part)["Total"]) == (4 * sheets, sheets)
    whole = client.submit("oss://local/movie.mp4", "oss://local/counted/{TileCount}.jpg", Count=10, **sprite)
    assert client.succeeded(whole)["Count"] == 10
    assert client.urls(whole)["Total"] == 3


def test_the_last_sheet_counts_what_is_on_it(client: Client, running: Service) -> None:
    sprite = {"Type": "Sprite", "Width": 32, "SpriteSnapshotConfig": {"Columns": 2, "Lines": 2}}
    job_id = client.submit("oss://local/movie.mp4", "oss://local/last/{TileCount}.jpg", Count=10, **sprite)
    client.succeeded(job_id)
    with running.assembly.database.transaction() as session:
        job = session.get(Job, job_id)
        assert job is not None
        assert lifecycle.count_shots(session, job) == 10
