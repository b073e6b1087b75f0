"""Jobs whose video lies in a real S3 server: what they read of it is told, bounded, and of one content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from far_film import far_film
from faulty_proxy import FaultyProxy, faulty_proxy
from jobs_by_hand import Interrupted, JobsByHand, jobs_by_hand
from object_store import ObjectStore, object_store
from stillframe.errors import ChildKilled, ConfigError, SourceError
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.storage import cached_source
from stillframe.storage.bucket import Bucket
from stillframe.storage.index_cache import IndexCache
from stillframe.storage.places import open_bucket, parse_place
from stillframe.testing import barcode

__all__ = ["object_store"]
SHOTS = 4
MOVIE = "oss://films/film.mp4"


@pytest.fixture(scope="module")
def place(object_store: ObjectStore) -> str:
    return object_store.make_bucket("farfilms")


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[FaultyProxy]:
    with faulty_proxy(object_store.port) as made:
        yield made


@pytest.fixture
def films(place: str) -> Bucket:
    bucket = open_bucket(parse_place(place), "films")
    bucket.write("film.mp4", far_film(), "video/mp4")
    return bucket


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, films: Bucket, proxy: FaultyProxy) -> Iterator[JobsByHand]:
    """The films are read through the proxy; pictures are written to a folder."""
    with jobs_by_hand(database_url, tmp_path, max_read_bytes=1 << 30) as made:
        behind = f"s3://farfilms?endpoint={proxy.endpoint}"
        made.assembly.buckets.add("films", made.account_id, behind, "cn-shanghai")
        # the bucket was tried when it was added
        proxy.heads = proxy.ranges = proxy.range_bytes = 0
        yield made


@pytest.fixture
def in_slices(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> bool:
    """Whether each shot is a slice."""
    in_slices = bool(getattr(request, "param", True))
    if in_slices:
        monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    return in_slices


def numbers(jobs: JobsByHand) -> list[int]:
    """The numbers in the pictures that are there."""
    paths = sorted((jobs.bucket / "out").glob("*.png"))
    return [barcode.read(np.asarray(Image.open(path).convert("RGB"))) for path in paths]


@pytest.mark.parametrize("in_slices", [True, False], indirect=True)
def test_what_is_told_is_what_went_over_the_network(
    jobs: JobsByHand, proxy: FaultyProxy, in_slices: bool
) -> None:
    """With the tries that were in vain."""
    jobs.decoder = Interrupted(killed)
    job_id = jobs.submit(SHOTS, movie=MOVIE)
    jobs.do_all()
    job = jobs.get(job_id)
    assert job.status == "Success"
    assert job.report is not None
    ((slices,),) = jobs.sql("SELECT count(*) FROM slices")
    assert slices == (SHOTS if in_slices else 1)
    told, size = job.report, len(far_film())
    assert told["BytesRead"] == proxy.range_bytes == jobs.metric("read_bytes_total", store="s3")
    assert told["Requests"] == proxy.ranges + proxy.heads == jobs.metric("read_requests_total", store="s3")
    assert told["SizeBytes"] == size
    assert told["ShareRead"] == round(100 * told["BytesRead"] / size, 2)
    assert len(numbers(jobs)) == SHOTS


def killed() -> None:
    raise ChildKilled("crash", "it died")


@pytest.mark.usefixtures("in_slices")
@pytest.mark.parametrize("in_slices", [True, False], indirect=True)
def test_a_job_reads_no_more_than_it_may(
    jobs: JobsByHand, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that needs less is none the worse for it; of one that needs more, what there is is whole."""

    def done(**limit: int) -> tuple[str, int]:
        """A job on its own, and what it has read."""
        monkeypatch.setattr(cached_source, "_INDEXES", IndexCache())
        before, job_id = proxy.range_bytes, jobs.submit(SHOTS, movie=MOVIE, **limit)
        jobs.do_all()
        return job_id, proxy.range_bytes - before

    _, needed = done()
    job_id, read = done(MaxReadBytes=needed)
    assert (jobs.get(job_id).status, read) == ("Success", needed)
    for path in (jobs.bucket / "out").iterdir():
        path.unlink()
    limit = needed // 2
    job_id, read = done(MaxReadBytes=limit)
    job = jobs.get(job_id)
    assert (job.status, job.code) == ("Fail", "MaxReadBytesExceeded")
    assert job.message == (
        f"{MOVIE}: more than {limit:,} bytes (MaxReadBytes) of its {len(far_film()):,} would have to be read: "
        "ask for fewer shots, or for keyframes (FrameType intra), or allow more"
    )
    assert read <= limit
    listed = jobs.sql("SELECT key FROM job_outputs WHERE job_id = :id", id=job_id)
    assert {path.name for path in (jobs.bucket / "out").iterdir()} == {Path(key).name for (key,) in listed}
    assert len(numbers(jobs)) == len(listed) < SHOTS
    assert jobs.waiting() == []


