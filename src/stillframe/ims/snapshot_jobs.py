"""The actions of snapshot jobs."""

from __future__ import annotations

import json

from stillframe.ims.action import EXAMPLE_ID, Action, Context
from stillframe.ims.models_media import input_details, input_view, output_details, output_view
from stillframe.ims.models_snapshot_jobs import (
    DeleteSnapshotJobRequest,
    GetSnapshotJobAnswer,
    GetSnapshotUrlsAnswer,
    GetSnapshotUrlsRequest,
    JobRequest,
    ListSnapshotJobsAnswer,
    ListSnapshotJobsRequest,
    SnapshotJob,
    SnapshotJobSummary,
    SubmitSnapshotJobAnswer,
    SubmitSnapshotJobRequest,
    SuccessAnswer,
)
from stillframe.service.ports import JobView, ListRequest, SubmitRequest, UrlsRequest


def submit(context: Context, request: SubmitSnapshotJobRequest) -> SubmitSnapshotJobAnswer:
    """Store a job; it is done from then on, whatever happens to the server."""
    schedule = request.schedule_config
    job_id = context.services.snapshot_jobs.submit(
        context.caller.account_id,
        SubmitRequest(
            input_type=request.input.type,
            input_media=request.input.media,
            output_type=request.output.type,
            output_media=request.output.media,
            template_id=request.template_config.template_id,
            overwrite=request.template_config.overwrite_params,
            extensions=request.extensions,
            pipeline_id=schedule.pipeline_id if schedule else None,
            priority=schedule.priority if schedule else None,
            name=request.name,
            user_data=request.user_data,
            client_token=request.client_token,
            trigger_source=context.trigger_source,
        ),
    )
    return SubmitSnapshotJobAnswer(job_id=job_id)


def get(context: Context, request: JobRequest) -> GetSnapshotJobAnswer:
    """One job, with all that there is to know of it."""
    job = context.services.snapshot_jobs.get(context.caller.account_id, request.job_id)
    return GetSnapshotJobAnswer(snapshot_job=_details(job))


