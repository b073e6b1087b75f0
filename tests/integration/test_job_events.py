"""Events to a real receiver, from jobs that really end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from receiver import Receiver, receiving
from service_client import Refused, Service, service, wait_for
from stillframe.events import delivery
from stillframe.testing import videos

AUTH_KEY = "TestKey001"


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("events") / "data"
    # who writes an event is to wake who delivers it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "_POLL_S", 3600.0)
        yield from _running(module_database_url, folder)


def _running(url: URL, folder: Path) -> Iterator[Service]:
    with service(url, folder, callback_allow_networks="127.0.0.1") as made:
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


def test_an_asset_is_told_of_from_its_first_day_to_its_last(running: Service, receiver: Receiver) -> None:
    listen(running, receiver, EventTypeList="RegisterMediaComplete,DeleteMediaComplete")
    (running.folder / "asset.mp4").write_bytes((running.folder / "movie.mp4").read_bytes())
    media_id = running.client.register(
        "oss://local/asset.mp4", RegisterConfig={"NeedSprite": False}, UserData="mine", ReferenceId="ref-01"
    )
    told = {
        "Status": "Success",
        "MediaId": media_id,
        "MediaType": "video",
        "InputURL": "oss://local/asset.mp4",
        "ReferenceId": "ref-01",
        "UserData": "mine",
    }
    wait_for(lambda: receiver.messages)
    assert running.client.asset(media_id)["Status"] == "Normal"
    assert (receiver.messages[0].event["EventType"], receiver.messages[0].told) == (
        "RegisterMediaComplete",
        told,
    )
    running.client.call("DeleteMediaInfos", MediaIds=media_id)
    wait_for(lambda: len(receiver.messages) == 2)
    assert receiver.messages[1].event["EventType"] == "DeleteMediaComplete"
    assert receiver.messages[1].told == told | {"DeleteType": "all"}
    wait_for(lambda: waiting(running) == 0)


def test_an_asset_that_cannot_be_understood_is_told_of(running: Service, receiver: Receiver) -> None:
    listen(running, receiver, EventTypeList="RegisterMediaComplete")
    media_id = running.client.register("oss://local/missing.mp4")
    wait_for(lambda: receiver.messages)
    told, found = receiver.messages[0].told, running.client.asset(media_id)
    assert (told["MediaId"], told["Status"], found["Status"]) == (media_id, "Fail", "PrepareFail")
    assert (told["Code"], told["Message"]) == (found["Code"], found["Message"])
    running.client.call("DeleteMediaInfos", MediaIds=media_id)


def test_a_job_for_an_asset_names_it(running: Service, receiver: Receiver) -> None:
    listen(running, receiver)
    (running.folder / "asset.mp4").write_bytes((running.folder / "movie.mp4").read_bytes())
    media_id = running.client.register("oss://local/asset.mp4", RegisterConfig={"NeedSprite": False})
    wait_for(lambda: receiver.messages)
    told = receiver.messages[0].told
    assert (told["MediaId"], told["Output"]["Type"], told["Output"]["Media"]) == (media_id, "Media", media_id)
    running.client.call("DeleteMediaInfos", MediaIds=media_id, DeletePhysicalFiles=True)


def test_a_job_that_fails_is_told_of(running: Service, receiver: Receiver) -> None:
    listen(running, receiver, EventTypeList="ALL")
    job_id = running.client.submit("oss://local/missing.mp4")
    wait_for(lambda: receiver.messages)
    told, job = receiver.messages[0].told, running.client.ended(job_id)
    assert (told["JobId"], told["Status"], told["Count"]) == (job_id, "Fail", 0)
    assert (told["Code"], told["Message"]) == (job["Code"], job["Message"])
    assert told["Code"] == "ResourceNotFound"


def test_a_job_that_loses_moments_is_told_of_once(running: Service, receiver: Receiver) -> None:
    """It has a report, and pictures: the count is the report's."""
    listen(running, receiver)
    whole = (running.folder / "movie.mp4").read_bytes()
    (running.folder / "short.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    job_id = running.client.submit(
        "oss://local/short.mp4", "oss://local/short/{Count}.jpg", Count=10, FrameType="normal"
    )
    wait_for(lambda: receiver.messages)
    job = running.client.ended(job_id)
    told = receiver.messages[0].told
    assert (told["Status"], told["Code"], told["Count"]) == (job["Status"], job["Code"], job["Count"])
    wait_for(lambda: waiting(running) == 0)
    assert len(receiver.messages) == 1


