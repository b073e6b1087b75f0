"""Whole jobs whose store, or the network to it, is at fault: the same pictures in the end, or a Fail that says why.

Every shot is a slice of its own, so that a job of several opens its video anew again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import URL

from far_film import far_film
from faulty_proxy import Fault, FaultyProxy, Kind, faulty_proxy
from object_store import ObjectStore
from oss_server import KEY_ID, SECRET, OssServer
from service_client import Service, service, wait_for
from stillframe.errors import SourceError
from stillframe.jobs import faults as faults_of_jobs
from stillframe.jobs import outputs
from stillframe.media import plan
from stillframe.sandbox.parent import Sandbox
from stillframe.server import assembly
from stillframe.storage import keys, store, sts
from stillframe.storage.bucket import Bucket
from stillframe.storage.find_keys import keys_for
from stillframe.storage.places import StorePlace, open_bucket, parse_place
from stillframe.testing import barcode
from sts_server import KEY_ID as LENDER_ID
from sts_server import SECRET as LENDER_SECRET
from sts_server import StsServer, sts_server

pytestmark = pytest.mark.usefixtures("sandbox_holds")
SHOTS = 3
Pictures = Mapping[str, bytes]
full = pytest.mark.full


@dataclass(frozen=True)
class Day:
    """What goes wrong: the proxy's faults, by what they spoil."""

    ranges: Sequence[Fault] = ()
    writes: Sequence[Fault] = ()
    each_once: Mapping[Kind, Fault] = field(default_factory=dict)
    always: Mapping[Kind, Fault] = field(default_factory=dict)
    #: how long a request may take in all
    longest_s: float | None = None


@dataclass(frozen=True)
class Ended:
    """A job that has ended: the pictures that lie there, the names of those that are listed, and what was spoiled."""

    job: Mapping[str, Any]
    pictures: Pictures
    listed: frozenset[str]
    spoiled: int


@dataclass(frozen=True)
class Spoiled:
    """A bucket `name` of the service, behind a proxy. `films` is the same, as nobody spoils it."""

    name: str
    proxy: FaultyProxy
    films: Bucket
    service: Service
    #: lets go well again what is none of the proxy's
    mend: Callable[[], object] = lambda: None
    jobs: Iterator[int] = field(default_factory=count)

    def job(self, day: Day, shots: int = SHOTS, folder: str | None = None) -> Ended:
        folder = folder or f"job{next(self.jobs)}"
        proxy, client = self.proxy, self.service.client
        proxy.recover()
        proxy.faults.extend(day.ranges)
        proxy.writes.extend(day.writes)
        proxy.each_once.update(day.each_once)
        proxy.always.update(day.always)
        output = f"oss://{self.name}/{folder}/{{Count}}.jpg"
        job_id = client.submit(f"oss://{self.name}/film.mp4", output, Count=shots, FrameType="normal")
        job = client.ended(job_id)
        # where one slice has failed, the others end a little later
        wait_for(lambda: not self.service.assembly.running.number)
        assert not proxy.faults
        assert not proxy.writes
        spoiled = proxy.spoiled
        proxy.recover()
        self.mend()
        links = client.urls(job_id)["SnapshotUrls"]
        return Ended(
            job,
            {name: data for name in names(SHOTS) if (data := self._there(f"{folder}/{name}")) is not None},
            frozenset(urlsplit(link).path.rpartition("/")[2] for link in links),
            spoiled,
        )

    def _there(self, key: str) -> bytes | None:
        try:
            return self.films.read(key)
        except SourceError as error:
            if "does not exist" not in error.message:
                raise
            return None


def names(shots: int) -> list[str]:
    return [f"{number:05}.jpg" for number in range(1, shots + 1)]


def numbers(pictures: Pictures) -> list[int]:
    """The numbers that are seen in pictures."""
    return [barcode.read(np.asarray(Image.open(BytesIO(data)).convert("RGB"))) for data in pictures.values()]


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its pauses are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "STRETCH_S", 0.0)
        patch.setattr(assembly, "Sandbox", partial(Sandbox, entry="sandbox_each_shot:run"))
        patch.setattr(store, "FIRST_PAUSE_S", 0.02)
        patch.setattr(faults_of_jobs, "_LONGEST_PAUSE_S", 0.3)
        patch.setattr(outputs, "_LOOK_AGAIN_S", 0.01)
        patch.setattr("stillframe.jobs.worker._POLL_S", 0.1)
        patch.setattr(sts, "_PAUSE_S", 0.01)
        patch.setattr(keys, "NEW_S", 0.0)
        with service(module_database_url, tmp_path_factory.mktemp("data"), slots=2, slice_attempts=3) as made:
            yield made


