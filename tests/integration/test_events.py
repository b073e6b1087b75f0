"""Events to a real receiver, from jobs that really end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from receiver import Receiver, receiving
from service_client import Service, service, wait_for
from stillframe.testing import videos

AUTH_KEY = "TestKey001"


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("events") / "data"
    with service(module_database_url, folder, callback_allow_networks="127.0.0.1") as made:
        videos.make(made.folder / "movie.mp4", frames=40)
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def listen(running: Service, receiver: Receiver, **parameters: str) -> None:
    given = {"CallbackType": "HTTP", "CallbackURL": receiver.url, "EventTypeList": "SnapshotComplete"}
    assert running.client.call("SetEventCallback", **given | parameters)["Success"] is True


def waiting(running: Service) -> int:
    return running.assembly.outbox.waiting()


def test_a_job_that_ends_well_is_told_of(running: Service, receiver: Receiver) -> None:
    listen(running, receiver)
    job_id = running.client.submit(Count=2, more={"UserData": "mine", "Name": "one"})
    wait_for(lambda: receiver.messages)
    message = receiver.messages[0]
    job = running.client.succeeded(job_id)
    assert message.headers["Content-Type"] == "application/json; charset=utf-8"
    assert message.event == {
        "EventType": "SnapshotComplete",
        "UserId": int(running.account_id),
        "EventTime": job["FinishTime"],
        "MessageBody": {
            "JobId": job_id,
            "Status": "Success",
            "Type": "Normal",
            "Count": 2,
            "Name": "one",
            "UserData": "mine",
            "TemplateId": job["TemplateId"],
            "PipelineId": job["PipelineId"],
            "Input": job["Input"],
            "Output": job["Output"] | {"Media": "oss://local/out/{Count}.jpg"},
            "SnapshotInfos": [
                {
                    "JobId": job_id,
                    "Status": "Success",
                    "SnapshotType": "Normal",
                    "SnapshotCount": 2,
                    "SnapshotRegular": "out/{Count}.jpg",
                }
            ],
        },
    }
    wait_for(lambda: waiting(running) == 0)
    assert len(receiver.messages) == 1
