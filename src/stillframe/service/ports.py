"""What the faces ask of the service about snapshot jobs, as values and one protocol; no dialect in it.

Every call is for one account, and what belongs to another account does not exist. The errors are those of
`stillframe.errors`: ConfigError and NotSupported name the parameter as it stands on the wire
(`TemplateConfig.TemplateId`, `Output.Media`, `Count`), NotFound the kind of thing that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from stillframe.jobs.models import InputType, JobStatus, TriggerSource


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """A job to be made. `overwrite` and `extensions` are raw wire JSON, in this order laid over the template.

    `priority` is 1 to 10, larger first; None takes the pipeline's. The same `client_token` of the same account
    gives the same job again.
    """

    input_type: InputType
    input_media: str
    output_type: InputType
    output_media: str
    template_id: str | None
    overwrite: Mapping[str, Any] | None = None
    extensions: Mapping[str, Any] | None = None
    pipeline_id: str | None = None
    priority: int | None = None
    name: str | None = None
    user_data: str | None = None
    client_token: str | None = None
    trigger_source: TriggerSource = "API"


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which jobs, and how many of them; both ends of the span of creation times count as inside.

    `name_part` is a part of the job's name, in any case; `media_id` is the asset that its input or its output names.
    """

    job_id: str | None = None
    media_id: str | None = None
    status: JobStatus | None = None
    pipeline_id: str | None = None
    name_part: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    newest_first: bool = True
    page_size: int = 20
    page_token: str | None = None


@dataclass(frozen=True, slots=True)
class UrlsRequest:
    """Which of a job's pictures; `page_number` counts from 1, `timeout_s` is how long an URL is good."""

    job_id: str
    page_number: int = 1
    page_size: int = 10
    timeout_s: int = 3600
    last_first: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """An input or output: as it was written, and the bucket, region and key that it means."""

    type: InputType
    media: str
    bucket: str
    region: str
    key: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its owner sees it. `count` is the number of moments that have a picture; `progress` is in percent.

    `template_config` is the effective config, all layers merged; `report` is None as long as there is none.
    """

    job_id: str
    status: JobStatus
    type: str
    input: Address
    output: Address
    template_id: str | None
    template_config: Mapping[str, Any]
    pipeline_id: str
    create_time: datetime
    submit_time: datetime
    modified_time: datetime
    finish_time: datetime | None = None
    name: str | None = None
    user_data: str | None = None
    count: int | None = None
    code: str | None = None
    message: str | None = None
    trigger_source: TriggerSource = "API"
    progress: int = 0
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs; `next_token` is None on the last one."""

    jobs: Sequence[JobView]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class UrlsView:
    """Signed URLs of one page of a job's pictures (sheets, when it makes sheets); `total` counts all of them."""

    total: int
    urls: Sequence[str]
    vtt_url: str | None = None


class SnapshotJobs(Protocol):
    """The use cases of snapshot jobs."""

    def submit(self, account_id: str, request: SubmitRequest) -> str:
        """The id of the job, which is stored and will be done when this returns."""

    def check(self, account_id: str, request: SubmitRequest) -> None:
        """Raises what `submit` would raise for what is wrong with the request itself."""

    def get(self, account_id: str, job_id: str) -> JobView:
        """One job."""

    def list_jobs(self, account_id: str, request: ListRequest) -> JobPage:
        """The account's jobs, page by page."""

    def urls(self, account_id: str, request: UrlsRequest) -> UrlsView:
        """Where a job's pictures can be had."""

    def cancel(self, account_id: str, job_id: str) -> None:
        """End a job that is not done yet; when this returns, nothing more will be written."""

    def retry(self, account_id: str, job_id: str) -> None:
        """Do a failed job again."""

    def delete(self, account_id: str, job_id: str, *, outputs: bool) -> None:
        """Forget a job that is done; with `outputs`, remove its files as well."""
