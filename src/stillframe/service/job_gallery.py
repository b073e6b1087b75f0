"""A job's pictures as people look at them, while they arrive: each with its link and the moments that it shows.

gallery = JobGallery(database, buckets, links, everywhere)
gallery.pictures(account_id, job_id, page=1, page_size=60).pictures[0].shots[0].requested_ms
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from stillframe.catalog.buckets import Buckets, demand
from stillframe.database.engine import Database
from stillframe.errors import NotFound, Unavailable
from stillframe.jobs.everywhere import Everywhere
from stillframe.jobs.models import Job, JobOutput, Slice
from stillframe.media import plain_json
from stillframe.media.geometry import Box, SheetGeometry
from stillframe.media.report import ShotReport, ShotStatus
from stillframe.media.sink import OutputKind
from stillframe.media.survey import Survey
from stillframe.service.file_links import FileLinks
from stillframe.service.job_progress import progress_of

#: how long the links of a page are good
LINK_S = 3600
#: a list of jobs is no place for larger pictures
_MOST_COVER_BYTES = {"still": 200_000, "sheet": 1_000_000}
#: nor for many of them
_MOST_COVERS_BYTES = 6_000_000
#: whose addresses a page is told ahead
_MOST_BUCKETS = 50


@dataclass(frozen=True, slots=True)
class ShownShot:
    """A moment on a picture. `box` is its cell on a sheet; `status` is None until it was taken."""

    index: int
    requested_ms: int
    box: Box | None = None
    status: ShotStatus | None = None
    actual_ms: int | None = None
    keyframe: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A still or a sheet that exists. `index` counts from 1; `shots` are the moments on it, as far as known."""

    kind: OutputKind
    index: int
    key: str
    size_bytes: int
    width_px: int
    height_px: int
    url: str
    #: another picture in its place has another one
    version: str
    shots: Sequence[ShownShot]


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands for a job in a list: its first picture, or the `box` of it that is the first cell of a sheet."""

    url: str
    version: str
    width_px: int
    height_px: int
    box: Box


@dataclass(frozen=True, slots=True)
class Pictures:
    """A page of them. `total` counts those that exist, `planned` all that are wanted (None: not known yet).

    `container` is the video's, as libav calls it, once it is known.
    """

    pictures: Sequence[Picture]
    total: int
    planned: int | None
    track_url: str | None
    container: str | None
    #: to nothing, but from where the pictures will come
    any_url: str


class JobGallery:
    """What pages show of jobs beside what the API tells of them."""

    def __init__(self, database: Database, buckets: Buckets, links: FileLinks, running: Everywhere) -> None:
        self._database = database
        self._buckets = buckets
        self._links = links
        self._running = running

    def progress(self, account_id: str, job_ids: Sequence[str]) -> Mapping[str, int]:
        """How far these of the account's jobs are, in percent; those that it does not have are left out."""
        mine = select(Job).where(Job.account_id == account_id, Job.job_id.in_(job_ids))
        with self._database.transaction() as session:
            return progress_of(session, session.scalars(mine).all(), self._running)

    def covers(self, account_id: str, job_ids: Sequence[str]) -> Mapping[str, Cover]:
        """The first picture of those of the jobs that have a small one, and where it can be had now.

        All together they are of a few megabytes: the last of many large ones have none.
        """
        sheet = Job.report["Sheet"]
        first = (
            select(JobOutput, Job.output_bucket, sheet, Job.config["SpriteSnapshotConfig"])
            .join(Job, Job.job_id == JobOutput.job_id)
            .where(Job.account_id == account_id, JobOutput.job_id.in_(job_ids), JobOutput.index == 1)
            .where(JobOutput.kind != "track")
        )
        with self._database.transaction() as session:
            rows = {output.job_id: (output, *rest) for output, *rest in session.execute(first)}
        boxes: dict[str, Box] = {}
        outputs: dict[str, list[JobOutput]] = {}
        left = _MOST_COVERS_BYTES
        for job_id in (job_id for job_id in job_ids if job_id in rows):
            output, bucket_name, grid, asked = rows[job_id]
            if output.size_bytes <= min(left, _MOST_COVER_BYTES[output.kind]):
                left -= output.size_bytes
                outputs.setdefault(bucket_name, []).append(output)
                boxes[job_id] = _first_cell(output, grid, asked or {})
        found = self._buckets.of_account(account_id, set(outputs))
        expires_at = self._links.soonest_expiry(LINK_S)
        covers: dict[str, Cover] = {}
        for name, bucket in found.items():
            mine = [output for output in outputs[name] if bucket.allows("write", output.key)]
            # a store whose keys cannot be had is no reason to show no list
            with contextlib.suppress(Unavailable):
                urls = self._links.urls(bucket, [output.key for output in mine], expires_at)
                covers |= {
                    one.job_id: Cover(
                        urls[one.key], one.sha256[:12], one.width_px, one.height_px, boxes[one.job_id]
                    )
                    for one in mine
                }
        return covers

    def links_ahead(self, account_id: str) -> Sequence[str]:
        """A link, to nothing, into each bucket that the account may write to: covers will come from there."""
        expires_at = self._links.soonest_expiry(LINK_S)
        links: list[str] = []
        for bucket in self._buckets.all_of_account(account_id)[:_MOST_BUCKETS]:
            with contextlib.suppress(Unavailable):
                links += self._links.urls(bucket, ["cover"], expires_at).values()
        return links

    def state(self, account_id: str, job_id: str) -> object:
        """Something that is another one when a job, its progress or its pictures have changed. Raises NotFound."""
        with self._database.transaction() as session:
            job = session.scalar(select(Job).where(Job.account_id == account_id, Job.job_id == job_id))
            if job is None:
                raise NotFound("Job", job_id)
            pictures = session.scalar(select(func.count()).where(JobOutput.job_id == job_id))
            progress = progress_of(session, [job], self._running)[job_id]
        return job.epoch, job.status, job.code, job.modified_at, pictures, progress

    def pictures(self, account_id: str, job_id: str, *, page: int, page_size: int) -> Pictures:
        """Some of the job's pictures, by their numbers. Raises NotFound, Unavailable."""
        with self._database.transaction() as session:
            query = select(Job).where(Job.account_id == account_id, Job.job_id == job_id)
            job = session.scalar(query.options(undefer(Job.survey)))
            if job is None:
                raise NotFound("Job", job_id)
            those = select(JobOutput).where(JobOutput.job_id == job_id, JobOutput.kind != "track")
            paged = those.order_by(JobOutput.index).offset((page - 1) * page_size).limit(page_size)
            outputs = session.scalars(paged).all()
            # after that: of those that come in between, none is shown and not counted
            total = session.scalar(select(func.count()).select_from(those.subquery())) or 0
            track = session.get(JobOutput, (job_id, "track", 1))
            survey = Survey.from_json(job.survey) if job.survey is not None else None
            shots = _shots(session, job_id, survey, outputs) if survey is not None else {}
        found = self._buckets.of_account(account_id, {job.output_bucket})
        bucket = demand(found, job.output_bucket, "write", job.output_key)
        expires_at = self._links.soonest_expiry(LINK_S)
        urls = self._links.urls(bucket, [job.output_key, *(one.key for one in outputs)], expires_at)
        return Pictures(
            [
                Picture(
                    output.kind,
                    output.index,
                    output.key,
                    output.size_bytes,
                    output.width_px,
                    output.height_px,
                    urls[output.key],
                    output.sha256[:12],
                    shots.get(output.index, ()),
                )
                for output in outputs
            ],
            total,
            _files(survey),
            self._links.track_url(account_id, bucket.name, track.key, expires_at) if track else None,
            survey.probe.container if survey else None,
            urls[job.output_key],
        )


