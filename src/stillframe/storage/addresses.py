"""Addresses of objects, as API users write them.

    parse_address("oss://local/a movie.mp4")    # Address("local", "a movie.mp4")
    parse_address("https://local.oss-cn-shanghai.aliyuncs.com/a%20movie.mp4").region    # "cn-shanghai"

Both forms name an API bucket and a key in it; the second one names the bucket's region, too. Keys are raw in the
first and percent-decoded once in the second (`ims_api`, 2.1 and the design's row "object names").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from stillframe.errors import ConfigError

#: bytes of UTF-8 that an object's key may have; OSS's limit
LONGEST_KEY_BYTES = 1023

_BUCKET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_OSS = re.compile(r"oss://([^/]*)/(.*)", re.IGNORECASE | re.DOTALL)
_URL = re.compile(r"https?://([^/?#]*)/(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"([^.]+)\.oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")
_FORMS = "oss://bucket/key or http(s)://bucket.oss-region.aliyuncs.com/key"


@dataclass(frozen=True, slots=True)
class Address:
    """An object, or a template for objects: the API bucket, the key in it, and the region if the address says it."""

    bucket: str
    key: str
    region: str | None = None

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key}"


def parse_address(text: str, path: str = "Media") -> Address:
    """Take an address apart. Raises ConfigError for the parameter `path` when it is none."""
    if matched := _OSS.fullmatch(text):
        bucket, key, region = matched[1], matched[2], None
    elif matched := _URL.fullmatch(text):
        bucket, region = _of_host(matched[1], text, path)
        key = _decoded(matched[2], text, path)
    else:
        raise ConfigError(path, text, _FORMS)
    try:
        demand_bucket_name(bucket, path)
        demand_key(key, path)
    except ConfigError as error:
        # all that was sent, and not the part of it that is wrong
        raise ConfigError(path, text, f"{_FORMS}, with {error.allowed}") from error
    return Address(bucket, key, region)


def demand_bucket_name(name: str, path: str) -> None:
    """Refuse what OSS would not take for a bucket's name."""
    if not _BUCKET_NAME.fullmatch(name):
        raise ConfigError(
            path,
            name,
            "a bucket name of 3 to 63 lower-case letters, digits and hyphens, no hyphen at its ends",
        )


def demand_key(key: str, path: str) -> None:
    """Refuse what OSS would not take for an object's key, and a NUL."""
    size_bytes = len(_utf8(key, path))
    if not 1 <= size_bytes <= LONGEST_KEY_BYTES:
        raise ConfigError(path, key, f"an object key of 1 to {LONGEST_KEY_BYTES} bytes in UTF-8")
    if key[0] in "/\\" or "\0" in key:
        raise ConfigError(path, key, "an object key that does not start with / or \\ and has no NUL in it")


def is_plain(key: str) -> bool:
    """Whether no part of the key between slashes is empty, `.` or `..`: it names one thing and climbs nowhere."""
    return not any(segment in ("", ".", "..") for segment in key.split("/"))


def _of_host(host: str, text: str, path: str) -> tuple[str, str]:
    # host names know no case; a port or a user in front of the host belongs to no object's address
    matched = _HOST.fullmatch(host.lower())
    if matched is None:
        raise ConfigError(path, text, _FORMS)
    return matched[1], matched[2]


def _decoded(quoted: str, text: str, path: str) -> str:
    if "?" in quoted or "#" in quoted:
        # a signed URL, most often: its signature is not for us, and dropping it in silence would hide a mistake
        raise ConfigError(path, text, "an address without ? and # (in a key they are written %3F and %23)")
    try:
        return unquote_to_bytes(quoted).decode()
    except UnicodeError as error:
        raise ConfigError(path, text, "an address whose percent-encoding is UTF-8") from error


def _utf8(key: str, path: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(path, key, "text that can be written in UTF-8") from error
