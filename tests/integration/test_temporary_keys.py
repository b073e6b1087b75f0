"""Keys that security token services lend: fetched, renewed, and looked for anew where a store refuses them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from oss_server import OssServer
from stillframe.errors import SinkError, SourceError
from stillframe.storage import keys, sts
from stillframe.storage.bucket import Bucket
from stillframe.storage.find_keys import keys_for
from stillframe.storage.places import StorePlace, open_bucket, parse_place
from sts_server import KEY_ID, SECRET, TOKEN, StsServer, sts_server

MIB = 1 << 20
#: for each way to keys: the place's service, files that are written, and the environment
WAYS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "a RAM role": (
        "oss",
        {},
        {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
            "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/films",
            "ALIBABA_CLOUD_EXTERNAL_ID": "an id/+",
        },
    ),
    "a pod at Alibaba Cloud": (
        "oss",
        {"token": TOKEN},
        {
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "~/token",
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/p",
            "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/films",
        },
    ),
    "an IAM role": (
        "s3",
        {
            ".aws/credentials": f"[own]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n",
            ".aws/config": "[default]\nrole_arn = arn:aws:iam::1:role/films\nsource_profile = own\n"
            "region = eu-west-1\n",
        },
        {},
    ),
    "a pod at Amazon": (
        "s3",
        {"token": TOKEN},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "~/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/films"},
    ),
}


@pytest.fixture
def lender(oss: OssServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[StsServer]:
    """A service that lends keys which the store knows."""
    monkeypatch.setattr(sts, "_PAUSE_S", 0.01)
    monkeypatch.setattr(keys, "NEW_S", 0.0)
    with sts_server(oss.add_keys) as server:
        monkeypatch.setenv("ALIBABA_CLOUD_STS_ENDPOINT", server.endpoint)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
        yield server


#: for all tests two of them, which are signed in the two ways that there are
PODS = ("a pod at Alibaba Cloud", "a pod at Amazon")
PARAMETERS = [pytest.param(way, marks=pytest.mark.full) if way in PODS else way for way in WAYS]


@pytest.fixture(params=PARAMETERS)
def place(
    request: pytest.FixtureRequest,
    lender: StsServer,
    oss: OssServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> StorePlace:
    """A place whose keys are lent, by the name of this server: no other test has had keys of it."""
    service, files, environment = WAYS[request.param]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ALIBABA_CLOUD_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    port = lender.endpoint.rpartition(":")[2]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("role/films", f"role/films{port}"))
    for name, text in environment.items():
        monkeypatch.setenv(name, text.replace("~", str(tmp_path)).replace("role/films", f"role/films{port}"))
    place = parse_place(oss.make_bucket("lent").replace("oss://", f"{service}://"))
    assert isinstance(place, StorePlace)
    return place


@pytest.fixture
def bucket(place: StorePlace) -> Bucket:
    return open_bucket(place, "films")


def test_a_token_that_ends_in_the_middle_of_a_video(
    place: StorePlace, bucket: Bucket, oss: OssServer, lender: StsServer
) -> None:
    """It costs a request, whoever reads, and nobody is told."""
    data = random.Random(1).randbytes(4 * MIB)
    bucket.write("film.mp4", data, "video/mp4")
    with bucket.open_source("film.mp4") as source:
        assert source.read_at(0, 100) == data[:100]
        assert len(lender.asked) == 1
        oss.expire(keys_for(place).access_key_id)
        offsets = range(MIB, 4 * MIB, MIB // 4)
        with ThreadPoolExecutor(4) as threads:
            read = threads.map(lambda offset: source.read_at(offset, 100), offsets)
            assert list(read) == [data[offset : offset + 100] for offset in offsets]
    assert len(lender.asked) == 2
    oss.expire(keys_for(place).access_key_id)
    # a look, to which a store answers without words, and a write
    assert bucket.stat("film.mp4").size == len(data)
    oss.expire(keys_for(place).access_key_id)
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    oss.expire(keys_for(place).access_key_id)
    assert bucket.verify("a.jpg", written)
    assert len(lender.asked) == 5


def test_links_that_are_signed_with_a_token(bucket: Bucket, oss: OssServer, place: StorePlace) -> None:
    bucket.write("a.jpg", b"x", "image/jpeg")
    (link,) = bucket.links(["a.jpg"], 60) or ()
    assert httpx.get(link, trust_env=False).content == b"x"
    oss.expire(keys_for(place).access_key_id)
    assert httpx.get(link, trust_env=False).is_client_error


def test_keys_are_renewed_before_they_end(bucket: Bucket, lender: StsServer) -> None:
    """Those that end at once, for each request."""
    lender.lifetime_s = 0
    bucket.check()
    asked = len(lender.asked)
    assert asked > 3
    lender.lifetime_s = 3600
    bucket.check()
    bucket.check()
    assert len(lender.asked) == asked + 1


def test_a_service_that_is_at_fault_for_a_moment(bucket: Bucket, lender: StsServer) -> None:
    lender.faults.extend([503, 429])
    bucket.check()
    assert len(lender.asked) == 3


@pytest.mark.parametrize(
    ("faults", "told", "is_transient"),
    [
        ([503, 503, 503], r"/? answers 503: Trouble: as the test wants it", True),
        ([403], r"/? answers 403: Trouble: as the test wants it", False),
        ([302], r"/? answers 302: Trouble: as the test wants it", False),
    ],
)
def test_a_service_that_lends_nothing(
    bucket: Bucket, lender: StsServer, faults: list[int], told: str, is_transient: bool
) -> None:
    lender.faults.extend(faults)
    with pytest.raises(
        SinkError, match=f"there are no keys for the store: {lender.endpoint}{told}"
    ) as caught:
        bucket.check()
    assert caught.value.transient == is_transient
    assert len(lender.asked) == len(faults)


def test_a_service_whose_answer_does_not_end(
    bucket: Bucket, lender: StsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sts, "_TIMEOUT_S", 0.2)
    lender.drips = True
    with pytest.raises(SinkError, match=f"{lender.endpoint}/? cannot be reached: ") as caught:
        bucket.check()
    assert caught.value.transient


def test_a_service_that_is_away(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALIBABA_CLOUD_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(
        SourceError, match=r"http://127\.0\.0\.1:1 cannot be reached: connection refused"
    ) as caught:
        bucket.stat("a.jpg")
    assert caught.value.transient


@pytest.mark.parametrize("place", WAYS, indirect=True)
def test_what_is_asked_for(bucket: Bucket, lender: StsServer) -> None:
    bucket.check()
    (asked,) = lender.asked
    assert asked["RoleSessionName"] == "stillframe"
    assert asked["RoleArn"].split("role/")[1].startswith("films")
    assert asked.get("ExternalId", "an id/+") == "an id/+"
    assert asked.get("DurationSeconds", "3600") == "3600"
