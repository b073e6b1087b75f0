"""The use cases of pipelines, for one account; without an id its default one is meant. They raise NotFound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from stillframe.catalog import active_hours as hours_of_day
from stillframe.catalog.active_hours import ALWAYS, ActiveHours
from stillframe.catalog.models import PipelineRow
from stillframe.catalog.pipelines import PipelineView, find, set_hours, view
from stillframe.database.engine import Database
from stillframe.errors import ConfigError
from stillframe.jobs import pipelines
from stillframe.jobs.queue import Queue
from stillframe.jobs.standing import Standing, standings

Result = TypeVar("Result")
_COUNTED = 1_000_000


class PipelineControl:
    """Change an account's pipelines, and with them what becomes of their jobs."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._queue = queue

    def standings(self, account_id: str) -> Mapping[str, Standing]:
        """How many jobs wait in the account's pipelines, by their ids; those without live jobs are left out."""
        with self._database.transaction() as session:
            return standings(session, account_id)

    def pause(self, account_id: str, pipeline_id: str | None) -> PipelineView:
        """Begin nothing more of it; what is in work goes on to its end, and submits are still accepted."""
        return self.update(account_id, pipeline_id, paused=True)

    def resume(self, account_id: str, pipeline_id: str | None) -> tuple[PipelineView, int]:
        """Let it go on, and bring back the jobs that were waiting for that; how many these were."""

        def work(session: Session, row: PipelineRow) -> tuple[PipelineView, int]:
            waiting = pipelines.unpause(session, self._queue, row.pipeline_id)
            session.refresh(row)
            return view(row), waiting

        return self._change(account_id, pipeline_id, work)

    def update(
        self,
        account_id: str,
        pipeline_id: str | None,
        *,
        name: str | None = None,
        paused: bool | None = None,
        priority: int | None = None,
        max_concurrency: int | None = None,
        active_hours: str | None = None,
        time_zone: str | None = None,
    ) -> PipelineView:
        """Change what is not None; its waiting jobs move with it. Raises ConfigError.

        A `max_concurrency` of 0 takes the limit away, `active_hours` of ALWAYS the hours.
        """

        def work(session: Session, row: PipelineRow) -> PipelineView:
            if priority is not None:
                pipelines.set_priority(session, self._queue, row.pipeline_id, priority)
            if paused:
                pipelines.pause(session, row.pipeline_id)
            if max_concurrency is not None:
                pipelines.set_max_concurrency(session, self._queue, row.pipeline_id, max_concurrency or None)
            if active_hours is not None or time_zone is not None:
                hours = _hours(row, active_hours, time_zone)
                pipelines.set_active_hours(session, self._queue, row, hours)
            if paused is False:
                pipelines.unpause(session, self._queue, row.pipeline_id)
            session.refresh(row)
            if name is not None:
                row.name = name
            session.flush()
            session.refresh(row)
            return view(row)

        return self._change(account_id, pipeline_id, work)

    def delete(self, account_id: str, pipeline_id: str) -> None:
        """Remove a pipeline without live jobs. Raises ConfigError for others, and for the default one."""

        def work(session: Session, row: PipelineRow) -> None:
            if row.is_default:
                raise ConfigError(
                    "PipelineId", pipeline_id, "another pipeline than the account's default one"
                )
            # submits wait for this lock, and then find no pipeline
            row.deleted_at, row.status = datetime.now(UTC), "Active"
            set_hours(session, row, None)
            session.flush()
            if live := pipelines.live_jobs(session, pipeline_id, _COUNTED):
                raise ConfigError(
                    "PipelineId", pipeline_id, f"a pipeline whose jobs are all done; {live} are not"
                )

        self._change(account_id, pipeline_id, work)

    def _change(
        self, account_id: str, pipeline_id: str | None, work: Callable[[Session, PipelineRow], Result]
    ) -> Result:
        return self._database.retrying(lambda session: work(session, find(session, account_id, pipeline_id)))


def _hours(row: PipelineRow, hours: str | None, time_zone: str | None) -> ActiveHours | None:
    """What a pipeline's hours are after a change of one or both."""
    hours = row.active_hours if hours is None else hours
    if hours is None or hours == ALWAYS:
        if time_zone is not None:
            raise ConfigError("TimeZone", time_zone, "left out where there are no ActiveHours")
        return None
    return hours_of_day.parse(hours, time_zone or row.time_zone or hours_of_day.UTC)
