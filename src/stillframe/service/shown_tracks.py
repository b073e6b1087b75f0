"""Tracks as players get them: rendered at each look, with a signed link for each picture.

The stored track names its pictures relative to itself, and a private store gives none of them to a player. What is
stored may be anybody's by now: only pictures in the track's own folder get a link, and all else stays as it is written.
"""

from __future__ import annotations

import threading
from urllib.parse import unquote_to_bytes

from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.errors import SourceError
from stillframe.media.config import MAX_SHOTS
from stillframe.media.tracks.relink import image_names, relinked
from stillframe.service.file_links import FileLinks
from stillframe.service.job_tracks import read_track
from stillframe.storage.addresses import is_plain
from stillframe.storage.content_types import content_type
from stillframe.storage.track_links import TrackGrant

_SUFFIX = ".vtt"
#: at a time: a long track takes some hundred megabytes for a moment, and a processor for seconds
_RENDERED_AT_ONCE = 2


class ShownTracks:
    """Renders the tracks that links are good for."""

    def __init__(self, buckets: Buckets, links: FileLinks) -> None:
        self._buckets = buckets
        self._links = links
        self._rendering = threading.BoundedSemaphore(_RENDERED_AT_ONCE)

    def show(self, grant: TrackGrant) -> bytes:
        """The track, with links that end when its own does.

        Raises NotFound for a bucket that the account may not use any more, SourceError for what is there no more or
        no track, and Unavailable.
        """
        found = self._buckets.of_account(grant.account_id, {grant.bucket})
        bucket = demand(found, grant.bucket, "write", grant.key)
        track = read_track(bucket.open(), grant.key)
        with self._rendering:
            return self._rendered(track, bucket, grant)

    def _rendered(self, track: bytes, bucket: BucketView, grant: TrackGrant) -> bytes:
        try:
            names = image_names(track, MAX_SHOTS)
        except ValueError as error:
            raise SourceError(grant.key, str(error)) from error
        pictures = {
            name: key
            for name in names
            if (key := picture_key(grant.key, name)) is not None and bucket.allows("write", key)
        }
        links = self._links.urls(bucket, [*dict.fromkeys(pictures.values())], grant.expires_at)
        return relinked(track, {name: links[key] for name, key in pictures.items()})


def picture_key(track: str, name: str) -> str | None:
    """The key of a picture that a track names; None for what lies elsewhere than in the track's own folder.

    That of `a/x.vtt` is `a/x/`.
    """
    stem, suffix = track[: -len(_SUFFIX)], track[-len(_SUFFIX) :]
    if suffix.lower() != _SUFFIX or name.startswith("/") or any(mark in name for mark in ":?\\"):
        return None
    try:
        key = track[: track.rfind("/") + 1] + unquote_to_bytes(name).decode()
    except ValueError:
        return None
    is_inside = key.startswith(f"{stem}/") and is_plain(key)
    return key if is_inside and content_type(key).startswith("image/") else None
