"""What Amazon has and Swift has not: users and roles with their rights, archives, versions, and hosts with a bucket.

On moto, since Swift as it is started here has one user who may do everything, no STS, no storage classes, no versions,
one host, and 1,000 keys in each answer to a list. Our own servers for STS and OSS know tokens and such hosts, but they
are ours: here the signatures of our STS client, and of OpenDAL with a token, are calculated by others (botocore), and
IAM's rights are looked at. What moto does not look at (`moto_server.py`) is tested elsewhere: regions and clocks in
`test_store_faults.py`, tokens that end and links in `test_temporary_keys.py` and `test_remote_bucket.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL

from moto_server import EXTERNAL_ID, PAGE, MotoServer
from service_client import service
from stillframe.errors import SinkError, SourceError
from stillframe.storage.bucket import Bucket
from stillframe.storage.find_keys import keys_for
from stillframe.storage.keys import Keys
from stillframe.storage.places import StorePlace, open_bucket, parse_place
from stillframe.testing import videos
from store_kinds import short_pauses

__all__ = ["short_pauses"]
KEY = "a b/ü+%41&c.jpg"
MIB = 1 << 20


@dataclass(frozen=True)
class Amazon:
    """A bucket, and the names of roles that may do something with it."""

    server: MotoServer
    place: str
    lender: Keys
    writer: str
    reader: str

    def open(self, profile: str, bucket: str | None = None) -> Bucket:
        return open_bucket(self.parsed(profile, bucket), "films")

    def parsed(self, profile: str, bucket: str | None = None) -> StorePlace:
        place = parse_place(f"{self.place.replace('films', bucket or 'films', 1)}&profile={profile}")
        assert isinstance(place, StorePlace)
        return place


@pytest.fixture(scope="session")
def amazon(moto: MotoServer) -> Amazon:
    """Made once for each server: a user cannot be made twice, and tests of other modules may come in between."""
    return Amazon(
        moto,
        moto.make_bucket("films"),
        moto.user("lender", "sts:AssumeRole"),
        moto.role("writer", "s3:*", "sts:AssumeRole"),
        moto.role("reader", "s3:GetObject"),
    )


@pytest.fixture(autouse=True)
def profiles(amazon: Amazon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of profiles: a user who may do nothing but lend, and roles that are lent by her keys."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    sections = {
        "lender": own(amazon.lender.access_key_id, amazon.lender.secret),
        "forger": own(amazon.lender.access_key_id, "another secret"),
        "stranger": own("AKIASTRANGER", "secret"),
        "writer": role(amazon.writer, "lender"),
        "writer's writer": role(amazon.writer, "writer"),
        "reader": role(amazon.reader, "lender"),
        "without the id": role(amazon.writer, "lender", "another id"),
        "forger's": role(amazon.writer, "forger"),
        "stranger's": role(amazon.writer, "stranger"),
    }
    text = "\n".join(f"[profile {name}]\n{section}" for name, section in sections.items())
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", amazon.server.endpoint)


def own(key_id: str, secret: str) -> str:
    return f"aws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n"


def role(arn: str, source: str, external_id: str = EXTERNAL_ID) -> str:
    return f"role_arn = {arn}\nsource_profile = {source}\nexternal_id = {external_id}\n"


@pytest.mark.parametrize("profile", ["writer", "writer's writer"])
def test_keys_that_a_role_lends(amazon: Amazon, profile: str) -> None:
    """By a user's keys, and by those that another role has lent, whose token is signed with."""
    bucket = amazon.open(profile)
    bucket.check()
    written = bucket.write(KEY, b"picture", "image/jpeg")
    assert bucket.verify(KEY, written)
    with bucket.open_source(KEY) as source:
        assert source.read_at(2, 3) == b"ctu"
        bucket.write(KEY, b"another", "image/jpeg")
        with pytest.raises(SourceError, match="was replaced while it was read"):
            source.fetch(2, 3)


