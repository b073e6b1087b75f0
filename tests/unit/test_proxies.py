"""Whom a request comes from, by which scheme and for which Host: what a trusted proxy says, and nobody else."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from stillframe.server.proxies import as_sent

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8")]


def request(peer: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (("host", "backend:80"), *headers)]
    return {"type": "http", "client": (peer, 5) if peer else None, "scheme": "http", "headers": raw}


def said_for(*lines: str) -> list[tuple[str, str]]:
    return [("x-forwarded-for", line) for line in lines]


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        pytest.param("10.0.0.1", ["203.0.113.7"], "203.0.113.7", id="one proxy"),
        pytest.param("10.0.0.1", ["203.0.113.7, 10.0.0.2"], "203.0.113.7", id="two proxies"),
        pytest.param("10.0.0.1", ["203.0.113.7", "10.0.0.2"], "203.0.113.7", id="two lines are one list"),
        pytest.param("10.0.0.1", ["1.1.1.1, 203.0.113.7"], "203.0.113.7", id="its own hearsay"),
        pytest.param(
            "10.0.0.1", ["1.1.1.1", "203.0.113.7"], "203.0.113.7", id="its own hearsay, in two lines"
        ),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="a caller among the proxies"),
        pytest.param("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7", id="with its port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", id="IPv6 with its port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("10.0.0.1", ["2001:DB8::1"], "2001:db8::1", id="IPv6"),
        pytest.param("fd00::1", ["203.0.113.7"], "203.0.113.7", id="a proxy with IPv6"),
        pytest.param(
            "::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7", id="a proxy with IPv4 on an IPv6 socket"
        ),
        pytest.param("10.0.0.1", ["::ffff:10.0.0.2, 10.0.0.2"], "10.0.0.2", id="the same in the header"),
        pytest.param(
            "10.0.0.1", ["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2", id="not beyond what is no address"
        ),
        pytest.param("10.0.0.1", ["unknown"], "10.0.0.1", id="no address at all"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty header"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="no header"),
        pytest.param("203.0.113.9", ["1.1.1.1"], "203.0.113.9", id="somebody else"),
        pytest.param("127.0.0.2", ["1.1.1.1"], "127.0.0.2", id="a neighbour of the proxy"),
    ],
)
def test_the_client(peer: str, lines: list[str], client: str) -> None:
    assert as_sent(request(peer, *said_for(*lines)), TRUSTED)["client"][0] == client


@pytest.mark.parametrize(
    ("header", "host"),
    [
        (["api.example.com"], "api.example.com"),
        (["api.example.com:8443"], "api.example.com:8443"),
        (["[2001:db8::1]:80"], "[2001:db8::1]:80"),
        (["forged.example, api.example.com"], "api.example.com"),
        (["forged.example", "api.example.com"], "api.example.com"),
        ([""], "backend:80"),
        (["a b"], "backend:80"),
        (["a/b"], "backend:80"),
        (["a\x00"], "backend:80"),
        (["[::1"], "backend:80"),
    ],
)
def test_the_host_that_a_signature_is_checked_with(header: list[str], host: str) -> None:
    sent = request("10.0.0.1", *(("x-forwarded-host", line) for line in header))
    hosts = [value.decode() for name, value in as_sent(sent, TRUSTED)["headers"] if name == b"host"]
    assert hosts == [host]


@pytest.mark.parametrize(
    ("header", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("gopher", "http"), ("", "http")],
)
def test_the_scheme(header: str, scheme: str) -> None:
    assert as_sent(request("10.0.0.1", ("x-forwarded-proto", header)), TRUSTED)["scheme"] == scheme


@pytest.mark.parametrize("peer", ["203.0.113.9", None])
@pytest.mark.parametrize("networks", [TRUSTED, []])
def test_nobody_else_is_believed(peer: str | None, networks: list[Any]) -> None:
    told = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "forged")]
    sent = request(peer, *told)
    assert as_sent(sent, networks) is sent


def test_forwarded_does_not_count() -> None:
    sent = request("10.0.0.1", ("forwarded", "for=1.1.1.1;host=forged;proto=https"))
    assert as_sent(sent, TRUSTED) == sent


def test_the_request_that_came_stays_as_it_is() -> None:
    sent = request("10.0.0.1", ("x-forwarded-for", "1.1.1.1"), ("x-forwarded-host", "api.example.com"))
    before = {**sent, "headers": list(sent["headers"])}
    as_sent(sent, TRUSTED)
    assert sent == before
