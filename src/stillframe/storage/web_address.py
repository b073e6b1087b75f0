"""Addresses of videos on web servers, and how they are shown: never with what may be a secret in them.

    address = parse_web_address("https://user:word@example.com/films/a%20b.mp4?token=1")
    str(address)         # "https://example.com/films/a%20b.mp4?…"
    address.redirected("/elsewhere.mp4")

A password is sent to the server that it was given for, and to no other one that this redirects to.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

from stillframe.errors import ConfigError

_PORTS = {"http": 80, "https": 443}
_FORM = "an address such as https://example.com/movie.mp4"
#: what a path or a query may hold as it is; a % begins an escape that is there already
_AS_IT_IS = "/%:@!$&'()*+,;=~[]"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%[\w.-]+)?")


class Misled(Exception):
    """A redirect that is not followed; its text says why."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where to ask: `target` is the path with its query, as it is sent."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom a connection is to."""
        return self.scheme, self.host, self.port

    @property
    def server(self) -> str:
        """The host, with the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def stem(self) -> str:
        """The file's name without its ending; the host's where the path has none."""
        name = PurePosixPath(unquote(self.target.partition("?")[0]).replace("\\", "/").replace("\0", "")).name
        return self.host if name in ("", "..") else PurePosixPath(name).stem

    def __str__(self) -> str:
        # what follows the ? is a signature, most often
        path, query, _ = self.target.partition("?")
        return f"{self.scheme}://{self.server}{path}{query and '?…'}"

    def redirected(self, location: str) -> WebAddress:
        """Where a redirect leads. Raises Misled when it is nowhere to follow to."""
        try:
            led = parse_web_address(urljoin(f"{self.scheme}://{self.server}{self.target}", location), "")
        except (ConfigError, ValueError):
            scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location)
            raise Misled(f"to {scheme[0] if scheme else 'what is'} no address of a web server") from None
        if self.scheme == "https" and led.scheme == "http":
            raise Misled(f"to http://{led.server}, where nothing is encrypted any more")
        mine = self.authorization if led.origin == self.origin else None
        return WebAddress(led.scheme, led.host, led.port, led.target, mine)


def parse_web_address(text: str, path: str = "Input") -> WebAddress:
    """Take an address apart. Raises ConfigError for the parameter `path` when it is none."""
    try:
        parts = urlsplit(text.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
        target = quote(parts.path or "/", safe=_AS_IT_IS) + (parts.query and "?")
        target += quote(parts.query, safe=_AS_IT_IS + "?")
        authorization = _basic(parts.username, parts.password)
    except ValueError:
        scheme = host = ""
    if scheme not in _PORTS or not _HOST.fullmatch(host):
        # not what was sent: a password may be a part of it
        raise ConfigError(path, f"{scheme or '...'}://...", _FORM)
    return WebAddress(scheme, host, port or _PORTS[scheme], target, authorization)


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
