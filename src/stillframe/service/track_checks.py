"""The track lint over what lies in a bucket: would real players read the track of a job?

check = checks.check(account_id, job_id)
for found in check.findings:
    print(found.finding.message, found.remedy)
"""

from __future__ import annotations

import hashlib
import posixpath
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from sqlalchemy import select

from stillframe.database.engine import Database
from stillframe.errors import ConfigError, SourceError, Unavailable
from stillframe.jobs.models import JobOutput
from stillframe.media.config import MAX_SHOTS
from stillframe.media.tracks.image_size import image_size_in
from stillframe.media.tracks.lint import RULES, Finding, lint
from stillframe.media.tracks.lint_rule import ALL, Severity
from stillframe.media.tracks.vtt_text import CueText, read
from stillframe.service.job_tracks import JobTrack, JobTracks, demand_usual_length, read_track
from stillframe.storage.addresses import is_plain
from stillframe.storage.bucket import Bucket

#: for the pictures of a track that are not those of its job
_PICTURES_S = 10.0
#: size and shape stand in the first bytes of a picture
_HEAD_BYTES = 256 * 1024
#: of a list: stores give no more than 1000 in one answer, and one more than this is asked for
_ON_A_PAGE = 999
_AT_ONCE, _PATIENCE_S = 2, 20.0
#: a picture that is changed is noticed that late; a track that is changed, at once
_KEPT_S = 60.0
_MOST_KEPT = 64

