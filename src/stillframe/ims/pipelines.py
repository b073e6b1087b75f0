"""The actions of pipelines."""

from __future__ import annotations

from stillframe.catalog import active_hours
from stillframe.catalog.pipelines import PipelineView
from stillframe.errors import ConfigError
from stillframe.ims.action import EXAMPLE_ID, Action, Context
from stillframe.ims.models_pipelines import (
    CreatePipelineRequest,
    ListPipelinesAnswer,
    ListPipelinesRequest,
    PipelineAnswer,
    PipelineDetails,
    PipelineRequest,
    UpdatePipelineRequest,
)
from stillframe.ims.models_snapshot_jobs import SuccessAnswer


def create(context: Context, request: CreatePipelineRequest) -> PipelineAnswer:
    """Make a queue."""
    hours = None
    if request.active_hours is not None:
        hours = active_hours.parse(request.active_hours, request.time_zone or active_hours.UTC)
    elif request.time_zone is not None:
        raise ConfigError("TimeZone", request.time_zone, "left out where there are no ActiveHours")
    made = context.services.pipelines.create(
        context.caller.account_id,
        request.name,
        speed=request.speed,
        priority=request.priority,
        max_concurrency=request.max_concurrency,
        active_hours=hours,
    )
    return PipelineAnswer(pipeline=_details(made))


def update(context: Context, request: UpdatePipelineRequest) -> SuccessAnswer:
    """Change a queue, and with it what waits there."""
    context.services.pipeline_control.update(
        context.caller.account_id,
        request.pipeline_id,
        name=request.name,
        paused=request.status == "Paused" if request.status is not None else None,
        priority=request.priority,
        max_concurrency=request.max_concurrency,
        active_hours=request.active_hours,
        time_zone=request.time_zone,
    )
    return SuccessAnswer()


def delete(context: Context, request: PipelineRequest) -> SuccessAnswer:
    """Remove a queue whose jobs are all done."""
    context.services.pipeline_control.delete(context.caller.account_id, request.pipeline_id)
    return SuccessAnswer()


def get(context: Context, request: PipelineRequest) -> PipelineAnswer:
    """One queue."""
    found = context.services.pipelines.of_account(context.caller.account_id, request.pipeline_id)
    return PipelineAnswer(pipeline=_details(found))


def list_pipelines(context: Context, request: ListPipelinesRequest) -> ListPipelinesAnswer:
    """The queues of an account, the oldest first."""
    found = context.services.pipelines.all_of_account(context.caller.account_id, request.speed)
    return ListPipelinesAnswer(pipeline_list=[_details(pipeline) for pipeline in found])


_EXAMPLE = {"PipelineId": EXAMPLE_ID}
_NONE = {"ResourceNotFound": "There is no such pipeline."}

ACTIONS = (
    Action(
        "CreatePipeline",
        "Make a queue for jobs, with a priority of its own.",
        "write",
        CreatePipelineRequest,
        PipelineAnswer,
        create,
        errors={},
        example={"Name": "night", "Speed": "Standard", "Priority": 2},
    ),
    Action(
        "UpdatePipeline",
        "Rename a pipeline, pause or resume it, or change its priority; its waiting jobs move with it.",
        "write",
        UpdatePipelineRequest,
        SuccessAnswer,
        update,
        errors=_NONE,
        example=_EXAMPLE | {"Status": "Paused", "Priority": 3},
    ),
    Action(
        "DeletePipeline",
        "Remove a pipeline whose jobs are all done.",
        "write",
        PipelineRequest,
        SuccessAnswer,
        delete,
        errors=_NONE
        | {"InvalidParameter": "The pipeline is the default one, or has jobs that are not done."},
        example=_EXAMPLE,
    ),
    Action(
        "GetPipeline",
        "One pipeline.",
        "read",
        PipelineRequest,
        PipelineAnswer,
        get,
        errors=_NONE,
        example=_EXAMPLE,
    ),
    Action(
        "ListPipelines",
        "The pipelines of an account, the oldest first.",
        "read",
        ListPipelinesRequest,
        ListPipelinesAnswer,
        list_pipelines,
        errors={},
        example={"Speed": "Standard"},
    ),
)


def _details(pipeline: PipelineView) -> PipelineDetails:
    return PipelineDetails(
        pipeline_id=pipeline.pipeline_id,
        name=pipeline.name,
        speed=pipeline.speed,
        status="Paused" if pipeline.paused else "Active",
        priority=pipeline.priority,
        max_concurrency=pipeline.max_concurrency,
        active_hours=pipeline.active_hours,
        time_zone=pipeline.time_zone,
        off_hours=pipeline.off_hours if pipeline.active_hours is not None else None,
        create_time=pipeline.created_at,
        modified_time=pipeline.modified_at,
    )
