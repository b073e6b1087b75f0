"""Where an operator binds a bucket to: a folder on this machine, or a bucket in an object store.

parse_place("fs:/srv/videos")    # LocalPlace(Path("/srv/videos"))
parse_place("s3://films/2026?region=eu-west-1")    # StorePlace("s3", "films", "2026/", region="eu-west-1")
parse_place("s3://films?endpoint=http://127.0.0.1:9000&style=path&profile=films")

A place is stored and shown, and never holds a secret: keys come from the environment or from a profile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from stillframe.errors import ConfigError, NotSupported
from stillframe.storage.bucket import Bucket
from stillframe.storage.local import LocalBucket

_STORE = re.compile(r"s3://([^/?#]+)(?:/([^?#]*))?(?:\?([^#]*))?", re.IGNORECASE | re.DOTALL)
_STORE_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORMS = (
    "fs:/folder or s3://bucket/prefix?endpoint=URL&region=NAME&style=path&profile=NAME&public_endpoint=URL"
)
_WHERE_KEYS_ARE = "keys come from the environment or a profile"
_PORTS = {"http": 80, "https": 443}
_STYLES = ("path", "virtual")
_WORDS = ("endpoint", "region", "style", "profile", "public_endpoint")
#: instead of an endpoint for links
_NO_LINKS = "none"


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on this machine, as an absolute path."""

    folder: Path

    def __str__(self) -> str:
        return f"fs:{self.folder}"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A bucket in a store, or what lies below a prefix of it.

    `style` is how requests name the bucket: in the `path`, which every store takes that runs at home, or as a `virtual`
    host, which Amazon wants. `profile` is a section of the shared credentials file. `public_endpoint` is where links
    lead to, if not to the endpoint: `none` for a store that nobody can reach but us.
    """

    service: str
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    style: str = "virtual"
    profile: str | None = None
    public_endpoint: str | None = None

    def __str__(self) -> str:
        given = {
            "endpoint": self.endpoint,
            "region": self.region,
            "profile": self.profile,
            "public_endpoint": self.public_endpoint,
        }
        if self.style != _usual_style(self.endpoint):
            given["style"] = self.style
        query = urlencode({name: value for name, value in given.items() if value}, safe=":/")
        prefix = quote(self.prefix.rstrip("/"))
        return f"{self.service}://{self.bucket}{prefix and '/' + prefix}{query and '?' + query}"

    def public(self) -> StorePlace | None:
        """The same place as those find it who get a link; None where there is no way to it."""
        if self.public_endpoint is None:
            return self
        if self.public_endpoint == _NO_LINKS:
            return None
        return replace(self, endpoint=self.public_endpoint, public_endpoint=None)

    def options(self) -> dict[str, Any]:
        """What OpenDAL's service is told. The addresses where clouds keep keys for their machines are never asked."""
        given = {
            "bucket": self.bucket,
            "root": f"/{self.prefix}",
            "endpoint": self.endpoint,
            "region": self.region or "us-east-1",
            "enable_virtual_host_style": "true" if self.style == "virtual" else "false",
            "disable_ec2_metadata": "true",
        }
        return {name: value for name, value in given.items() if value is not None}


Place = LocalPlace | StorePlace


def parse_place(text: str, path: str = "To") -> Place:
    """Read a place's text form. Raises ConfigError for the parameter `path`, NotSupported for OSS."""
    if text.lower().startswith("oss://"):
        raise NotSupported(path, text, f"{_FORMS}: buckets on OSS are not supported in this version yet")
    if text.lower().startswith("s3://"):
        return _store(text, path)
    scheme, separator, folder = text.partition(":")
    if not separator or scheme.lower() != "fs":
        raise ConfigError(path, text, "a place such as fs:/srv/videos or s3://films")
    if not folder.startswith("/") or folder.startswith("//"):
        raise ConfigError(path, text, "fs: and an absolute path, such as fs:/srv/videos")
    if "\0" in folder or ".." in folder.split("/"):
        raise ConfigError(path, text, "a path without .. and NUL in it")
    return LocalPlace(Path(folder))


def _store(text: str, path: str) -> StorePlace:
    if "@" in text.partition("?")[0]:
        # a key and its secret, most often
        raise ConfigError(path, "s3://...@...", f"{_FORMS}; {_WHERE_KEYS_ARE}")
    matched = _STORE.fullmatch(text)
    if matched is None or not _STORE_BUCKET.fullmatch(matched[1]):
        raise ConfigError(path, text, _FORMS)
    prefix = unquote(matched[2] or "").strip("/")
    if prefix and any(part in ("", ".", "..") or part != part.strip() for part in prefix.split("/")):
        raise ConfigError(
            path, text, "a prefix without empty, . and .. parts, and without white space at their ends"
        )
    given = {name: value for name, value in parse_qsl(matched[3] or "", keep_blank_values=True) if value}
    if unknown := [name for name in given if name not in _WORDS]:
        # a key, most often, which everybody would see who lists buckets
        raise ConfigError(path, f"{unknown[0]}=...", f"{_FORMS}; {_WHERE_KEYS_ARE}")
    endpoint, public = given.get("endpoint"), given.get("public_endpoint")
    if endpoint is not None:
        endpoint = _endpoint(endpoint, path)
    if public not in (None, _NO_LINKS):
        public = _endpoint(public, path)
    style = given.get("style", _usual_style(endpoint))
    if style not in _STYLES:
        raise ConfigError(path, text, f"style={' or style='.join(_STYLES)}")
    return StorePlace(
        "s3",
        matched[1],
        prefix and f"{prefix}/",
        endpoint,
        given.get("region"),
        style,
        given.get("profile"),
        public,
    )


def _endpoint(text: str, path: str) -> str:
    """The one form of an address, so that the same store is the same place."""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
        parts = urlsplit("")
    if scheme not in _PORTS or not host or "@" in parts.netloc or parts.query or parts.fragment:
        # not what was sent: a password may be a part of it
        raise ConfigError(
            path, "endpoint=...", "an endpoint such as https://s3.example.com, without a user and a ?"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port in (None, _PORTS[scheme]) else f':{port}'}{parts.path.rstrip('/')}"


def _usual_style(endpoint: str | None) -> str:
    return "virtual" if endpoint is None else "path"


def open_bucket(place: Place, name: str | None) -> Bucket:
    """The bucket at a place; `name` is what API users call it, if there are any. Nothing is read or written yet."""
    if isinstance(place, LocalPlace):
        return LocalBucket(place.folder, name)
    # what a service with local buckets alone does without
    from stillframe.storage.remote import RemoteBucket

    return RemoteBucket(place, name)