_EXPLANATIONS = {rule.slug: rule.explanation for rule in RULES}
_ANEW = "Submit the same request again: it writes the track and its pictures anew."
#: of what a job's own track may have, by rule
_REMEDIES = {
    "sub-second": "Ask for moments on whole seconds: Interval, and no IntervalMs.",
    "large-image": "Ask for fewer Columns and Lines, or for a smaller Width.",
    "first-start": "Ask for a first moment at 0: no Time.",
    "image-missing": f"Players want JPEG or PNG. If a picture was removed: {_ANEW[0].lower()}{_ANEW[1:]}",
    "hundred-hours": "Cut the video: these players read no longer ones.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a rule is broken: the line, the cue that it lies in (both from 1; its start in ms), and how."""

    line: int
    message: str
    cue: int | None = None
    cue_start_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule of the lint that the track breaks, where, and what to do: None where the whole track is to be redone."""

    rule: str
    severity: Severity
    players: Sequence[str]
    explanation: str
    remedy: str | None
    places: Sequence[Place]


@dataclass(frozen=True, slots=True)
class TrackCheck:
    """What was found, errors first, and what was looked at. `is_as_written`: it is what the job has written.

    `pictures` is how many different ones the track names; None where there was no time to look at them.
    """

    broken: Sequence[BrokenRule]
    cues: int
    pictures: int | None
    is_as_written: bool
    rules: int = len(RULES)
    players: Sequence[str] = ALL


class TrackChecks:
    """Lints the tracks of jobs, each once as long as it stays the same."""

    def __init__(self, database: Database, tracks: JobTracks) -> None:
        self._database = database
        self._tracks = tracks
        self._working = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[object, float, TrackCheck]] = OrderedDict()

    def check(self, account_id: str, job_id: str) -> TrackCheck:
        """The check of a job's track as it is stored now. Raises NotFound, Unavailable.

        SourceError for what is there no more, or is no track.
        """
        track = self._tracks.find(account_id, job_id)
        bucket = track.bucket.open()
        facts = bucket.stat(track.key)
        identity = (track.sha256, facts.etag, facts.size)
        with self._lock:
            kept = self._kept.get(job_id)
        if kept is not None and kept[0] == identity and time.monotonic() < kept[1]:
            return kept[2]
        with self._a_turn():
            found = self._check(track, bucket)
        with self._lock:
            self._kept[job_id] = (identity, time.monotonic() + _KEPT_S, found)
            self._kept.move_to_end(job_id)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    @contextmanager
    def _a_turn(self) -> Iterator[None]:
        if not self._working.acquire(timeout=_PATIENCE_S):
            raise Unavailable("track check")
        try:
            yield
        finally:
            self._working.release()

    def _check(self, track: JobTrack, bucket: Bucket) -> TrackCheck:
        data = read_track(bucket, track.key)
        demand_usual_length(data, track.key)
        pictures = _Pictures(track, bucket, self._written(track))
        names: int | None = 0
        try:
            findings = lint(data, resolve=pictures.size)
            names = pictures.asked
        except _OutOfTime:
            findings, names = lint(data), None
        is_as_written = hashlib.sha256(data).hexdigest() == track.sha256
        cues = read(data).cues
        return TrackCheck(_broken(findings, cues, is_as_written), len(cues), names, is_as_written)

    def _written(self, track: JobTrack) -> Mapping[str, JobOutput]:
        those = select(JobOutput).where(JobOutput.job_id == track.job_id, JobOutput.kind != "track")
        with self._database.transaction() as session:
            return {output.key: output for output in session.scalars(those)}


def _broken(findings: Sequence[Finding], cues: Sequence[CueText], is_as_written: bool) -> list[BrokenRule]:
    firsts = [cue.line if cue.identifier_line is None else cue.identifier_line for cue in cues]
    by_rule: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: finding.severity):
        by_rule.setdefault(finding.rule, []).append(finding)
    return [
        BrokenRule(
            rule,
            found[0].severity,
            found[0].players,
            _EXPLANATIONS[rule],
            _REMEDIES.get(rule, _ANEW) if is_as_written else None,
            [Place(one.line, one.message, *_cue_of(one.line, cues, firsts)) for one in found],
        )
        for rule, found in by_rule.items()
    ]


def _cue_of(line: int, cues: Sequence[CueText], firsts: Sequence[int]) -> tuple[int | None, int | None]:
    """The number, from 1, and the start in milliseconds of the cue that a line lies in; `firsts` are their lines."""
    number = bisect_right(firsts, line)
    if not number:
        return None, None
    cue = cues[number - 1]
    last = cue.payload[-1].line if cue.payload else cue.line
    return (number, cue.start_ms) if line <= last else (None, None)


class _OutOfTime(Exception):
    """There are more pictures than can be looked at while somebody waits."""


class _Pictures:
    """The sizes of the pictures that a track names.

    Those that are in the bucket as the job has written them are known by a list of their folder; of others the first
    bytes are read.
    """

    def __init__(self, track: JobTrack, bucket: Bucket, written: Mapping[str, JobOutput]) -> None:
        self.asked = 0
        self._track = track
        self._bucket = bucket
        self._written = written
        self._until = time.monotonic() + _PICTURES_S
        self._same = self._unchanged() if written else {}

    def size(self, name: str) -> tuple[int, int] | None:
        """Width and height in pixels; None for what is missing, or no picture. Raises _OutOfTime, SourceError."""
        self.asked += 1
        key = posixpath.normpath(self._track.key[: self._track.key.rfind("/") + 1] + name.lstrip("/"))
        if key in self._same:
            return self._same[key]
        if time.monotonic() > self._until:
            raise _OutOfTime
        if not is_plain(key) or not self._track.bucket.allows("write", key):
            return None
        try:
            with self._bucket.open_source(key) as source:
                return image_size_in(BytesIO(source.read_at(0, min(_HEAD_BYTES, source.size))))
        except (ConfigError, UnicodeEncodeError):
            return None
        except SourceError as error:
            if error.transient:
                raise
            return None

    def _unchanged(self) -> dict[str, tuple[int, int]]:
        same: dict[str, tuple[int, int]] = {}
        after, seen = None, 0
        try:
            while seen < 2 * MAX_SHOTS and time.monotonic() <= self._until:
                page = self._bucket.look_in(self._track.pictures, "", after, _ON_A_PAGE)
                for facts in page.objects:
                    output = self._written.get(facts.key)
                    if output is not None and (facts.size, facts.etag) == (output.size_bytes, output.etag):
                        same[facts.key] = (output.width_px, output.height_px)
                after, seen = page.next, seen + _ON_A_PAGE
                if after is None:
                    break
        except SourceError:
            # the keys may be good for reading alone
            return {}
        return same
