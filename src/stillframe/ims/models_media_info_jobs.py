"""Requests and answers of the probe job actions, field by field as IMS documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import JsonObject, Text, UtcTime, WholeNumber
from stillframe.ims.models_media import MediaAddress, MediaAddressView
from stillframe.ims.models_media_info import MediaInfoProperty
from stillframe.ims.models_snapshot_jobs import Id, JobStatus, ListSnapshotJobsRequest


class ProbeSchedule(RequestModel):
    """The queue, and the place in it."""

    pipeline_id: Id | None = Field(
        default=None, description="The pipeline; the account's default one if left out."
    )
    priority: Annotated[int, WholeNumber(1, 10)] | None = Field(
        default=None, description="Larger first; the pipeline's if left out."
    )


class SubmitMediaInfoJobRequest(RequestModel):
    """Parameters of SubmitMediaInfoJob and SubmitSyncMediaInfoJob."""

    input: Annotated[MediaAddress, JsonObject('{"Type":"OSS","Media":"oss://bucket/object"}')] = Field(
        description="The file: video or sound."
    )
    name: Annotated[str, Text(128)] | None = Field(default=None, description="A name for people.")
    user_data: Annotated[str, Text(1024)] | None = Field(
        default=None, description="Text of your own; it comes back with the job."
    )
    schedule_config: Annotated[ProbeSchedule, JsonObject('{"PipelineId":"..."}')] | None = Field(
        default=None, description="The queue."
    )


class ScheduleView(AnswerObject):
    """Where a job waits."""

    pipeline_id: str = Field(description="The pipeline that it is in.")
    priority: int = Field(description="Larger first.")


class NewMediaInfoJob(AnswerObject):
    """A probe job that was made just now."""

    job_id: str = Field(description="The job's id.")
    name: str | None = Field(default=None, description="The name that was given at submit.")
    status: JobStatus = Field(description="Init until the job has ended, then Success or Fail.")
    async_: bool = Field(
        serialization_alias="Async", description="Whether the submit did not wait for the job's end."
    )
    input: MediaAddressView = Field(description="The file.")
    schedule_config: ScheduleView = Field(description="The queue, and the place in it.")
    trigger_source: Literal["API", "Console", "WorkFlow"] = Field(description="Who made it.")
    request_id: str = Field(description="The id of the request that made the job.")
    submit_time: UtcTime = Field(description="When it was submitted.")
    user_data: str | None = Field(default=None, description="The text that was given at submit.")
    submit_result_json: dict[str, str] = Field(
        description="The Code and the Message of a job that has failed, or is held up; else nothing."
    )


class MediaInfoJob(NewMediaInfoJob):
    """All that there is to know of a probe job."""

    finish_time: UtcTime | None = Field(default=None, description="When it ended.")
    media_info_property: MediaInfoProperty | None = Field(
        default=None, description="What is in the file, once the job has ended well."
    )
    code: str | None = Field(default=None, description="As in SubmitResultJson. Not in IMS.")
    message: str | None = Field(default=None, description="As in SubmitResultJson. Not in IMS.")


class SubmitMediaInfoJobAnswer(Answer):
    """Answer of SubmitMediaInfoJob."""

    media_info_job: NewMediaInfoJob = Field(description="The job.")


class MediaInfoJobAnswer(Answer):
    """Answer of the actions that tell of a job that has had time."""

    media_info_job: MediaInfoJob = Field(description="The job.")


class ListMediaInfoJobsRequest(ListSnapshotJobsRequest):
    """Parameters of ListMediaInfoJobs."""

    page_size: Annotated[int, WholeNumber(1, 100)] = Field(default=10, description="Jobs on a page.")


class ListMediaInfoJobsAnswer(Answer):
    """Answer of ListMediaInfoJobs."""

    jobs: list[MediaInfoJob] = Field(description="The jobs of the page.")
    next_page_token: str | None = Field(default=None, description="Absent on the last page.")
