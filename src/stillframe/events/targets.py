"""Where messages may go: what a callback's URL must look like, and which addresses are nobody's business.

A receiver's URL comes from a caller of the API, and the request from inside the operator's network: without a rule,
whoever may set a callback could reach what only this machine can (the metadata service of a cloud, a database).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from stillframe.errors import ConfigError
from stillframe.settings import Network

#: bytes of a callback's URL (`ims_api`, 2.9)
LONGEST_URL = 256
_PARAMETER = "CallbackURL"
_SHAPE = "an address such as https://example.com/callback, of ASCII, without @, # and backslash"
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9_])?\.?")
#: NAT64 (RFC 6052): the last four bytes are an IPv4 address that a gateway goes on to
_NAT64 = ip_network("64:ff9b::/96")


def demand_url(url: str, allowed: Sequence[Network]) -> None:
    """Raises ConfigError for what is not a callback's URL, and for one that names an address which is refused.

    A name is resolved when there is something to deliver, and refused then.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(_PARAMETER, url, _SHAPE)
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise ConfigError(_PARAMETER, url, _SHAPE) from None
    if parts.scheme not in ("http", "https") or not has_port or any(mark in url for mark in "@#\\"):
        raise ConfigError(_PARAMETER, url, _SHAPE)
    host = parts.hostname or ""
    try:
        is_refused = not is_allowed(host, allowed)
    except ValueError:
        if not _NAME.fullmatch(host):
            raise ConfigError(_PARAMETER, url, _SHAPE) from None
        is_refused = host.rstrip(".") == "localhost" and not is_allowed("127.0.0.1", allowed)
    if is_refused:
        reachable = "an address that the public can reach, or one of the setting callback_allow_networks"
        raise ConfigError(_PARAMETER, url, reachable)


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether messages may go to an IP address: to any in the `allowed` networks, and to public ones."""
    ip = ip_address(address)
    # what is written inside IPv6 is the IPv4 address that is reached
    inner = ip.ipv4_mapped or ip.sixtofour or _nat64(ip) if isinstance(ip, IPv6Address) else None
    if any(one in network for one in (ip, inner) if one is not None for network in allowed):
        return True
    return _is_public(ip if inner is None else inner)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site_local)


def _nat64(ip: IPv6Address) -> IPv4Address | None:
    return IPv4Address(ip.packed[-4:]) if ip in _NAT64 else None
