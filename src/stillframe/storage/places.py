"""Where an operator binds a bucket to: a folder on this machine, or a bucket in an object store.

parse_place("fs:/srv/videos")    # LocalPlace(Path("/srv/videos"))
parse_place("s3://films/2026?region=eu-west-1")    # StorePlace("s3", "films", "2026/", region="eu-west-1")
parse_place("s3://films?endpoint=http://127.0.0.1:9000&style=path&profile=films")
parse_place("oss://films?region=cn-shanghai").address    # "https://oss-cn-shanghai.aliyuncs.com"

A place is stored and shown, and never holds a secret: keys come from the environment or from a profile.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from stillframe.errors import ConfigError
from stillframe.storage.bucket import Bucket
from stillframe.storage.local import LocalBucket

_STORE = re.compile(r"(s3|oss)://([^/?#]+)(?:/([^?#]*))?(?:\?([^#]*))?", re.IGNORECASE | re.DOTALL)
_STORE_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORMS = "fs:/folder, s3://bucket/prefix?region=NAME or oss://bucket/prefix?region=NAME"
_WORDS = ("endpoint", "region", "style", "profile", "signature", "public_endpoint", "cache_control")
_WHERE_KEYS_ARE = "keys come from the environment or a profile"
_PORTS = {"http": 80, "https": 443}
#: instead of an endpoint for links
_NO_LINKS = "none"
_STYLES, _SIGNATURES = ("path", "virtual"), ("v1", "v4")
#: it becomes a part of headers, such as the pages' Content-Security-Policy
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
#: what a header may hold
_HEADER_VALUE = re.compile(r"[!-~][ -~]{0,200}")
_ALIBABA = re.compile(r"https?://oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com")


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
    host, which Amazon and Alibaba Cloud want. `signature` is OSS's: `v1` its own old one, `v4` that of its S3 face.
    `profile` is a section of the tools' own files. `public_endpoint` is where links lead to, if not to the
    endpoint: `none` for a store that nobody can reach but us. `cache_control` is the header that goes with each object.
    """

    service: str
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    style: str = "virtual"
    profile: str | None = None
    signature: str = "v4"
    public_endpoint: str | None = None
    cache_control: str | None = None

    def __str__(self) -> str:
        given = {"endpoint": self.endpoint, "region": self.region, "profile": self.profile}
        if self.style != _usual_style(self.service, self.endpoint):
            given["style"] = self.style
        if self.signature != _usual_signature(self.service, self.endpoint):
            given["signature"] = self.signature
        given |= {"public_endpoint": self.public_endpoint, "cache_control": self.cache_control}
        query = urlencode({name: value for name, value in given.items() if value}, safe=":/=,")
        prefix = quote(self.prefix.rstrip("/"))
        return f"{self.service}://{self.bucket}{prefix and '/' + prefix}{query and '?' + query}"

    @property
    def address(self) -> str | None:
        """The store's address; None for Amazon's own."""
        if self.endpoint is None and self.service == "oss":
            return f"https://oss-{self.region}.aliyuncs.com"
        return self.endpoint

    @property
    def owner(self) -> str:
        """Whose names its bucket's name is one of: the same word for all addresses of one store."""
        host = urlsplit(self.address or "https://amazonaws.com").hostname or ""
        if host.endswith(".aliyuncs.com"):
            return "oss:aliyun"
        # Amazon's buckets have names of their own all over the world, whichever of its hosts is asked
        return (
            "s3:aws" if host == "amazonaws.com" or host.endswith(".amazonaws.com") else f"s3:{self.address}"
        )

    def public(self) -> StorePlace | None:
        """The same place as those find it who get a link; None where there is no way to it.

        Nobody outside of Alibaba Cloud reaches its internal addresses: links lead to the public ones. Another endpoint
        than theirs is a domain that is bound to the bucket: `is_own_domain`.
        """
        public = self.public_endpoint
        if public == _NO_LINKS:
            return None
        if public is None and self.endpoint is not None and _ALIBABA.fullmatch(self.endpoint):
            public = self.endpoint.replace("-internal.aliyuncs.com", ".aliyuncs.com")
        found = replace(self, endpoint=public or self.endpoint, public_endpoint=None)
        return replace(found, region=self._region) if found.is_own_domain else found

    @property
    def is_own_domain(self) -> bool:
        """Whether the endpoint is a domain bound to a bucket of OSS, where only OSS's own signature counts."""
        if self.service != "oss" or self.signature != "v4" or self.endpoint is None:
            return False
        return not _ALIBABA.fullmatch(self.endpoint) and not _is_address(self.endpoint)

    @property
    def _region(self) -> str | None:
        matched = _ALIBABA.fullmatch(self.address or "")
        return self.region or (matched[1] if matched else None)

    def opendal(self) -> tuple[str, dict[str, Any]]:
        """Which of OpenDAL's services this is, and what it is told, but for keys.

        The addresses where clouds keep keys for their machines are never asked.
        """
        given = {"bucket": self.bucket, "root": f"/{self.prefix}", "endpoint": self.address}
        if self.service == "oss" and self.signature == "v1":
            return "oss", {**given, "addressing_style": self.style}
        if _ALIBABA.fullmatch(self.address or ""):
            # OSS's S3 face has addresses of its own
            given["endpoint"] = (self.address or "").replace("://", "://s3.")
        region = self._region or "us-east-1"
        style = "true" if self.style == "virtual" else "false"
        given |= {"region": region, "enable_virtual_host_style": style, "disable_ec2_metadata": "true"}
        return "s3", {name: value for name, value in given.items() if value is not None}


