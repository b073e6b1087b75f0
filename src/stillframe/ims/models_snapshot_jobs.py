"""Requests and answers of the snapshot job actions, field by field as IMS documents them.

Fields that IMS does not have say so. What is a number, a boolean or text here is the same in JSON, since
SDKs convert nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import Flag, JsonObject, Text, UtcTime, WholeNumber, refuse
from stillframe.ims.models_media import MediaAddress, MediaAddressDetails, MediaAddressView

Id = Annotated[str, Text(200)]
JobStatus = Literal["Init", "Success", "Fail"]

_ADDRESS = JsonObject('{"Type":"OSS","Media":"oss://bucket/object"}')


class TemplateChoice(RequestModel):
    """The template, and what to do otherwise than it says."""

    template_id: Id = Field(description="The id of a custom or system template.")
    overwrite_params: Annotated[dict[str, Any], JsonObject('{"Count":5}')] | None = Field(
        default=None, description="Any keys of a snapshot config; they are laid over the template's."
    )


class Schedule(RequestModel):
    """The queue, and the place in it."""

    pipeline_id: Id | None = Field(
        default=None, description="The pipeline; the account's default one if left out."
    )
    priority: Annotated[int, WholeNumber(1, 10)] | None = Field(
        default=None, description="Larger first; the pipeline's if left out. Not in IMS."
    )


class SubmitSnapshotJobRequest(RequestModel):
    """Parameters of SubmitSnapshotJob."""

    input: Annotated[MediaAddress, _ADDRESS] = Field(description="The video.")
    output: Annotated[MediaAddress, _ADDRESS] = Field(
        description="Where the pictures go: {Count} numbers stills, {TileCount} sheets; a track ends in .vtt."
    )
    template_config: Annotated[TemplateChoice, JsonObject('{"TemplateId":"S00000002-000010"}')] = Field(
        description="The template and what is different from it."
    )
    name: Annotated[str, Text(128)] | None = Field(default=None, description="A name for people.")
    user_data: Annotated[str, Text(1024)] | None = Field(
        default=None, description="Text of your own; it comes back with the job."
    )
    schedule_config: Annotated[Schedule, JsonObject('{"PipelineId":"..."}')] | None = Field(
        default=None, description="The queue."
    )
    extensions: Annotated[dict[str, Any], JsonObject('{"KeyframeMiss":"nearest"}')] | None = Field(
        default=None,
        description="Keys of a snapshot config, Stillframe's own too; laid over OverwriteParams. Not in IMS.",
    )
    client_token: Annotated[str, Text(64)] | None = Field(
        default=None, description="The same token gives the same job, not another one. Not in IMS."
    )


class SubmitSnapshotJobAnswer(Answer):
    """Answer of SubmitSnapshotJob."""

    job_id: str = Field(
        description="The job's id. From now on it is worked on, whatever happens to the server."
    )


class JobRequest(RequestModel):
    """Parameters of an action on one job."""

    job_id: Id = Field(description="The job's id.")


class SnapshotJobSummary(AnswerObject):
    """What a list shows of a job."""

    job_id: str = Field(description="The job's id.")
    name: str | None = Field(default=None, description="The name that was given at submit.")
    type: str = Field(description="Normal, Sprite or WebVtt")
    status: JobStatus = Field(description="Init until the job has ended, then Success or Fail.")
    async_: bool = Field(default=True, serialization_alias="Async", description="Always true.")
    count: int | None = Field(
        default=None, description="How many moments have a picture: stills, or cells of sheets."
    )
    input: MediaAddressView = Field(description="The video.")
    output: MediaAddressView = Field(description="Where the pictures go, with the placeholders left in.")
    template_id: str | None = Field(default=None, description="The template that was named.")
    pipeline_id: str = Field(description="The pipeline that it is in.")
    trigger_source: str = Field(description="API, Console or Workflow")
    create_time: UtcTime = Field(description="When it was submitted.")
    submit_time: UtcTime = Field(description="The same; after a retry, when that was.")
    modified_time: UtcTime = Field(description="When something changed last.")
    finish_time: UtcTime | None = Field(default=None, description="When it ended.")


class SnapshotJob(SnapshotJobSummary):
    """All that there is to know of a job."""

    input: MediaAddressDetails = Field(description="The video.")
    output: MediaAddressDetails = Field(description="Where the pictures go, with the placeholders left in.")
    code: str | None = Field(default=None, description="Why a job failed, or what holds it up.")
    message: str | None = Field(default=None, description="The same in words.")
    template_config: str = Field(description="The effective config, as JSON text.")
    user_data: str | None = Field(default=None, description="The text that was given at submit.")
    progress: int = Field(description="Percent of the work that is done. Not in IMS.")
    report: dict[str, Any] | None = Field(
        default=None,
        description="What became of every moment asked for, and what was read (docs/report.md). Not in IMS.",
    )


class GetSnapshotJobAnswer(Answer):
    """Answer of GetSnapshotJob."""

    snapshot_job: SnapshotJob = Field(description="The job.")


class ListSnapshotJobsRequest(RequestModel):
    """Parameters of ListSnapshotJobs."""

    job_id: Id | None = Field(default=None, description="That job only.")
    status: JobStatus | None = Field(default=None, description="Jobs in that state only.")
    start_of_create_time: UtcTime | None = Field(default=None, description="Jobs made then or later.")
    end_of_create_time: UtcTime | None = Field(default=None, description="Jobs made then or earlier.")
    order_by: Literal["CreateTimeDesc", "CreateTimeAsc"] = Field(
        default="CreateTimeDesc", description="The newest first, or the oldest."
    )
    next_page_token: Annotated[str, Text(1024)] | None = Field(
        default=None, description="NextPageToken of the page before."
    )
    page_size: Annotated[int, WholeNumber(1, 100)] = Field(default=20, description="Jobs on a page.")

    @field_validator("end_of_create_time")
    @classmethod
    def _not_before_the_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start_of_create_time")
        if start and end and end < start:
            raise refuse("StartOfCreateTime or later")
        return end


class ListSnapshotJobsAnswer(Answer):
    """Answer of ListSnapshotJobs."""

    jobs: list[SnapshotJobSummary] = Field(description="The jobs of the page.")
    next_page_token: str | None = Field(default=None, description="Absent on the last page.")


class GetSnapshotUrlsRequest(JobRequest):
    """Parameters of GetSnapshotUrls."""

    order_by: Literal["Asc", "Desc"] = Field(default="Asc", description="By the pictures' numbers.")
    page_number: Annotated[int, WholeNumber(1, 1_000_000)] = Field(
        default=1, description="Which page, counted from 1."
    )
    page_size: Annotated[int, WholeNumber(1, 30)] = Field(default=10, description="Pictures on a page.")
    timeout: Annotated[int, WholeNumber(1, 129_600)] = Field(
        default=3600, description="How long the URLs are good, in seconds."
    )


class GetSnapshotUrlsAnswer(Answer):
    """Answer of GetSnapshotUrls."""

    total: int = Field(description="How many pictures there are in all.")
    snapshot_urls: list[str] = Field(
        description="The pictures; the sheets, when the job makes sheets. For those in a store, the store's own links."
    )
    web_vtt_url: str | None = Field(
        default=None,
        serialization_alias="WebVTTUrl",
        description="The track of a WebVtt job, at this server. "
        "The pictures in it have links of their own, which end with this one.",
    )


class DeleteSnapshotJobRequest(JobRequest):
    """Parameters of DeleteSnapshotJob."""

    outputs: Flag = Field(default=False, description="Remove the job's files as well.")


class SuccessAnswer(Answer):
    """Answer of an action that has nothing else to tell."""

    success: bool = Field(default=True, description="Always true: what could not be done is an error.")
