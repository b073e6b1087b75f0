"""The thumbnail tracks that jobs have written, as they lie in their buckets now.

track = JobTracks(database, buckets).find(account_id, job_id)
read_track(track.bucket.open(), track.key)
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.database.engine import Database
from stillframe.errors import NotFound, SourceError
from stillframe.jobs.models import Job, JobOutput
from stillframe.media.config import MAX_SHOTS
from stillframe.media.tracks.lint import MAX_TRACK_BYTES
from stillframe.storage.bucket import Bucket

#: a cue takes three; what has far more would only take time and memory
_MOST_LINES = 10 * MAX_SHOTS


@dataclass(frozen=True, slots=True)
class JobTrack:
    """Where a job's track lies, and what it was when the job had written it."""

    job_id: str
    bucket: BucketView
    key: str
    sha256: str

    @property
    def pictures(self) -> str:
        """What the keys of its pictures begin with."""
        return f"{self.key[:-4]}/"


class JobTracks:
    """Finds them."""

    def __init__(self, database: Database, buckets: Buckets) -> None:
        self._database = database
        self._buckets = buckets

    def find(self, account_id: str, job_id: str) -> JobTrack:
        """The track of one of the account's jobs. Raises NotFound where there is none."""
        query = (
            select(JobOutput.key, JobOutput.sha256, Job.output_bucket)
            .join(Job, Job.job_id == JobOutput.job_id)
            .where(Job.account_id == account_id, JobOutput.job_id == job_id, JobOutput.kind == "track")
        )
        with self._database.transaction() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            raise NotFound("Track", job_id)
        key, sha256, bucket = row
        return JobTrack(
            job_id, demand(self._buckets.of_account(account_id, {bucket}), bucket, "write", key), key, sha256
        )


def read_track(bucket: Bucket, key: str) -> bytes:
    """A track as it is stored. Raises SourceError, also for what is too large to be one."""
    with bucket.open_source(key) as source:
        if source.size > MAX_TRACK_BYTES:
            raise SourceError(key, f"is larger than {MAX_TRACK_BYTES:,} bytes, which is no thumbnail track")
        return source.read_at(0, source.size)


def demand_usual_length(track: bytes, key: str) -> None:
    """Refuse what would take long to be taken apart. Raises SourceError."""
    if track.count(b"\n") + track.count(b"\r") > _MOST_LINES:
        raise SourceError(key, f"has more than {_MOST_LINES:,} lines, which is no thumbnail track")
