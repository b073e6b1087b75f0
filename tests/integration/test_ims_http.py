"""The API's face over real HTTP: what callers send, and what they get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from ims_server import DEADLINE_S, GOOD, ImsServer, serving
from ims_signer import Acs3, RpcV1, Signed
from stillframe.errors import ConfigError, NotSupported, SinkError, Throttled, Unavailable
from stillframe.ims.action import Action, Context
from stillframe.service.errors import ApiError

PLACE = '{"Type":"OSS","Media":"oss://local/movie.mp4"}'
OUTPUT = '{"Type":"OSS","Media":"oss://local/a b/é-{Count}.jpg"}'
TEMPLATE = '{"TemplateId":"S00000002-000012","OverwriteParams":{"Count":5}}'
SUBMIT = {"Input": PLACE, "Output": OUTPUT, "TemplateConfig": TEMPLATE}
V1 = RpcV1("testAK", "testSecret")
BOTH = pytest.mark.parametrize("signer", [GOOD, V1], ids=["acs3", "v1"])


@pytest.fixture(scope="module")
def running() -> Iterator[ImsServer]:
    with serving(is_unavailable=lambda error: isinstance(error, ConnectionError)) as server:
        yield server


@pytest.fixture
def server(running: ImsServer) -> ImsServer:
    running.jobs.clear()
    running.served.clear()
    running.clock_ahead = timedelta()
    return running


def submitted(server: ImsServer, **parameters: str) -> str:
    job_id = server.call("SubmitSnapshotJob", **(SUBMIT | parameters))["JobId"]
    assert isinstance(job_id, str)
    return job_id


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code; the answer has all that an error has to have."""
    body = answer.json()
    assert {*body} >= {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", body["RequestId"])
    assert body["RequestId"] == answer.headers["x-acs-request-id"]
    return answer.status_code, body["Code"]


# the actions


@BOTH
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("where", ["query", "form", "both"])
def test_a_job_from_its_submit_to_its_end(
    server: ImsServer, signer: Acs3 | RpcV1, method: str, where: str
) -> None:
    pairs = [*SUBMIT.items(), ("Name", "a+b *~é"), ("UserData", '{"a":"b c"}')]
    half = len(pairs) * ["form", "both", "query"].index(where) // 2
    signed = signer.sign(method, server.host, "SubmitSnapshotJob", pairs[:half], form=pairs[half:])
    answer = server.send(signed)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    job_id = answer.json()["JobId"]

    job = server.call("GetSnapshotJob", signer, JobId=job_id)["SnapshotJob"]
    assert (job["Name"], job["UserData"], job["Status"]) == ("a+b *~é", '{"a":"b c"}', "Init")
    assert server.call("CancelSnapshotJob", signer, JobId=job_id)["Success"] is True
    job = server.call("GetSnapshotJob", signer, JobId=job_id)["SnapshotJob"]
    assert (job["Status"], job["Code"]) == ("Fail", "OperationCanceled")
    assert server.call("RetrySnapshotJob", signer, JobId=job_id)["Success"] is True
    assert server.call("GetSnapshotJob", signer, JobId=job_id)["SnapshotJob"]["Status"] == "Init"
    assert server.call("DeleteSnapshotJob", signer, JobId=job_id, Outputs="True")["Success"] is True
    assert server.jobs.deleted == [(job_id, True)]
    assert server.call("GetSnapshotJob", signer, JobId=job_id)["Code"] == "ResourceNotFound"


def test_all_that_a_submit_says_reaches_the_service(server: ImsServer) -> None:
    template = {
        "TemplateId": "tid",
        "OverwriteParams": {"Type": "Sprite", "SpriteSnapshotConfig": {"Lines": 2}},
    }
    submitted(
        server,
        TemplateConfig=json.dumps(template),
        ScheduleConfig='{"PipelineId":"pid","Priority":9}',
        Extensions='{"KeyframeMiss":"skip"}',
        ClientToken="token",
        Name="n",
        UserData="u",
    )
    (request,) = server.jobs.submitted
    assert (request.input_type, request.input_media) == ("OSS", "oss://local/movie.mp4")
    assert (request.output_type, request.output_media) == ("OSS", "oss://local/a b/é-{Count}.jpg")
    assert (request.template_id, request.overwrite) == ("tid", template["OverwriteParams"])
    assert (request.pipeline_id, request.priority) == ("pid", 9)
    assert request.extensions == {"KeyframeMiss": "skip"}
    assert (request.client_token, request.name, request.user_data) == ("token", "n", "u")
    assert request.trigger_source == "API"


def test_all_that_is_known_of_a_job(server: ImsServer) -> None:
    job_id = submitted(server, Name="n", UserData="u", ScheduleConfig='{"PipelineId":"pid"}')
    key = ("1001", job_id)
    job = server.jobs.jobs[key]
    server.jobs.jobs[key] = replace(
        job,
        status="Success",
        count=3,
        finish_time=job.create_time + timedelta(seconds=2),
        progress=100,
        report={"shots": [{"reason": None}]},
    )
    answer = server.call("GetSnapshotJob", JobId=job_id)
    time = job.create_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    finish_time = (job.create_time + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    template_config = json.loads(answer["SnapshotJob"].pop("TemplateConfig"))
    assert (template_config["Type"], template_config["Count"]) == ("Normal", 5)
    assert answer["SnapshotJob"] == {
        "Async": True,
        "Count": 3,
        "CreateTime": time,
        "FinishTime": finish_time,
        "Input": {
            "Media": "oss://local/movie.mp4",
            "OssFile": {"Bucket": "local", "Location": "oss-cn-shanghai", "Object": "movie.mp4"},
            "Type": "OSS",
        },
        "JobId": job_id,
        "ModifiedTime": time,
        "Name": "n",
        "Output": {
            "Media": "http://local.oss-cn-shanghai.aliyuncs.com/a%20b/%C3%A9-{Count}.jpg",
            "OssFile": {"Bucket": "local", "Location": "oss-cn-shanghai", "Object": "a b/é-{Count}.jpg"},
            "Type": "OSS",
        },
        "PipelineId": "pid",
        "Progress": 100,
        "Report": {"shots": [{"reason": None}]},
        "Status": "Success",
        "SubmitTime": time,
        "TemplateId": "S00000002-000012",
        "TriggerSource": "API",
        "Type": "Normal",
        "UserData": "u",
    }


def test_a_list_page_by_page(server: ImsServer) -> None:
    jobs = [submitted(server, Name=str(number)) for number in range(5)]
    first = server.call("ListSnapshotJobs", PageSize="2", OrderBy="CreateTimeAsc", Status="Init")
    token = first["NextPageToken"]
    second = server.call("ListSnapshotJobs", PageSize="2", OrderBy="CreateTimeAsc", NextPageToken=token)
    token = second["NextPageToken"]
    third = server.call("ListSnapshotJobs", PageSize="2", OrderBy="CreateTimeAsc", NextPageToken=token)
    assert [job["JobId"] for page in (first, second, third) for job in page["Jobs"]] == jobs
    assert "NextPageToken" not in third
    assert {*first["Jobs"][0]} == {
        "Async", "CreateTime", "Input", "JobId", "ModifiedTime", "Name", "Output", "PipelineId",
        "Status", "SubmitTime", "TemplateId", "TriggerSource", "Type",
    }  # fmt: skip
    assert {*first["Jobs"][0]["Output"]} == {"Type", "Media"}
    assert server.jobs.listed[0].status == "Init"
    newest = server.call("ListSnapshotJobs")["Jobs"][0]
    assert newest["Name"] == "4"


def test_urls_page_by_page(server: ImsServer) -> None:
    job_id = submitted(server, TemplateConfig='{"TemplateId":"x","OverwriteParams":{"Type":"WebVtt"}}')
    server.jobs.jobs["1001", job_id] = replace(server.jobs.jobs["1001", job_id], count=3)
    answer = server.call(
        "GetSnapshotUrls", JobId=job_id, PageSize="2", PageNumber="2", OrderBy="Desc", Timeout="60"
    )
    assert answer["SnapshotUrls"] == ["http://files/00001.jpg"]
    assert (answer["Total"], answer["WebVTTUrl"]) == (3, "http://files/x.vtt")
    assert server.jobs.asked_urls[0].timeout_s == 60
    assert server.call("GetSnapshotUrls", JobId=job_id)["SnapshotUrls"][0] == "http://files/00001.jpg"


def test_answers_as_xml_when_asked(server: ImsServer) -> None:
    job_id = submitted(server)
    pairs = [("JobId", job_id), ("Format", "XML")]
    answer = server.send(GOOD.sign("POST", server.host, "GetSnapshotJob", pairs))
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    assert f"<JobId>{job_id}</JobId>" in answer.text
    assert "<Async>true</Async>" in answer.text
    answer = server.send(
        V1.sign("POST", server.host, "GetSnapshotJob", [("JobId", "no")], more={"Format": "XML"})
    )
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    assert "<Code>ResourceNotFound</Code>" in answer.text


def test_another_account_sees_nothing(server: ImsServer) -> None:
    job_id = submitted(server)
    other = Acs3("otherAK", "otherSecret")
    for action in (
        "GetSnapshotJob",
        "GetSnapshotUrls",
        "CancelSnapshotJob",
        "RetrySnapshotJob",
        "DeleteSnapshotJob",
    ):
        assert server.call(action, other, JobId=job_id)["Code"] == "ResourceNotFound"
    assert server.call("ListSnapshotJobs", other)["Jobs"] == []


# who may not


def change(signed: Signed, **parts: Any) -> Signed:
    return replace(signed, **parts)


@BOTH
@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [
        ("testAK", "wrong", (400, "SignatureDoesNotMatch")),
        ("nobody", "testSecret", (404, "InvalidAccessKeyId.NotFound")),
        ("oldAK", "oldSecret", (400, "InvalidAccessKeyId.Inactive")),
        ("STS.testAK", "testSecret", (400, "MissingSecurityToken")),
    ],
)
def test_keys(
    server: ImsServer, signer: Acs3 | RpcV1, key: str, secret: str, expected: tuple[int, str]
) -> None:
    wrong = replace(signer, key=key, secret=secret)
    assert refused(server.send(wrong.sign("POST", server.host, "ListSnapshotJobs"))) == expected
    assert server.jobs.listed == []


@BOTH
@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok/en+==", None),
        ("expired", "InvalidSecurityToken.Expired"),
        ("foreign", "InvalidSecurityToken.MismatchWithAccessKey"),
        ("anything", "InvalidSecurityToken.Malformed"),
    ],
)
def test_tokens(server: ImsServer, signer: Acs3 | RpcV1, token: str, code: str | None) -> None:
    signer = replace(signer, key="STS.testAK")
    answer = server.send(signer.sign("POST", server.host, "ListSnapshotJobs", token=token))
    assert answer.status_code == 200 if code is None else refused(answer) == (400, code)


