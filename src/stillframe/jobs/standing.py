"""How many jobs wait in each pipeline, and for how long: for people who look, which must cost next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select, true
from sqlalchemy.orm import Session

from stillframe.catalog.models import PipelineRow
from stillframe.jobs.models import KINDS, Job

#: live jobs of each kind that are looked at, of one pipeline: as many as it may have, unless an operator allows more
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Jobs of both kinds that wait or are in work; where `is_more`, all of it is at least so much."""

    waiting: int = 0
    in_work: int = 0
    is_more: bool = False
    #: when the one was submitted that waits the longest
    oldest_at: datetime | None = None


def standings(session: Session, account_id: str, most: int = MOST) -> Mapping[str, Standing]:
    """How the pipelines of an account stand, by their ids; those without live jobs are left out."""
    found: dict[str, Standing] = {}
    for kind in KINDS:
        # a job that is parked after it has begun waits again; a probe's work is over in a moment
        begun = and_(~kind.parked, Job.planned.is_not(None)) if kind is Job else ~true()
        live = (
            select(kind.submitted_at, begun.label("begun"))
            .where(kind.pipeline_id == PipelineRow.pipeline_id, kind.status == "Init")
            .limit(most)
            .lateral("live")
        )
        waits = ~live.c.begun
        counted = (
            select(
                PipelineRow.pipeline_id,
                func.count().label("jobs"),
                func.count().filter(waits).label("waiting"),
                func.min(live.c.submitted_at).filter(waits).label("oldest_at"),
            )
            .join(live, true())
            .where(PipelineRow.account_id == account_id, PipelineRow.deleted_at.is_(None))
            .group_by(PipelineRow.pipeline_id)
        )
        for row in session.execute(counted):
            known = found.get(row.pipeline_id, Standing())
            ages = [age for age in (known.oldest_at, row.oldest_at) if age is not None]
            found[row.pipeline_id] = Standing(
                known.waiting + row.waiting,
                known.in_work + row.jobs - row.waiting,
                known.is_more or row.jobs >= most,
                min(ages, default=None),
            )
    return found
