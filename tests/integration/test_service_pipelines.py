"""Pipelines through the API: made, changed, paused and removed, and what that means for their jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import URL, text

from service_client import Client, Refused, Service, service, wait_for, while_another_changes
from stillframe.testing import videos

LARGE = {"Width": 3840, "Height": 2160, "Count": 40, "FrameType": "normal"}
MISSING, WRONG, NOT_FOUND = (400, "MissingParameter"), (400, "InvalidParameter"), (404, "ResourceNotFound")


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    clip = videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=125, fps=5, gop=5)
    with service(
        module_database_url, tmp_path_factory.mktemp("data"), slots=4, max_queued_jobs=12
    ) as started:
        shutil.copy(clip.path, started.folder / "movie.mp4")
        yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


def create(client: Client, name: str = "mine", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = client.call("CreatePipeline", Name=name, **{"Speed": "Standard", **more})[
        "Pipeline"
    ]
    return made


def get(client: Client, pipeline_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.call("GetPipeline", PipelineId=pipeline_id)["Pipeline"]
    return found


def update(client: Client, pipeline_id: str, **changes: Any) -> None:
    assert client.call("UpdatePipeline", PipelineId=pipeline_id, **changes)["Success"] is True


def refused(client: Client, action: str, **parameters: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        client.call(action, **parameters)
    return caught.value


def submit(
    client: Client, key: str, pipeline_id: str, priority: int | None = None, /, **overwrite: Any
) -> str:
    schedule = {"PipelineId": pipeline_id} | ({"Priority": priority} if priority is not None else {})
    return client.submit(
        "oss://local/movie.mp4",
        f"oss://local/{key}/{{Count}}.jpg",
        more={"ScheduleConfig": schedule},
        **overwrite,
    )


def in_work(running: Service, pipeline_id: str) -> int:
    """Jobs of a pipeline that a worker has in hand."""
    with running.assembly.database.transaction() as session:
        return int(
            session.scalar(
                text(
                    "SELECT count(DISTINCT jobs.job_id) FROM procrastinate_jobs AS task JOIN jobs "
                    "ON jobs.job_id = task.args->>'job_id' WHERE task.status = 'doing' AND pipeline_id = :id"
                ),
                {"id": pipeline_id},
            )
            or 0
        )


def test_from_its_first_day_to_its_last(client: Client) -> None:
    made = create(client, "night é", Speed="Boost")
    pipeline_id = made["PipelineId"]
    assert len(pipeline_id) == 32
    assert {name: made[name] for name in ("Name", "Speed", "Status", "Priority")} == {
        "Name": "night é",
        "Speed": "Boost",
        "Status": "Active",
        "Priority": 6,
    }
    assert get(client, pipeline_id) == made
    assert "MaxConcurrency" not in made
    update(client, pipeline_id, Name="day", Priority=9, MaxConcurrency=3)
    changed = get(client, pipeline_id)
    assert (changed["Name"], changed["Priority"], changed["MaxConcurrency"]) == ("day", 9, 3)
    assert (changed["Status"], changed["CreateTime"]) == ("Active", made["CreateTime"])
    update(client, pipeline_id, ActiveHours="00:00-24:00", TimeZone="Asia/Shanghai")
    with_hours = get(client, pipeline_id)
    assert (with_hours["ActiveHours"], with_hours["TimeZone"], with_hours["OffHours"]) == (
        "00:00-24:00",
        "Asia/Shanghai",
        False,
    )
    update(client, pipeline_id, TimeZone="UTC")
    assert get(client, pipeline_id)["TimeZone"] == "UTC"
    assert get(client, pipeline_id)["ActiveHours"] == "00:00-24:00"
    update(client, pipeline_id, ActiveHours="always")
    assert {"ActiveHours", "TimeZone", "OffHours"}.isdisjoint(get(client, pipeline_id))
    update(client, pipeline_id, MaxConcurrency=0, Status="Paused")
    assert (get(client, pipeline_id)["Status"], get(client, pipeline_id).get("MaxConcurrency")) == (
        "Paused",
        None,
    )
    update(client, pipeline_id, Status="Active")
    listed = client.call("ListPipelines")["PipelineList"]
    assert listed[0]["Name"] == "default"
    assert get(client, pipeline_id) in listed
    boosted = client.call("ListPipelines", Speed="Boost")["PipelineList"]
    assert [one["PipelineId"] for one in boosted] == [pipeline_id]
    assert client.call("DeletePipeline", PipelineId=pipeline_id)["Success"] is True
    for action in ("GetPipeline", "UpdatePipeline", "DeletePipeline"):
        answer = refused(client, action, PipelineId=pipeline_id)
        assert ((answer.status, answer.code), pipeline_id in answer.message) == (NOT_FOUND, True)
    assert pipeline_id not in str(client.call("ListPipelines"))
    with pytest.raises(Refused) as caught:
        submit(client, "gone", pipeline_id)
    assert (caught.value.status, caught.value.code) == NOT_FOUND


@pytest.mark.parametrize(
    ("action", "parameters", "told", "word"),
    [
        ("CreatePipeline", {"Speed": "Standard"}, MISSING, "Name"),
        ("CreatePipeline", {"Name": "x"}, MISSING, "Speed"),
        ("CreatePipeline", {"Name": "x", "Speed": "Fast"}, WRONG, "Standard, Boost, NarrowBandHDV2"),
        ("CreatePipeline", {"Name": "x", "Speed": "Boost", "Priority": 11}, WRONG, "1 to 10"),
        ("CreatePipeline", {"Name": "é" * 65, "Speed": "Boost"}, WRONG, "128 bytes"),
        ("CreatePipeline", {"Name": "x", "Speed": "Boost", "MaxConcurrency": 0}, WRONG, "1 to 10000"),
        ("CreatePipeline", {"Name": "x", "Speed": "Boost", "ActiveHours": "22"}, WRONG, "22:00-06:00"),
        ("CreatePipeline", {"Name": "x", "Speed": "Boost", "TimeZone": "UTC"}, WRONG, "left out"),
        (
            "CreatePipeline",
            {"Name": "x", "Speed": "Boost", "ActiveHours": "22:00-06:00", "TimeZone": "Mars"},
            WRONG,
            "Europe/Berlin",
        ),
        ("UpdatePipeline", {"PipelineId": "f" * 32, "Status": "Gone"}, WRONG, "Active, Paused"),
        ("UpdatePipeline", {"Name": "x"}, MISSING, "PipelineId"),
        ("GetPipeline", {}, MISSING, "PipelineId"),
        ("DeletePipeline", {}, MISSING, "PipelineId"),
        ("ListPipelines", {"Speed": "x"}, WRONG, "Boost"),
    ],
)
def test_what_is_refused(
    client: Client, action: str, parameters: dict[str, Any], told: tuple[int, str], word: str
) -> None:
    answer = refused(client, action, **parameters)
    assert (answer.status, answer.code) == told
    assert word in answer.message


def test_what_belongs_to_another_account(client: Client, running: Service) -> None:
    pipeline_id = create(client)["PipelineId"]
    with running.account("stranger-to-pipelines") as (_, stranger):
        for action in ("GetPipeline", "UpdatePipeline", "DeletePipeline"):
            theirs = refused(stranger, action, PipelineId=pipeline_id)
            nobodys = refused(stranger, action, PipelineId="f" * 32)
            assert (theirs.status, theirs.code) == (nobodys.status, nobodys.code) == NOT_FOUND
            assert theirs.message.replace(pipeline_id, "") == nobodys.message.replace("f" * 32, "")
        assert [one["Name"] for one in stranger.call("ListPipelines")["PipelineList"]] == ["default"]
    client.call("DeletePipeline", PipelineId=pipeline_id)


def test_one_with_live_jobs_and_the_default_one_stay(client: Client, running: Service) -> None:
    pipeline_id = create(client)["PipelineId"]
    update(client, pipeline_id, Status="Paused")
    job_id = submit(client, "stays", pipeline_id)
    answer = refused(client, "DeletePipeline", PipelineId=pipeline_id)
    assert ((answer.status, answer.code), "1 are not" in answer.message) == (WRONG, True)
    assert get(client, pipeline_id)["Status"] == "Paused"
    client.call("CancelSnapshotJob", JobId=job_id)
    client.call("DeletePipeline", PipelineId=pipeline_id)
    # the job still tells where it was, and can be done again
    assert client.get(job_id)["PipelineId"] == pipeline_id
    client.call("RetrySnapshotJob", JobId=job_id)
    assert client.succeeded(job_id)["PipelineId"] == pipeline_id
    default = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
    answer = refused(client, "DeletePipeline", PipelineId=default)
    assert "default" in answer.message


def test_a_pause_takes_effect_while_others_are_in_work(client: Client, running: Service) -> None:
    pipeline_id = create(client)["PipelineId"]
    jobs = [submit(client, f"paused{number}", pipeline_id, **LARGE) for number in range(8)]
    wait_for(lambda: in_work(running, pipeline_id))
    update(client, pipeline_id, Status="Paused")
    begun = {job_id for job_id in jobs if client.get(job_id)["Progress"] > 0}
    for job_id in jobs[::-1]:
        if job_id not in begun:
            client.call("CancelSnapshotJob", JobId=job_id)
    late = submit(client, "paused late", pipeline_id, Count=1)
    assert client.get(late)["Progress"] == 0
    for job_id in begun:
        if client.get(job_id)["Status"] == "Init":
            client.call("CancelSnapshotJob", JobId=job_id)
    update(client, pipeline_id, Status="Active")
    client.succeeded(late)


def test_a_pipeline_that_somebody_removes_or_pauses_just_now(client: Client, running: Service) -> None:
    """A submit waits for it: nothing comes into a pipeline that is gone."""
    pipeline_id = create(client)["PipelineId"]

    def submitted() -> dict[str, Any]:
        return client.get(submit(client, "just now", pipeline_id))

    pause = "UPDATE pipelines SET status = 'Paused' WHERE pipeline_id = :id"
    job = while_another_changes(running.assembly.database, (pause,), {"id": pipeline_id}, submitted)
    with running.assembly.database.transaction() as session:
        assert session.scalar(text("SELECT parked FROM jobs WHERE job_id = :id"), {"id": job["JobId"]})
        assert not session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE args->>'job_id' = :id"), {"id": job["JobId"]}
        )
    client.call("CancelSnapshotJob", JobId=job["JobId"])
    remove = "UPDATE pipelines SET deleted_at = now() WHERE pipeline_id = :id"
    with pytest.raises(Refused) as caught:
        while_another_changes(running.assembly.database, (remove,), {"id": pipeline_id}, submitted)
    assert (caught.value.status, caught.value.code) == NOT_FOUND


def test_a_change_of_the_priority_moves_what_waits(client: Client, running: Service) -> None:
    """But not what was submitted with a priority of its own."""
    pipeline_id, other = create(client, Priority=3)["PipelineId"], create(client, Priority=4)["PipelineId"]

    def priorities() -> dict[str, int]:
        with running.assembly.database.transaction() as session:
            found = session.execute(
                text(
                    "SELECT output_key, priority FROM jobs WHERE pipeline_id IN (:one, :two) AND status = 'Init'"
                ),
                {"one": pipeline_id, "two": other},
            )
            return {row.output_key.partition("/")[0]: row.priority for row in found}

    for one in (pipeline_id, other):
        update(client, one, Status="Paused")
    jobs = [
        submit(client, "follows", pipeline_id),
        submit(client, "own", pipeline_id, 2),
        submit(client, "same", pipeline_id, 3),
        submit(client, "elsewhere", other),
    ]
    assert priorities() == {"follows": 3, "own": 2, "same": 3, "elsewhere": 4}
    update(client, pipeline_id, Priority=10)
    assert priorities() == {"follows": 10, "own": 2, "same": 3, "elsewhere": 4}
    for job_id in jobs[:2]:
        client.call("CancelSnapshotJob", JobId=job_id)
    update(client, pipeline_id, Priority=5)
    for job_id in jobs[:2]:
        client.call("RetrySnapshotJob", JobId=job_id)
    assert priorities() == {"follows": 5, "own": 2, "same": 3, "elsewhere": 4}
    for job_id in jobs:
        client.call("CancelSnapshotJob", JobId=job_id)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_jobs_are_in_work_than_may_be(client: Client, running: Service, most: int) -> None:
    pipeline_id = create(client, MaxConcurrency=most)["PipelineId"]
    jobs = [
        submit(client, f"most{most}-{number}", pipeline_id, **{**LARGE, "Count": 2}) for number in range(5)
    ]
    failing = client.submit(
        "oss://local/nothing.mp4",
        f"oss://local/most{most}.jpg",
        more={"ScheduleConfig": {"PipelineId": pipeline_id}},
    )
    cancelled = jobs.pop()
    seen = 0
    deadline = time.monotonic() + 60
    while any(client.get(job_id)["Status"] == "Init" for job_id in (*jobs, failing)):
        now = in_work(running, pipeline_id)
        # a task that is being turned away counts for a moment
        with running.assembly.database.transaction() as session:
            begun = session.scalar(
                text("SELECT count(*) FROM jobs WHERE pipeline_id = :id AND status = 'Init' AND is_begun"),
                {"id": pipeline_id},
            )
        assert begun <= most
        seen = max(seen, min(now, begun))
        if cancelled and begun:
            client.call("CancelSnapshotJob", JobId=cancelled)
            cancelled = ""
        assert time.monotonic() < deadline
    assert seen == most
    assert [client.get(job_id)["Status"] for job_id in jobs] == ["Success"] * 4


def test_a_limit_that_is_raised_or_taken_away_lets_others_in(client: Client, running: Service) -> None:
    pipeline_id = create(client, MaxConcurrency=1)["PipelineId"]
    jobs = [submit(client, f"raised{number}", pipeline_id, **LARGE) for number in range(4)]
    wait_for(lambda: in_work(running, pipeline_id))
    update(client, pipeline_id, MaxConcurrency=2)
    wait_for(lambda: in_work(running, pipeline_id) == 2)
    update(client, pipeline_id, MaxConcurrency=0)
    wait_for(lambda: in_work(running, pipeline_id) == 4)
    for job_id in jobs:
        client.call("CancelSnapshotJob", JobId=job_id)


def test_a_pipeline_that_is_full(client: Client) -> None:
    """It holds so many jobs that are not done; the next one is refused at once, and taken when there is room."""
    pipeline_id = create(client)["PipelineId"]
    update(client, pipeline_id, Status="Paused")
    jobs = [submit(client, f"full{number}", pipeline_id) for number in range(12)]
    with pytest.raises(Refused) as caught:
        submit(client, "full too", pipeline_id)
    assert (caught.value.status, caught.value.code) == (403, "PermissionDenied.ResourceQuotaExceed")
    assert caught.value.message.startswith('The resource "Pipeline" quota has been used up.')
    cancelled = jobs.pop()
    client.call("CancelSnapshotJob", JobId=cancelled)
    jobs.append(submit(client, "full no more", pipeline_id))
    again = refused(client, "RetrySnapshotJob", JobId=cancelled)
    assert (again.status, again.code) == (caught.value.status, caught.value.code)
    client.call("CancelSnapshotJob", JobId=jobs.pop())
    client.call("RetrySnapshotJob", JobId=cancelled)
    for job_id in (*jobs, cancelled):
        client.call("CancelSnapshotJob", JobId=job_id)


def test_a_pipeline_holds_no_more_than_it_may_when_all_come_at_once(client: Client, running: Service) -> None:
    pipeline_id = create(client)["PipelineId"]
    update(client, pipeline_id, Status="Paused")

    def submitted(number: int) -> str:
        try:
            return submit(client, f"at once {number}", pipeline_id)
        except Refused as error:
            return error.code

    with ThreadPoolExecutor(8) as threads:
        told = [*threads.map(submitted, range(32))]
    full = "PermissionDenied.ResourceQuotaExceed"
    jobs = [job_id for job_id in told if job_id != full]
    assert len(jobs) <= 12
    # one that was just being stored may have counted twice
    jobs += [submit(client, f"then {number}", pipeline_id) for number in range(12 - len(jobs))]
    assert submitted(32) == full
    for job_id in jobs:
        client.call("CancelSnapshotJob", JobId=job_id)
