"""What the command and the library read and write besides files: objects in stores, and videos on web servers.

    with open_input(parse_input("https://example.com/movie.mp4")) as source: ...
    with open_output("s3://films/thumbs/{Count}.jpg", config) as sink: ...

Who names these addresses has the keys as well. The service, where others do, knows buckets alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stillframe.errors import ConfigError, SinkError, SourceError
from stillframe.media.config import SnapshotConfig
from stillframe.media.sink import Names, names_for
from stillframe.media.source import ByteSource
from stillframe.storage.bucket import Bucket
from stillframe.storage.bucket_sink import BucketSink
from stillframe.storage.places import open_bucket
from stillframe.storage.playlist_keys import is_playlist
from stillframe.storage.playlist_source import open_playlist
from stillframe.storage.store_address import StoreAddress, parse_store_address
from stillframe.storage.web import open_web
from stillframe.storage.web_address import WebAddress, parse_web_address

Address = WebAddress | StoreAddress

_STORES = ("s3", "oss")
_NEEDS = "object stores need OpenDAL: pip install 'stillframe[cloud]'"


def parse_input(text: str) -> Address:
    """Take the address of a video apart. Raises ConfigError."""
    scheme = text.partition("://")[0].lower()
    if scheme in _STORES:
        return parse_store_address(text, "Input")
    if scheme in ("http", "https"):
        return parse_web_address(text, "Input")
    raise ConfigError(
        "Input", f"{scheme}://...", "a path, or an address of s3://, oss://, https:// or http://"
    )


@contextmanager
def open_input(address: Address) -> Iterator[ByteSource]:
    """The video, open for reading. Raises SourceError."""
    if isinstance(address, WebAddress):
        if is_playlist(address.target.partition("?")[0]):
            raise SourceError(
                str(address), "playlists are read from files and stores, and from no web server yet"
            )
        source: ByteSource = open_web(address)
    else:
        try:
            bucket = _bucket(address)
        except ModuleNotFoundError as error:
            raise SourceError(str(address), _NEEDS) from error
        if is_playlist(address.key):
            source = open_playlist(bucket, address.key, None, lambda key: True)
        else:
            source = bucket.open_source(address.key)
    try:
        yield source
    finally:
        source.close()


def output_names(template: str, config: SnapshotConfig, name: str = "{Name}") -> Names:
    """The names of outputs in a store. Raises ConfigError when the template cannot hold them."""
    return names_for(str(_parse_output(template)), config, name)


def open_output(template: str, config: SnapshotConfig, name: str = "{Name}") -> BucketSink:
    """A sink into a store; `name` stands for `{Name}`. Raises ConfigError and SinkError. Nothing is written yet."""
    address = _parse_output(template)
    try:
        bucket = _bucket(address)
    except ModuleNotFoundError as error:
        raise SinkError(str(address), _NEEDS) from error
    return BucketSink(bucket, f"{address.bucket}/", names_for(str(address), config, name))


def _parse_output(template: str) -> StoreAddress:
    scheme = template.partition("://")[0].lower()
    if scheme not in _STORES:
        raise ConfigError("Output", f"{scheme}://...", "a file name, or an address of s3:// or oss://")
    return parse_store_address(template, "Output")


def _bucket(address: StoreAddress) -> Bucket:
    return open_bucket(address.place, None)
