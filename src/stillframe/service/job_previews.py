"""What a job would take, before there is one: its survey, and a strip of small pictures at its moments.

    survey = previews.survey(account_id, Video("local", "movie.mp4"), config)
    strip = previews.strip(account_id, Video("local", "movie.mp4"), config)

The same steps do it as for jobs, in the same sandbox, under limits of their own: somebody waits for it, and others do
as well. What was found is kept for a while, by the content that it was found in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from stillframe.catalog.buckets import Buckets, demand
from stillframe.errors import Unavailable
from stillframe.jobs import faults
from stillframe.media import config_json
from stillframe.media.config import SnapshotConfig
from stillframe.media.meter import limit_of, meter_of
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import MemorySink
from stillframe.media.strip import strip_of
from stillframe.media.survey import Survey
from stillframe.sandbox.decoder import Decoder, Work
from stillframe.service.recently_used import RecentlyUsed
from stillframe.service.reserved_slot import ReservedSlot
from stillframe.storage.bucket import ObjectSource
from stillframe.telemetry import Metrics

#: pictures of a strip, and how wide each is
STRIP_PICTURES = 24
STRIP_WIDTH_PX = 160
#: how many looks a process takes at the same time, and how many may wait for that: each holds a thread
AT_ONCE, MOST_WAITING = 2, 3
#: how long one waits for its turn, and how long it may take then; what it may read
WAIT_S = 4.0
DEADLINE_S = 10.0
MOST_READ_BYTES = 256 << 20
_THREADS = 2
#: kept of surveys, and as much of strips
_KEPT_BYTES = 32 << 20
_SHOT_BYTES, _KEYFRAME_BYTES, _LEAST_BYTES = 400, 40, 4 << 10


@dataclass(frozen=True, slots=True)
class Video:
    """An object in a bucket."""

    bucket: str
    key: str

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Video:
        """As a link or a form names it."""
        return cls(*(texts.get(name, "").replace("\0", "") for name in ("bucket", "key")))

    @property
    def media(self) -> str:
        """Its address, as jobs have it."""
        return f"oss://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Strip:
    """A sheet as JPEG, whose cells hold the shots of `survey` in their order, and what was taken for each."""

    jpeg: bytes
    survey: Survey
    shots: tuple[ShotReport, ...]

    @property
    def version(self) -> str:
        """Another picture has another one."""
        return hashlib.sha256(self.jpeg).hexdigest()[:16]


class JobPreviews:
    """Looks at videos for people who are about to make a job. Safe to use from several threads.

    `decoder` gives what decodes, and may take its time when it is asked for the first time. An object that an account
    may not read is not there. Beside what a survey raises: Throttled while too many others look, ChildKilled for what
    takes too long, TooMuchRead, and Unavailable when the server is about to end.
    """

    def __init__(
        self,
        buckets: Buckets,
        decoder: Callable[[], Decoder],
        metrics: Metrics,
        max_read_bytes: int | None = None,
    ) -> None:
        self._buckets = buckets
        self._decoder = decoder
        self._metrics = metrics
        self._most_bytes = min(max_read_bytes or MOST_READ_BYTES, MOST_READ_BYTES)
        self._slot = ReservedSlot(MOST_WAITING, at_once=AT_ONCE)
        self._surveys = RecentlyUsed[Survey](_KEPT_BYTES)
        self._strips = RecentlyUsed[Strip](_KEPT_BYTES)

    def survey(self, account_id: str, video: Video, config: SnapshotConfig) -> Survey:
        """All that a job's survey would say now: the moments, the geometry, what is in the video."""
        with self._opened(account_id, video) as (place, source):
            return self._survey(account_id, place, source, config)

    def strip(self, account_id: str, video: Video, config: SnapshotConfig) -> Strip | None:
        """Keyframes near some of these moments; None when no moment is left."""
        with self._opened(account_id, video) as (place, source):
            survey = self._survey(account_id, place, source, config)
            wanted = strip_of(survey, most=STRIP_PICTURES, width_px=STRIP_WIDTH_PX)
            return self._strip(account_id, place, source, wanted) if wanted is not None else None

    def _survey(self, account_id: str, place: str, source: ObjectSource, config: SnapshotConfig) -> Survey:
        key = place, source.identity, json.dumps(config_json.to_wire(config), sort_keys=True)
        if (kept := self._surveys.of(key)) is not None:
            return kept
        with self._turn(account_id, source) as decoder:
            # somebody may have asked for the same meanwhile
            if (kept := self._surveys.of(key)) is not None:
                return kept
            survey = decoder.survey(source, config, self._work(config))
        shots, keyframes = len(survey.shots), len(survey.probe.keyframes_pts)
        size_bytes = _LEAST_BYTES + shots * _SHOT_BYTES + keyframes * _KEYFRAME_BYTES
        self._surveys.keep(key, survey, size_bytes)
        return survey

    def _strip(self, account_id: str, place: str, source: ObjectSource, wanted: Survey) -> Strip | None:
        config = wanted.config
        look = (wanted.placement, config.quality, config.sprite_snapshot_config.color)
        key: Hashable = place, source.identity, wanted.shots, look
        if (kept := self._strips.of(key)) is not None:
            return kept
        sink = MemorySink("{TileCount}.jpg", config)
        with self._turn(account_id, source) as decoder:
            if (kept := self._strips.of(key)) is not None:
                return kept
            rendered = decoder.render(wanted, wanted.stretches[0], source, sink, self._work(config))
        if not rendered.outputs:
            return None
        strip = Strip(sink.files[rendered.outputs[0].name], wanted, rendered.shots)
        self._strips.keep(key, strip, len(strip.jpeg) + _LEAST_BYTES + len(wanted.probe.keyframes_pts))
        return strip

    @contextmanager
    def _opened(self, account_id: str, video: Video) -> Iterator[tuple[str, ObjectSource]]:
        """The video, and where it is: other buckets may come to have the same name."""
        found = self._buckets.of_account(account_id, {video.bucket})
        bucket = demand(found, video.bucket, "read", video.key)
        bucket.open().demand_key(video.key, "Input.Media")
        with bucket.open_input(video.key) as source:
            yield f"{bucket.place} {video.key}", source

    @contextmanager
    def _turn(self, account_id: str, source: ObjectSource) -> Iterator[Decoder]:
        meter = meter_of(source)
        before = (meter.bytes_read, meter.requests) if meter is not None else (0, 0)
        with self._slot.held(account_id, WAIT_S):
            try:
                yield self._decoder()
            except Exception as error:
                if faults.is_given_back(error):
                    raise Unavailable("decoder") from error
                raise
            finally:
                if meter is not None:
                    read = Stats(bytes_read=meter.bytes_read - before[0], requests=meter.requests - before[1])
                    self._metrics.note_read(source.store, read)

    def _work(self, config: SnapshotConfig) -> Work:
        return Work(threads=_THREADS, total_s=DEADLINE_S, limit=limit_of(config, self._most_bytes))
