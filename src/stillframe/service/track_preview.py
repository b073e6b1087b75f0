"""What a job's page shows of its thumbnail track: the video that it belongs to, and its tiles by their times.

previews.track(account_id, job).url
previews.tiles(account_id, job_id).tiles[0].start_ms
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stillframe.catalog.buckets import Buckets
from stillframe.errors import NotFound, Unavailable
from stillframe.media.tracks.vtt_text import CueText, Payload, read
from stillframe.service.file_links import FileLinks
from stillframe.service.job_gallery import LINK_S
from stillframe.service.job_tracks import JobTrack, JobTracks, demand_usual_length, read_track
from stillframe.service.ports import JobView
from stillframe.service.shown_tracks import picture_key
from stillframe.storage.content_types import content_type
from stillframe.storage.playlist_keys import is_playlist

#: what browsers call a container, by libav's name for it
_TYPES = {
    "mov": "video/mp4",
    "matroska": "video/webm",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "ogg": "video/ogg",
}
#: at a time: a long track takes a processor for a second; and how long one waits for a turn
_READ_AT_ONCE, _PATIENCE_S = 2, 20.0


@dataclass(frozen=True, slots=True)
class ShownTrack:
    """The link to a track; another track in its place has another `version`."""

    url: str
    version: str


class Tile(NamedTuple):
    """What is shown from `start_ms` up to `end_ms`: a part of one of the pictures, in pixels; of no size: all of it."""

    start_ms: int
    end_ms: int
    picture: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of a track by their times, and the links to the pictures that they are parts of."""

    pictures: Sequence[str]
    tiles: Sequence[Tile]


class TrackPreviews:
    """Videos and tracks of jobs, for those who look at their pages."""

    def __init__(self, buckets: Buckets, tracks: JobTracks, links: FileLinks) -> None:
        self._buckets = buckets
        self._tracks = tracks
        self._links = links
        self._reading = threading.BoundedSemaphore(_READ_AT_ONCE)

    def video_url(self, account_id: str, job: JobView) -> str | None:
        """The link to a job's video; None where the account may not read it, or no page plays it."""
        where = job.input
        bucket = self._buckets.of_account(account_id, {where.bucket}).get(where.bucket)
        if bucket is None or not bucket.allows("read", where.key) or is_playlist(where.key):
            return None
        # a store whose keys cannot be had is no reason to show no page
        with contextlib.suppress(Unavailable):
            return self._links.urls(bucket, [where.key], self._links.soonest_expiry(LINK_S))[where.key]
        return None

    def track(self, account_id: str, job: JobView) -> ShownTrack | None:
        """The track of a job that has ended with one; None for all others."""
        if job.status == "Init":
            return None
        try:
            track = self._tracks.find(account_id, job.job_id)
        except NotFound:
            return None
        expires_at = self._links.soonest_expiry(LINK_S)
        url = self._links.track_url(account_id, track.bucket.name, track.key, expires_at)
        return ShownTrack(url, track.sha256[:12])

    def tiles(self, account_id: str, job_id: str) -> Tiles:
        """The tiles of a job's track, as it is stored now. Raises NotFound, SourceError, Unavailable."""
        track = self._tracks.find(account_id, job_id)
        data = read_track(track.bucket.open(), track.key)
        demand_usual_length(data, track.key)
        if not self._reading.acquire(timeout=_PATIENCE_S):
            raise Unavailable("track preview")
        try:
            return self._tiles(track, read(data).cues)
        finally:
            self._reading.release()

    def _tiles(self, track: JobTrack, cues: Sequence[CueText]) -> Tiles:
        shown = [(cue, cue.image, key) for cue in cues if cue.image and (key := _key(track, cue.image))]
        keys = {key: number for number, key in enumerate(dict.fromkeys(key for _, _, key in shown))}
        links = self._links.urls(track.bucket, [*keys], self._links.soonest_expiry(LINK_S))
        tiles = [
            Tile(cue.start_ms, cue.end_ms, keys[key], *(image.rectangle or (0, 0, 0, 0)))
            for cue, image, key in shown
            if cue.start_ms is not None and cue.end_ms is not None and cue.start_ms < cue.end_ms
        ]
        return Tiles([links[key] for key in keys], sorted(tiles))


def video_type(key: str, container: str | None) -> str:
    """What to ask a browser about a video: whether it plays such containers (libav's name, where it is known)."""
    return _TYPES.get((container or "").partition(",")[0], content_type(key))


def _key(track: JobTrack, image: Payload) -> str | None:
    """The picture's key, where the track's links lead to it."""
    key = picture_key(track.key, image.url.strip())
    return key if key is not None and track.bucket.allows("write", key) else None
