"""A service with something of each kind in it, and for every action parameters that it answers well.

    with service(url, folder) as running:
        world = populate(running.client, running.folder, film)
        running.client.call("GetSnapshotJob", **parameters_of("GetSnapshotJob", world))

A new action needs its line in `CALLS`: what of its example must be a real thing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service_client import Client, wait_for
from stillframe.ims.registry import ACTIONS
from subtitled import with_subtitles

_PATHS = {"input": "oss://local/movie.mp4", "still": "oss://local/stills/{Count}.jpg"}


@dataclass(frozen=True)
class World:
    """Things of the first account; what an action uses up is made anew for each call of it."""

    client: Client
    #: a job that has made a track, and all of whose fields have a value that a success can have
    track_id: str
    #: a job that has ended badly, likewise
    failed_id: str
    template_id: str
    pipeline_id: str
    paused_id: str
    #: an asset of a film with sound and subtitles, all of whose fields have a value
    media_id: str
    #: one whose object cannot be removed
    immovable_id: str
    #: a probe job that has ended well, likewise
    probe_id: str

    def new_template(self) -> str:
        """A template that nothing else is about."""
        example = ACTIONS["CreateCustomTemplate"].example
        made = self.client.call("CreateCustomTemplate", **example)
        return str(made["CustomTemplate"]["TemplateId"])

    def new_pipeline(self) -> str:
        """An empty pipeline."""
        made = self.client.call("CreatePipeline", Name="for a moment", Speed="Standard")
        return str(made["Pipeline"]["PipelineId"])

    def waiting_job(self) -> str:
        """A job that waits in a paused pipeline, with all that a submit can say."""
        return self.client.submit(
            _PATHS["input"],
            _PATHS["still"],
            more={
                "Name": "waiting",
                "UserData": "mine",
                "ScheduleConfig": {"PipelineId": self.paused_id},
            },
            Count=2,
        )

    def ended_job(self) -> str:
        """A job that was cancelled before it began."""
        job_id = self.waiting_job()
        self.client.call("CancelSnapshotJob", JobId=job_id)
        return job_id


def _look(media_id: str) -> dict[str, Any]:
    """What asks for a probe job, with all that a submit can say."""
    return {"Input": {"Type": "Media", "Media": media_id}, "Name": "a look", "UserData": "mine"}


#: what takes the place of the ids in an action's example
CALLS: dict[str, Callable[[World], dict[str, Any]]] = {
    "SubmitSnapshotJob": lambda world: {},
    # only a failed job has Code and Message
    "GetSnapshotJob": lambda world: {"JobId": world.failed_id},
    # there are more of them, for NextPageToken to be there
    "ListSnapshotJobs": lambda world: {"PageSize": 1},
    "GetSnapshotUrls": lambda world: {"JobId": world.track_id},
    "CancelSnapshotJob": lambda world: {"JobId": world.waiting_job()},
    "RetrySnapshotJob": lambda world: {"JobId": world.ended_job()},
    "DeleteSnapshotJob": lambda world: {"JobId": world.ended_job()},
    "SubmitMediaInfoJob": lambda world: _look(world.media_id),
    "SubmitSyncMediaInfoJob": lambda world: _look(world.media_id),
    "GetMediaInfoJob": lambda world: {"JobId": world.probe_id},
    # the oldest is of an asset, too, and others have come after it
    "ListMediaInfoJobs": lambda world: {"PageSize": 1, "OrderBy": "CreateTimeAsc"},
    "CreateCustomTemplate": lambda world: {},
    "UpdateCustomTemplate": lambda world: {"TemplateId": world.new_template()},
    "DeleteCustomTemplate": lambda world: {"TemplateId": world.new_template()},
    "SetDefaultCustomTemplate": lambda world: {"TemplateId": world.new_template()},
    "GetCustomTemplate": lambda world: {"TemplateId": world.template_id},
    "ListCustomTemplates": lambda world: {},
    "GetSystemTemplate": lambda world: {},
    "ListSystemTemplates": lambda world: {},
    "GetStorageList": lambda world: {},
    "GetDefaultStorageLocation": lambda world: {},
    "SetDefaultStorageLocation": lambda world: {},
    "CreatePipeline": lambda world: {},
    "UpdatePipeline": lambda world: {"PipelineId": world.new_pipeline()},
    "DeletePipeline": lambda world: {"PipelineId": world.new_pipeline()},
    "GetPipeline": lambda world: {"PipelineId": world.pipeline_id},
    "ListPipelines": lambda world: {},
    "RegisterMediaInfo": lambda world: {},
    "GetMediaInfo": lambda world: {"MediaId": world.media_id},
    "UpdateMediaInfo": lambda world: {"MediaId": world.media_id},
    "DeleteMediaInfos": lambda world: {"MediaIds": f"{world.immovable_id},nothing"},
    # the oldest has all fields; there are more of them, for NextToken to be there
    "ListMediaBasicInfos": lambda world: {"MaxResults": 1, "SortBy": "asc"},
    "BatchGetMediaInfos": lambda world: {"MediaIds": f"{world.media_id},nothing"},
    # of which there are none, so that nothing is sent
    "SetEventCallback": lambda world: {"EventTypeList": "TranscodeComplete"},
    "GetEventCallback": lambda world: {},
}


def parameters_of(action: str, world: World) -> dict[str, Any]:
    """Parameters that an action answers well, objects as objects."""
    return {**ACTIONS[action].example, **CALLS[action](world)}


def made_real(text: str, action: str, parameters: Mapping[str, Any]) -> str:
    """A text about an action's example, with real parameters in the place of the example's ids, addresses and names."""
    for real, example in _pairs(parameters, ACTIONS[action].example):
        if isinstance(example, str) and real != example:
            text = text.replace(example, real)
    return text


def populate(client: Client, folder: Path, film: Path) -> World:
    """Fill a new account; `folder` is that of its bucket `local`, where `film` becomes movie.mp4."""
    shutil.copy(film, folder / "movie.mp4")
    template_id = client.call("CreateCustomTemplate", **ACTIONS["CreateCustomTemplate"].example)[
        "CustomTemplate"
    ]["TemplateId"]
    pipeline_id, paused_id = (
        client.call(
            "CreatePipeline", Name=name, Speed="Standard", MaxConcurrency=5, ActiveHours="00:00-24:00"
        )["Pipeline"]["PipelineId"]
        for name in ("night", "paused")
    )
    client.call("UpdatePipeline", PipelineId=paused_id, Status="Paused")
    client.call("SetDefaultStorageLocation", **ACTIONS["SetDefaultStorageLocation"].example)
    track_id = client.submit(
        _PATHS["input"],
        "oss://local/track.vtt",
        "S00000002-000031",
        more={"Name": "a track", "UserData": "mine"},
        Interval=1,
        Width=96,
    )
    media_id, immovable_id = _asset(client, folder), _immovable_asset(client, folder, film)
    world = World(client, track_id, "", template_id, pipeline_id, paused_id, media_id, immovable_id, "")
    client.call("SetEventCallback", **parameters_of("SetEventCallback", world))
    failed = [world.ended_job() for _ in range(2)]
    client.succeeded(track_id)
    wait_for(lambda: all(client.asset(media_id)[name] != "[]" for name in ("Snapshots", "SpriteImages")))
    # of two, for NextPageToken to be there
    probe, _ = (client.call("SubmitSyncMediaInfoJob", **_look(media_id))["MediaInfoJob"] for _ in range(2))
    return replace(world, failed_id=failed[0], probe_id=probe["JobId"])


def _asset(client: Client, folder: Path) -> str:
    with_subtitles(folder / "subtitled.mp4")
    media_id = client.call(
        "RegisterMediaInfo",
        InputURL="oss://local/subtitled.mp4",
        Title="A film",
        Description="It has everything.",
        MediaTags="short,night",
        UserData='{"order":17}',
        CateId=5,
        ReferenceId="film_0001",
    )["MediaId"]
    client.call("UpdateMediaInfo", MediaId=media_id, Category="films")
    return str(media_id)


def _immovable_asset(client: Client, folder: Path, film: Path) -> str:
    shutil.copy(film, folder / "immovable.mp4")
    parameters = {
        "InputURL": "oss://local/immovable.mp4",
        "RegisterConfig": {"NeedSnapshot": "false", "NeedSprite": "false"},
    }
    media_id = str(client.call("RegisterMediaInfo", **parameters)["MediaId"])
    wait_for(lambda: client.asset(media_id)["Status"] == "Normal")
    # a folder is not removed
    (folder / "immovable.mp4").unlink()
    (folder / "immovable.mp4").mkdir()
    return media_id


def _pairs(real: Any, example: Any) -> Iterator[tuple[Any, Any]]:
    """What stands at the same places of both."""
    if isinstance(example, Mapping):
        for name, inner in example.items():
            yield from _pairs(real[name], inner)
    else:
        yield real, example
