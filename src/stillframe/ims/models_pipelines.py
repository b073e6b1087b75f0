"""Requests and answers of the pipeline actions, field by field as IMS documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import Text, UtcTime, WholeNumber

Id = Annotated[str, Text(200), Field(description="The pipeline's id.")]
Name = Annotated[str, Text(128)]
Speed = Literal["Standard", "Boost", "NarrowBandHDV2"]
Priority = Annotated[int, WholeNumber(1, 10)]

_SPEED = "Kept as it is given; snapshots of all speeds are made alike."
_MOST = "Jobs that may be in work at the same time, over all workers. Not in IMS."
_HOURS = (
    "When jobs are begun, such as `22:00-06:00` or `Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00`; outside of these hours "
    "the pipeline is as a paused one. A range over midnight belongs to the day on which it begins. Not in IMS."
)
_ZONE = "The time zone of ActiveHours, by its name in the IANA database, such as `Europe/Berlin`. Not in IMS."
Hours = Annotated[str, Text(256)]
Zone = Annotated[str, Text(64)]


class CreatePipelineRequest(RequestModel):
    """Parameters of CreatePipeline."""

    name: Name = Field(description="A name for people.")
    speed: Speed = Field(description=_SPEED)
    priority: Priority = Field(default=6, description="Larger first, over all pipelines.")
    max_concurrency: Annotated[int, WholeNumber(1, 10_000)] | None = Field(
        default=None, description=f"{_MOST} All if left out."
    )
    active_hours: Hours | None = Field(default=None, description=f"{_HOURS} Always if left out.")
    time_zone: Zone | None = Field(default=None, description=f"{_ZONE} `UTC` if left out.")


class UpdatePipelineRequest(RequestModel):
    """Parameters of UpdatePipeline; what is left out stays."""

    pipeline_id: Id
    name: Name | None = Field(default=None, description="Another name.")
    status: Literal["Active", "Paused"] | None = Field(
        default=None, description="Paused: nothing more is begun, and jobs are still accepted."
    )
    priority: Priority | None = Field(
        default=None, description="Waiting jobs move, too, but for those with a priority of their own."
    )
    max_concurrency: Annotated[int, WholeNumber(0, 10_000)] | None = Field(
        default=None, description=f"{_MOST} 0 takes the limit away."
    )
    active_hours: Hours | None = Field(default=None, description=f"{_HOURS} `always` takes them away.")
    time_zone: Zone | None = Field(default=None, description=_ZONE)


class PipelineRequest(RequestModel):
    """Parameters of an action on one pipeline."""

    pipeline_id: Id


class ListPipelinesRequest(RequestModel):
    """Parameters of ListPipelines."""

    speed: Speed | None = Field(default=None, description="Pipelines of that speed only.")


class PipelineDetails(AnswerObject):
    """A pipeline."""

    pipeline_id: str = Field(description="The pipeline's id, which jobs name.")
    name: str = Field(description="Its name.")
    speed: Speed = Field(description=_SPEED)
    status: Literal["Active", "Paused"] = Field(description="Paused: nothing more is begun.")
    priority: int = Field(description="1 to 10; jobs of a larger one are done first.")
    max_concurrency: int | None = Field(default=None, description=_MOST)
    active_hours: str | None = Field(default=None, description=_HOURS)
    time_zone: str | None = Field(default=None, description=_ZONE)
    off_hours: bool | None = Field(
        default=None, description="Whether nothing is begun now because of ActiveHours. Not in IMS."
    )
    create_time: UtcTime = Field(description="When it was made.")
    modified_time: UtcTime = Field(description="When it was changed last.")


class PipelineAnswer(Answer):
    """Answer of CreatePipeline and GetPipeline."""

    pipeline: PipelineDetails = Field(description="The pipeline.")


class ListPipelinesAnswer(Answer):
    """Answer of ListPipelines."""

    pipeline_list: list[PipelineDetails] = Field(description="The pipelines, the oldest first.")