def test_keys_that_a_pod_is_lent(amazon: Amazon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto lends them for any token: what is seen here is that its answer is understood, and that the keys are good."""
    (tmp_path / "token").write_text("header.claims.signature\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", amazon.writer)
    place = parse_place(amazon.place)
    assert isinstance(place, StorePlace)
    with amazon.server.unchecked():
        assert keys_for(place).session_token
    open_bucket(place, "films").check()


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("without the id", "AccessDenied: User: .+/lender is not authorized to perform: sts:AssumeRole"),
        ("forger's", "SignatureDoesNotMatch: "),
        ("stranger's", "InvalidClientTokenId: "),
    ],
)
def test_roles_that_are_not_lent(amazon: Amazon, profile: str, told: str) -> None:
    words = f"there are no keys for the store: {amazon.server.endpoint}/? answers 403: {told}"
    with pytest.raises(SinkError, match=words) as caught:
        amazon.open(profile).check()
    assert not caught.value.transient


def test_a_token_that_is_not_the_keys(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_for(amazon.parsed("writer"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    bucket = open_bucket(parse_place(amazon.place), "films")
    with pytest.raises(SinkError, match="the token is not the temporary key's: InvalidToken: "):
        bucket.check()


def test_a_role_that_may_only_read(amazon: Amazon) -> None:
    amazon.open("writer").write("film.mp4", b"film", "video/mp4")
    bucket = amazon.open("reader")
    assert bucket.read("film.mp4") == b"film"
    told = "oss://films: the store refuses the key, or what it may do: .*: AccessDenied: "
    with pytest.raises(SinkError, match=told) as caught:
        bucket.check()
    assert not caught.value.transient
    with pytest.raises(
        SinkError, match=r"oss://films/film\.mp4: the store refuses the key, or what it may do"
    ):
        bucket.delete("film.mp4")


def test_a_video_in_an_archive(amazon: Amazon) -> None:
    """It is there, with its size and ETag; only its bytes are not to be had."""
    amazon.server.put("films/cold.mp4", b"film", x_amz_storage_class="GLACIER")
    bucket = amazon.open("reader")
    assert bucket.stat("cold.mp4").size == 4
    with pytest.raises(
        SourceError,
        match=r"^oss://films/cold\.mp4: the object lies in an archive, restore it first: InvalidObjectState: ",
    ) as caught:
        bucket.read("cold.mp4")
    assert not caught.value.transient


def test_a_bucket_that_keeps_versions(amazon: Amazon) -> None:
    """What is read and verified is the newest one, of which nothing is left behind what marks it as removed."""
    amazon.server.make_bucket("versioned")
    amazon.server.put("versioned?versioning", VERSIONING)
    bucket = amazon.open("writer", "versioned")
    bucket.check()
    assert list(bucket.list()) == []
    first = bucket.write("film.mp4", b"first", "video/mp4")
    with bucket.open_source("film.mp4") as source:
        second = bucket.write("film.mp4", b"other", "video/mp4")
        with pytest.raises(SourceError, match="was replaced while it was read") as caught:
            source.fetch(0, 5)
        assert caught.value.transient
        assert [bucket.verify("film.mp4", written) for written in (first, second)] == [False, True]
        bucket.delete("film.mp4")
        with pytest.raises(SourceError, match=r"oss://films/film\.mp4: does not exist"):
            source.fetch(0, 5)
    with pytest.raises(SourceError, match=r"oss://films/film\.mp4: does not exist"):
        bucket.stat("film.mp4")
    assert not bucket.verify("film.mp4", second)
    third = bucket.write("film.mp4", bytes(17 * MIB), "video/mp4")
    assert third.etag.strip('"').endswith("-2")
    assert bucket.verify("film.mp4", third)


def test_a_list_of_several_pages(amazon: Amazon) -> None:
    """Each page but the last one ends with a token that the next one is asked for with."""
    amazon.server.make_bucket("listed")
    bucket = amazon.open("writer", "listed")
    keys = [f"{number:02}.jpg" for number in range(2 * PAGE + 1)]
    for key in keys:
        bucket.write(key, b"x", "image/jpeg")
    assert [facts.key for facts in bucket.list()] == keys


ROUND = """
import sys
from stillframe.storage.places import open_bucket, parse_place

bucket = open_bucket(parse_place(sys.argv[1]), "films")
bucket.check()
written = bucket.write(sys.argv[2], b"picture", "image/jpeg")
assert bucket.verify(sys.argv[2], written)
with bucket.open_source(sys.argv[2]) as source:
    assert source.fetch(2, 3) == b"ctu"
"""


def test_amazons_own_hosts(amazon: Amazon) -> None:
    """With the bucket's name in them, which is signed; no name leads to this machine, but a proxy does."""
    amazon.server.make_bucket("hosted")
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    place = "s3://hosted?endpoint=http://s3.eu-west-1.amazonaws.com&style=virtual&region=eu-west-1"
    # OpenDAL looks for a proxy once in a process
    run = subprocess.run(
        [sys.executable, "-c", ROUND, f"{place}&profile=writer", KEY],
        env={**environment, "http_proxy": amazon.server.endpoint, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert amazon.open("writer", "hosted").read(KEY) == b"picture"


@pytest.mark.usefixtures("sandbox_holds")
def test_a_job_with_keys_that_are_lent(amazon: Amazon, database_url: URL, tmp_path: Path) -> None:
    """Its video and its pictures lie in a bucket that nothing but a role may touch."""
    amazon.server.make_bucket("jobs")
    bucket = amazon.open("writer", "jobs")
    film = videos.make(tmp_path / "movie.mp4", frames=50, fps=25, gop=25).path.read_bytes()
    bucket.write("movie.mp4", film, "video/mp4")
    with service(database_url, tmp_path / "data") as running:
        place = str(amazon.parsed("writer", "jobs"))
        running.assembly.buckets.add("films", running.account_id, place, "cn-shanghai")
        (running.folder / "movie.mp4").write_bytes(film)
        for name in ("local", "films"):
            job_id = running.client.submit(f"oss://{name}/movie.mp4", f"oss://{name}/t/{{Count}}.jpg")
            running.client.succeeded(job_id)
        (picture,) = (facts.key for facts in bucket.list("t"))
        assert bucket.read(picture) == (running.folder / picture).read_bytes()


VERSIONING = (
    '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status>'
    "</VersioningConfiguration>"
)