@pytest.fixture(scope="module")
def in_s3(running: Service, object_store: ObjectStore) -> Iterator[Spoiled]:
    films = open_bucket(parse_place(object_store.make_bucket("baddays")), "films")
    films.write("film.mp4", far_film(), "video/mp4")
    with faulty_proxy(object_store.port) as proxy:
        proxy.content = far_film()
        place = f"s3://baddays?endpoint={proxy.endpoint}"
        running.assembly.buckets.add("films", running.account_id, place, "cn-shanghai")
        yield Spoiled("films", proxy, films, running)


@pytest.fixture(scope="module")
def expected(in_s3: Spoiled) -> Pictures:
    """Of a good day."""
    done = in_s3.job(Day())
    assert done.job["Status"] == "Success"
    assert sorted(done.listed) == sorted(done.pictures) == names(SHOTS)
    return done.pictures


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch, day: Day) -> None:
    """A request may not take longer than the day says."""
    if day.longest_s is not None:
        monkeypatch.setattr(store, "_LONGEST_S", day.longest_s)
        monkeypatch.setattr(store, "_SLOWEST_BYTES_PER_S", 10 << 20)


PASSING = {
    "resets": Day(each_once={"GET": "reset", "PUT": "503"}),
    "truncated answers": Day(each_once={"GET": "truncated", "PUT": "reset"}),
    "slow answers": Day(each_once={"GET": "slow", "PUT": "unanswered", "HEAD": "503"}),
    "503 for a second": Day(ranges=[lambda proxy: proxy.stay_away(1)]),
    "a trickle": Day(ranges=["drip"], longest_s=1.5),
    "200 instead of 206": Day(ranges=["whole"]),
    "503": Day(each_once={"GET": "503", "HEAD": "503", "PUT": "503"}),
    "503 for a second when it writes": Day(writes=[lambda proxy: proxy.stay_away(1)]),
    "resets of all": Day(each_once={"GET": "reset", "HEAD": "reset", "PUT": "reset"}),
    "a trickle in a slice": Day(ranges=["pass", "pass", "drip"], longest_s=1.5),
    "200 in a slice": Day(ranges=["pass", "pass", "whole"]),
    "a short answer": Day(ranges=["short"]),
    "a short answer in a slice": Day(ranges=["pass", "pass", "short"]),
    "one after another": Day(ranges=["503", "reset", "pass", "truncated", "short"], writes=["503", "reset"]),
}
FEW = ("resets", "truncated answers", "slow answers", "503 for a second", "a trickle", "200 instead of 206")


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize(
    "day", [pytest.param(day, id=name, marks=() if name in FEW else full) for name, day in PASSING.items()]
)
def test_what_passes_costs_no_picture(in_s3: Spoiled, expected: Pictures, day: Day) -> None:
    done = in_s3.job(day)
    assert done.job["Status"] == "Success", done.job
    assert (done.pictures, done.listed) == (expected, expected.keys())
    assert done.spoiled >= max(len(day.each_once), 1) * (SHOTS if day.each_once else 1)


