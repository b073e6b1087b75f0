"""From parameters on the wire to values, and what is said of those that are wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.ims.registry import ACTIONS
from stillframe.service.errors import ApiError

PLACE = '{"Type":"OSS","Media":"oss://bucket/movie.mp4"}'
SUBMIT = {"Input": PLACE, "Output": PLACE, "TemplateConfig": '{"TemplateId":"S00000002-000010"}'}


def parse(action: str, **parameters: str) -> Any:
    return ACTIONS[action].parse(parameters)


def submit(**parameters: str) -> Any:
    return parse("SubmitSnapshotJob", **(SUBMIT | parameters))


def refusal(action: str, **parameters: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(action, **parameters)
    return caught.value


def test_all_of_submit() -> None:
    request = submit(
        Name="Sample Job é",
        UserData='{"a":"b c"}',
        ScheduleConfig='{"PipelineId":"pid","Priority":"7"}',
        TemplateConfig='{"TemplateId":"tid","OverwriteParams":{"Count":5,"IsSptFrag":true,"Width":"160"}}',
        Extensions='{"KeyframeMiss":"nearest"}',
        ClientToken="t-1",
    )
    assert (request.input.type, request.input.media) == ("OSS", "oss://bucket/movie.mp4")
    assert (request.name, request.user_data, request.client_token) == ("Sample Job é", '{"a":"b c"}', "t-1")
    assert (request.schedule_config.pipeline_id, request.schedule_config.priority) == ("pid", 7)
    assert request.template_config.template_id == "tid"
    # what lies below is the service's to understand, and comes to it as it was sent
    assert request.template_config.overwrite_params == {"Count": 5, "IsSptFrag": True, "Width": "160"}
    assert request.extensions == {"KeyframeMiss": "nearest"}


@pytest.mark.parametrize("empty", ["", "{}", '{"PipelineId":""}', '{"PipelineId":null,"Priority":null}'])
def test_what_is_empty_counts_as_absent(empty: str) -> None:
    request = submit(ScheduleConfig=empty, Name="", UserData="", Extensions="", ClientToken="")
    assert (request.name, request.user_data, request.extensions, request.client_token) == (None,) * 4
    assert request.schedule_config is None or request.schedule_config.pipeline_id is None


def test_defaults() -> None:
    jobs = parse("ListSnapshotJobs", PageSize="")
    assert (jobs.page_size, jobs.order_by, jobs.status, jobs.next_page_token) == (
        20,
        "CreateTimeDesc",
        None,
        None,
    )
    urls = parse("GetSnapshotUrls", JobId="j")
    assert (urls.page_number, urls.page_size, urls.timeout, urls.order_by) == (1, 10, 3600, "Asc")
    assert parse("DeleteSnapshotJob", JobId="j").outputs is False


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "tRuE"])
def test_booleans_in_any_case(word: str) -> None:
    assert parse("DeleteSnapshotJob", JobId="j", Outputs=word).outputs is True
    assert parse("DeleteSnapshotJob", JobId="j", Outputs="False").outputs is False


def test_times_are_utc() -> None:
    request = parse(
        "ListSnapshotJobs", StartOfCreateTime="2026-11-01T00:00:00Z", EndOfCreateTime="2026-11-01T00:00:00Z"
    )
    assert request.start_of_create_time == request.end_of_create_time == datetime(2026, 11, 1, tzinfo=UTC)


MISSING = [
    ("SubmitSnapshotJob", {"Output": PLACE, "TemplateConfig": SUBMIT["TemplateConfig"]}, "Input"),
    ("SubmitSnapshotJob", {"Input": PLACE, "TemplateConfig": SUBMIT["TemplateConfig"]}, "Output"),
    ("SubmitSnapshotJob", {"Input": PLACE, "Output": PLACE}, "TemplateConfig"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": ""}, "Input"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": "{}"}, "Input.Type"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"OSS"}'}, "Input.Media"),
    ("SubmitSnapshotJob", SUBMIT | {"Output": '{"Type":"OSS","Media":""}'}, "Output.Media"),
    ("SubmitSnapshotJob", SUBMIT | {"Output": '{"Type":null,"Media":"x"}'}, "Output.Type"),
    ("SubmitSnapshotJob", SUBMIT | {"TemplateConfig": "{}"}, "TemplateConfig.TemplateId"),
    ("SubmitSnapshotJob", SUBMIT | {"TemplateConfig": '{"TemplateId":""}'}, "TemplateConfig.TemplateId"),
    ("GetSnapshotJob", {}, "JobId"),
    ("GetSnapshotJob", {"JobId": ""}, "JobId"),
    ("GetSnapshotUrls", {}, "JobId"),
    ("CancelSnapshotJob", {}, "JobId"),
    ("RetrySnapshotJob", {}, "JobId"),
    ("DeleteSnapshotJob", {"Outputs": "true"}, "JobId"),
]


@pytest.mark.parametrize(("action", "parameters", "path"), MISSING)
def test_missing(action: str, parameters: dict[str, str], path: str) -> None:
    error = refusal(action, **parameters)
    assert (error.status, error.code) == (400, "MissingParameter")
    assert error.message == (
        f'The input parameter "{path}" that is mandatory for processing this request is not supplied.'
    )


A_JSON_PLACE = 'a JSON object such as {"Type":"OSS","Media":"oss://bucket/object"}'
WRONG = [
    ("SubmitSnapshotJob", SUBMIT | {"Name": "é" * 65}, "Name", "text of 128 bytes or less in UTF-8 (it has 130)"),
    ("SubmitSnapshotJob", SUBMIT | {"UserData": "x" * 1025}, "UserData", "text of 1024 bytes or less"),
    ("SubmitSnapshotJob", SUBMIT | {"UserData": "x" * 1_000_000}, "UserData", "(it has 1000000)"),
    ("SubmitSnapshotJob", SUBMIT | {"ClientToken": "x" * 65}, "ClientToken", "text of 64 bytes or less"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": "oss://bucket/movie.mp4"}, "Input", A_JSON_PLACE),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '"x"'}, "Input", A_JSON_PLACE),
    ("SubmitSnapshotJob", SUBMIT | {"Input": "[]"}, "Input", A_JSON_PLACE),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"OSS"'}, "Input", "line 1 column 13"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": "[" * 100_000}, "Input", "recursion limit"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"oss","Media":"x"}'}, "Input.Type", "one of OSS, Media"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":1,"Media":"x"}'}, "Input.Type", "one of OSS, Media"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"OSS","Media":5}'}, "Input.Media", "text of 4096 bytes"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"OSS","Media":"a\\u0000"}'}, "Input", "without NUL"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type":"OSS","Media":"\\ud800"}'}, "Input", A_JSON_PLACE),
    ("SubmitSnapshotJob", SUBMIT | {"Output": '{"Type":"OSS","Media":"x","Url":"y"}'}, "Output.Url", "left out"),
    ("SubmitSnapshotJob", SUBMIT | {"ScheduleConfig": '{"Priority":0}'}, "ScheduleConfig.Priority", "from 1 to 10"),
    ("SubmitSnapshotJob", SUBMIT | {"ScheduleConfig": '{"Priority":true}'}, "ScheduleConfig.Priority", "from 1 to 10"),
    ("SubmitSnapshotJob", SUBMIT | {"ScheduleConfig": '{"Pipeline":"p"}'}, "ScheduleConfig.Pipeline", "PipelineId?"),
    ("SubmitSnapshotJob", SUBMIT | {"Extensions": "5"}, "Extensions", "a JSON object"),
    ("SubmitSnapshotJob", SUBMIT | {"Extensions": '{"a":NaN}'}, "Extensions", "a JSON object"),
    ("SubmitSnapshotJob", SUBMIT | {"Extensions": '{"a":["\\u0000"]}'}, "Extensions", "without NUL"),
    ("SubmitSnapshotJob", SUBMIT | {"TemplateConfig": '{"TemplateId":"x","OverwriteParams":[1]}'},
     "TemplateConfig.OverwriteParams", "a JSON object"),
    ("SubmitSnapshotJob", SUBMIT | {"Input.Type": "OSS"}, "Input.Type", "left out: there is no such parameter"),
    ("SubmitSnapshotJob", SUBMIT | {"userdata": ""}, "userdata", "(did you mean UserData?)"),
    ("SubmitSnapshotJob", SUBMIT | {"TemplateId": "x"}, "TemplateId", "(did you mean TemplateConfig.TemplateId?)"),
    ("SubmitSnapshotJob", SUBMIT | {"Input": '{"type":"OSS","Media":"x"}'}, "Input.type", "(did you mean Input.Type?)"),
    # a name that is misspelt is told as such, and not as one that is missing
    ("GetSnapshotJob", {"JobID": "x"}, "JobID", "(did you mean JobId?)"),
    ("GetSnapshotJob", {"JobId": "x" * 201}, "JobId", "text of 200 bytes or less"),
    ("ListSnapshotJobs", {"PageSize": "0"}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"PageSize": "101"}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"PageSize": "1.0"}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"PageSize": "1_0"}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"PageSize": "٣"}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"PageSize": "9" * 5000}, "PageSize", "a whole number from 1 to 100"),
    ("ListSnapshotJobs", {"Status": "Finished"}, "Status", "one of Init, Success, Fail"),
    ("ListSnapshotJobs", {"OrderBy": "Asc"}, "OrderBy", "one of CreateTimeDesc, CreateTimeAsc"),
    ("ListSnapshotJobs", {"StartOfCreateTime": "2026-11-01"}, "StartOfCreateTime", "a time in UTC such as"),
    ("ListSnapshotJobs", {"EndOfCreateTime": "2026-02-30T00:00:00Z"}, "EndOfCreateTime", "a time in UTC such as"),
    ("ListSnapshotJobs", {"StartOfCreateTime": "2026-11-02T00:00:00Z", "EndOfCreateTime": "2026-11-01T00:00:00Z"},
     "EndOfCreateTime", "StartOfCreateTime or later"),
    ("GetSnapshotUrls", {"JobId": "j", "PageSize": "31"}, "PageSize", "a whole number from 1 to 30"),
    ("GetSnapshotUrls", {"JobId": "j", "PageNumber": "0"}, "PageNumber", "a whole number from 1 to 1000000"),
    ("GetSnapshotUrls", {"JobId": "j", "PageNumber": "-1"}, "PageNumber", "a whole number from 1 to 1000000"),
    ("GetSnapshotUrls", {"JobId": "j", "Timeout": "129601"}, "Timeout", "a whole number from 1 to 129600"),
    ("GetSnapshotUrls", {"JobId": "j", "OrderBy": "CreateTimeDesc"}, "OrderBy", "one of Asc, Desc"),
    ("DeleteSnapshotJob", {"JobId": "j", "Outputs": "yes"}, "Outputs", "true or false"),
    ("DeleteSnapshotJob", {"JobId": "j", "Outputs": "1"}, "Outputs", "true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "parameters", "path", "allowed"), WRONG)
def test_wrong(action: str, parameters: dict[str, str], path: str, allowed: str) -> None:
    error = refusal(action, **parameters)
    assert (error.status, error.code) == (400, "InvalidParameter")
    assert error.message.startswith(f'The specified parameter "{path}" is not valid. It is ')
    assert ", but must be " in error.message
    assert allowed in error.message
    assert len(error.message) < 600


#: the longest and the largest that is allowed
ALLOWED = [
    ("SubmitSnapshotJob", SUBMIT | {"Name": "é" * 64, "UserData": "x" * 1024, "ClientToken": "x" * 64}),
    ("SubmitSnapshotJob", SUBMIT | {"ScheduleConfig": '{"Priority":10}'}),
    ("ListSnapshotJobs", {"PageSize": "100", "NextPageToken": "x" * 1024}),
    ("GetSnapshotUrls", {"JobId": "j", "PageSize": "30", "PageNumber": "1000000", "Timeout": "129600"}),
    ("GetSnapshotUrls", {"JobId": "j", "PageSize": "1", "PageNumber": "1", "Timeout": "1"}),
]


@pytest.mark.parametrize(("action", "parameters"), ALLOWED)
def test_the_ends_of_every_range(action: str, parameters: dict[str, str]) -> None:
    parse(action, **parameters)


@given(
    name=st.sampled_from(
        ["Input", "Output", "TemplateConfig", "ScheduleConfig", "Extensions", "Name", "UserData", "X"]
    ),
    value=st.text(max_size=30)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["Type", "Media", "TemplateId", "a"]), inner)
        ),
        max_leaves=6,
    ).map(json.dumps),
)
def test_any_value_is_right_or_told_to_be_wrong(name: str, value: str) -> None:
    told = None
    try:
        submit(**{name: value})
    except ApiError as error:
        told = error
    assert told is None or (told.status == 400 and f'"{name}' in told.message)
