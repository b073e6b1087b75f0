"""What a trusted proxy tells of a request that it passes on: whose it is, by which scheme, and for which Host.

    app = BehindProxies(app, settings.trusted_proxies)

X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host count when the connection comes from a trusted address, and
for nobody else. `Forwarded` does not count: a proxy that writes the one lets a client's own other through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from stillframe.settings import Network

_HOST = re.compile(rb"[A-Za-z0-9._~-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_PORT = re.compile(r"([0-9.]+|\[.*\]):[0-9]+")


class BehindProxies:
    """An ASGI application before which trusted proxies may stand."""

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = as_sent(scope, self._networks)
        await self._app(scope, receive, send)


def as_sent(scope: Scope, networks: Sequence[Network]) -> Scope:
    """The request as its client sent it, as far as those say whom we trust; the very same without them.

    The client is the last address in X-Forwarded-For that is not a trusted proxy's: each proxy adds the one that it
    has seen, and what stands before that is hearsay. Scheme and Host are what the nearest proxy says.
    """
    peer = _address(scope["client"][0]) if scope.get("client") else None
    if peer is None or not _trusted(peer, networks):
        return scope
    changed = dict(scope)
    client = _client(_values(scope, b"x-forwarded-for"), networks)
    if client is not None:
        changed["client"] = (str(client), 0)
    scheme = _values(scope, b"x-forwarded-proto")[-1:]
    if scheme and scheme[0].lower() in (b"http", b"https"):
        changed["scheme"] = scheme[0].lower().decode()
    host = _values(scope, b"x-forwarded-host")[-1:]
    if host and _HOST.fullmatch(host[0]):
        others = [header for header in scope["headers"] if header[0] != b"host"]
        changed["headers"] = [(b"host", host[0]), *others]
    return changed


def _client(path: Sequence[bytes], networks: Sequence[Network]) -> IPv4Address | IPv6Address | None:
    """The nearest that is not ours; where all are, or one says nothing that is an address, the one before it."""
    found = None
    for hop in reversed(path):
        address = _address(hop.decode("latin-1"))
        if address is None:
            return found
        found = address
        if not _trusted(address, networks):
            return found
    return found


def _values(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header, of however many lines."""
    lines = [value for key, value in scope["headers"] if key == name]
    return [part.strip() for line in lines for part in line.split(b",")]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without a port; an IPv4 one in IPv6's clothes as itself."""
    if with_port := _PORT.fullmatch(text):
        text = with_port[1]
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _trusted(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
