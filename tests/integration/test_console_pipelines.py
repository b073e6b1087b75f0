"""The pages of pipelines, over real jobs that wait and go on: what they show, to whom, and what they change."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from console_client import Visitor, linked_fields, visiting
from service_client import Client, Service, service, wait_for
from stillframe.accounts.users import Users
from stillframe.jobs.models import Job
from stillframe.jobs.standing import standings
from stillframe.testing import videos

READ_ONLY = "AliyunICEReadOnlyAccess"
NAMES = ("State", "Priority", "At once", "Hours", "Waiting", "In work", "Longest wait")
FORM = {"Name": "night", "Priority": "2", "MaxConcurrency": "", "ActiveHours": "", "TimeZone": ""}


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        videos.make(started.folder / "movie.mp4", frames=60, fps=5, gop=5)
        yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


@contextmanager
def user(running: Service, name: str, *policies: str) -> Iterator[Visitor]:
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, name)
    for policy in policies:
        users.attach(running.account_id, name, policy)
    with visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        yield found


def made(client: Client, name: str = "mine", **more: Any) -> str:
    told = client.call("CreatePipeline", Name=name, **{"Speed": "Standard", **more})
    return str(told["Pipeline"]["PipelineId"])


def get(client: Client, pipeline_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.call("GetPipeline", PipelineId=pipeline_id)["Pipeline"]
    return found


def submit(client: Client, pipeline_id: str, name: str, **overwrite: Any) -> str:
    more = {"ScheduleConfig": {"PipelineId": pipeline_id}}
    return client.submit("oss://local/movie.mp4", f"oss://local/{name}/{{Count}}.jpg", more=more, **overwrite)


def row(page: str, pipeline_id: str) -> dict[str, str]:
    """The cells of a pipeline in the list, as texts."""
    found = next(one for one in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL) if pipeline_id in one)
    cells = dict(re.findall(r'<td data-label="([^"]+)"[^>]*>(.*?)</td>', found, re.DOTALL))
    return {
        name: html.unescape(re.sub(r"<[^>]+>", "", cells[name])).replace("  ", " ").strip() for name in NAMES
    }


def facts(page: str) -> dict[str, str]:
    found = re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.DOTALL)
    return {name: html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for name, text in found}


def errors(page: str) -> dict[str, str]:
    found = re.findall(r'<p class="error" id="about-(\w+)">(.*?)</p>', page)
    return {name: html.unescape(text) for name, text in found}


def test_a_paused_pipeline_holds_its_jobs_until_it_goes_on(running: Service, visitor: Visitor) -> None:
    client = running.client
    pipeline_id = made(client, "held", Priority=3)
    said = visitor.send(f"/pipelines/{pipeline_id}/pause", on="page")
    assert said.headers["Location"] == f"/console/pipelines/{pipeline_id}"
    assert "held is paused." in visitor.get(f"/pipelines/{pipeline_id}").text
    jobs = [submit(client, pipeline_id, f"held{number}", Count=1) for number in range(2)]
    wait_for(lambda: all(_is_parked(running, job_id) for job_id in jobs))
    shown = row(visitor.get("/pipelines").text, pipeline_id)
    assert shown.pop("Longest wait").endswith((" s", " ms", "min"))
    assert shown == {
        "State": "Paused",
        "Priority": "3",
        "At once": "all",
        "Hours": "always",
        "Waiting": "2",
        "In work": "0",
    }
    page = visitor.get(f"/pipelines/{pipeline_id}").text
    assert facts(page)["Waiting"] == "2"
    link = re.search(r'href="/console(/jobs\?pipeline=[^"]*)">Those that are not done', page)
    assert link
    listed = visitor.get(html.unescape(link[1])).text
    assert all(job_id in listed for job_id in jobs)
    resumed = visitor.send(f"/pipelines/{pipeline_id}/resume", on="list")
    assert resumed.headers["Location"] == "/console/pipelines"
    said = visitor.get("/pipelines")
    assert "held goes on. 2 jobs had been held up." in said.text
    for job_id in jobs:
        client.succeeded(job_id)
    after = row(visitor.get("/pipelines").text, pipeline_id)
    assert (after["State"], after["Waiting"], after["Longest wait"]) == ("Active", "0", "–")


def _is_parked(running: Service, job_id: str) -> bool:
    with running.assembly.database.transaction() as session:
        job = session.get(Job, job_id)
        return job is not None and job.parked


def test_jobs_that_are_in_work_are_told_from_those_that_wait(running: Service, visitor: Visitor) -> None:
    client = running.client
    pipeline_id = made(client, "one at a time", MaxConcurrency=1)
    large = {"Count": 60, "Width": 3840, "Height": 2160, "FrameType": "normal", "Time": 0, "IntervalMs": 200}
    first = submit(client, pipeline_id, "first", **large)
    wait_for(lambda: client.get(first)["Progress"] > 0)
    second = submit(client, pipeline_id, "second", Count=1)
    shown = row(visitor.get("/pipelines").text, pipeline_id)
    assert (shown["In work"], shown["Waiting"], shown["At once"]) == ("1", "1", "1")
    refused = visitor.send(f"/pipelines/{pipeline_id}/delete")
    assert refused.status_code == 400
    assert "a pipeline whose jobs are all done; 2 are not" in html.unescape(refused.text)
    for job_id in (first, second):
        client.call("CancelSnapshotJob", JobId=job_id)
    assert visitor.send(f"/pipelines/{pipeline_id}/delete").headers["Location"] == "/console/pipelines"
    assert visitor.get(f"/pipelines/{pipeline_id}").status_code == 404


def test_of_a_long_queue_only_a_part_is_counted(running: Service) -> None:
    with running.account("long-queue") as (account_id, client):
        running.bucket("long", account_id)
        pipeline_id = client.call("ListPipelines")["PipelineList"][0]["PipelineId"]
        client.call("UpdatePipeline", PipelineId=pipeline_id, Status="Paused")
        for number in range(4):
            client.submit("oss://long/none.mp4", f"oss://long/{number}.jpg")
        with running.assembly.database.transaction() as session:
            whole = standings(session, account_id)[pipeline_id]
            part = standings(session, account_id, most=3)[pipeline_id]
            nobodys = standings(session, running.account_id)
        assert (whole.waiting, whole.in_work, whole.is_more) == (4, 0, False)
        assert (part.waiting, part.is_more) == (3, True)
        assert pipeline_id not in nobodys
        with visiting(running.port) as visitor, pytest.MonkeyPatch.context() as patches:
            visitor.log_in_by_key(running.assembly.keys.create(account_id))
            patches.setattr("stillframe.service.pipelines.standings", lambda *of: standings(*of, most=3))
            assert row(visitor.get("/pipelines").text, pipeline_id)["Waiting"] == "3+"
            assert "it is at least so much" in visitor.get(f"/pipelines/{pipeline_id}").text


def test_the_default_one_is_marked_and_stays(running: Service, visitor: Visitor) -> None:
    default = next(
        one for one in running.assembly.pipelines.all_of_account(running.account_id) if one.is_default
    )
    page = visitor.get(f"/pipelines/{default.pipeline_id}").text
    assert 'class="tag">default<' in page
    assert "/delete" not in page
    refused = visitor.send(f"/pipelines/{default.pipeline_id}/delete")
    assert refused.status_code == 400
    assert "default one" in refused.text


def test_a_pipeline_is_made_and_changed(running: Service, visitor: Visitor) -> None:
    hours = "Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00"
    form = FORM | {"ActiveHours": hours, "TimeZone": "Europe/Berlin", "MaxConcurrency": "5", "Speed": "Boost"}
    answer = visitor.send("/pipelines/new", **form)
    assert answer.status_code == 303
    pipeline_id = answer.headers["Location"].rpartition("/")[2]
    told = get(running.client, pipeline_id)
    assert (told["Name"], told["Priority"], told["MaxConcurrency"], told["Speed"]) == ("night", 2, 5, "Boost")
    assert (told["ActiveHours"], told["TimeZone"]) == (hours, "Europe/Berlin")
    shown = facts(visitor.get(f"/pipelines/{pipeline_id}").text)
    assert shown["Hours"] == f"{hours} Europe/Berlin"
    assert shown["At once"] == "5 jobs"
    page = visitor.get(f"/pipelines/{pipeline_id}/edit").text
    sent = {
        name: html.unescape(value) for name, value in re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', page)
    }
    assert {name: sent[name] for name in FORM} == {name: form[name] for name in FORM}
    changed = FORM | {"Name": "day", "Priority": "9", "MaxConcurrency": "0"}
    assert visitor.send(f"/pipelines/{pipeline_id}/edit", **changed).status_code == 303
    told = get(running.client, pipeline_id)
    assert (told["Name"], told["Priority"]) == ("day", 9)
    assert {"MaxConcurrency", "ActiveHours", "TimeZone"}.isdisjoint(told)


def test_waiting_jobs_move_with_their_pipeline(running: Service, visitor: Visitor) -> None:
    client = running.client
    pipeline_id = made(client, "moved")
    visitor.send(f"/pipelines/{pipeline_id}/pause", on="list")
    job_id = submit(client, pipeline_id, "moved", Count=1)
    visitor.send(f"/pipelines/{pipeline_id}/edit", **FORM | {"Priority": "8"})
    assert get(client, pipeline_id)["Status"] == "Paused"
    with running.assembly.database.transaction() as session:
        job = session.get(Job, job_id)
        assert job is not None
        assert job.priority == 8
    client.call("CancelSnapshotJob", JobId=job_id)


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"Name": " "}, "Name", "It must be text of 1 to 128 bytes in UTF-8."),
        ({"Name": "ü" * 65}, "Name", "text of 1 to 128 bytes"),
        ({"Priority": "11"}, "Priority", "11 is not right. It must be a whole number from 1 to 10."),
        ({"Priority": "high"}, "Priority", "high is not right."),
        ({"MaxConcurrency": "-1"}, "MaxConcurrency", "a whole number from 0 to 10000"),
        (
            {"ActiveHours": "at night"},
            "ActiveHours",
            "at night is not right. It must be ranges such as 22:00-06:00",
        ),
        ({"ActiveHours": "22:00-06:00", "TimeZone": "Mars"}, "TimeZone", "Mars is not right."),
        ({"TimeZone": "Europe/Berlin"}, "TimeZone", "left out where there are no hours"),
        ({"Speed": "Warp"}, "Speed", "Warp is not right. It must be one of Standard"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    running: Service, visitor: Visitor, change: dict[str, str], field: str, told: str
) -> None:
    before = len(running.client.call("ListPipelines")["PipelineList"])
    answer = visitor.send("/pipelines/new", **FORM | change)
    assert answer.status_code == 400
    found = errors(answer.text)
    assert {*found} == {field} == {*linked_fields(answer.text)}
    assert told in found[field]
    for name, text in change.items():
        if name != "Speed":
            assert f'value="{text.strip()}"' in answer.text
    assert len(running.client.call("ListPipelines")["PipelineList"]) == before


def test_the_button_changes_the_page_that_it_stands_on(running: Service, visitor: Visitor) -> None:
    pipeline_id = made(running.client, "by htmx")
    headers = {"HX-Request": "true", "X-CSRF-Token": visitor.csrf()}
    rows = visitor.post(f"/pipelines/{pipeline_id}/pause", {"on": "list"}, **headers)
    assert row(rows.text, pipeline_id)["State"] == "Paused"
    assert '<div id="flash" role="status" aria-live="polite" hx-swap-oob="innerHTML">' in rows.text
    page = visitor.post(f"/pipelines/{pipeline_id}/resume", {"on": "page"}, **headers)
    assert "<html" not in page.text
    assert "Pause by htmx" in page.text
    assert "by htmx goes on." in page.text


def test_the_stream_tells_when_something_has_changed(running: Service, visitor: Visitor) -> None:
    pipeline_id = made(running.client, "streamed")
    for path in ("/console/pipelines/events", f"/console/pipelines/{pipeline_id}/events"):
        with visitor.http.stream("GET", path) as stream:
            lines = stream.iter_lines()
            _changed(lines)
            before = get(running.client, pipeline_id)["Status"]
            after = {"Active": "Paused", "Paused": "Active"}[before]
            running.client.call("UpdatePipeline", PipelineId=pipeline_id, Status=after)
            _changed(lines)


def _changed(lines: Iterator[str]) -> None:
    assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_who_may_only_read_is_offered_nothing_else(running: Service) -> None:
    pipeline_id = made(running.client, "to be read")
    with user(running, "reader", READ_ONLY) as reader:
        for path in ("/pipelines", f"/pipelines/{pipeline_id}"):
            page = reader.get(path)
            assert page.status_code == 200
            assert "to be read" in page.text
            for word in ("/new", "/edit", "/delete", "/pause"):
                assert word not in page.text
        for path, action in (
            ("/pipelines/new", "CreatePipeline"),
            *((f"/pipelines/{pipeline_id}/{verb}", "UpdatePipeline") for verb in ("edit", "pause", "resume")),
            (f"/pipelines/{pipeline_id}/delete", "DeletePipeline"),
        ):
            refused = reader.send(path, **FORM)
            assert refused.status_code == 403
            assert f"ice:{action}" in refused.text
    with user(running, "nothing") as nobody:
        for path in ("/pipelines", "/pipelines/events", f"/pipelines/{pipeline_id}"):
            assert nobody.get(path).status_code == 403
    assert get(running.client, pipeline_id)["Status"] == "Active"


def test_two_accounts_see_nothing_of_each_other(running: Service) -> None:
    pipeline_id = made(running.client, "secret plans")
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        assert "secret plans" not in stranger.get("/pipelines").text
        none = "0" * 32
        for path in ("/pipelines/{}", "/pipelines/{}/edit"):
            theirs, nobodys = (stranger.get(path.format(one)) for one in (pipeline_id, none))
            assert theirs.status_code == nobodys.status_code == 404
            assert _bare(theirs, pipeline_id) == _bare(nobodys, none)
        for action in ("edit", "pause", "resume", "delete"):
            assert stranger.send(f"/pipelines/{pipeline_id}/{action}", **FORM).status_code == 404
    assert get(running.client, pipeline_id)["Status"] == "Active"


def _bare(answer: httpx.Response, pipeline_id: str) -> str:
    """A page without what is never twice the same."""
    page = re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", answer.text)
    return page.replace(pipeline_id, "ID")
