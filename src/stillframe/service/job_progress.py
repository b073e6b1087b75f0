"""How far jobs are, in percent: what is stored of their slices, and what this process is at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stillframe.jobs.everywhere import Everywhere
from stillframe.jobs.models import Job, Slice


def progress_of(session: Session, jobs: Sequence[Job], running: Everywhere) -> Mapping[str, int]:
    """Percent of each job's shots that are done, by its id; 100 says that the job has ended."""
    live = [job.job_id for job in jobs if job.status == "Init" and job.planned]
    done: dict[str, int] = {}
    if live:
        counted = (
            select(Slice.job_id, func.sum(Slice.last - Slice.first + 1))
            .where(Slice.job_id.in_(live), Slice.state == "done")
            .group_by(Slice.job_id)
        )
        done = {job_id: int(shots) for job_id, shots in session.execute(counted)}
    return {job.job_id: _percent(job, done.get(job.job_id, 0), running) for job in jobs}


def _percent(job: Job, done: int, running: Everywhere) -> int:
    if job.status != "Init":
        return 100
    if not job.planned:
        return 0
    return min((done + running.shots_done(job.job_id)) * 100 // job.planned, 99)
