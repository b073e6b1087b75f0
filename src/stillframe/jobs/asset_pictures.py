"""The pictures of media assets: what jobs whose output is the asset have made, as long as these are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stillframe.jobs.models import Job, JobOutput

#: jobs of one asset that are shown: an answer is not to grow without end
MOST_JOBS = 100
_SNAPSHOT = "snapshot-{Count}.jpg"
_TILE = "snapshot-tile-{TileCount}.jpg"


@dataclass(frozen=True, slots=True)
class AssetPictures:
    """What one job has made: the template of the keys, how many moments have a picture, and how many files there are.

    `track` is the key of a WebVTT track, whose pictures these are.
    """

    job_id: str
    template_id: str | None
    bucket: str
    region: str
    regular: str
    is_sheets: bool
    count: int
    files: int
    track: str | None = None


def pictures_of(session: Session, media_ids: Collection[str]) -> Mapping[str, Sequence[AssetPictures]]:
    """The pictures of each of these assets, of the newest jobs, those of the oldest of them first."""
    newest = (
        select(
            Job.job_id,
            func.row_number()
            .over(partition_by=Job.output_asset_id, order_by=(Job.created_at.desc(), Job.job_id.desc()))
            .label("place"),
        )
        .where(Job.output_asset_id.in_(media_ids), Job.status == "Success")
        .subquery()
    )
    # one that has no files any more is not shown
    files = (
        select(func.count())
        .where(JobOutput.job_id == Job.job_id, JobOutput.kind != "track")
        .scalar_subquery()
        .label("files")
    )
    query = (
        select(Job, files)
        .join(newest, newest.c.job_id == Job.job_id)
        .where(newest.c.place <= MOST_JOBS)
        .order_by(Job.created_at, Job.job_id)
    )
    found: dict[str, list[AssetPictures]] = defaultdict(list)
    for job, number in session.execute(query):
        if number:
            found[job.output_asset_id].append(_pictures(job, number))
    return found


def first_stills(session: Session, job_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The bucket and the key of the first still of each of these jobs that has one and has ended well."""
    query = (
        select(Job.job_id, Job.output_bucket, JobOutput.key)
        .join(JobOutput, JobOutput.job_id == Job.job_id)
        .where(Job.job_id.in_(job_ids), Job.status == "Success")
        .where(JobOutput.kind == "still", JobOutput.index == 1)
    )
    return {job_id: (bucket, key) for job_id, bucket, key in session.execute(query)}


def _pictures(job: Job, files: int) -> AssetPictures:
    is_track = job.config.get("Type") == "WebVtt"
    is_sheets = bool(job.config.get("IsSptFrag")) if is_track else job.config.get("Type") == "Sprite"
    beside = f"{job.output_key.removesuffix('.vtt')}/{_TILE if is_sheets else _SNAPSHOT}"
    return AssetPictures(
        job_id=job.job_id,
        template_id=job.template_id,
        bucket=job.output_bucket,
        region=job.output_region,
        regular=beside if is_track else job.output_key,
        is_sheets=is_sheets,
        count=job.count or 0,
        files=files,
        track=job.output_key if is_track else None,
    )
