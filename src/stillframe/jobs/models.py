"""The tables of jobs: a snapshot job, its slices, and the outputs that exist; a probe job."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stillframe.database.base import Base
from stillframe.media.sink import OutputKind

JobStatus = Literal["Init", "Success", "Fail"]
#: an object's address, or a media asset's id
InputType = Literal["OSS", "Media"]
TriggerSource = Literal["API", "Console", "Workflow"]

_WHEN = DateTime(timezone=True)


class Job(Base):
    """One config applied to one source. `epoch` counts its lives: what an earlier one left in the queue is void."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('Init', 'Success', 'Fail')", name="status"),
        Index("ix_jobs_account_created", "account_id", "created_at", "job_id"),
        Index("ix_jobs_account_status", "account_id", "status", "created_at", "job_id"),
        Index("ix_jobs_ended", "finished_at", "job_id", postgresql_where=text("status <> 'Init'")),
        Index("ix_jobs_live", "pipeline_id", postgresql_where="status = 'Init'"),
        Index("ix_jobs_begun", "pipeline_id", postgresql_where=text("status = 'Init' AND is_begun")),
        Index(
            "ix_jobs_parked",
            "pipeline_id",
            text("is_begun DESC"),
            text("priority DESC"),
            "created_at",
            postgresql_where=text("status = 'Init' AND parked"),
        ),
        Index("ix_jobs_input_asset", "input_asset_id", postgresql_where=text("input_asset_id IS NOT NULL")),
        Index(
            "ix_jobs_output_asset", "output_asset_id", postgresql_where=text("output_asset_id IS NOT NULL")
        ),
        Index("uq_jobs_client_token", "account_id", "client_token", unique=True),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.pipeline_id"))
    priority: Mapped[int]
    #: it was asked for with the job: the pipeline's later one does not count
    has_own_priority: Mapped[bool] = mapped_column(default=False, server_default="false")
    name: Mapped[str | None]
    user_data: Mapped[str | None]
    client_token: Mapped[str | None]
    #: of what was asked for, so that a client token is not used for something else
    request_digest: Mapped[str]
    trigger_source: Mapped[TriggerSource] = mapped_column(String(16))
    input_media: Mapped[str]
    input_bucket: Mapped[str]
    input_key: Mapped[str]
    output_media: Mapped[str]
    output_bucket: Mapped[str]
    output_key: Mapped[str]
    input_region: Mapped[str] = mapped_column(String(32))
    output_region: Mapped[str] = mapped_column(String(32))
    template_id: Mapped[str | None]
    #: the media assets that were named in the place of objects
    input_asset_id: Mapped[str | None] = mapped_column(String(32))
    output_asset_id: Mapped[str | None] = mapped_column(String(32))
    #: the effective config on the wire's keys, frozen at submit
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)

    status: Mapped[JobStatus] = mapped_column(String(8), default="Init")
    epoch: Mapped[int] = mapped_column(default=1)
    #: its pipeline is held (paused, or outside of its hours), or has as many jobs in work as it may; tasks come back
    #: when that is over
    parked: Mapped[bool] = mapped_column(default=False)
    #: it counts among its pipeline's jobs in work until it ends
    is_begun: Mapped[bool] = mapped_column(default=False, server_default="false")
    #: how often its survey or its finish failed and was put off
    failures: Mapped[int] = mapped_column(default=0)
    #: how often its survey's child was killed
    kills: Mapped[int] = mapped_column(default=0)
    survey: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    planned: Mapped[int | None]
    #: what the survey has cost (media.report.Stats)
    stats: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    count: Mapped[int | None]
    code: Mapped[str | None]
    message: Mapped[str | None]
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB, deferred=True)
    created_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.now())
    submitted_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        _WHEN, server_default=func.now(), onupdate=func.clock_timestamp()
    )
    finished_at: Mapped[datetime | None] = mapped_column(_WHEN)

    @property
    def asset_ids(self) -> list[str]:
        """The media assets that it reads and writes for, each once."""
        return [*dict.fromkeys(id for id in (self.input_asset_id, self.output_asset_id) if id is not None)]

    @property
    def input_type(self) -> InputType:
        """What names the input."""
        return "OSS" if self.input_asset_id is None else "Media"

    @property
    def output_type(self) -> InputType:
        """What names the output."""
        return "OSS" if self.output_asset_id is None else "Media"