Place = LocalPlace | StorePlace


def parse_place(text: str, path: str = "To") -> Place:
    """Read a place's text form. Raises ConfigError for the parameter `path`."""
    if text.lower().startswith(("s3://", "oss://")):
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
        raise ConfigError(path, f"{text.partition(':')[0]}://...@...", f"{_FORMS}; {_WHERE_KEYS_ARE}")
    matched = _STORE.fullmatch(text)
    if matched is None or not _STORE_BUCKET.fullmatch(matched[2]):
        raise ConfigError(path, text, _FORMS)
    prefix = unquote(matched[3] or "").strip("/")
    if prefix and any(part in ("", ".", "..") or part != part.strip() for part in prefix.split("/")):
        raise ConfigError(
            path, text, "a prefix without empty, . and .. parts, and without white space at their ends"
        )
    given = {name: value for name, value in parse_qsl(matched[4] or "", keep_blank_values=True) if value}
    if unknown := [name for name in given if name not in _WORDS]:
        # a key, perhaps, which everybody would see who lists buckets
        words = f"one of {', '.join(_WORDS[:-1])} and {_WORDS[-1]}"
        raise ConfigError(path, f"{unknown[0]}=...", f"{words}; {_WHERE_KEYS_ARE}")
    service = matched[1].lower()
    endpoint = _endpoint(given["endpoint"], path) if "endpoint" in given else None
    public = given.get("public_endpoint")
    place = StorePlace(
        service,
        matched[2],
        prefix and f"{prefix}/",
        endpoint,
        given.get("region"),
        given.get("style", _usual_style(service, endpoint)),
        given.get("profile"),
        given.get("signature", _usual_signature(service, endpoint)),
        public if public in (None, _NO_LINKS) else _endpoint(public, path),
        given.get("cache_control"),
    )
    _demand_words(place, text, path)
    return place


def _demand_words(place: StorePlace, text: str, path: str) -> None:
    if place.style not in _STYLES:
        raise ConfigError(path, text, f"style={' or style='.join(_STYLES)}")
    if place.signature not in _SIGNATURES:
        raise ConfigError(path, text, f"signature={' or signature='.join(_SIGNATURES)}")
    if place.service != "oss" and place.signature != "v4":
        raise ConfigError(path, text, "signature=v4, since v1 is OSS's")
    if place.service == "oss" and not (place.endpoint or place.region):
        raise ConfigError(path, text, "a place on OSS with region=NAME or endpoint=URL in it")
    if place.is_own_domain:
        # it could be written to by none of the signatures that we have
        raise ConfigError(
            path,
            text,
            "endpoint=URL of Alibaba Cloud's own (a domain of yours is for public_endpoint), or signature=v1",
        )
    if place.region is not None and not _REGION.fullmatch(place.region):
        raise ConfigError(path, text, "region=NAME, such as region=cn-shanghai")
    if place.cache_control is not None and not _HEADER_VALUE.fullmatch(place.cache_control):
        raise ConfigError(path, text, "cache_control=WORDS of a header, such as cache_control=max-age=86400")


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
    if not _HOST.fullmatch(host):
        raise ConfigError(
            path, "endpoint=...", "an endpoint whose host is of letters, digits, dots and hyphens"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port in (None, _PORTS[scheme]) else f':{port}'}{parts.path.rstrip('/')}"


def _usual_style(service: str, endpoint: str | None) -> str:
    if service == "oss":
        return "path" if endpoint is not None and _is_address(endpoint) else "virtual"
    return "virtual" if endpoint is None else "path"


def _usual_signature(service: str, endpoint: str | None) -> str:
    """OSS has an S3 face at Alibaba Cloud, where V1 is taken for old buckets only; elsewhere only V1 is sure."""
    is_elsewhere = service == "oss" and endpoint is not None and not _ALIBABA.fullmatch(endpoint)
    return "v1" if is_elsewhere else "v4"


def _is_address(endpoint: str) -> bool:
    """Whether no name can stand before the host, as OSS's own clients see it."""
    host = urlsplit(endpoint).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def open_bucket(place: Place, name: str | None) -> Bucket:
    """The bucket at a place; `name` is what API users call it, if there are any. Nothing is read or written yet."""
    if isinstance(place, LocalPlace):
        return LocalBucket(place.folder, name)
    # what a service with local buckets alone does without
    from stillframe.storage.remote import RemoteBucket

    return RemoteBucket(place, name)
