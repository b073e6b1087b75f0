"""The official SDKs against the API's face, each with the signature that it uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdk_process import SdkError, SdkProcess

from ims_server import ImsServer, serving
from stillframe.errors import ConfigError, Throttled
from stillframe.ims.action import Action, Context

PLACE = {"Type": "OSS", "Media": "oss://local/movie.mp4"}
KINDS = {
    "Normal": {"Media": "oss://local/thumbs/{Count}.jpg"},
    "Sprite": {"Media": "oss://local/thumbs/{TileCount}.jpg"},
    "WebVtt": {"Media": "oss://local/thumbs/x.vtt"},
}
#: which SDK, and the settings with which it signs in another way
SDKS: dict[str, tuple[str, dict[str, str]]] = {
    "ice 6, ACS3": ("ice6", {}),
    "ice 6, V1": ("ice6", {"signature_algorithm": "v2"}),
    "ice 1.3.11, V1": ("ice1", {}),
    "core, V1": ("core", {}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ImsServer]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, server: ImsServer) -> Iterator[SdkProcess]:
    name, options = SDKS[request.param]
    with SdkProcess(name, endpoint=server.host, **options) as process:
        yield process


@pytest.fixture(autouse=True)
def _nothing_there_yet(server: ImsServer) -> None:
    server.jobs.clear()
    server.clock_ahead = timedelta()


def submit(sdk: SdkProcess, **parameters: Any) -> str:
    parameters = {
        "Input": PLACE,
        "Output": PLACE,
        "TemplateConfig": {"TemplateId": "S00000002-000012"},
        **parameters,
    }
    job_id = sdk.call("SubmitSnapshotJob", **parameters)["JobId"]
    assert isinstance(job_id, str)
    return job_id


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_of_each_kind(sdk: SdkProcess, server: ImsServer, kind: str) -> None:
    overwrite = {
        "Type": kind,
        "FrameType": "normal",
        "Count": 5,
        "Time": 1000,
        "IsSptFrag": True,
        "SpriteSnapshotConfig": {"Color": "#000000", "Columns": 3, "Lines": 2},
    }
    job_id = submit(
        sdk,
        Output=PLACE | KINDS[kind],
        TemplateConfig={"TemplateId": "S00000002-000012", "OverwriteParams": overwrite},
        ScheduleConfig={"PipelineId": "pid"},
        Name="Sample Job é +*~",
        UserData='{"a":"b c"}',
    )
    (request,) = server.jobs.submitted
    assert request.overwrite == overwrite
    assert (request.output_media, request.pipeline_id) == (KINDS[kind]["Media"], "pid")

    job = sdk.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
    assert (job["Name"], job["UserData"], job["Type"]) == ("Sample Job é +*~", '{"a":"b c"}', kind)
    assert (job["Async"], job["Status"], job["TriggerSource"]) == (True, "Init", "API")
    assert json.loads(job["TemplateConfig"])["Count"] == 5
    assert job["Output"]["OssFile"]["Bucket"] == "local"

    key = ("1001", job_id)
    server.jobs.jobs[key] = replace(server.jobs.jobs[key], status="Success", count=5)
    urls = sdk.call("GetSnapshotUrls", JobId=job_id, PageNumber=2, PageSize=3, OrderBy="Asc", Timeout=3600)
    assert (urls["Total"], urls["SnapshotUrls"]) == (5, ["http://files/00004.jpg", "http://files/00005.jpg"])
    assert urls.get("WebVTTUrl") == ("http://files/x.vtt" if kind == "WebVtt" else None)


def test_a_list_page_by_page(sdk: SdkProcess) -> None:
    jobs = [submit(sdk, Name=str(number)) for number in range(3)]
    page = sdk.call("ListSnapshotJobs", PageSize=2, OrderBy="CreateTimeAsc", Status="Init")
    assert [job["JobId"] for job in page["Jobs"]] == jobs[:2]
    token = page["NextPageToken"]
    page = sdk.call("ListSnapshotJobs", PageSize=2, OrderBy="CreateTimeAsc", NextPageToken=token)
    assert [job["JobId"] for job in page["Jobs"]] == jobs[2:]
    assert not page.get("NextPageToken")


def test_what_ims_does_not_have(sdk: SdkProcess, server: ImsServer) -> None:
    extras = {"Extensions": '{"KeyframeMiss":"nearest"}', "ClientToken": "t-1"}
    parameters: dict[str, Any] = {"Input": PLACE, "Output": PLACE, "TemplateConfig": {"TemplateId": "x"}}
    job_id = sdk.call("SubmitSnapshotJob", order={"queries": extras}, **parameters)["JobId"]
    (request,) = server.jobs.submitted
    assert (request.extensions, request.client_token) == ({"KeyframeMiss": "nearest"}, "t-1")
    assert sdk.call("CancelSnapshotJob", JobId=job_id)["Success"] is True
    job = sdk.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
    assert (job["Status"], job["Code"]) == ("Fail", "OperationCanceled")
    assert sdk.call("RetrySnapshotJob", JobId=job_id)["Success"] is True
    assert sdk.call("DeleteSnapshotJob", JobId=job_id, Outputs="True")["Success"] is True
    assert server.jobs.deleted == [(job_id, True)]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
TRICKY = st.sampled_from(
    ["+", "*", "~", " ", "%", "%2B", "a+b *~", "é", "日本", "🎞", "&=", "-_.~", "/", '"', "\\", "\r\n"]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT | TRICKY, key=TRICKY, user_data=TEXT | TRICKY)
def test_any_text_arrives(sdk: SdkProcess, server: ImsServer, name: str, key: str, user_data: str) -> None:
    job_id = submit(sdk, Name=name, UserData=user_data, Output=PLACE | {"Media": f"oss://local/{key}"})
    request = server.jobs.submitted[-1]
    assert (request.name or "", request.user_data or "") == (name, user_data)
    assert request.output_media == f"oss://local/{key}"
    job = sdk.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
    assert (job.get("Name") or "", job.get("UserData") or "") == (name, user_data)


def told(
    sdk: SdkProcess, action: str, settings: dict[str, str] | None = None, **parameters: Any
) -> dict[str, Any]:
    with pytest.raises(SdkError) as caught:
        sdk.call(action, settings=settings, **parameters)
    return caught.value.told


def test_errors_as_the_user_of_the_sdk_sees_them(sdk: SdkProcess, server: ImsServer) -> None:
    assert told(sdk, "GetSnapshotJob")["code"] == "MissingParameter"
    unknown = told(sdk, "GetSnapshotJob", JobId="no")
    assert unknown["code"] == "ResourceNotFound"
    assert "There is no Job 'no'." in unknown["message"]
    assert told(sdk, "ListSnapshotJobs", PageSize=101)["code"] == "InvalidParameter"
    server.jobs.fault = ConfigError("Count", 0, "1 or more")
    assert "It is 0, but must be 1 or more." in told(sdk, "ListSnapshotJobs")["message"]
    server.jobs.fault = RuntimeError("secret")
    failed = told(sdk, "ListSnapshotJobs")
    assert failed["code"] == "InternalError"
    assert failed["type"] in ("ServerException", "TeaException")
    server.clock_ahead = timedelta(minutes=16)
    assert told(sdk, "ListSnapshotJobs")["code"] == "InvalidTimeStamp.Expired"


def test_a_wrong_secret(sdk: SdkProcess) -> None:
    wrong = told(sdk, "ListSnapshotJobs", settings={"access_key_secret": "wrong"})
    assert wrong["code"] == "SignatureDoesNotMatch"
    assert "our calculation. server " in wrong["message"]


def test_temporary_keys(sdk: SdkProcess) -> None:
    settings = {"access_key_id": "STS.testAK", "security_token": "tok/en+=="}
    assert sdk.call("ListSnapshotJobs", settings=settings)["Jobs"] == []
    settings = {"access_key_id": "STS.testAK", "security_token": "expired"}
    assert told(sdk, "ListSnapshotJobs", settings=settings)["code"] == "InvalidSecurityToken.Expired"


def slow_down(context: Context, action: Action) -> None:
    raise Throttled(2500)


def test_a_throttled_sdk_knows_when_to_come_again(sdk: SdkProcess) -> None:
    with serving(throttle=slow_down) as server:
        throttled = told(sdk, "ListSnapshotJobs", settings={"endpoint": server.host})
    assert throttled["code"] == "Throttling.User"
    assert "user flow control" in throttled["message"]
    # the newest SDK knows a header for it
    assert throttled.get("retry_after") in (2500, None)


@pytest.mark.parametrize("order", [{"method": "GET"}, {"where": "form"}])
def test_the_core_sdk_by_get_and_by_form(server: ImsServer, order: dict[str, str]) -> None:
    parameters = {"Input": PLACE, "Output": PLACE, "TemplateConfig": {"TemplateId": "x"}, "Name": "a+b é*~"}
    with SdkProcess("core", endpoint=server.host) as sdk:
        sdk.call("SubmitSnapshotJob", order=order, **parameters)
    assert server.jobs.submitted[0].name == "a+b é*~"