WRITTEN = r"oss://films/job\d+/\d+\.jpg: "
READ = r"oss://films/film\.mp4: "
LASTING = {
    "503": (Day(always={"GET": "503"}), READ + "the store answers 503 Service Unavailable"),
    "503 to writes": (Day(always={"PUT": "503"}), WRITTEN + "the store answers 503 Service Unavailable"),
    "200 instead of 206": (
        Day(always={"GET": "whole"}),
        READ + "the store sends more than it was asked for, as one that does not know ranges does",
    ),
    "resets": (Day(always={"GET": "reset"}), READ + ".*Connection reset by peer.*"),
    "truncated answers": (Day(always={"GET": "truncated"}), READ + ".*end of file.*"),
    "short answers": (Day(always={"GET": "short"}), READ + "the store sends less than it was asked for"),
    "a trickle": (
        Day(always={"GET": "drip"}, longest_s=1),
        READ + "the store has taken longer than 1 s for it",
    ),
    "503 to all": (Day(always={"HEAD": "503"}), READ + "the store answers 503 Service Unavailable"),
    "resets of writes": (Day(always={"PUT": "reset"}), WRITTEN + ".*Connection reset by peer.*"),
    "no answer to writes": (Day(always={"PUT": "unanswered"}), WRITTEN + ".*Connection reset by peer.*"),
}


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize("shots", [1, pytest.param(SHOTS, marks=full)])
@pytest.mark.parametrize(
    ("day", "told"),
    [
        pytest.param(*row, id=name, marks=() if name == "503 to writes" else full)
        for name, row in LASTING.items()
    ],
)
def test_what_does_not_pass_is_told(
    in_s3: Spoiled, expected: Pictures, day: Day, told: str, shots: int
) -> None:
    """And nothing is listed that is not there, or not whole."""
    done = in_s3.job(day, shots)
    code = "OperationDenied" if told.startswith(WRITTEN) else "ResourceNotFound"
    assert (done.job["Status"], done.job["Code"]) == ("Fail", code)
    assert re.fullmatch(told, done.job["Message"])
    assert done.listed == frozenset()
    if day.always != {"PUT": "unanswered"}:
        assert done.pictures == {}
    assert done.pictures.items() <= expected.items()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def another(data: bytes) -> bytes:
    return data[::-1]


@pytest.mark.parametrize("lies_there", [half, pytest.param(another, marks=full)])
def test_a_picture_that_does_not_lie_there_as_it_was_written(
    in_s3: Spoiled, expected: Pictures, lies_there: Callable[[bytes], bytes]
) -> None:
    """The store has taken all of it, and keeps the half, or another one of its size."""
    name, folder = names(1)[0], lies_there.__name__

    def keep(_: FaultyProxy) -> None:
        in_s3.films.write(f"{folder}/{name}", lies_there(expected[name]), "image/jpeg")

    done = in_s3.job(Day(writes=[keep]), 1, folder)
    assert done.job["Status"] == "Success", done.job
    assert (done.pictures, done.listed) == ({name: expected[name]}, {name})


@pytest.mark.parametrize(
    ("ranges_before", "status"),
    [
        (0, "Success"),
        (1, "Fail"),
        # the last slice may have read all that it needs by then, at the same time as the one before it
        pytest.param(2, "Fail or Success", marks=full),
        pytest.param(3, "Fail or Success", marks=full),
    ],
)
def test_a_film_that_is_replaced_between_two_ranges(
    in_s3: Spoiled, expected: Pictures, ranges_before: int, status: str
) -> None:
    """While it is surveyed, all pictures are of the new one; after that, what there is is of the old one."""
    other = far_film(first_number=500)

    def replace(_: FaultyProxy) -> None:
        in_s3.films.write("film.mp4", other, "video/mp4")

    try:
        done = in_s3.job(Day(ranges=[*["pass"] * ranges_before, replace]))
    finally:
        in_s3.films.write("film.mp4", far_film(), "video/mp4")
    assert done.job["Status"] in status
    if done.job["Status"] == "Success" and ranges_before:
        assert done.pictures == expected
        return
    if status == "Success":
        assert numbers(done.pictures) == [500 + number for number in numbers(expected)]
        assert done.listed == expected.keys()
        return
    assert done.job["Code"] == "ResourceNotFound"
    assert re.fullmatch(READ + "the file has changed since it was surveyed.*", done.job["Message"])
    assert done.pictures.items() < expected.items()
    assert done.listed == done.pictures.keys()


def test_a_wrong_byte_would_be_seen(in_s3: Spoiled, expected: Pictures) -> None:
    """Nobody can notice it on the way; but if pictures came out wrong, these tests would."""
    done = in_s3.job(Day(always={"GET": "corrupt"}))
    assert done.pictures != expected


