"""Holding up pipelines, and letting them go on."""

from __future__ import annotations

from dataclasses import replace

from stillframe.catalog.pipelines import Pipelines, PipelineView
from stillframe.database.engine import Database
from stillframe.jobs import lifecycle
from stillframe.jobs.queue import Queue


class PipelineControl:
    """Pause and resume an account's pipelines; without an id its default one is meant. Raise NotFound."""

    def __init__(self, database: Database, pipelines: Pipelines, queue: Queue) -> None:
        self._database = database
        self._pipelines = pipelines
        self._queue = queue

    def pause(self, account_id: str, pipeline_id: str | None) -> PipelineView:
        """Begin nothing more of it; what is in work goes on to its end, and submits are still accepted."""
        pipeline = self._pipelines.of_account(account_id, pipeline_id)
        with self._database.transaction() as session:
            lifecycle.pause(session, pipeline.pipeline_id)
        return replace(pipeline, paused=True)

    def resume(self, account_id: str, pipeline_id: str | None) -> tuple[PipelineView, int]:
        """Let it go on, and bring back the jobs that were waiting for that; how many these were."""
        pipeline = self._pipelines.of_account(account_id, pipeline_id)
        with self._database.transaction() as session:
            waiting = lifecycle.unpause(session, self._queue, pipeline.pipeline_id)
        return replace(pipeline, paused=False), waiting
