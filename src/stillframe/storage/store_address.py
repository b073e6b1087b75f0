"""Addresses of objects in stores, as they are written on the command line, by somebody with keys of his own.

    parse_store_address("s3://films/2026/a movie.mp4")
    parse_store_address("s3://films/movie.mp4?endpoint=http://127.0.0.1:9000&profile=films")

The key is what stands there, nothing is decoded; options follow a `?` at the end. Those that are not given come from
the environment variables that other programs for these stores read, too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlencode

from stillframe.errors import ConfigError
from stillframe.storage.places import StorePlace, parse_place

_ADDRESS = re.compile(
    r"(?P<service>[a-z0-9]+)://(?P<bucket>[^/?#]*)/(?P<key>.+?)(?:\?(?P<options>[a-z_]+=[^?]*))?",
    re.IGNORECASE | re.DOTALL,
)
_FORM = "an address such as s3://bucket/movie.mp4"
#: for each store and option the variables that may hold it, the first one first
_VARIABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "s3": {
        "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    },
    "oss": {"endpoint": ("OSS_ENDPOINT",), "region": ("OSS_REGION", "ALIBABA_CLOUD_REGION_ID")},
}


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """An object, or a template for objects: the bucket's place, and the key in it."""

    place: StorePlace
    key: str

    @property
    def bucket(self) -> str:
        """What the bucket is called in messages."""
        return f"{self.place.service}://{self.place.bucket}"

    @property
    def stem(self) -> str:
        """The object's name without its ending."""
        return PurePosixPath(self.key).stem

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


def parse_store_address(text: str, path: str) -> StoreAddress:
    """Take an address apart. Raises ConfigError for the parameter `path` when it is none."""
    shown = text.partition("?")[0]
    scheme, _, rest = shown.partition("://")
    if re.search("[:@]", rest.partition("/")[0]):
        # a key and its secret, most often
        raise ConfigError(path, f"{scheme}://...", f"{_FORM}; keys come from the environment or a profile")
    matched = _ADDRESS.fullmatch(text)
    if matched is None or matched["service"].lower() not in _VARIABLES:
        raise ConfigError(path, shown, _FORM)
    service, options = matched["service"].lower(), matched["options"] or ""
    given = re.findall(r"(?:^|&)([a-z_]+)=", options)
    usual = {
        option: value
        for option, names in _VARIABLES[service].items()
        if option not in given and (value := next(filter(None, map(os.environ.get, names)), None))
    }
    if "endpoint" in usual and "://" not in usual["endpoint"]:
        # as OSS's own tools have it
        usual["endpoint"] = f"https://{usual['endpoint']}"
    all_options = "&".join(filter(None, (options, urlencode(usual, safe=":/"))))
    place = parse_place(f"{service}://{matched['bucket']}{all_options and '?' + all_options}", path)
    assert isinstance(place, StorePlace)
    return StoreAddress(place, matched["key"])