@pytest.fixture(scope="module")
def lender(oss: OssServer) -> Iterator[StsServer]:
    """Who lends the service its keys for OSS."""
    with pytest.MonkeyPatch.context() as patch, sts_server(oss.add_keys) as server:
        patch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", LENDER_ID)
        patch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", LENDER_SECRET)
        # that no other test has had keys of
        patch.setenv("ALIBABA_CLOUD_ROLE_ARN", f"acs:ram::1:role/films{server.server_address[1]}")
        patch.setenv("ALIBABA_CLOUD_STS_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture(scope="module")
def in_oss(
    running: Service, oss: OssServer, lender: StsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spoiled]:
    """Whoever looks after it has keys that last."""
    place = oss.make_bucket("baddays")
    profiles = tmp_path_factory.mktemp("keys") / "credentials"
    profiles.write_text(f"[own]\naccess_key_id = {KEY_ID}\naccess_key_secret = {SECRET}\n")
    with pytest.MonkeyPatch.context() as patch, faulty_proxy(oss.port) as proxy:
        patch.setenv("ALIBABA_CLOUD_CREDENTIALS_FILE", str(profiles))
        films = open_bucket(parse_place(f"{place}&profile=own"), "lent")
        films.write("film.mp4", far_film(), "video/mp4")
        behind = place.replace(oss.endpoint, proxy.endpoint)
        bucket = running.assembly.buckets.add("lent", running.account_id, behind, "cn-shanghai").open()
        # the first keys are lent
        bucket.stat("film.mp4")
        yield Spoiled("lent", proxy, films, running, lender.faults.clear)


#: by which the keys are found that the service has now
PLACE_WITHOUT_PROFILE = StorePlace("oss", "baddays")


@pytest.fixture
def expire(oss: OssServer, lender: StsServer) -> Callable[[FaultyProxy], None]:
    """The store refuses from now on what was lent last, long before its time."""
    return lambda _: oss.expire(keys_for(PLACE_WITHOUT_PROFILE).access_key_id)


@pytest.mark.parametrize("at", ["ranges", "writes"])
def test_a_token_whose_time_is_up(
    in_oss: Spoiled, lender: StsServer, expire: Callable[[FaultyProxy], None], expected: Pictures, at: str
) -> None:
    """In the middle of a film, or of the pictures that are written."""
    before = len(lender.asked)
    done = in_oss.job(Day(**{at: ["pass", expire]}))
    assert done.job["Status"] == "Success", done.job
    assert (done.pictures, done.listed) == (expected, expected.keys())
    assert len(lender.asked) > before


@pytest.mark.parametrize("at", ["ranges", "writes"])
def test_a_token_whose_lender_is_away_for_a_moment(
    in_oss: Spoiled, lender: StsServer, expire: Callable[[FaultyProxy], None], expected: Pictures, at: str
) -> None:
    def expire_and_trouble(proxy: FaultyProxy) -> None:
        expire(proxy)
        lender.faults.extend([503, 503, 503])

    done = in_oss.job(Day(**{at: ["pass", expire_and_trouble]}))
    assert done.job["Status"] == "Success", done.job
    assert (done.pictures, done.listed) == (expected, expected.keys())
    assert not lender.faults


@pytest.mark.parametrize(
    ("at", "code", "told"),
    [
        ("ranges", "ResourceNotFound", READ + "({refused}the time of the temporary key is up: |{none}).*"),
        # the look at it is answered without a word
        pytest.param("writes", "OperationDenied", WRITTEN + "{refused}it may lack a right.*", marks=full),
    ],
    ids=["read", "written"],
)
def test_a_token_that_nobody_renews(
    in_oss: Spoiled,
    lender: StsServer,
    expire: Callable[[FaultyProxy], None],
    expected: Pictures,
    at: str,
    code: str,
    told: str,
) -> None:
    def expire_for_good(proxy: FaultyProxy) -> None:
        expire(proxy)
        lender.faults.extend([403] * 100)

    done = in_oss.job(Day(**{at: [expire_for_good]}), 1)
    assert (done.job["Status"], done.job["Code"]) == ("Fail", code)
    refused = "the store refuses the key, or what it may do: "
    # who comes a moment later is told what the lender says
    none = f"there are no keys for the store: {lender.endpoint}/? answers 403: "
    told = told.replace("films", "lent").format(refused=refused, none=none)
    assert re.fullmatch(told, done.job["Message"]), done.job["Message"]
    assert done.pictures.items() <= expected.items()
    assert done.listed == frozenset()
