"""Where the addresses in a playlist lead: to keys of the playlist's own bucket, and nowhere else. Pure.

key_of("../v/2.ts", "films/hls/a.m3u8", "local")                # "films/v/2.ts"
key_of("oss://local/films/2.ts", "films/hls/a.m3u8", "local")   # "films/2.ts"
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from stillframe.errors import ConfigError, MediaError
from stillframe.storage.addresses import parse_address

_LONGEST_URI = 4096
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def is_playlist(key: str) -> bool:
    """Whether an object is an HLS playlist by its name: a file of another name never leads elsewhere."""
    return key.lower().endswith((".m3u8", ".m3u"))


def key_of(uri: str, playlist_key: str, bucket: str | None, name: str) -> str:
    """The key that an address in a playlist names. `name` is the playlist's, for messages. Raises MediaError.

    `bucket` is what users call the playlist's bucket; None for one that has no such name. An address is relative
    to the playlist, begins with / at the bucket's root, or is a whole one of the very bucket. Its query is left out.
    """
    if len(uri) > _LONGEST_URI or not uri.isprintable():
        raise _error(name, uri, f"must be printable and not longer than {_LONGEST_URI:,} characters")
    path = re.split("[?#]", uri, maxsplit=1)[0]
    if _SCHEME.match(path) or path.startswith("//"):
        return _of_address(path, bucket, name, uri)
    try:
        path = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise _error(name, uri, "must be percent-encoded UTF-8") from error
    if path.rpartition("/")[2] in ("", ".", ".."):
        raise _error(name, uri, "must name an object")
    folder = [] if path.startswith("/") else playlist_key.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            if not folder:
                raise _error(name, uri, "must not lead out of the playlist's bucket or folder")
            folder.pop()
        elif part not in ("", "."):
            folder.append(part)
    return "/".join(folder)


def _of_address(path: str, bucket: str | None, name: str, uri: str) -> str:
    try:
        address = parse_address(path)
    except ConfigError as error:
        raise _error(name, uri, _WHERE) from error
    if address.bucket != bucket:
        raise _error(name, uri, _WHERE)
    return address.key


_WHERE = "must lie in the playlist's own bucket: nothing else is read"


def _error(name: str, uri: str, rule: str) -> MediaError:
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in uri[:200])
    return MediaError(name, "playlist", f"names {shown}, and what a playlist names {rule}")