@BOTH
@pytest.mark.parametrize("minutes", [-16, 16])
def test_clocks(server: ImsServer, signer: Acs3 | RpcV1, minutes: int) -> None:
    signed = signer.sign("POST", server.host, "ListSnapshotJobs")
    server.clock_ahead = timedelta(minutes=minutes)
    assert refused(server.send(signed)) == (400, "InvalidTimeStamp.Expired")
    server.clock_ahead = timedelta(minutes=minutes - minutes // 8)
    assert server.send(signed).status_code == 200


@BOTH
def test_a_request_that_is_sent_again(server: ImsServer, signer: Acs3 | RpcV1) -> None:
    signed = signer.sign("POST", server.host, "SubmitSnapshotJob", [*SUBMIT.items()])
    assert server.send(signed).status_code == 200
    assert refused(server.send(signed)) == (400, "SignatureNonceUsed")
    assert len(server.jobs.submitted) == 1


def test_a_request_that_is_sent_eight_times_at_once(server: ImsServer) -> None:
    signed = GOOD.sign("POST", server.host, "SubmitSnapshotJob", [*SUBMIT.items()])
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(answer.status_code for answer in pool.map(server.send, [signed] * 8))
    assert codes == [200] + [400] * 7
    assert len(server.jobs.submitted) == 1


@BOTH
def test_what_was_changed_on_the_way(server: ImsServer, signer: Acs3 | RpcV1) -> None:
    signed = signer.sign("POST", server.host, "SubmitSnapshotJob", [*SUBMIT.items()], form=[("Name", "n")])
    changed = [
        change(signed, body=b"Name=m"),
        change(signed, body=b""),
        change(signed, query=signed.query.replace("movie.mp4", "other.mp4")),
        change(signed, query=f"{signed.query}&UserData=x"),
        change(signed, method="GET"),
    ]
    if signer is GOOD:
        changed += [
            change(signed, headers=signed.headers | {"x-acs-action": "DeleteSnapshotJob"}),
            change(signed, headers=signed.headers | {"host": "somewhere.else"}),
            change(signed, headers=signed.headers | {"x-acs-content-sha256": "0" * 64}),
        ]
    for one in changed:
        assert refused(server.send(one)) == (400, "SignatureDoesNotMatch")
    assert server.jobs.submitted == []
    # none of them has burned the nonce
    assert server.send(signed).status_code == 200


@BOTH
def test_parameters_that_come_twice(server: ImsServer, signer: Acs3 | RpcV1) -> None:
    twice = [("JobId", "a"), ("JobId", "b")]
    for signed in (
        signer.sign("POST", server.host, "GetSnapshotJob", twice),
        signer.sign("POST", server.host, "GetSnapshotJob", twice[:1], form=twice[1:]),
    ):
        answer = server.send(signed)
        assert refused(answer) == (400, "InvalidParameter")
        assert '"JobId"' in answer.json()["Message"]


def plain(server: ImsServer, method: str, target: str, **options: Any) -> httpx.Response:
    return server.client.request(method, f"http://{server.host}{target}", **options)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", (400, "MissingAction")),
        ("GET", "/?Action=GetSnapshotJob", (400, "MissingVersion")),
        ("GET", "/?Action=GetSnapshotJob&Version=1", (400, "InvalidVersion")),
        ("GET", "/?Action=No&Version=2020-11-09", (404, "InvalidAction.NotFound")),
        ("GET", "/?Action=GetSnapshotJob&Version=2020-11-09", (400, "MissingAccessKeyId")),
        ("GET", "/?Format=yaml", (400, "InvalidParameter")),
        ("GET", "/?Name=%ff", (400, "InvalidParameter")),
        ("GET", "/other", (404, "InvalidAction.NotFound")),
        ("POST", "/..%2f..%2fetc", (404, "InvalidAction.NotFound")),
        ("PUT", "/", (400, "UnsupportedHTTPMethod")),
        ("DELETE", "/?Action=GetSnapshotJob", (400, "UnsupportedHTTPMethod")),
        ("OPTIONS", "/", (400, "UnsupportedHTTPMethod")),
    ],
)
def test_requests_that_are_none(
    server: ImsServer, method: str, target: str, expected: tuple[int, str]
) -> None:
    answer = plain(server, method, target)
    assert refused(answer) == expected
    assert answer.headers.get("allow") == ("GET, POST" if expected[1] == "UnsupportedHTTPMethod" else None)


