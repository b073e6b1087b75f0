"""Where a bucket is bound to, as text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from stillframe.errors import ConfigError
from stillframe.storage.local import LocalBucket
from stillframe.storage.places import LocalPlace, StorePlace, open_bucket, parse_place


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("fs:/srv/videos", "/srv/videos"),
        ("FS:/srv/videos", "/srv/videos"),
        ("fs:/srv/videos/", "/srv/videos"),
        ("fs:/srv//videos/.", "/srv/videos"),
        ("fs:/a b/ü:x", "/a b/ü:x"),
        ("fs:/", "/"),
    ],
)
def test_a_folder(text: str, folder: str) -> None:
    place = parse_place(text)

    assert place == LocalPlace(Path(folder))
    assert str(place) == f"fs:{folder}"
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("oss://videos", "region=NAME or endpoint=URL", id="an OSS of nowhere"),
        pytest.param(
            "oss://videos?region=cn-shanghai&style=cname", "style=path or style=virtual", id="cname"
        ),
        pytest.param(
            "oss://videos?endpoint=https://my.example.com&signature=v4&region=x",
            "a domain of yours is for public_endpoint",
            id="a domain of one's own",
        ),
        pytest.param("oss://videos?region=x&signature=v2", "signature=v1 or signature=v4", id="V2"),
        pytest.param("s3://videos?signature=v1", "signature=v4", id="V1 of S3"),
        pytest.param("oss://videos?region=Shang hai", "such as region=cn-shanghai", id="no region"),
        pytest.param("s3://videos?cache_control=a%0d%0ab", "cache_control=WORDS", id="two headers"),
        pytest.param("/srv/videos", "fs:/srv/videos", id="a path alone"),
        pytest.param("", "fs:/srv/videos", id="empty"),
        pytest.param("file:/srv", "fs:/srv/videos", id="another scheme"),
        pytest.param("fs:", "absolute path", id="no path"),
        pytest.param("fs:videos", "absolute path", id="a relative path"),
        pytest.param("fs:~/videos", "absolute path", id="a home folder"),
        pytest.param("fs://srv/videos", "absolute path", id="a host"),
        pytest.param("fs:/srv/../etc", "without ..", id="climbing"),
        pytest.param("fs:/srv\0", "NUL", id="a NUL"),
        pytest.param("s3://", "s3://bucket/prefix", id="no bucket"),
        pytest.param("s3://a", "s3://bucket/prefix", id="too short a bucket"),
        pytest.param("s3://films/a//b", "a prefix without empty", id="an empty part"),
        pytest.param("s3://films/../b", "a prefix without empty", id="climbing out of a prefix"),
        pytest.param("s3://films?style=odd", "style=path or style=virtual", id="another style"),
    ],
)
def test_what_is_no_place(text: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_place(text, "Bucket.To")

    assert (caught.value.path, caught.value.value) == ("Bucket.To", text)
    assert allowed in caught.value.allowed


@pytest.mark.parametrize("name", ["endpoint", "public_endpoint"])
@pytest.mark.parametrize(
    "host", ["a;script-src *;x", "a *", "a,b", "a'b", "[::1%25x;y]", "*.example.com", "ü.com"]
)
def test_what_is_no_host(name: str, host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_place(f"s3://films?{urlencode({name: f'https://{host}'})}")

    assert "an endpoint" in caught.value.allowed


@pytest.mark.parametrize(
    "host", ["s3.example.com", "my_store:9000", "192.0.2.7", "[2001:db8::7]:9000", "xn--tda.com"]
)
def test_what_is_a_host(host: str) -> None:
    assert parse_place(f"s3://films?endpoint=http://{host}").address == f"http://{host}"


def test_the_bucket_at_a_place(tmp_path: Path) -> None:
    bucket = open_bucket(parse_place(f"fs:{tmp_path}"), "videos")

    assert isinstance(bucket, LocalBucket)
    bucket.write("x.jpg", b"picture", "image/jpeg")
    assert (tmp_path / "x.jpg").read_bytes() == b"picture"


@pytest.mark.parametrize(
    ("text", "place", "written"),
    [
        ("s3://films", StorePlace("s3", "films"), "s3://films"),
        ("S3://films/", StorePlace("s3", "films"), "s3://films"),
        ("s3://films/a%20b/2026/", StorePlace("s3", "films", "a b/2026/"), "s3://films/a%20b/2026"),
        (
            "s3://films?region=eu-west-1&profile=films",
            StorePlace("s3", "films", region="eu-west-1", profile="films"),
            "s3://films?region=eu-west-1&profile=films",
        ),
        (
            "s3://films?endpoint=http://127.0.0.1:9000",
            StorePlace("s3", "films", endpoint="http://127.0.0.1:9000", style="path"),
            "s3://films?endpoint=http://127.0.0.1:9000",
        ),
        (
            "s3://films?endpoint=http://10.0.0.5:9000&public_endpoint=https://s3.example.com:443/",
            StorePlace(
                "s3",
                "films",
                endpoint="http://10.0.0.5:9000",
                style="path",
                public_endpoint="https://s3.example.com",
            ),
            "s3://films?endpoint=http://10.0.0.5:9000&public_endpoint=https://s3.example.com",
        ),
        (
            "s3://films?public_endpoint=none",
            StorePlace("s3", "films", public_endpoint="none"),
            "s3://films?public_endpoint=none",
        ),
        (
            "s3://films?endpoint=https://s3.example.com&style=virtual",
            StorePlace("s3", "films", endpoint="https://s3.example.com", style="virtual"),
            "s3://films?endpoint=https://s3.example.com&style=virtual",
        ),
        (
            "s3://films?cache_control=public,+max-age%3D60",
            StorePlace("s3", "films", cache_control="public, max-age=60"),
            "s3://films?cache_control=public,+max-age=60",
        ),
        (
            "OSS://films/2026?region=cn-shanghai",
            StorePlace("oss", "films", "2026/", region="cn-shanghai"),
            "oss://films/2026?region=cn-shanghai",
        ),
        (
            "oss://films?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com&signature=v1",
            StorePlace(
                "oss", "films", endpoint="https://oss-cn-shanghai-internal.aliyuncs.com", signature="v1"
            ),
            "oss://films?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com&signature=v1",
        ),
        (
            "oss://films?endpoint=http://10.0.0.5",
            StorePlace("oss", "films", endpoint="http://10.0.0.5", style="path", signature="v1"),
            "oss://films?endpoint=http://10.0.0.5",
        ),
        (
            "oss://films?endpoint=https://oss.example.com&region=here",
            StorePlace("oss", "films", endpoint="https://oss.example.com", region="here", signature="v1"),
            "oss://films?endpoint=https://oss.example.com&region=here",
        ),
    ],
)
def test_a_store(text: str, place: StorePlace, written: str) -> None:
    assert parse_place(text) == place
    assert str(place) == written
    assert parse_place(written) == place


@pytest.mark.parametrize(
    "text",
    [
        "s3://films?secret_access_key=hush",
        "s3://AKIA:hush@films",
        "s3://films?endpoint=https://me:hush@host",
        "s3://films?endpoint=https://host/%3Fsecret_access_key=hush",
        "s3://films?endpoint=https://host:hush",
    ],
)
def test_a_secret_in_a_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_place(text)

    assert "hush" not in str(caught.value)


def test_a_word_that_is_none_is_told_with_those_that_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"To is 'endpont=\.\.\.', but must be one of endpoint, region, style, "
    ):
        parse_place("s3://films?endpont=http://127.0.0.1:9000")


@pytest.mark.parametrize(
    "endpoint", ["localhost:9000", "http://[::1", "http://h:99999", "ftp://h", "http://"]
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="an endpoint such as"):
        parse_place(f"s3://films?endpoint={endpoint}")


@pytest.mark.parametrize("endpoint", ["http://store", "http://store:80", "HTTP://Store/", "http://store:80/"])
def test_the_same_store_is_the_same_place(endpoint: str) -> None:
    """Or a job could write over its own input."""
    place = parse_place(f"s3://films?endpoint={endpoint}&profile=&region=")

    assert place == parse_place("s3://films?endpoint=http://store")
    assert open_bucket(place, "a").whereabouts("k") == "s3:http://store/films/k"


def test_amazon_by_whichever_host() -> None:
    named = parse_place("s3://films?endpoint=https://s3.eu-west-1.amazonaws.com")

    assert open_bucket(named, "a").whereabouts("k") == open_bucket(
        parse_place("s3://films"), "b"
    ).whereabouts("k")


def test_no_keys_are_asked_for_of_the_machine() -> None:
    """Nothing goes over the network that was not configured."""
    place = parse_place("s3://films")
    assert isinstance(place, StorePlace)
    assert place.opendal()[1]["disable_ec2_metadata"] == "true"


@pytest.mark.parametrize(
    ("text", "service", "told"),
    [
        ("s3://films", "s3", {"region": "us-east-1", "enable_virtual_host_style": "true"}),
        (
            "s3://films?endpoint=http://127.0.0.1:9000&region=here",
            "s3",
            {
                "region": "here",
                "enable_virtual_host_style": "false",
                "endpoint": "http://127.0.0.1:9000",
            },
        ),
        (
            "oss://films?region=cn-shanghai",
            "s3",
            {
                "region": "cn-shanghai",
                "enable_virtual_host_style": "true",
                "endpoint": "https://s3.oss-cn-shanghai.aliyuncs.com",
            },
        ),
        (
            "oss://films?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com",
            "s3",
            {
                "region": "cn-shanghai",
                "enable_virtual_host_style": "true",
                "endpoint": "https://s3.oss-cn-shanghai-internal.aliyuncs.com",
            },
        ),
        (
            "oss://films?region=cn-shanghai&signature=v1",
            "oss",
            {"addressing_style": "virtual", "endpoint": "https://oss-cn-shanghai.aliyuncs.com"},
        ),
        (
            "oss://films?endpoint=http://10.0.0.5",
            "oss",
            {"addressing_style": "path", "endpoint": "http://10.0.0.5"},
        ),
    ],
)
def test_what_opendal_is_told(text: str, service: str, told: dict[str, str]) -> None:
    place = parse_place(text)
    assert isinstance(place, StorePlace)
    found = place.opendal()
    more = {} if service == "oss" else {"disable_ec2_metadata": "true"}
    assert found == (service, {"bucket": "films", "root": "/", **told, **more})


def test_a_bucket_of_oss_by_whichever_address() -> None:
    """Or a job could write over its own input."""
    forms = (
        "oss://films/a?region=cn-shanghai",
        "oss://films/a?region=cn-shanghai&signature=v1",
        "oss://films/a?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com&profile=other",
        "s3://films/a?endpoint=https://s3.oss-cn-shanghai.aliyuncs.com&style=virtual",
    )
    assert {open_bucket(parse_place(form), "x").whereabouts("k") for form in forms} == {
        "oss:aliyun/films/a/k"
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://films?endpoint=http://10.0.0.5:9000", "s3://films?endpoint=http://10.0.0.5:9000"),
        (
            "s3://films/a?endpoint=http://10.0.0.5:9000&profile=b&public_endpoint=https://s3.example.com",
            "s3://films/a?endpoint=https://s3.example.com&profile=b",
        ),
        ("s3://films?endpoint=http://10.0.0.5:9000&public_endpoint=none", "None"),
        (
            "oss://films?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com",
            "oss://films?endpoint=https://oss-cn-shanghai.aliyuncs.com",
        ),
        ("oss://films?region=cn-shanghai", "oss://films?region=cn-shanghai"),
        (
            "oss://films?endpoint=https://oss-cn-shanghai-internal.aliyuncs.com&public_endpoint=https://my.example.com",
            "oss://films?endpoint=https://my.example.com&region=cn-shanghai&signature=v4",
        ),
    ],
)
def test_where_links_lead(text: str, found: str) -> None:
    place = parse_place(text)
    assert isinstance(place, StorePlace)
    assert str(place.public()) == found
