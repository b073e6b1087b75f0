"""Fixtures for tests that are the same for all kinds of stores: an S3 server, and an OSS with its two signatures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from faulty_proxy import FaultyProxy, faulty_proxy
from object_store import USER, ObjectStore
from oss_server import KEY_ID, OssServer
from stillframe.storage import remote, store
from stillframe.storage.bucket import Bucket
from stillframe.storage.places import StorePlace, open_bucket, parse_place

MIB = 1 << 20
#: what speaks how; OSS is signed for in its own old way, and in that of its S3 face, whose client is that of S3
KINDS = ["s3", "oss v1", pytest.param("oss v4", marks=pytest.mark.full)]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, kind: str) -> str:
    if kind == "s3":
        object_store: ObjectStore = request.getfixturevalue("object_store")
        return object_store.make_bucket("films")
    oss: OssServer = request.getfixturevalue("oss")
    return f"{oss.make_bucket('films')}&signature={kind.removeprefix('oss ')}"


@pytest.fixture
def profiles(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    """A file of profiles of the store's kind."""
    file = tmp_path / "credentials"
    if kind == "s3":
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        return Profiles(file, "aws_access_key_id", "aws_secret_access_key", USER)
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_FILE", str(file))
    return Profiles(file, "access_key_id", "access_key_secret", KEY_ID)


@dataclass(frozen=True)
class Profiles:
    file: Path
    key_name: str
    secret_name: str
    key_id: str

    def write(self, secret: str, key_id: str | None = None) -> None:
        told = f"{self.key_name} = {key_id or self.key_id}\n{self.secret_name} = {secret}\n"
        self.file.write_text(f"[films]\n{told}")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the tries of what may pass."""
    monkeypatch.setattr(store, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(remote, "_LOOK_AGAIN_S", (0.01, 0.01, 0.01))


@pytest.fixture
def bucket(place: str, request: pytest.FixtureRequest) -> Bucket:
    """A part of the bucket for each test."""
    name, _, query = place.partition("?")
    return open_bucket(parse_place(f"{name}/{quote(request.node.name[:40])}?{query}"), "films")


@contextmanager
def behind_a_proxy(bucket: Bucket, place: str) -> Iterator[tuple[FaultyProxy, Bucket, bytes]]:
    """A proxy, the same bucket behind it, and the content of its film.mp4."""
    data = random.Random(4).randbytes(2 * MIB)
    bucket.write("film.mp4", data, "video/mp4")
    there = parse_place(place)
    assert isinstance(there, StorePlace)
    prefix = bucket.whereabouts("").partition(f"/{there.bucket}/")[2]
    with faulty_proxy(urlsplit(there.address).port) as proxy:
        proxy.content = data
        yield proxy, open_bucket(replace(there, prefix=prefix, endpoint=proxy.endpoint), "films"), data
