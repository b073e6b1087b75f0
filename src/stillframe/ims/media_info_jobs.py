"""The actions of probe jobs."""

from __future__ import annotations

from typing import Any

from stillframe.ims.action import EXAMPLE_ID, Action, Context
from stillframe.ims.media_info import media_info
from stillframe.ims.models_media import input_view
from stillframe.ims.models_media_info_jobs import (
    ListMediaInfoJobsAnswer,
    ListMediaInfoJobsRequest,
    MediaInfoJob,
    MediaInfoJobAnswer,
    NewMediaInfoJob,
    ScheduleView,
    SubmitMediaInfoJobAnswer,
    SubmitMediaInfoJobRequest,
)
from stillframe.ims.models_snapshot_jobs import JobRequest
from stillframe.service.ports import ListRequest
from stillframe.service.probe_jobs import ProbeJobView, ProbeRequest


def submit(context: Context, request: SubmitMediaInfoJobRequest) -> SubmitMediaInfoJobAnswer:
    """Store a job; it is done from then on, whatever happens to the server."""
    made = context.services.probe_jobs.submit(context.caller.account_id, _wanted(context, request))
    return SubmitMediaInfoJobAnswer(media_info_job=NewMediaInfoJob(**_summary(made)))


def submit_and_wait(context: Context, request: SubmitMediaInfoJobRequest) -> MediaInfoJobAnswer:
    """Do a job, and answer when it has ended."""
    ended = context.services.probe_jobs.submit_and_wait(context.caller.account_id, _wanted(context, request))
    return MediaInfoJobAnswer(media_info_job=_details(ended))


def get(context: Context, request: JobRequest) -> MediaInfoJobAnswer:
    """One job, with what it has found."""
    job = context.services.probe_jobs.get(context.caller.account_id, request.job_id)
    return MediaInfoJobAnswer(media_info_job=_details(job))


def list_jobs(context: Context, request: ListMediaInfoJobsRequest) -> ListMediaInfoJobsAnswer:
    """The account's jobs, page by page."""
    page = context.services.probe_jobs.list_jobs(
        context.caller.account_id,
        ListRequest(
            job_id=request.job_id,
            status=request.status,
            created_from=request.start_of_create_time,
            created_to=request.end_of_create_time,
            newest_first=request.order_by == "CreateTimeDesc",
            page_size=request.page_size,
            page_token=request.next_page_token,
        ),
    )
    return ListMediaInfoJobsAnswer(jobs=[_details(job) for job in page.jobs], next_page_token=page.next_token)


_EXAMPLE = {"Input": {"Type": "OSS", "Media": "oss://local/movie.mp4"}}
_ERRORS = {
    "InvalidParameter": "Input is no address, or its region is not the bucket's.",
    "ResourceNotFound": "There is no such pipeline, asset or bucket, or the account may not read there.",
}

ACTIONS = (
    Action(
        "SubmitMediaInfoJob",
        "Find out what is in a file of video or sound.",
        "write",
        SubmitMediaInfoJobRequest,
        SubmitMediaInfoJobAnswer,
        submit,
        errors=_ERRORS
        | {
            "PermissionDenied.ResourceQuotaExceed": "The pipeline holds as many jobs that are not done as it may."
        },
        example=_EXAMPLE | {"Name": "a look", "ScheduleConfig": {"Priority": 7}},
    ),
    Action(
        "SubmitSyncMediaInfoJob",
        "Find out what is in a file of video or sound, and wait for it.",
        "write",
        SubmitMediaInfoJobRequest,
        MediaInfoJobAnswer,
        submit_and_wait,
        errors=_ERRORS,
        example=_EXAMPLE,
    ),
    Action(
        "GetMediaInfoJob",
        "What a probe job has found.",
        "read",
        JobRequest,
        MediaInfoJobAnswer,
        get,
        errors={"ResourceNotFound": "There is no such job."},
        example={"JobId": EXAMPLE_ID},
    ),
    Action(
        "ListMediaInfoJobs",
        "The probe jobs of an account, page by page.",
        "read",
        ListMediaInfoJobsRequest,
        ListMediaInfoJobsAnswer,
        list_jobs,
        errors={
            "InvalidParameter": (
                "NextPageToken is not of an earlier answer, or EndOfCreateTime lies before StartOfCreateTime."
            )
        },
        example={"Status": "Success", "PageSize": 5},
    ),
)


def _wanted(context: Context, request: SubmitMediaInfoJobRequest) -> ProbeRequest:
    schedule = request.schedule_config
    return ProbeRequest(
        input_type=request.input.type,
        input_media=request.input.media,
        request_id=context.request_id,
        pipeline_id=schedule.pipeline_id if schedule else None,
        priority=schedule.priority if schedule else None,
        name=request.name,
        user_data=request.user_data,
        trigger_source=context.trigger_source,
    )


def _summary(job: ProbeJobView) -> dict[str, Any]:
    """The fields of NewMediaInfoJob."""
    return {
        "job_id": job.job_id,
        "name": job.name,
        "status": job.status,
        "async_": job.is_async,
        "input": input_view(job.input),
        "schedule_config": ScheduleView(pipeline_id=job.pipeline_id, priority=job.priority),
        # here, IMS writes the third one otherwise than for snapshot jobs
        "trigger_source": "WorkFlow" if job.trigger_source == "Workflow" else job.trigger_source,
        "request_id": job.request_id,
        "submit_time": job.submit_time,
        "user_data": job.user_data,
        # the only place that SDKs let through: they know no Code and no Message
        "submit_result_json": {"Code": job.code, "Message": job.message or ""} if job.code else {},
    }


def _details(job: ProbeJobView) -> MediaInfoJob:
    return MediaInfoJob(
        **_summary(job),
        finish_time=job.finish_time,
        media_info_property=media_info(job.facts, job.input) if job.facts is not None else None,
        code=job.code,
        message=job.message,
    )
