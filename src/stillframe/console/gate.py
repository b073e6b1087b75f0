"""Whether a request was meant for us: for a name that we are reached by, and sent by a page of ours.

A page of somebody else's can make a browser send us requests, and a name of somebody else's can be made to lead to our
address (DNS rebinding): then the page that sends is of that name, and its script could read what we answer.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection


def is_our_name(host: str, public_url: str) -> bool:
    """Whether a Host is ours: the public URL's, localhost, or an address, which no name server hands out."""
    name = _name(host)
    if name is None:
        return False
    if name in ("localhost", urlsplit(public_url).hostname):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_from_our_page(connection: HTTPConnection) -> bool:
    """Whether the page that sent it has the same Host; for a browser that says nothing of it, no."""
    headers = connection.headers
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    # no page has an origin with brackets that do not match, over which urlsplit would fail
    return origin.partition("://")[2].lower() == headers.get("host", "").lower() != ""


def root_of(host: str, public_url: str) -> str:
    """The path that the console is reached by: a proxy may have put a folder before it."""
    public = urlsplit(public_url)
    is_public = public.netloc.lower() == host.lower()
    return (public.path.rstrip("/") if is_public else "") + "/console"


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        # others read the port later, which is a ValueError for what can be none
        _ = parts.port
        return parts.hostname
    except ValueError:
        return None
