"""Two accounts: what belongs to one, the other finds by no action, and cannot tell from what there never was."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import URL

from service_client import Client, Refused, Service, service
from stillframe.ims.registry import ACTIONS

#: what else an action needs, besides the ids of things
SAMPLES: dict[str, dict[str, Any]] = {
    "SubmitSnapshotJob": {
        "Input": {"Type": "OSS", "Media": "oss://strange/movie.mp4"},
        "Output": {"Type": "OSS", "Media": "oss://strange/{Count}.jpg"},
        "TemplateConfig": {"TemplateId": "S00000002-000011"},
    },
    "SubmitMediaInfoJob": {"Input": {"Type": "OSS", "Media": "oss://strange/movie.mp4"}},
    "SubmitSyncMediaInfoJob": {"Input": {"Type": "OSS", "Media": "oss://strange/movie.mp4"}},
    "CreateCustomTemplate": {"Name": "mine", "Type": 2, "TemplateConfig": {"Type": "Normal"}},
    "ListCustomTemplates": {"Type": 2},
    "ListSystemTemplates": {"Type": 2},
    "CreatePipeline": {"Name": "mine", "Speed": "Standard"},
    "RegisterMediaInfo": {"InputURL": "oss://strange/movie.mp4", "Overwrite": True},
}
#: things that stand within an object of a submit
WITHIN = {
    "Bucket": [
        {"Input": {"Type": "OSS", "Media": "oss://{}/movie.mp4"}},
        {"Output": {"Type": "OSS", "Media": "oss://{}/{{Count}}.jpg"}},
    ],
    "TemplateId": [{"TemplateConfig": {"TemplateId": "{}"}}],
    "PipelineId": [{"ScheduleConfig": {"PipelineId": "{}"}}],
    "MediaId": [
        {"Input": {"Type": "Media", "Media": "{}"}},
        {"Output": {"Type": "Media", "Media": "{}"}},
    ],
}
#: actions on several things at once: they say which of them do not exist
SEVERAL = ("BatchGetMediaInfos", "DeleteMediaInfos")


@dataclass
class Two:
    """The owner with one thing of each kind, and a stranger; `things` are by the names of parameters."""

    owner: Client
    stranger: Client
    things: dict[str, str]
    probe_id: str

    def things_of(self, action: str) -> dict[str, str]:
        """The things that an action may be about."""
        return self.things | ({"JobId": self.probe_id} if "MediaInfoJob" in action else {})

    def state(self) -> str:
        """All that the owner sees."""
        looks = {
            "GetSnapshotJob": "JobId",
            "GetCustomTemplate": "TemplateId",
            "GetPipeline": "PipelineId",
            "GetSnapshotUrls": "JobId",
            "GetMediaInfo": "MediaId",
        }
        seen = [self.owner.call(action, **{name: self.things[name]}) for action, name in looks.items()]
        seen += [self.owner.call("GetMediaInfoJob", JobId=self.probe_id)]
        seen += [self.owner.call("GetDefaultStorageLocation"), self.owner.call("GetStorageList")]
        links = ("RequestId", "SnapshotUrls")
        return json.dumps([{key: value for key, value in one.items() if key not in links} for one in seen])


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        yield started


@pytest.fixture(scope="module")
def two(running: Service) -> Iterator[Two]:
    owner = running.client
    pipeline = owner.call("CreatePipeline", Name="secret", Speed="Standard")["Pipeline"]["PipelineId"]
    template = owner.call(
        "CreateCustomTemplate",
        Name="secret",
        Type=2,
        TemplateConfig={"Type": "Normal", "FrameType": "normal"},
    )["CustomTemplate"]["TemplateId"]
    # there is no such movie, and the job ends soon
    more = {"ScheduleConfig": {"PipelineId": pipeline}, "TemplateConfig": {"TemplateId": template}}
    job_id = owner.submit(more=more)
    owner.ended(job_id)
    media_id = owner.register(Title="secret")
    owner.prepared(media_id)
    look = {"Input": {"Type": "Media", "Media": media_id}, "Name": "secret"}
    probe_id = owner.call("SubmitSyncMediaInfoJob", **look)["MediaInfoJob"]["JobId"]
    with running.account("stranger") as (account_id, stranger):
        running.bucket("strange", account_id)
        stranger.call("SetDefaultStorageLocation", Bucket="strange")
        things = {"JobId": job_id, "TemplateId": template, "PipelineId": pipeline, "Bucket": "local"}
        things |= {"MediaId": media_id, "MediaIds": media_id}
        yield Two(owner, stranger, things, probe_id)


def answer(client: Client, action: str, parameters: dict[str, Any], name: str) -> tuple[int, str]:
    """Status, and what was said, without what is different each time and without the name itself."""
    try:
        told: dict[str, Any] = client.call(action, **parameters)
        status = 200
    except Refused as refused:
        told, status = {"Code": refused.code, "Message": refused.message}, refused.status
    told.pop("RequestId", None)
    return status, json.dumps(told).replace(name, "<name>")


def calls(action: str, parameter: str, name: str) -> list[dict[str, Any]]:
    """All parameters of calls that name a thing, at each place of the action where that can be."""
    sample = SAMPLES.get(action, {})
    known = {field.alias for field in ACTIONS[action].request.model_fields.values()}
    if action.startswith("Submit"):
        places = json.loads(
            json.dumps(WITHIN.get(parameter, [])).replace("{}", name).replace("{{Count}}", "{Count}")
        )
        return [sample | place for place in places if place.keys() <= known]
    if parameter == "Bucket":
        urls = [url for url in ("InputURL", "InputURLs") if url in known]
        if urls:
            return [sample | {url: f"oss://{name}/movie.mp4"} for url in urls]
    return [sample | {parameter: name}] if parameter in known else []


@pytest.mark.parametrize("action", ACTIONS)
def test_a_stranger_finds_nothing(two: Two, action: str) -> None:
    before = two.state()
    things = two.things_of(action)
    for parameter, name in things.items():
        never = secrets.token_hex(len(name) // 2) if parameter != "Bucket" else "never"
        for theirs, nobodys in zip(
            calls(action, parameter, name), calls(action, parameter, never), strict=True
        ):
            status, told = answer(two.stranger, action, theirs, name)
            assert (status, told) == answer(two.stranger, action, nobodys, never)
            if action.startswith("List") or action in SEVERAL:
                assert status == 200
            else:
                assert (status, json.loads(told)["Code"]) == (404, "ResourceNotFound")
    required = {field.alias for field in ACTIONS[action].request.model_fields.values() if field.is_required()}
    if not required & two.things.keys():
        # nothing needs to be named: what there is of one's own is shown, and of the other's nothing
        status, told = answer(two.stranger, action, SAMPLES.get(action, {}), "-")
        assert status == 200 or json.loads(told)["Code"] == "MissingParameter", told
        assert not any(name in told for key, name in things.items() if key != "Bucket")
        assert "secret" not in told
        assert '"local"' not in told
        assert "oss://local" not in told
    assert two.state() == before


def test_the_owner_finds_all_of_it(two: Two) -> None:
    """Else the above would prove nothing."""
    assert two.things["JobId"] in json.dumps(two.owner.call("ListSnapshotJobs"))
    assert two.probe_id in json.dumps(two.owner.call("ListMediaInfoJobs"))
    assert two.things["PipelineId"] in json.dumps(two.owner.call("ListPipelines"))
    assert two.things["MediaId"] in json.dumps(two.owner.call("ListMediaBasicInfos"))
    assert two.things["TemplateId"] in json.dumps(two.owner.call("ListCustomTemplates", Type=2))
    assert "local" in json.dumps(two.owner.call("GetStorageList"))


@pytest.mark.parametrize(
    ("action", "size", "name", "listed"),
    [
        ("ListSnapshotJobs", "PageSize", "NextPageToken", "Jobs"),
        ("ListMediaBasicInfos", "MaxResults", "NextToken", "MediaInfos"),
    ],
)
def test_a_page_token_is_its_accounts(two: Two, action: str, size: str, name: str, listed: str) -> None:
    two.owner.submit()
    two.owner.register("oss://local/another.mp4", Overwrite=True)
    token = two.owner.call(action, **{size: 1})[name]
    with pytest.raises(Refused) as caught:
        two.stranger.call(action, **{size: 1, name: token})
    assert caught.value.code == "InvalidParameter"
    assert len(two.owner.call(action, **{size: 1, name: token})[listed]) == 1