def test_head_has_a_status_and_no_body(server: ImsServer) -> None:
    answer = plain(server, "HEAD", "/")
    assert (answer.status_code, answer.content) == (400, b"")


# the order of the checks


def no(context: Context, action: Action) -> None:
    detail = {"AuthAction": action.permission, "AuthPrincipalDisplayName": context.caller.principal.user_name}
    raise ApiError("NoPermission", details={"AccessDeniedDetail": detail})


def slow_down(context: Context, action: Action) -> None:
    raise Throttled(2500)


def test_a_check_before_the_action() -> None:
    with serving(authorize=no, throttle=slow_down) as server:
        answer = server.send(GOOD.sign("POST", server.host, "GetSnapshotJob", [("Wrong", "x")]))
        # may it? comes before how often, and both before what
        assert refused(answer) == (403, "NoPermission")
        assert answer.json()["AccessDeniedDetail"] == {
            "AuthAction": "ice:GetSnapshotJob",
            "AuthPrincipalDisplayName": "alice",
        }
        wrong = replace(GOOD, secret="wrong")
        answer = server.send(wrong.sign("POST", server.host, "GetSnapshotJob"))
        assert refused(answer) == (400, "SignatureDoesNotMatch")
        answer = server.send(wrong.sign("POST", server.host, "NoSuchAction"))
        assert refused(answer) == (404, "InvalidAction.NotFound")


