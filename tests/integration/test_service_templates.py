"""Templates through the API: stored, changed, chosen, listed, used by jobs, and nobody else's business."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import URL

from service_client import Client, Refused, Service, service, while_another_changes
from stillframe.jobs import pipelines
from stillframe.testing import videos

SPRITE = {"Type": "Sprite", "Width": 64, "Count": 4, "SpriteSnapshotConfig": {"Columns": 2, "Lines": 2}}
MISSING, WRONG, NOT_SUPPORTED, NOT_FOUND = (
    (400, "MissingParameter"),
    (400, "InvalidParameter"),
    (400, "InvalidParameter.NotSupport"),
    (404, "ResourceNotFound"),
)


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    clip = videos.make(tmp_path_factory.mktemp("film") / "movie.mp4", frames=50)
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        shutil.copy(clip.path, started.folder / "movie.mp4")
        yield started


@pytest.fixture
def client(running: Service) -> Client:
    return running.client


def create(client: Client, name: str = "mine", /, **more: Any) -> dict[str, Any]:
    parameters = {"Type": 2, "TemplateConfig": SPRITE, **more}
    made: dict[str, Any] = client.call("CreateCustomTemplate", Name=name, **parameters)["CustomTemplate"]
    return made


def get(client: Client, template_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.call("GetCustomTemplate", TemplateId=template_id)["CustomTemplate"]
    return found


def refused(client: Client, action: str, **parameters: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        client.call(action, **parameters)
    return caught.value


def test_from_its_first_day_to_its_last(client: Client) -> None:
    made = create(client, "first é")
    template_id = made["TemplateId"]
    assert len(template_id) == 32
    assert (made["Subtype"], made["Type"], made["TypeName"]) == ("Sprite", 2, "SnapshotTemplate")
    assert (made["Status"], made["IsDefault"], made["TemplateName"]) == ("Normal", False, "first é")
    assert json.loads(made["TemplateConfig"]) == SPRITE
    found = get(client, template_id)
    assert found == {**made, "Subtype": 2, "SubtypeName": "Sprite"}

    client.call("UpdateCustomTemplate", TemplateId=template_id, Name="second")
    assert get(client, template_id)["TemplateName"] == "second"
    assert json.loads(get(client, template_id)["TemplateConfig"]) == SPRITE
    client.call("UpdateCustomTemplate", TemplateId=template_id, TemplateConfig={"Width": 32})
    changed = get(client, template_id)
    assert json.loads(changed["TemplateConfig"]) == {"Type": "Sprite", "Width": 32}
    assert (changed["TemplateName"], changed["CreateTime"]) == ("second", made["CreateTime"])
    assert changed["ModifiedTime"] >= made["ModifiedTime"]

    assert client.call("DeleteCustomTemplate", TemplateId=template_id)["Success"] is True
    for action in (
        "GetCustomTemplate",
        "UpdateCustomTemplate",
        "DeleteCustomTemplate",
        "SetDefaultCustomTemplate",
    ):
        answer = refused(client, action, TemplateId=template_id)
        assert ((answer.status, answer.code), template_id in answer.message) == (NOT_FOUND, True)


@pytest.mark.parametrize(
    ("subtype", "config", "stored"),
    [
        (None, {"Count": 2}, (1, "Normal")),
        (1, {}, (1, "Normal")),
        (2, {"Width": 100}, (2, "Sprite")),
        (3, {"Interval": 5}, (3, "WebVtt")),
        (3, {"Type": "WebVtt"}, (3, "WebVtt")),
        (None, {"Type": "WebVtt", "Name": None}, WRONG),
        (1, {"Type": "Sprite"}, WRONG),
        (4, {}, WRONG),
        (None, {"Type": "Cover"}, WRONG),
        (None, {"Width": 7}, WRONG),
        (None, {"Widht": 100}, WRONG),
        (None, {"Type": "Sprite", "SpriteSnapshotConfig": {"Color": "random"}}, NOT_SUPPORTED),
        (None, {"Interval": 1, "IntervalMs": 100}, WRONG),
        (None, [1], WRONG),
    ],
)
def test_what_is_stored_is_a_config(
    client: Client, subtype: int | None, config: Any, stored: tuple[int, str]
) -> None:
    parameters = {"Name": "x", "Type": 2, "TemplateConfig": config}
    if subtype is not None:
        parameters["Subtype"] = subtype
    if stored[0] < 100:
        made = client.call("CreateCustomTemplate", **parameters)["CustomTemplate"]
        found = get(client, made["TemplateId"])
        assert (found["Subtype"], found["SubtypeName"]) == stored
        assert json.loads(found["TemplateConfig"])["Type"] == stored[1]
        client.call("DeleteCustomTemplate", TemplateId=made["TemplateId"])
        return
    answer = refused(client, "CreateCustomTemplate", **parameters)
    assert (answer.status, answer.code) == stored
    if isinstance(config, dict) and subtype is None:
        assert '"TemplateConfig.' in answer.message


@pytest.mark.parametrize(
    ("action", "parameters", "told", "word"),
    [
        ("CreateCustomTemplate", {"Name": "x", "TemplateConfig": {}}, MISSING, "Type"),
        ("CreateCustomTemplate", {"Type": 2, "TemplateConfig": {}}, MISSING, "Name"),
        ("CreateCustomTemplate", {"Type": 2, "Name": "x"}, MISSING, "TemplateConfig"),
        ("CreateCustomTemplate", {"Type": 1, "Name": "x", "TemplateConfig": {}}, NOT_SUPPORTED, "Type"),
        ("CreateCustomTemplate", {"Type": 12, "Name": "x", "TemplateConfig": {}}, WRONG, "1 to 11"),
        ("CreateCustomTemplate", {"Type": 2, "Name": "é" * 65, "TemplateConfig": {}}, WRONG, "128 bytes"),
        ("GetCustomTemplate", {}, MISSING, "TemplateId"),
        ("GetCustomTemplate", {"Type": 1}, NOT_SUPPORTED, "Type"),
        ("GetCustomTemplate", {"TemplateId": "S00000002-000010"}, NOT_FOUND, "S00000002-000010"),
        ("UpdateCustomTemplate", {"TemplateId": "S00000002-000010"}, WRONG, "system templates"),
        ("DeleteCustomTemplate", {"TemplateId": "S00000002-000010"}, WRONG, "system templates"),
        ("SetDefaultCustomTemplate", {"TemplateId": "S00000002-000010"}, WRONG, "system templates"),
        ("GetSystemTemplate", {"TemplateId": "S00000001-000000"}, NOT_FOUND, "S00000001-000000"),
        ("ListCustomTemplates", {}, MISSING, "Type"),
        ("ListCustomTemplates", {"Type": "3"}, NOT_SUPPORTED, "Type"),
        ("ListCustomTemplates", {"Type": 2, "OrderBy": "Name"}, WRONG, "CreationTime:Desc"),
        ("ListCustomTemplates", {"Type": 2, "PageSize": 101}, WRONG, "1 to 100"),
        ("ListSystemTemplates", {"Type": "1,3"}, NOT_SUPPORTED, "Type"),
        ("ListSystemTemplates", {"Type": "2,x"}, WRONG, "1 to 11"),
    ],
)
def test_what_is_refused(
    client: Client, action: str, parameters: dict[str, Any], told: tuple[int, str], word: str
) -> None:
    answer = refused(client, action, **parameters)
    assert (answer.status, answer.code) == told
    assert word in answer.message


def test_an_update_keeps_the_type(client: Client) -> None:
    template_id = create(client)["TemplateId"]
    answer = refused(
        client, "UpdateCustomTemplate", TemplateId=template_id, TemplateConfig={"Type": "Normal"}
    )
    assert ((answer.status, answer.code), "TemplateConfig.Type" in answer.message) == (WRONG, True)
    assert json.loads(get(client, template_id)["TemplateConfig"]) == SPRITE
    client.call("DeleteCustomTemplate", TemplateId=template_id)


def test_each_subtype_has_one_default(running: Service) -> None:
    with running.account("defaults") as (_, client):
        answer = refused(client, "GetCustomTemplate", Type=2)
        assert (answer.status, answer.code) == NOT_FOUND
        first, second = create(client, "1")["TemplateId"], create(client, "2")["TemplateId"]
        track = create(client, "3", TemplateConfig={"Type": "WebVtt"})["TemplateId"]
        for chosen in (first, second, second, track):
            client.call("SetDefaultCustomTemplate", TemplateId=chosen)

        def default(**subtype: int) -> str:
            found = client.call("GetCustomTemplate", Type=2, **subtype)["CustomTemplate"]
            assert found["IsDefault"] is True
            template_id: str = found["TemplateId"]
            return template_id

        assert (default(Subtype=2), default(Subtype=3), default()) == (second, track, track)
        listed = client.call("ListCustomTemplates", Type=2)["CustomTemplateList"]
        assert {one["TemplateId"] for one in listed if one["IsDefault"]} == {second, track}
        answer = refused(client, "GetCustomTemplate", Type=2, Subtype=1)
        assert (answer.status, answer.code) == NOT_FOUND


def test_of_two_defaults_at_once_the_last_one_counts(running: Service) -> None:
    with running.account("at-once") as (account_id, client):
        first, second = create(client, "1")["TemplateId"], create(client, "2")["TemplateId"]
        unset = "UPDATE templates SET is_default = false WHERE account_id = :account_id AND is_default"
        choose = "UPDATE templates SET is_default = true WHERE template_id = :id"
        for theirs, ours in ((first, second), (first, second), (first, first), (second, first)):
            while_another_changes(
                running.assembly.database,
                (unset, choose),
                {"id": theirs, "account_id": account_id},
                partial(client.call, "SetDefaultCustomTemplate", TemplateId=ours),
            )
            listed = client.call("ListCustomTemplates", Type=2)["CustomTemplateList"]
            assert [one["TemplateId"] for one in listed if one["IsDefault"]] == [ours]


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("SetDefaultCustomTemplate", {}),
        ("UpdateCustomTemplate", {"Name": "late"}),
        ("UpdateCustomTemplate", {"TemplateConfig": {"Width": 32}}),
        ("DeleteCustomTemplate", {}),
    ],
)
def test_a_template_that_somebody_removes_just_now(
    running: Service, action: str, more: dict[str, Any]
) -> None:
    client = running.client
    template_id = create(client)["TemplateId"]
    remove = "DELETE FROM templates WHERE template_id = :id"
    with pytest.raises(Refused) as caught:
        while_another_changes(
            running.assembly.database,
            (remove,),
            {"id": template_id},
            partial(client.call, action, TemplateId=template_id, **more),
        )
    assert (caught.value.status, caught.value.code) == NOT_FOUND


def test_pages_and_filters(running: Service) -> None:
    with running.account("pages") as (_, client):
        made = [create(client, f"Number {n}")["TemplateId"] for n in range(5)]
        made.append(create(client, "50 % _wild", TemplateConfig={"Type": "WebVtt"})["TemplateId"])

        def listed(**parameters: Any) -> list[str]:
            answer = client.call("ListCustomTemplates", Type=2, **parameters)
            assert answer["Total"] >= len(answer["CustomTemplateList"])
            return [one["TemplateId"] for one in answer["CustomTemplateList"]]

        assert listed() == made[::-1]
        assert listed(OrderBy="CreationTime:Asc") == made
        assert listed(PageSize=4, PageNumber=2) == made[1::-1]
        assert listed(PageNumber=3) == []
        assert client.call("ListCustomTemplates", Type=2, PageSize=1)["Total"] == 6
        assert listed(Subtype=3) == [made[5]]
        assert listed(Name="number") == made[4::-1]
        assert listed(Name="% _w") == [made[5]]
        assert listed(TemplateId=made[2]) == [made[2]]


def test_system_templates(client: Client) -> None:
    answer = client.call("ListSystemTemplates", Type="1,2", PageSize=100)
    listed = answer["SystemTemplateList"]
    assert answer["Total"] == len(listed) == 8
    for template in listed:
        assert (
            client.call("GetSystemTemplate", TemplateId=template["TemplateId"])["SystemTemplate"] == template
        )
        assert (template["Type"], template["TypeName"]) == (2, "SnapshotTemplate")
        assert json.loads(template["TemplateConfig"])["Type"] == template["SubtypeName"]
        assert {"Normal": 1, "Sprite": 2, "WebVtt": 3}[template["SubtypeName"]] == template["Subtype"]

    def ids(**parameters: Any) -> list[str]:
        found = client.call("ListSystemTemplates", Type="2", **parameters)["SystemTemplateList"]
        return [one["TemplateId"] for one in found]

    assert ids(Subtype=2) == ["S00000002-000020", "S00000002-000021"]
    assert ids(Name="SHEET of") == ["S00000002-000020", "S00000002-000021"]
    assert ids(TemplateId="S00000002-000030") == ["S00000002-000030"]
    assert ids(PageSize=3, PageNumber=3) == ["S00000002-000031", "S00000002-000032"]
    assert ids(Status="Invisible") == []
    assert len(ids(Status="All")) == 8


def test_a_job_keeps_the_config_that_it_was_submitted_with(client: Client, running: Service) -> None:
    template_id = create(client)["TemplateId"]
    pipeline = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
    with running.assembly.database.transaction() as session:
        pipelines.pause(session, pipeline)
    job_id = client.submit("oss://local/movie.mp4", "oss://local/kept/{TileCount}.jpg", template_id, Width=32)
    client.call("UpdateCustomTemplate", TemplateId=template_id, TemplateConfig={"Count": 1})
    client.call("DeleteCustomTemplate", TemplateId=template_id)
    with running.assembly.database.transaction() as session:
        pipelines.unpause(session, running.assembly.queue, pipeline)
    job = client.succeeded(job_id)
    assert (job["TemplateId"], job["Count"]) == (template_id, 4)
    assert json.loads(job["TemplateConfig"])["Width"] == 32
    with pytest.raises(Refused) as caught:
        client.submit("oss://local/movie.mp4", "oss://local/kept/{TileCount}.jpg", template_id)
    assert (caught.value.status, caught.value.code) == NOT_FOUND


def test_what_belongs_to_another_account(client: Client, running: Service) -> None:
    template_id = create(client)["TemplateId"]
    with running.account("stranger-to-templates") as (_, stranger):
        for action in (
            "GetCustomTemplate",
            "UpdateCustomTemplate",
            "DeleteCustomTemplate",
            "SetDefaultCustomTemplate",
        ):
            theirs = refused(stranger, action, TemplateId=template_id)
            nobodys = refused(stranger, action, TemplateId="f" * 32)
            assert (theirs.status, theirs.code) == (nobodys.status, nobodys.code) == NOT_FOUND
            assert theirs.message.replace(template_id, "") == nobodys.message.replace("f" * 32, "")
        assert stranger.call("ListCustomTemplates", Type=2)["CustomTemplateList"] == []
        with pytest.raises(Refused) as caught:
            stranger.submit("oss://local/movie.mp4", "oss://local/x/{TileCount}.jpg", template_id)
        assert (caught.value.status, caught.value.code) == NOT_FOUND
    assert get(client, template_id)["TemplateName"] == "mine"
