"""Where events may be sent: URLs as they are set, and addresses as names resolve to them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from stillframe.errors import ConfigError
from stillframe.events.targets import demand_url, is_allowed

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
)
REFUSED = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize("address", REFUSED)
def test_all_others_are_not(address: str) -> None:
    assert not is_allowed(address, ())
    assert not is_allowed(address, [ip_network("192.168.77.0/24")])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("::1", "::1"),
        ("fd00::7", "fd00::/8"),
    ],
)
def test_a_network_of_the_setting_is_allowed(address: str, network: str) -> None:
    assert is_allowed(address, [ip_network("192.168.77.0/24"), ip_network(network)])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/a?b=c&d=%20",
        "HTTP://EXAMPLE.com:8080/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]:8443/x",
        "http://127.0.0.1:1/",
        "http://localhost/",
    ],
)
def test_urls_that_are_right(url: str) -> None:
    demand_url(url, [ip_network("127.0.0.0/8")])


@pytest.mark.parametrize(
    "url",
    [
        "example.com/callback",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "http://",
        "http:///path",
        "http://:80/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:http/",
        "http://example.com/#part",
        "http://example.com\\@10.0.0.1/",
        "http://example.com/a b",
        "http://example.com/\r\nX-Evil: 1",
        "http://exämple.com/",
        "http://[::1",
        "http://exa mple.com/",
        "http://$(id)/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://LOCALHOST./",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        demand_url(url, ())
    assert caught.value.path == "CallbackURL"