class Slice(Base):
    """A stretch of a job: the unit of delivery, of retry and of progress.

    `state`: waiting (outside of the window), queued (there is a task for this `attempt`), done.
    """

    __tablename__ = "slices"
    __table_args__ = (CheckConstraint("state IN ('waiting', 'queued', 'done')", name="state"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[int]
    last: Mapped[int]
    cost_s: Mapped[float]
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    attempt: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    kills: Mapped[int] = mapped_column(default=0)
    #: reports of its shots (media.report.ShotReport), and what it has cost
    shots: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB, deferred=True)
    stats: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class JobOutput(Base):
    """A file that a job has written, as it was written."""

    __tablename__ = "job_outputs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[OutputKind] = mapped_column(String(8), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    size_bytes: Mapped[int]
    width_px: Mapped[int]
    height_px: Mapped[int]
    etag: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))


class NodeRow(Base):
    """A process that serves or works, for as long as it is heard of."""

    __tablename__ = "nodes"

    node_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    serves: Mapped[bool]
    #: slices that it works on at the same time; 0 for one that only serves
    slots: Mapped[int]
    #: the pipelines that it works on; NULL is all
    pipelines: Mapped[list[str] | None] = mapped_column(ARRAY(String(32)))
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.clock_timestamp())
    seen_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.clock_timestamp())


class ProbeJob(Base):
    """A look at one source: what is in it. `attempt` numbers the tasks that were made for it: only the last one counts.

    One that is not `is_async` is done by the request that made it, and has a task only where that could not end it.
    """

    __tablename__ = "probe_jobs"
    __table_args__ = (
        CheckConstraint("status IN ('Init', 'Success', 'Fail')", name="status"),
        Index("ix_probe_jobs_account_created", "account_id", "created_at", "job_id"),
        Index("ix_probe_jobs_account_status", "account_id", "status", "created_at", "job_id"),
        Index("ix_probe_jobs_ended", "finished_at", "job_id", postgresql_where=text("status <> 'Init'")),
        Index("ix_probe_jobs_live", "pipeline_id", postgresql_where="status = 'Init'"),
        Index("ix_probe_jobs_begun", "pipeline_id", postgresql_where=text("status = 'Init' AND is_begun")),
        Index(
            "ix_probe_jobs_parked",
            "pipeline_id",
            text("is_begun DESC"),
            text("priority DESC"),
            "created_at",
            postgresql_where=text("status = 'Init' AND parked"),
        ),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.pipeline_id"))
    priority: Mapped[int]
    #: it was asked for with the job: the pipeline's later one does not count
    has_own_priority: Mapped[bool]
    name: Mapped[str | None]
    user_data: Mapped[str | None]
    trigger_source: Mapped[TriggerSource] = mapped_column(String(16))
    #: of the request that made it
    request_id: Mapped[str] = mapped_column(String(36))
    is_async: Mapped[bool]
    input_media: Mapped[str]
    input_bucket: Mapped[str]
    input_key: Mapped[str]
    input_region: Mapped[str] = mapped_column(String(32))
    #: the media asset that was named in the place of an object
    input_asset_id: Mapped[str | None] = mapped_column(String(32))

    status: Mapped[JobStatus] = mapped_column(String(8), default="Init")
    attempt: Mapped[int] = mapped_column(default=1)
    #: as with a snapshot job
    parked: Mapped[bool] = mapped_column(default=False)
    is_begun: Mapped[bool] = mapped_column(default=False)
    #: how often it failed and was put off, and how often its child was killed
    failures: Mapped[int] = mapped_column(default=0)
    kills: Mapped[int] = mapped_column(default=0)
    #: what is in the source (media.media_facts.MediaFacts)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    code: Mapped[str | None]
    message: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.now())
    submitted_at: Mapped[datetime] = mapped_column(_WHEN, server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        _WHEN, server_default=func.now(), onupdate=func.clock_timestamp()
    )
    finished_at: Mapped[datetime | None] = mapped_column(_WHEN)


#: what a pipeline holds
KINDS: tuple[type[Job] | type[ProbeJob], ...] = (Job, ProbeJob)