def test_a_throttled_caller() -> None:
    with serving(throttle=slow_down) as server:
        answer = server.send(GOOD.sign("POST", server.host, "GetSnapshotJob"))
        assert refused(answer) == (400, "Throttling.User")
        assert (answer.headers["x-acs-retry-after"], answer.headers["retry-after"]) == ("2500", "3")


# what the service says


@pytest.mark.parametrize(
    ("fault", "expected", "text"),
    [
        (ConfigError("Count", 0, "1 or more"), (400, "InvalidParameter"), '"Count" is not valid. It is 0,'),
        (NotSupported("Output.Type", "Media", "OSS"), (400, "InvalidParameter.NotSupport"), '"Output.Type"'),
        (SinkError("oss://b/k", "the disk is full"), (403, "OperationDenied"), "oss://b/k: the disk is full"),
        (Unavailable("database"), (503, "ServiceUnavailable"), "The database cannot be reached"),
        (ConnectionResetError("10.0.0.7"), (503, "ServiceUnavailable"), "a temporary failure"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_faults(server: ImsServer, fault: Exception, expected: tuple[int, str], text: str) -> None:
    server.jobs.fault = fault
    answer = server.send(GOOD.sign("POST", server.host, "ListSnapshotJobs"))
    assert refused(answer) == expected
    assert text in answer.json()["Message"]
    assert "10.0.0.7" not in answer.text
    # and the next request is served
    assert server.call("ListSnapshotJobs")["Jobs"] == []


def test_what_nobody_foresaw_is_logged_and_not_told(server: ImsServer) -> None:
    server.jobs.fault = RuntimeError("a secret of ours")
    with capture_logs([merge_contextvars]) as logs:
        answer = server.send(GOOD.sign("POST", server.host, "ListSnapshotJobs"))
    assert refused(answer) == (500, "InternalError")
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    failed, request = logs
    assert (failed["event"], failed["log_level"], failed["code"]) == (
        "request failed",
        "error",
        "InternalError",
    )
    assert failed["exc_info"] is True
    assert (request["event"], request["code"], request["status"]) == ("request", "InternalError", 500)
    assert failed["request_id"] == request["request_id"] == answer.json()["RequestId"]


def test_every_request_is_logged_and_counted(server: ImsServer) -> None:
    with capture_logs([merge_contextvars]) as logs:
        submitted(server)
        plain(server, "GET", "/other")
        server.send(replace(GOOD, secret="wrong").sign("POST", server.host, "GetSnapshotJob"))
    assert [(one["code"], one["status"]) for one in logs] == [
        ("OK", 200),
        ("InvalidAction.NotFound", 404),
        ("SignatureDoesNotMatch", 400),
    ]
    assert [(one.action, one.code) for one in server.served] == [
        ("SubmitSnapshotJob", "OK"),
        (None, "InvalidAction.NotFound"),
        ("GetSnapshotJob", "SignatureDoesNotMatch"),
    ]
    assert all(0 <= one.seconds < DEADLINE_S for one in server.served)
    assert "testSecret" not in repr(logs)
