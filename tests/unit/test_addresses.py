"""Addresses of objects: both forms, what is decoded, and what is refused with which words."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import ConfigError
from stillframe.storage.addresses import Address, demand_bucket_name, demand_key, is_plain, parse_address

HOST = "local.oss-cn-shanghai.aliyuncs.com"
SHANGHAI = "cn-shanghai"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("oss://local/movie.mp4", Address("local", "movie.mp4"), id="oss"),
        pytest.param("OSS://local/movie.mp4", Address("local", "movie.mp4"), id="scheme in capitals"),
        pytest.param("oSs://local/a/b/c.mp4", Address("local", "a/b/c.mp4"), id="folders"),
        pytest.param("oss://local/a%20b+c.mp4", Address("local", "a%20b+c.mp4"), id="oss keys are raw"),
        pytest.param("oss://local/a?b#c d.mp4", Address("local", "a?b#c d.mp4"), id="oss keys hold ? and #"),
        pytest.param("oss://local/电影.mp4", Address("local", "电影.mp4"), id="oss unicode"),
        pytest.param("oss://local/{Count}.jpg", Address("local", "{Count}.jpg"), id="a template"),
        pytest.param("oss://local/a//b", Address("local", "a//b"), id="an empty part is the bucket's matter"),
        pytest.param("oss://local/../b", Address("local", "../b"), id="dots are the bucket's matter"),
        pytest.param("oss://local/a\nb", Address("local", "a\nb"), id="a line break"),
        pytest.param(f"http://{HOST}/movie.mp4", Address("local", "movie.mp4", SHANGHAI), id="http"),
        pytest.param(f"https://{HOST}/a/b.mp4", Address("local", "a/b.mp4", SHANGHAI), id="https"),
        pytest.param(
            f"HTTPS://{HOST.upper()}/A.mp4", Address("local", "A.mp4", SHANGHAI), id="url in capitals"
        ),
        pytest.param(
            "https://local.oss-cn-shanghai-internal.aliyuncs.com/x.mp4",
            Address("local", "x.mp4", SHANGHAI),
            id="internal",
        ),
        pytest.param(
            "https://my-bucket-1.oss-us-west-1.aliyuncs.com/x",
            Address("my-bucket-1", "x", "us-west-1"),
            id="another region",
        ),
        pytest.param(f"http://{HOST}/a%20b.mp4", Address("local", "a b.mp4", SHANGHAI), id="decoded"),
        pytest.param(
            f"http://{HOST}/a%2520b.mp4", Address("local", "a%20b.mp4", SHANGHAI), id="decoded once"
        ),
        pytest.param(f"http://{HOST}/a+b.mp4", Address("local", "a+b.mp4", SHANGHAI), id="a plus stays"),
        pytest.param(f"http://{HOST}/a%2Fb", Address("local", "a/b", SHANGHAI), id="an encoded slash"),
        pytest.param(f"http://{HOST}/a%3Fb%23c", Address("local", "a?b#c", SHANGHAI), id="encoded ? and #"),
        pytest.param(f"http://{HOST}/100%.mp4", Address("local", "100%.mp4", SHANGHAI), id="a lone percent"),
        pytest.param(f"http://{HOST}/电影.mp4", Address("local", "电影.mp4", SHANGHAI), id="raw unicode"),
        pytest.param(
            f"http://{HOST}/%7BCount%7D.jpg", Address("local", "{Count}.jpg", SHANGHAI), id="braces"
        ),
    ],
)
def test_an_address(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("", "oss://bucket/key", id="empty"),
        pytest.param("movie.mp4", "oss://bucket/key", id="a file name"),
        pytest.param("/srv/movie.mp4", "oss://bucket/key", id="a path"),
        pytest.param("file:///etc/passwd", "oss://bucket/key", id="a file URL"),
        pytest.param("s3://local/movie.mp4", "oss://bucket/key", id="s3"),
        pytest.param(" oss://local/movie.mp4", "oss://bucket/key", id="a space before"),
        pytest.param("oss:/local/movie.mp4", "oss://bucket/key", id="one slash"),
        pytest.param("oss://local", "oss://bucket/key", id="no key"),
        pytest.param("oss://local/", "1 to 1023 bytes", id="an empty key"),
        pytest.param("oss:///movie.mp4", "bucket name", id="no bucket"),
        pytest.param("oss://Local/movie.mp4", "lower-case", id="a bucket in capitals"),
        pytest.param("oss://lo/movie.mp4", "3 to 63", id="a short bucket"),
        pytest.param(f"oss://{HOST}/movie.mp4", "bucket name", id="a host for a bucket"),
        pytest.param("oss://local//movie.mp4", "not start with /", id="a slash in front"),
        pytest.param("oss://local/\\movie.mp4", "not start with /", id="a backslash in front"),
        pytest.param("oss://local/a\0b", "NUL", id="a NUL"),
        pytest.param("oss://local/\ud800", "UTF-8", id="half a character"),
        pytest.param("oss://local/" + "x" * 1024, "1023 bytes", id="a long key"),
        pytest.param("oss://local/" + "é" * 512, "1023 bytes", id="a key with long characters"),
        pytest.param("https://example.com/local/movie.mp4", "aliyuncs.com", id="another host"),
        pytest.param(
            "https://local.oss-cn-shanghai.aliyuncs.com.evil.com/x", "aliyuncs.com", id="a host that goes on"
        ),
        pytest.param(
            "https://oss-cn-shanghai.aliyuncs.com/local/x", "aliyuncs.com", id="no bucket in the host"
        ),
        pytest.param(f"https://user@{HOST}/x", "bucket name", id="a user"),
        pytest.param(f"https://{HOST}:8080/x", "aliyuncs.com", id="a port"),
        pytest.param(f"https://a.{HOST}/x", "aliyuncs.com", id="a dot in the bucket"),
        pytest.param(f"https://{HOST}", "oss://bucket/key", id="a host alone"),
        pytest.param(f"https://{HOST}/", "1 to 1023 bytes", id="a URL with an empty key"),
        pytest.param(f"https://{HOST}/%2Fx", "not start with /", id="an encoded slash in front"),
        pytest.param(f"https://{HOST}/a%00b", "NUL", id="an encoded NUL"),
        pytest.param(f"https://{HOST}/a%FFb", "UTF-8", id="encoded bytes that are not UTF-8"),
        pytest.param(f"https://{HOST}/\ud800", "UTF-8", id="half a character in a URL"),
        pytest.param(f"https://{HOST}/x.mp4?Expires=1&Signature=y", "%3F", id="a signed URL"),
        pytest.param(f"https://{HOST}/x.mp4#t=1", "%23", id="a fragment"),
    ],
)
def test_what_is_no_address(text: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text, "Input.Media")

    assert caught.value.path == "Input.Media"
    assert allowed in caught.value.allowed


@pytest.mark.parametrize("name", ["abc", "a-b", "1a2", "a" * 63, "0--0"])
def test_a_bucket_name(name: str) -> None:
    assert demand_bucket_name(name, "Bucket") is None


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "-ab", "ab-", "a_b", "a.b", "a/b", "Abc", "äbc", "abc\n", "a b", "..."]
)
def test_what_is_no_bucket_name(name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters, digits and hyphens"):
        demand_bucket_name(name, "Bucket")


@pytest.mark.parametrize("key", ["x", "x" * 1023, "é" * 511, " ", "a\\b", "%2F", "...", "a/.hidden"])
def test_a_key(key: str) -> None:
    assert demand_key(key, "Key") is None


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("a", True),
        ("a/b/c.mp4", True),
        ("a/.b/..c/...", True),
        ("a b/%2e%2e/c", True),
        ("..", False),
        ("a/..", False),
        ("a/../b", False),
        ("./a", False),
        ("a//b", False),
        ("a/", False),
        ("/a", False),
        ("", False),
    ],
)
def test_a_plain_key_climbs_nowhere(key: str, plain: bool) -> None:
    assert is_plain(key) is plain


KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200
).filter(lambda key: key[0] not in "/\\")


@given(KEYS)
def test_every_key_comes_back_from_both_forms(key: str) -> None:
    assert parse_address(f"oss://local/{key}") == Address("local", key)
    assert parse_address(f"https://{HOST}/{quote(key)}") == Address("local", key, SHANGHAI)
    assert parse_address(str(Address("local", key))) == Address("local", key)
