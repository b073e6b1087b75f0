"""The pictures of media assets: what jobs whose output is the asset have made, as long as these are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stillframe.jobs.models import Job, JobOutput

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
    """The pictures of each of these assets, those of the oldest job first."""
    files = (
        select(JobOutput.job_id, func.count().label("number"))
        .where(JobOutput.kind != "track")
        .group_by(JobOutput.job_id)
        .join(Job, Job.job_id == JobOutput.job_id)
        .where(Job.output_asset_id.in_(media_ids))
        .subquery()
    )
    query = (
        select(Job, files.c.number)
        .join(files, files.c.job_id == Job.job_id)
        .where(Job.output_asset_id.in_(media_ids), Job.status == "Success")
        .order_by(Job.created_at, Job.job_id)
    )
    found: dict[str, list[AssetPictures]] = defaultdict(list)
    for job, number in session.execute(query):
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
