"""The use cases of snapshot jobs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from stillframe.catalog.assets import KIND, lock, pictures_name
from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.catalog.models import Access
from stillframe.catalog.references import find_references
from stillframe.catalog.templates import Templates
from stillframe.database.engine import Database
from stillframe.errors import (
    ConfigError,
    IdempotentParameterMismatch,
    NotFound,
    StillAtWork,
    StillframeError,
)
from stillframe.events.outbox import Outbox
from stillframe.jobs import lifecycle, outputs, pipelines
from stillframe.jobs.everywhere import Everywhere
from stillframe.jobs.models import Job, JobOutput, JobStatus
from stillframe.jobs.queue import Queue
from stillframe.media import config_json
from stillframe.media.config import MAX_SHOTS, SnapshotConfig
from stillframe.media.sink import Names, demand_placeholder, names_for
from stillframe.service.backlog import Backlog
from stillframe.service.file_links import FileLinks
from stillframe.service.job_lists import page_of
from stillframe.service.job_progress import progress_of
from stillframe.service.media_addresses import MediaAddresses
from stillframe.service.ports import (
    Address,
    JobPage,
    JobView,
    ListRequest,
    SubmitRequest,
    UrlsRequest,
    UrlsView,
)
from stillframe.storage import addresses
from stillframe.storage.bucket import Bucket
from stillframe.telemetry import Metrics

#: the work on a job that has ended is over after this long, or what was asked for is an error
_CANCEL_S = 10.0
_FAILED = "a job that has failed"
_DONE = "a job that is done; cancel it first"


class SnapshotJobs:
    """Submit, look at, cancel, retry and delete jobs. `ports.SnapshotJobs` says what each does."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        outbox: Outbox,
        buckets: Buckets,
        templates: Templates,
        media: MediaAddresses,
        running: Everywhere,
        *,
        links: FileLinks,
        backlog: Backlog,
        max_shots: int = MAX_SHOTS,
        max_read_bytes: int | None = None,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._buckets = buckets
        self._templates = templates
        self._media = media
        self._running = running
        self._links = links
        self._backlog = backlog
        self._max_shots = max_shots
        self._max_read_bytes = max_read_bytes
        self._metrics = metrics

    def submit(self, account_id: str, request: SubmitRequest) -> str:
        with contextlib.ExitStack() as room:
            try:
                columns = self._columns(account_id, request)
                room.enter_context(self._backlog.room(columns["pipeline_id"]))
            except StillframeError:
                # what was right the first time may be gone by now; the job is there all the same
                if (job_id := self._same_job(account_id, request)) is None:
                    raise
                return job_id
            return self._create(account_id, request, columns)

    def check(self, account_id: str, request: SubmitRequest) -> None:
        self._columns(account_id, request)

    def _create(self, account_id: str, request: SubmitRequest, columns: dict[str, Any]) -> str:
        new_id = columns.pop("job_id")
        while True:
            job_id = lifecycle.create(self._database, self._queue, columns, new_id)
            if job_id is not None:
                self._demand_assets(account_id, job_id, columns)
                return job_id
            # a job that has the token may be deleted before we look
            job_id = self._same_job(account_id, request)
            if job_id is not None:
                return job_id

    def _columns(self, account_id: str, request: SubmitRequest) -> dict[str, Any]:
        """All that a job begins with, and its id. Raises ConfigError and NotFound for what is not right."""
        job_id = lifecycle.new_id()
        source, target, pipeline_id = self._references(account_id, request, job_id)
        wire = config_json.merge(
            self._templates.config(account_id, request.template_id)
            if request.template_id is not None
            else {},
            request.overwrite or {},
            request.extensions or {},
        )
        config = config_json.parse(wire)
        if request.output_type == "Media":
            target = replace(target, key=target.key + pictures_name(config.type))
        self._check(config, request, source, target)
        if pipeline_id is None:
            raise NotFound("Pipeline", request.pipeline_id or "default")
        return {
            "job_id": job_id,
            "account_id": account_id,
            "pipeline_id": pipeline_id,
            "priority": request.priority,
            "name": request.name,
            "user_data": request.user_data,
            "client_token": request.client_token,
            "request_digest": _digest(request),
            "trigger_source": request.trigger_source,
            "input_media": request.input_media,
            "input_bucket": source.bucket.name,
            "input_key": source.key,
            "input_asset_id": request.input_media if request.input_type == "Media" else None,
            "output_media": request.output_media,
            "output_bucket": target.bucket.name,
            "output_key": target.key,
            "output_asset_id": request.output_media if request.output_type == "Media" else None,
            "input_region": source.bucket.region,
            "output_region": target.bucket.region,
            "template_id": request.template_id,
            "config": config_json.to_wire(config),
        }

    def get(self, account_id: str, job_id: str) -> JobView:
        with self._database.transaction() as session:
            job = self._find(session, account_id, job_id, undefer(Job.report))
            return self._view(session, job)

    def list_jobs(self, account_id: str, request: ListRequest) -> JobPage:
        with self._database.transaction() as session:
            found, token = page_of(session, Job, account_id, request)
            return JobPage([self._view(session, job, brief=True) for job in found], token)

    def urls(self, account_id: str, request: UrlsRequest) -> UrlsView:
        expires_at = self._links.expiry("Timeout", request.timeout_s)
        with self._database.transaction() as session:
            job = self._find(session, account_id, request.job_id)
            pictures = select(JobOutput).where(JobOutput.job_id == job.job_id, JobOutput.kind != "track")
            total = session.scalar(select(func.count()).select_from(pictures.subquery())) or 0
            order = JobOutput.index.desc() if request.last_first else JobOutput.index
            first = (request.page_number - 1) * request.page_size
            page = session.scalars(pictures.order_by(order).offset(first).limit(request.page_size)).all()
            track = session.get(JobOutput, (job.job_id, "track", 1))
        # what was granted when they were made may have been taken back
        found = self._buckets.of_account(account_id, {job.output_bucket})
        bucket = demand(found, job.output_bucket, "write", job.output_key)
        urls = self._links.urls(bucket, [picture.key for picture in page], expires_at)
        return UrlsView(
            total,
            [urls[picture.key] for picture in page],
            self._links.track_url(account_id, bucket.name, track.key, expires_at)
            if track is not None
            else None,
        )

    def cancel(self, account_id: str, job_id: str) -> None:
        with self._database.transaction() as session:
            job = self._find(session, account_id, job_id, for_update=True)
            is_live = job.status == "Init"
            if is_live:
                lifecycle.fail(session, self._outbox, job, lifecycle.CANCELED, "The job was cancelled.")
                pipelines.has_ended(session, self._queue, job)
                job.epoch += 1
            elif job.code != lifecycle.CANCELED or not self._running.is_at(job_id):
                # else an earlier cancel did not see the work end
                raise ConfigError("JobId", job_id, "a job that is not done yet")
        if is_live:
            self._metrics.job_outcomes.labels(code=lifecycle.CANCELED).inc()
        self._end_work(job_id)
        with self._database.transaction() as session:
            job = self._find(session, account_id, job_id, for_update=True)
            job.count = lifecycle.count_shots(session, job)

    def retry(self, account_id: str, job_id: str) -> None:
        pipeline_id = self._ended(account_id, job_id, ("Fail",), _FAILED).pipeline_id
        with self._backlog.room(pipeline_id), self._database.transaction() as session:
            job = self._demand(session, account_id, job_id, ("Fail",), _FAILED)
            for media_id in job.asset_ids:
                lock(session, media_id)
            lifecycle.start_over(session, self._queue, job)

    def delete(self, account_id: str, job_id: str, *, outputs: bool) -> None:
        self._ended(account_id, job_id, ("Success", "Fail"), _DONE)
        with self._database.transaction() as session:
            job = self._demand(session, account_id, job_id, ("Success", "Fail"), _DONE)
            if outputs:
                self._remove_files(session, job)
            session.delete(job)

    def _remove_files(self, session: Session, job: Job) -> None:
        found = self._buckets.of_account(job.account_id, {job.output_bucket})
        bucket = demand(found, job.output_bucket, "write", job.output_key).open()
        for item in outputs.load(session, job.job_id):
            # another job, or somebody else, may have written there since
            if bucket.verify(item.output.name, item.written):
                bucket.delete(item.output.name)

    def _ended(self, account_id: str, job_id: str, states: Sequence[JobStatus], allowed: str) -> Job:
        """See to it that nothing is written any more for a job which has ended: slices may still be in work."""
        with self._database.transaction() as session:
            job = self._demand(session, account_id, job_id, states, allowed)
        self._end_work(job_id)
        return job

    def _end_work(self, job_id: str) -> None:
        if not self._running.cancel(job_id, _CANCEL_S):
            raise StillAtWork(f"the work on job {job_id}")

    def _demand(
        self, session: Session, account_id: str, job_id: str, states: Sequence[JobStatus], allowed: str
    ) -> Job:
        job = self._find(session, account_id, job_id, for_update=True)
        if job.status not in states:
            raise ConfigError("JobId", job_id, allowed)
        return job

    def _references(
        self, account_id: str, request: SubmitRequest, job_id: str
    ) -> tuple[_Place, _Place, str | None]:
        """Where it reads, where it writes (for an asset the beginning of the keys), and the pipeline."""
        if request.input_type == "Media":
            source = self._media.source(account_id, request.input_media)
        else:
            source = addresses.parse_address(request.input_media, "Input.Media")
        if request.output_type == "Media":
            target = self._media.folder(account_id, request.output_media, job_id)
        else:
            target = addresses.parse_address(request.output_media, "Output.Media")
        references = find_references(
            self._database, account_id, source.bucket, target.bucket, request.pipeline_id
        )
        found = references.buckets
        resolved = (
            _resolved(found, source, "read", request.input_media, "Input.Media"),
            _resolved(found, target, "write", request.output_media, "Output.Media"),
        )
        return *resolved, references.pipeline_id

    def _check(self, config: SnapshotConfig, request: SubmitRequest, source: _Place, target: _Place) -> None:
        try:
            names = names_for(target.key, config)
            demand_placeholder(names, config)
        except ConfigError as error:
            if error.path != "Output":
                raise
            raise ConfigError("Output.Media", request.output_media, error.allowed) from error
        if (config.count or 0) > self._max_shots:
            raise ConfigError("Count", config.count, f"at most {self._max_shots}")
        asked, allowed = config.max_read_bytes, self._max_read_bytes
        if asked is not None and allowed is not None and asked > allowed:
            raise ConfigError("MaxReadBytes", asked, f"at most {allowed}")
        _demand_keys(source, target, names, config, request)
        read, written = source.key, names.template
        if source.bucket.name != target.bucket.name:
            # two buckets may lie in one folder
            read, written = source.open.whereabouts(read), target.open.whereabouts(written)
        if _may_be(written, read, track=names.track):
            raise ConfigError("Output.Media", request.output_media, "another object than the input")

    def _demand_assets(self, account_id: str, job_id: str, columns: Mapping[str, Any]) -> None:
        """What removes an asset cancels its jobs, but for one that came to it only now."""
        for media_id in {columns["input_asset_id"], columns["output_asset_id"]} - {None}:
            if not self._media.is_there(media_id):
                with contextlib.suppress(ConfigError):
                    self.cancel(account_id, job_id)
                raise NotFound(KIND, media_id)

    def _same_job(self, account_id: str, request: SubmitRequest) -> str | None:
        """The job that was made with the request's token; None when there is none."""
        if request.client_token is None:
            return None
        with self._database.transaction() as session:
            query = select(Job).where(Job.account_id == account_id, Job.client_token == request.client_token)
            job = session.scalars(query).one_or_none()
        if job is None:
            return None
        if job.request_digest != _digest(request):
            raise IdempotentParameterMismatch(request.client_token)
        return job.job_id

    def _find(
        self, session: Session, account_id: str, job_id: str, *options: Any, for_update: bool = False
    ) -> Job:
        query = select(Job).where(Job.account_id == account_id, Job.job_id == job_id).options(*options)
        job = session.scalar(query.with_for_update() if for_update else query)
        if job is None:
            raise NotFound("Job", job_id)
        return job

    def _view(self, session: Session, job: Job, *, brief: bool = False) -> JobView:
        return JobView(
            job_id=job.job_id,
            status=job.status,
            type=job.config.get("Type", "Normal"),
            input=Address(job.input_type, job.input_media, job.input_bucket, job.input_region, job.input_key),
            output=Address(
                job.output_type, job.output_media, job.output_bucket, job.output_region, job.output_key
            ),
            template_id=job.template_id,
            template_config=job.config,
            pipeline_id=job.pipeline_id,
            create_time=job.created_at,
            submit_time=job.submitted_at,
            modified_time=job.modified_at,
            finish_time=job.finished_at,
            name=job.name,
            user_data=job.user_data,
            count=job.count,
            code=job.code,
            message=job.message,
            trigger_source=job.trigger_source,
            progress=0 if brief else progress_of(session, [job], self._running)[job.job_id],
            report=None if brief else job.report,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a job reads, or writes: a bucket of the account, and a key (or a template of keys) in it."""

    bucket: BucketView
    open: Bucket
    key: str


def _resolved(
    found: Mapping[str, BucketView], address: addresses.Address, access: Access, media: str, parameter: str
) -> _Place:
    bucket = demand(found, address.bucket, access, address.key)
    if address.region not in (None, bucket.region):
        raise ConfigError(parameter, media, f"in the region of its bucket, {bucket.region}")
    return _Place(bucket, bucket.open(), address.key)


def _demand_keys(
    source: _Place, target: _Place, names: Names, config: SnapshotConfig, request: SubmitRequest
) -> None:
    """Refuse what the buckets cannot hold, the pictures beside a track included."""
    source.open.demand_key(source.key, "Input.Media")
    picture = names.of("sheet" if config.makes_sheets else "still", 1)
    for key in dict.fromkeys((names.of("track", 1) if names.track else picture, picture)):
        if not target.bucket.allows("write", key):
            raise NotFound("Bucket", target.bucket.name)
        try:
            target.open.demand_key(key, "Output.Media")
        except ConfigError as error:
            # what was sent, and not what we have made of it
            raise ConfigError(
                "Output.Media", request.output_media, f"such that {key} is {error.allowed}"
            ) from error


def _may_be(template: str, key: str, *, track: bool) -> bool:
    """Whether one of the outputs that a template gives could be the object `key`."""
    if track and key.startswith(f"{template[:-4]}/snapshot-"):
        return True
    if not key.startswith(template.partition("{")[0]):
        # as for nearly every job: no pattern is worth making
        return False
    pattern = re.escape(template).replace(r"\{TileCount\}", r"\d{5,}").replace(r"\{Count\}", r"\d{5,}")
    return bool(re.fullmatch(pattern, key))


def _digest(request: SubmitRequest) -> str:
    """Of all that makes a request what it is, whatever the order of its keys."""
    fields = (
        request.input_type,
        request.input_media,
        request.output_type,
        request.output_media,
        request.template_id,
        request.overwrite,
        request.extensions,
        request.pipeline_id,
        request.priority,
        request.name,
        request.user_data,
    )
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=dict).encode()).hexdigest()
