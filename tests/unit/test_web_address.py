"""Addresses of videos on web servers: taken apart, shown without secrets, and where redirects may lead."""

from __future__ import annotations

import pytest

from stillframe.errors import ConfigError
from stillframe.storage.web_address import Misled, WebAddress, parse_web_address

BASIC = "Basic dXNlcjp3w7ZyZA=="


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        pytest.param(
            "https://example.com/a/movie.mp4",
            WebAddress("https", "example.com", 443, "/a/movie.mp4"),
            "https://example.com/a/movie.mp4",
            id="usual",
        ),
        pytest.param(
            "HTTP://Example.COM:8080",
            WebAddress("http", "example.com", 8080, "/"),
            "http://example.com:8080/",
            id="no path",
        ),
        pytest.param(
            "https://example.com:443/x?token=secret&v=1#part",
            WebAddress("https", "example.com", 443, "/x?token=secret&v=1"),
            "https://example.com/x?…",
            id="a query is no one's business",
        ),
        pytest.param(
            "https://user:w%C3%B6rd@example.com/x",
            WebAddress("https", "example.com", 443, "/x", BASIC),
            "https://example.com/x",
            id="a password",
        ),
        pytest.param(
            "https://example.com/a movie 100%25 ü.mp4?a b",
            WebAddress("https", "example.com", 443, "/a%20movie%20100%25%20%C3%BC.mp4?a%20b"),
            "https://example.com/a%20movie%20100%25%20%C3%BC.mp4?…",
            id="what cannot be sent as it is",
        ),
        pytest.param(
            "https://bücher.example/x",
            WebAddress("https", "xn--bcher-kva.example", 443, "/x"),
            "https://xn--bcher-kva.example/x",
            id="a name in letters of its own",
        ),
        pytest.param(
            "http://[::1]:8000/x", WebAddress("http", "::1", 8000, "/x"), "http://[::1]:8000/x", id="IPv6"
        ),
    ],
)
def test_an_address(text: str, expected: WebAddress, shown: str) -> None:
    address = parse_web_address(text)
    assert (address, str(address)) == (expected, shown)
    assert "rd" not in repr(address).lower().replace("word", "")
    assert address.authorization is None or address.authorization not in repr(address)


@pytest.mark.parametrize(
    "text",
    [
        "https://",
        "https:///x",
        "https://user:secret@/x",
        "https://user:secret@a b/x",
        "https://host:port/secret",
        "https://host:99999/secret",
        "https://[secret/x",
        "ftp://user:secret@host/x",
        "https://host/secret\udcff",
        "https://a..b\u3002\u3002/secret",
    ],
)
def test_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match=r"https://example\.com") as caught:
        parse_web_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("https://h/a/b%20c.d.mp4?x=/y.mp4", "b c.d"),
        ("https://h", "h"),
        ("https://h/", "h"),
        ("https://h/a/", "a"),
        ("https://h/..", "h"),
        ("https://h/a%2F..", "h"),
        ("https://h/a%5C..%5Cb.mp4", "b"),
        ("https://h/x%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://h/%00b.mp4", "b"),
    ],
)
def test_what_stands_for_its_name(text: str, stem: str) -> None:
    assert parse_web_address(text).stem == stem


@pytest.mark.parametrize(
    ("begun", "location", "led"),
    [
        ("https://h/a/b?c", "d", "https://h/a/d"),
        ("https://h/a/b", "/d?e", "https://h/d?…"),
        ("https://h/a", "//other/b", "https://other/b"),
        ("https://h/a", "https://h:8443/b", "https://h:8443/b"),
        ("http://h/a", "https://h/a", "https://h/a"),
        ("http://h/a", "http://other/a", "http://other/a"),
    ],
)
def test_where_a_redirect_leads(begun: str, location: str, led: str) -> None:
    assert str(parse_web_address(begun).redirected(location)) == led


@pytest.mark.parametrize(
    ("begun", "location", "told"),
    [
        ("https://h/a", "http://h/a", "to http://h, where nothing is encrypted any more"),
        ("https://h/a", "file:///etc/passwd", "to file: no address of a web server"),
        ("https://h/a", "s3://films/x", "to s3: no address of a web server"),
        ("http://h/a", "http://[", "to http: no address of a web server"),
    ],
)
def test_where_no_redirect_may_lead(begun: str, location: str, told: str) -> None:
    with pytest.raises(Misled) as caught:
        parse_web_address(begun).redirected(location)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("location", "authorization"),
    [
        ("/b", BASIC),
        ("https://h/b", BASIC),
        ("https://h:8443/b", None),
        ("https://other/b", None),
        ("https://him:his@other/b", None),
        ("https://him:his@h/b", BASIC),
    ],
)
def test_a_password_stays_with_its_server(location: str, authorization: str | None) -> None:
    address = parse_web_address("https://user:w%C3%B6rd@h/a")
    assert address.redirected(location).authorization == authorization