def _first_cell(output: JobOutput, grid: Mapping[str, int] | None, asked: Mapping[str, int]) -> Box:
    """Where the first cell of a sheet is, whose `grid` the job's report tells of; all of what is none."""
    if output.kind != "sheet" or grid is None:
        return Box(0, 0, output.width_px, output.height_px)
    margin, padding = asked.get("Margin", 0), asked.get("Padding", 0)
    return Box(
        margin,
        margin,
        (output.width_px - 2 * margin + padding) // grid["Columns"] - padding,
        (output.height_px - 2 * margin + padding) // grid["Lines"] - padding,
    )


def _files(survey: Survey | None) -> int | None:
    if survey is None:
        return None
    return -(-survey.planned // survey.sheet.cells) if survey.sheet else survey.planned


def _shots(
    session: Session, job_id: str, survey: Survey, outputs: Sequence[JobOutput]
) -> Mapping[int, Sequence[ShownShot]]:
    """The moments on each of these outputs, by its index."""
    cells = survey.sheet.cells if survey.sheet else 1
    on: dict[int, list[tuple[int, int, int]]] = {output.index: [] for output in outputs}
    for shot in survey.shots:
        if shot.position is not None:
            number, cell = divmod(shot.position, cells)
            if number + 1 in on:
                on[number + 1].append((shot.index, shot.requested_ms, cell))
    wanted = [index for placed in on.values() for index, _, _ in placed]
    if not wanted:
        return {}
    pieces = session.scalars(
        select(Slice)
        .where(Slice.job_id == job_id, Slice.first <= max(wanted), Slice.last >= min(wanted))
        .options(undefer(Slice.shots))
    )
    reports = {
        shot.index: shot
        for piece in pieces
        for shot in plain_json.convert(piece.shots or [], tuple[ShotReport, ...])
    }
    return {
        number: [_shown(*one, reports.get(one[0]), survey.sheet) for one in placed]
        for number, placed in on.items()
    }


def _shown(
    index: int, requested_ms: int, cell: int, report: ShotReport | None, sheet: SheetGeometry | None
) -> ShownShot:
    box = sheet.cell(cell) if sheet is not None else None
    if report is None:
        return ShownShot(index, requested_ms, box)
    return ShownShot(
        index, requested_ms, box, report.status, report.actual_ms, report.keyframe, report.reason
    )