def test_a_job_may_not_allow_more_than_the_operator(jobs: JobsByHand) -> None:
    with pytest.raises(ConfigError, match="MaxReadBytes is 1073741825, but must be at most 1073741824"):
        jobs.submit(1, movie=MOVIE, MaxReadBytes=(1 << 30) + 1)
    jobs.assembly.settings = jobs.assembly.settings.model_copy(update={"max_read_bytes": 5000})
    job_id, probe_id = jobs.submit(1, movie=MOVIE), jobs.submit_probe(MOVIE)
    jobs.do_all()
    assert jobs.get(job_id).code == jobs.get_probe(probe_id).code == "MaxReadBytesExceeded"


class Meanwhile(Unlocked):
    """Does something once, after a source was opened and its survey made, and before the pictures are."""

    def __init__(self, happens: Callable[[], Any]) -> None:
        super().__init__()
        self._happens: Callable[[], Any] | None = happens

    def survey_and_render(self, *arguments: Any) -> Any:
        *others, work = arguments

        def surveyed(survey: Any) -> None:
            work.on_survey(survey)
            if len(survey.stretches) == 1:
                self._let_happen()

        return super().survey_and_render(*others, replace(work, on_survey=surveyed))

    def render(self, *arguments: Any) -> Any:
        self._let_happen()
        return super().render(*arguments)

    def _let_happen(self) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()


def test_a_video_that_is_replaced_while_it_is_read_is_surveyed_anew(jobs: JobsByHand, films: Bucket) -> None:
    """The pictures are all of the new one."""
    other = far_film(first_number=500)
    jobs.decoder = Meanwhile(lambda: films.write("film.mp4", other, "video/mp4"))
    # more than is asked for before the survey
    job_id = jobs.submit(20, movie=MOVIE, FrameType="normal")
    jobs.do(jobs.waiting()[0])
    held_up = jobs.get(job_id)
    assert (held_up.status, held_up.code) == ("Init", "ResourceNotFound")
    assert held_up.message == f"{MOVIE}: the object was replaced while it was read"
    jobs.do_all()
    assert jobs.get(job_id).status == "Success"
    assert numbers(jobs) == [*range(500, 600, 5)]


def test_nothing_stays_of_a_longer_video_that_was_there_before(jobs: JobsByHand, films: Bucket) -> None:
    """It had more pictures, of which some were made."""

    def replaced() -> None:
        if len(numbers(jobs)) >= 3:
            films.write("film.mp4", far_film(frames=10, first_number=700), "video/mp4")
            raise SourceError(MOVIE, "the object was replaced while it was read", transient=True)

    jobs.decoder = EachShot(replaced)
    job_id = jobs.submit(4, movie=MOVIE, Interval=1)
    jobs.do_all()
    assert (jobs.get(job_id).status, jobs.get(job_id).count) == ("Success", 2)
    assert numbers(jobs) == [700, 705]
    assert jobs.sql("SELECT count(*) FROM job_outputs") == [(2,)]


class EachShot(Interrupted):
    """Does something at each shot."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__(happens)
        self._happens = happens

    def _once(self, _: object) -> None:
        self._happens()


@pytest.mark.usefixtures("in_slices")
def test_slices_of_a_video_that_was_replaced_are_not_mixed(jobs: JobsByHand, films: Bucket) -> None:
    other = far_film(first_number=500)
    jobs.decoder = Meanwhile(lambda: films.write("film.mp4", other, "video/mp4"))
    job_id = jobs.submit(SHOTS, movie=MOVIE)
    jobs.do_all()
    job = jobs.get(job_id)
    assert (job.status, job.code) == ("Fail", "ResourceNotFound")
    assert job.message is not None
    assert job.message.startswith(f"{MOVIE}: the file has changed since it was surveyed")
    assert all(number < 100 for number in numbers(jobs))
    assert jobs.waiting() == []