def test_a_cancelled_job_is_told_of_and_its_new_life_too(running: Service, receiver: Receiver) -> None:
    listen(running, receiver)
    pipeline_id = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
    running.client.call("UpdatePipeline", PipelineId=pipeline_id, Status="Paused")
    job_id = running.client.submit(Count=1)
    running.client.call("CancelSnapshotJob", JobId=job_id)
    wait_for(lambda: receiver.messages)
    told = receiver.messages[0].told
    assert (told["JobId"], told["Status"], told["Code"]) == (job_id, "Fail", "OperationCanceled")
    running.client.call("UpdatePipeline", PipelineId=pipeline_id, Status="Active")
    running.client.call("RetrySnapshotJob", JobId=job_id)
    running.client.succeeded(job_id)
    wait_for(lambda: len(receiver.messages) == 2)
    assert (receiver.messages[1].told["JobId"], receiver.messages[1].told["Status"]) == (job_id, "Success")


def test_what_belongs_to_another_account_is_told_to_that(running: Service, receiver: Receiver) -> None:
    listen(running, receiver)
    with running.account("another") as (account_id, client), receiving() as its:
        assert client.call("GetEventCallback").keys() == {"RequestId"}
        bucket = running.bucket("its", account_id)
        (bucket / "movie.mp4").write_bytes((running.folder / "movie.mp4").read_bytes())
        unheard = client.submit("oss://its/movie.mp4", "oss://its/a/{Count}.jpg", Count=1)
        client.succeeded(unheard)
        client.call("SetEventCallback", CallbackURL=its.url, EventTypeList="ALL")
        job_id = client.submit("oss://its/movie.mp4", "oss://its/b/{Count}.jpg", Count=1)
        client.succeeded(job_id)
        wait_for(lambda: its.messages)
        assert [message.told["JobId"] for message in its.messages] == [job_id]
        assert its.messages[0].event["UserId"] == int(account_id)
    assert receiver.messages == []


def test_a_callback_is_what_was_set_until_it_is_taken_back(running: Service, receiver: Receiver) -> None:
    secret = f"whsec_{'A' * 32}"
    listen(
        running,
        receiver,
        EventTypeList="SnapshotComplete, TranscodeComplete",
        AuthSwitch="on",
        AuthKey=AUTH_KEY,
        WebhookSecret=secret,
    )
    found = running.client.call("GetEventCallback")
    del found["RequestId"]
    assert found == {
        "CallbackType": "HTTP",
        "CallbackURL": receiver.url,
        "EventTypeList": "SnapshotComplete,TranscodeComplete",
        "AuthSwitch": "on",
        "AuthKey": AUTH_KEY,
        "WebhookSecret": secret,
    }
    running.client.call("SetEventCallback", CallbackType="HTTP", CallbackURL=receiver.url, EventTypeList="")
    assert running.client.call("GetEventCallback").keys() == {"RequestId"}
    running.client.succeeded(running.client.submit(Count=1))
    assert waiting(running) == 0
    assert receiver.messages == []


@pytest.mark.parametrize(
    ("wrong", "code", "named"),
    [
        (
            {"CallbackType": "MNS", "CallbackQueueName": "ice-callback-q"},
            "InvalidParameter.NotSupport",
            "CallbackType",
        ),
        ({"CallbackQueueName": "ice-callback-q"}, "InvalidParameter.NotSupport", "CallbackQueueName"),
        ({"CallbackType": "SMTP"}, "InvalidParameter", "CallbackType"),
        ({"CallbackURL": ""}, "InvalidParameter", "CallbackURL"),
        ({"CallbackURL": "ftp://example.com/"}, "InvalidParameter", "CallbackURL"),
        ({"CallbackURL": "http://10.0.0.1/"}, "InvalidParameter", "CallbackURL"),
        ({"CallbackURL": "http://example.com/" + "a" * 256}, "InvalidParameter", "CallbackURL"),
        ({"EventTypeList": "SnapshotCompleted"}, "InvalidParameter", "did you mean SnapshotComplete"),
        ({"AuthSwitch": "yes"}, "InvalidParameter", "AuthSwitch"),
        ({"AuthSwitch": "on"}, "InvalidParameter", "AuthKey"),
        ({"AuthKey": "alllowercase1"}, "InvalidParameter", "AuthKey"),
        ({"AuthKey": "NoDigitsHere"}, "InvalidParameter", "AuthKey"),
        ({"AuthKey": "TestKey001" * 4}, "InvalidParameter", "AuthKey"),
        ({"WebhookSecret": "whsec_c2hvcnQ="}, "InvalidParameter", "WebhookSecret"),
        ({"WebhookSecret": "whsec_" + "c2hvcnQx" * 20}, "InvalidParameter", "WebhookSecret"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_is_not_right_changes_nothing(
    running: Service, receiver: Receiver, wrong: dict[str, str], code: str, named: str
) -> None:
    listen(running, receiver)
    before = running.client.call("GetEventCallback")
    with pytest.raises(Refused) as caught:
        listen(running, receiver, **wrong)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert named in caught.value.message
    for secret in ("AuthKey", "WebhookSecret"):
        assert wrong.get(secret, "whsec_")[:20] not in caught.value.message.replace("whsec_ and", "")
    assert running.client.call("GetEventCallback") | {"RequestId": ""} == before | {"RequestId": ""}
