"""The use cases of probe jobs: what is in a source, told later by a job, or at once.

As with snapshot jobs, every call is for one account, and the errors name parameters as they stand on the wire.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from stillframe.catalog.buckets import demand
from stillframe.catalog.references import find_references
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.jobs import probe_jobs
from stillframe.jobs.models import InputType, JobStatus, ProbeJob, TriggerSource
from stillframe.jobs.probe_step import ProbeStep
from stillframe.jobs.queue import Queue
from stillframe.media import plain_json
from stillframe.media.media_facts import MediaFacts
from stillframe.service.backlog import Backlog
from stillframe.service.job_lists import page_of
from stillframe.service.media_addresses import MediaAddresses
from stillframe.service.ports import Address, ListRequest
from stillframe.service.reserved_slot import ReservedSlot
from stillframe.storage import addresses


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """A source to be described. `priority` is 1 to 10, larger first; None takes the pipeline's."""

    input_type: InputType
    input_media: str
    request_id: str
    pipeline_id: str | None = None
    priority: int | None = None
    name: str | None = None
    user_data: str | None = None
    trigger_source: TriggerSource = "API"


@dataclass(frozen=True, slots=True)
class ProbeJobView:
    """A probe job as its owner sees it. `facts` are there when it has ended well."""

    job_id: str
    status: JobStatus
    is_async: bool
    input: Address
    pipeline_id: str
    priority: int
    request_id: str
    trigger_source: TriggerSource
    submit_time: datetime
    finish_time: datetime | None
    name: str | None
    user_data: str | None
    facts: MediaFacts | None
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class ProbePage:
    """A page of probe jobs; `next_token` is None on the last one."""

    jobs: Sequence[ProbeJobView]
    next_token: str | None = None


class ProbeJobs:
    """Submit and look at probe jobs.

    Those that are waited for are done in this process, one at a time in the `slot`, by what `step` returns (which may
    take its time when it is asked for the first time): no worker that is busy, or absent, holds them up. They are no
    part of what a pipeline limits, and go on where it is paused.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        media: MediaAddresses,
        backlog: Backlog,
        slot: ReservedSlot,
        step: Callable[[], ProbeStep],
        *,
        seconds: float,
    ) -> None:
        self._database = database
        self._queue = queue
        self._media = media
        self._backlog = backlog
        self._slot = slot
        self._step = step
        self._seconds = seconds

    def submit(self, account_id: str, request: ProbeRequest) -> ProbeJobView:
        """A new job, which is stored and will be done when this returns."""
        columns = self._columns(account_id, request)
        with self._backlog.room(columns["pipeline_id"]), self._database.transaction() as session:
            return _view(probe_jobs.create(session, self._queue, columns, is_async=True))

    def submit_and_wait(self, account_id: str, request: ProbeRequest) -> ProbeJobView:
        """A new job that has ended. Raises Throttled when too many others wait, Unavailable when the server ends."""
        until = time.monotonic() + self._seconds
        columns = self._columns(account_id, request)
        # what comes to its turn has half of the time left
        with self._slot.held(account_id, self._seconds / 2):
            step = self._step()
            with self._database.transaction() as session:
                job = probe_jobs.create(session, self._queue, columns, is_async=False)
            step.probe_within(job, until - time.monotonic())
        return self.get(account_id, job.job_id)

    def get(self, account_id: str, job_id: str) -> ProbeJobView:
        """One job. Raises NotFound."""
        with self._database.transaction() as session:
            query = select(ProbeJob).where(ProbeJob.account_id == account_id, ProbeJob.job_id == job_id)
            job = session.scalar(query)
            if job is None:
                raise NotFound("Job", job_id)
            return _view(job)

    def list_jobs(self, account_id: str, request: ListRequest) -> ProbePage:
        """The account's jobs, page by page."""
        with self._database.transaction() as session:
            found, token = page_of(session, ProbeJob, account_id, request)
            return ProbePage([_view(job) for job in found], token)

    def _columns(self, account_id: str, request: ProbeRequest) -> dict[str, Any]:
        """All that a job begins with. Raises ConfigError and NotFound for what is not right."""
        address = self._address(account_id, request)
        found = find_references(
            self._database, account_id, address.bucket, address.bucket, request.pipeline_id
        )
        bucket = demand(found.buckets, address.bucket, "read", address.key)
        if address.region not in (None, bucket.region):
            allowed = f"in the region of its bucket, {bucket.region}"
            raise ConfigError("Input.Media", request.input_media, allowed)
        bucket.open().demand_key(address.key, "Input.Media")
        if found.pipeline_id is None:
            raise NotFound("Pipeline", request.pipeline_id or "default")
        return {
            "account_id": account_id,
            "pipeline_id": found.pipeline_id,
            "priority": request.priority,
            "name": request.name,
            "user_data": request.user_data,
            "trigger_source": request.trigger_source,
            "request_id": request.request_id,
            "input_media": request.input_media,
            "input_bucket": bucket.name,
            "input_key": address.key,
            "input_region": bucket.region,
            "input_asset_id": request.input_media if request.input_type == "Media" else None,
        }

    def _address(self, account_id: str, request: ProbeRequest) -> addresses.Address:
        """The object that the input means."""
        if request.input_type == "Media":
            return self._media.source(account_id, request.input_media)
        return addresses.parse_address(request.input_media, "Input.Media")


def _view(job: ProbeJob) -> ProbeJobView:
    return ProbeJobView(
        job_id=job.job_id,
        status=job.status,
        is_async=job.is_async,
        input=Address(
            "OSS" if job.input_asset_id is None else "Media",
            job.input_media,
            job.input_bucket,
            job.input_region,
            job.input_key,
        ),
        pipeline_id=job.pipeline_id,
        priority=job.priority,
        request_id=job.request_id,
        trigger_source=job.trigger_source,
        submit_time=job.submitted_at,
        finish_time=job.finished_at,
        name=job.name,
        user_data=job.user_data,
        facts=plain_json.convert(job.facts, MediaFacts) if job.facts is not None else None,
        code=job.code,
        message=job.message,
    )
