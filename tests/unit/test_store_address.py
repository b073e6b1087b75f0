"""Addresses of objects in stores on the command line, and what the environment adds to them."""

from __future__ import annotations

import pytest

from stillframe.errors import ConfigError
from stillframe.storage.store_address import _VARIABLES, parse_store_address


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for services in _VARIABLES.values():
        for name in (name for names in services.values() for name in names):
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ("s3://films/movie.mp4", "s3://films", "movie.mp4"),
        ("S3://films/a/b c%20ü#1.mp4", "s3://films", "a/b c%20ü#1.mp4"),
        ("s3://films/what?.mp4", "s3://films", "what?.mp4"),
        ("s3://films/x.mp4?region=eu-west-1", "s3://films?region=eu-west-1", "x.mp4"),
        (
            "s3://films/a?b.mp4?endpoint=http://h:9000&profile=me",
            "s3://films?endpoint=http://h:9000&profile=me",
            "a?b.mp4",
        ),
        ("s3://films/thumbs/{Count}.jpg", "s3://films", "thumbs/{Count}.jpg"),
        ("oss://films/a/x.mp4?region=cn-shanghai", "oss://films?region=cn-shanghai", "a/x.mp4"),
    ],
)
def test_an_address(text: str, place: str, key: str) -> None:
    address = parse_store_address(text, "Input")
    assert (str(address.place), address.key) == (place, key)
    assert str(address) == f"{address.place.service}://films/{key}"


@pytest.mark.parametrize(
    ("variables", "given", "place"),
    [
        ({"AWS_REGION": "r1", "AWS_DEFAULT_REGION": "r2"}, "s3://films/x", "s3://films?region=r1"),
        ({"AWS_DEFAULT_REGION": "r2", "AWS_REGION": ""}, "s3://films/x", "s3://films?region=r2"),
        ({"AWS_REGION": "r1"}, "s3://films/x?region=mine", "s3://films?region=mine"),
        ({"AWS_ENDPOINT_URL": "http://h:9000"}, "s3://films/x", "s3://films?endpoint=http://h:9000"),
        (
            {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"},
            "s3://films/x",
            "s3://films?endpoint=http://b",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://a", "AWS_REGION": "r1"},
            "s3://films/x?profile=me",
            "s3://films?endpoint=http://a&region=r1&profile=me",
        ),
        ({"OSS_REGION": "cn-beijing", "AWS_REGION": "r1"}, "oss://films/x", "oss://films?region=cn-beijing"),
        ({"ALIBABA_CLOUD_REGION_ID": "cn-beijing"}, "oss://films/x", "oss://films?region=cn-beijing"),
        (
            {"OSS_ENDPOINT": "oss-cn-beijing.aliyuncs.com"},
            "oss://films/x",
            "oss://films?endpoint=https://oss-cn-beijing.aliyuncs.com",
        ),
    ],
)
def test_what_the_environment_adds(
    variables: dict[str, str], given: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place, _, query = place.partition("://f")
    assert (
        str(parse_store_address(given.replace("//f", "//films"), "Input").place) == f"{place}://films{query}"
    )


@pytest.mark.parametrize(
    "text",
    ["s3://films", "s3://films/", "s3:///x", "s3://FILMS/x", "s3://films/x?secret_key=1", "s3://a:b@films/x"],
)
def test_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="Input is"):
        parse_store_address(text, "Input")


@pytest.mark.parametrize(
    "text",
    [
        "s3://AK:hush@films",
        "s3://AK:hush@films/x",
        "s3://AK:hu/sh@films/x",
        "oss://AK:hu/sh@films/x?region=r",
    ],
)
def test_a_secret_in_an_address_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="keys come from") as caught:
        parse_store_address(text, "Input")
    assert not any(part in str(caught.value) for part in ("hush", "hu/", "AK:hu"))