def list_jobs(context: Context, request: ListSnapshotJobsRequest) -> ListSnapshotJobsAnswer:
    """The account's jobs, page by page."""
    page = context.services.snapshot_jobs.list_jobs(
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
    return ListSnapshotJobsAnswer(jobs=[_summary(job) for job in page.jobs], next_page_token=page.next_token)


def urls(context: Context, request: GetSnapshotUrlsRequest) -> GetSnapshotUrlsAnswer:
    """Signed URLs of a job's pictures."""
    view = context.services.snapshot_jobs.urls(
        context.caller.account_id,
        UrlsRequest(
            job_id=request.job_id,
            page_number=request.page_number,
            page_size=request.page_size,
            timeout_s=request.timeout,
            last_first=request.order_by == "Desc",
        ),
    )
    return GetSnapshotUrlsAnswer(total=view.total, snapshot_urls=[*view.urls], web_vtt_url=view.vtt_url)


def cancel(context: Context, request: JobRequest) -> SuccessAnswer:
    """End a job that is not done yet; pictures that are finished stay."""
    context.services.snapshot_jobs.cancel(context.caller.account_id, request.job_id)
    return SuccessAnswer()


def retry(context: Context, request: JobRequest) -> SuccessAnswer:
    """Do a failed job again, under its own id."""
    context.services.snapshot_jobs.retry(context.caller.account_id, request.job_id)
    return SuccessAnswer()


def delete(context: Context, request: DeleteSnapshotJobRequest) -> SuccessAnswer:
    """Forget a job that is done, and its files if asked to."""
    context.services.snapshot_jobs.delete(context.caller.account_id, request.job_id, outputs=request.outputs)
    return SuccessAnswer()


_EXAMPLE = {"JobId": EXAMPLE_ID}
_FULL = "The pipeline holds as many jobs that are not done as it may."
_NONE = {"ResourceNotFound": "There is no such job."}

ACTIONS = (
    Action(
        "SubmitSnapshotJob",
        "Make stills, sprite sheets or a thumbnail track of a video.",
        "write",
        SubmitSnapshotJobRequest,
        SubmitSnapshotJobAnswer,
        submit,
        errors={
            "IdempotentParameterMismatch": "ClientToken was used before, with other parameters.",
            "InvalidParameter": (
                "Input or Output is no address, or its region is not the bucket's; a key of the "
                "config is unknown or out of its range; Output lacks a placeholder, or could be the "
                "input; it is a media asset, and there is no default storage."
            ),
            "InvalidParameter.NotSupport": "Color is random.",
            "PermissionDenied.ResourceQuotaExceed": _FULL,
            "ResourceNotFound": (
                "There is no such template, pipeline, media asset or bucket, or the account may not read or "
                "write there."
            ),
        },
        example={
            "Input": {"Type": "OSS", "Media": "oss://local/movie.mp4"},
            "Output": {"Type": "OSS", "Media": "oss://local/thumbs/{Count}.jpg"},
            "TemplateConfig": {
                "TemplateId": "S00000002-000011",
                "OverwriteParams": {"Time": 1000, "Interval": 2, "Count": 3},
            },
        },
    ),
    Action(
        "GetSnapshotJob",
        "What became of a job.",
        "read",
        JobRequest,
        GetSnapshotJobAnswer,
        get,
        errors=_NONE,
        example=_EXAMPLE,
    ),
    Action(
        "ListSnapshotJobs",
        "The jobs of an account, page by page.",
        "read",
        ListSnapshotJobsRequest,
        ListSnapshotJobsAnswer,
        list_jobs,
        errors={
            "InvalidParameter": (
                "NextPageToken is not of an earlier answer, or EndOfCreateTime lies before StartOfCreateTime."
            )
        },
        example={"Status": "Fail", "PageSize": 5},
    ),
    Action(
        "GetSnapshotUrls",
        "Where the pictures of a job can be had.",
        "read",
        GetSnapshotUrlsRequest,
        GetSnapshotUrlsAnswer,
        urls,
        errors={
            "InvalidParameter": "Timeout is more than the server allows.",
            "ResourceNotFound": "There is no such job, or its bucket is gone or no longer granted.",
        },
        example=_EXAMPLE | {"PageSize": 30, "Timeout": 600},
    ),
    Action(
        "CancelSnapshotJob",
        "End a job that is not done yet.",
        "write",
        JobRequest,
        SuccessAnswer,
        cancel,
        errors=_NONE | {"InvalidParameter": "The job has ended already."},
        example=_EXAMPLE,
        is_in_ims=False,
    ),
    Action(
        "RetrySnapshotJob",
        "Do a failed job again.",
        "write",
        JobRequest,
        SuccessAnswer,
        retry,
        errors=_NONE
        | {"InvalidParameter": "The job has not failed.", "PermissionDenied.ResourceQuotaExceed": _FULL},
        example=_EXAMPLE,
        is_in_ims=False,
    ),
    Action(
        "DeleteSnapshotJob",
        "Forget a job that is done, and its files if asked to.",
        "write",
        DeleteSnapshotJobRequest,
        SuccessAnswer,
        delete,
        errors={
            "InvalidParameter": "The job has not ended.",
            "OperationDenied": "A file cannot be removed.",
            "ResourceNotFound": (
                "There is no such job, or its bucket is gone, no longer granted or away, and its "
                "files were to be removed."
            ),
        },
        example=_EXAMPLE | {"Outputs": True},
        is_in_ims=False,
    ),
)


def _summary(job: JobView) -> SnapshotJobSummary:
    return SnapshotJobSummary(
        job_id=job.job_id,
        name=job.name,
        type=job.type,
        status=job.status,
        count=job.count,
        input=input_view(job.input),
        output=output_view(job.output),
        template_id=job.template_id,
        pipeline_id=job.pipeline_id,
        trigger_source=job.trigger_source,
        create_time=job.create_time,
        submit_time=job.submit_time,
        modified_time=job.modified_time,
        finish_time=job.finish_time,
    )


def _details(job: JobView) -> SnapshotJob:
    return SnapshotJob(
        **dict(_summary(job)) | {"input": input_details(job.input), "output": output_details(job.output)},
        code=job.code,
        message=job.message,
        template_config=json.dumps(dict(job.template_config), separators=(",", ":"), ensure_ascii=False),
        user_data=job.user_data,
        progress=job.progress,
        report=dict(job.report) if job.report is not None else None,
    )
