"""Try it: every action of the registry as a page, run as the visitor, with the API's own words; and its code."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from console_client import DEADLINE_S, Visitor, visiting
from service_client import Refused, Service, service
from stillframe.accounts.users import Users
from stillframe.console.api_actions import ApiAction
from stillframe.console.pages.try_it import LONGEST_SHOWN, PREFIX
from stillframe.console.request_code import code_of_call
from stillframe.events.callbacks import Callback
from stillframe.ims.parameters import described
from stillframe.ims.registry import ACTIONS, GROUPS
from stillframe.testing import videos

INSTALL = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "install_sdks.py"))["install"]
READ_ONLY = "AliyunICEReadOnlyAccess"
DESCRIBED: dict[str, ApiAction] = {one.name: one for group in described(GROUPS).values() for one in group}
SUBMIT = {
    "Input": json.dumps({"Type": "OSS", "Media": "oss://local/movie.mp4"}, indent=2),
    "Output": '{"Type": "OSS", "Media": "oss://local/tried/{Count}.jpg"}',
    "TemplateConfig": '{"TemplateId": "S00000002-000010", "OverwriteParams": {"Count": 2, "Quality": 70}}',
    "Name": """it's "tried" & found""",
    "ScheduleConfig": "{}",
}


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        videos.make(started.folder / "movie.mp4", frames=20, fps=5, gop=5)
        yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


def fields(**parameters: str) -> dict[str, str]:
    return {f"{PREFIX}{name}": text for name, text in parameters.items()}


def run(visitor: Visitor, action: str, **parameters: str) -> tuple[int, Any, str]:
    """The status and the JSON that the page shows, and the page."""
    page = visitor.send(f"/try/{action}", **fields(**parameters))
    assert page.status_code == 200, page.text
    status = re.search(r'<p id="told" role="status"><b class="http \w+">(\d+) ', page.text)
    assert status is not None
    return int(status[1]), json.loads(shown(page.text, "Answer")), page.text


def shown(page: str, label: str) -> str:
    found = re.search(rf'aria-label="{label}"><code>(.*?)</code>', page, re.DOTALL)
    assert found is not None
    return html.unescape(re.sub(r"<a href=[^>]*>|</a>", "", found[1]))


def without_id(told: dict[str, Any]) -> dict[str, Any]:
    assert re.fullmatch("[0-9A-F-]{36}", told["RequestId"])
    return {name: value for name, value in told.items() if name != "RequestId"}


def test_every_action_is_listed_in_its_group_and_found_by_what_it_does(visitor: Visitor) -> None:
    page = visitor.get("/try").text
    assert re.findall(r'<a href="/console/try/(\w+)">', page) == [*ACTIONS]
    assert re.findall(r'<h2 id="group-\d+">([^<]*)<', page) == [*GROUPS]
    for action in ACTIONS.values():
        assert action.summary in html.unescape(page)
    found = visitor.get("/try?q=PIPELINE+nowhere", **{"HX-Request": "true"}).text
    assert "<html" not in found
    assert re.findall(r"/console/try/(\w+)", found) == []
    found = visitor.get("/try?q=pipeline+REMOVE").text
    assert re.findall(r'<a href="/console/try/(\w+)">', found) == ["DeletePipeline"]


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_has_a_page_with_all_its_parameters(visitor: Visitor, name: str) -> None:
    action = ACTIONS[name]
    answer = visitor.get(f"/try/{name}?example=true")
    assert answer.status_code == 200
    assert len(answer.content) < 100_000
    page = answer.text
    for item in action.request.model_fields.values():
        label = f"{item.alias} (required)" if item.is_required() else str(item.alias)
        found = re.search(
            rf'<label for="field-{re.escape(f"{PREFIX}{item.alias}")}">([^<]*)</label>\s*'
            rf'<(?:input|select|textarea) id="field-p\.[^>]*aria-describedby="(about-p\.\w+)"',
            page,
        )
        assert found is not None
        assert found[1] == label
        hint = re.search(rf'<p class="hint" id="{re.escape(found[2])}">([^<]*)</p>', page)
        assert hint is not None
        assert html.unescape(hint[1]).startswith(str(item.description))
    for parameter in DESCRIBED[name].parameters:
        assert all(f"<code>{key.name}</code>" in page for key in [*parameter.with_keys][1:])
    # what the example says is filled in, and the form as it stands can be sent
    secret = {one.name for one in DESCRIBED[name].parameters if one.is_secret}
    for given, value in action.example.items():
        if given in secret:
            assert re.search(rf'id="field-p\.{given}" name="p\.{given}" type="password" value=""', page)
            continue
        filled = re.search(rf'id="field-p\.{given}"[^>]* value="([^"]*)"', page) or re.search(
            rf'id="field-p\.{given}".*?(?:<option value="([^"]*)" selected|>\n([^<]*)</textarea>)',
            page,
            re.DOTALL,
        )
        assert filled is not None
        text = html.unescape(next(one for one in filled.groups() if one is not None))
        try:
            assert json.loads(text) == (json.loads(value) if isinstance(value, str) else value)
        except ValueError:
            assert text == value
    assert ("changes things" in page) == (action.access == "write")
    assert ("data-ask=" in page) == name.startswith("Delete")


def test_what_an_action_answers_is_what_the_api_answers(running: Service, visitor: Visitor) -> None:
    status, told, page = run(visitor, "SubmitSnapshotJob", **SUBMIT)
    assert status == 200
    job_id = told["JobId"]
    assert f'"JobId": "<a href="/console/jobs/{job_id}">' in html.unescape(page)
    assert f"<code>{told['RequestId']}</code>" in page
    job = running.client.succeeded(job_id)
    assert job["Name"] == SUBMIT["Name"]
    assert job["TriggerSource"] == "Console"
    assert json.loads(job["TemplateConfig"])["Quality"] == 70
    for action, parameters in (
        ("GetSnapshotJob", {"JobId": job_id}),
        ("ListSystemTemplates", {"Type": "2", "PageSize": "3"}),
        ("ListSnapshotJobs", {"PageSize": "1"}),
        ("GetStorageList", {}),
    ):
        status, told, _ = run(visitor, action, **parameters)
        assert status == 200
        assert without_id(told) == without_id(running.client.call(action, **parameters))


def test_ids_lead_to_their_pages(running: Service, visitor: Visitor) -> None:
    media_id = running.client.register(Title="linked", Overwrite="true")
    found: list[str] = []
    for action, given in (
        ("ListSystemTemplates", {"Type": "2"}),
        ("ListPipelines", {}),
        ("GetMediaInfo", {"MediaId": media_id}),
        ("SubmitMediaInfoJob", {"Input": SUBMIT["Input"]}),
    ):
        answer = run(visitor, action, **given)[2].partition('aria-label="Answer"')[2].partition("</pre>")[0]
        found += re.findall(r'<a href="/console([^"]*)">', answer)
    assert {"/templates/system/S00000002-000010", f"/media/{media_id}"} <= {*found}
    # that of a probe job is none of the jobs' pages
    assert {path.split("/")[1] for path in found} == {"templates", "pipelines", "media"}
    for path in {*found}:
        assert visitor.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("action", "parameters", "field"),
    [
        ("ListSnapshotJobs", {"PageSize": "700"}, "PageSize"),
        ("GetSnapshotJob", {}, "JobId"),
        ("GetSnapshotJob", {"JobId": "no\0no"}, "JobId"),
        ("GetSnapshotJob", {"JobId": "0" * 32}, None),
        ("SubmitSnapshotJob", SUBMIT | {"TemplateConfig": '{"TemplateId": 5'}, "TemplateConfig"),
        ("SubmitSnapshotJob", SUBMIT | {"Input": '{"Type": "OSS", "Meedia": "x"}'}, "Input"),
        ("ListSnapshotJobs", {"Bogus": "1"}, None),
    ],
)
def test_errors_are_the_apis_own_and_stand_at_their_fields(
    running: Service, visitor: Visitor, action: str, parameters: dict[str, str], field: str | None
) -> None:
    status, told, page = run(visitor, action, **parameters)
    with pytest.raises(Refused) as refused:
        running.client.call(action, **parameters)
    assert (status, told["Code"], told["Message"]) == (
        refused.value.status,
        refused.value.code,
        refused.value.message,
    )
    at = re.findall(r'<p class="error" id="about-p\.(\w+)">([^<]*)</p>', page)
    assert [(name, html.unescape(text)) for name, text in at] == ([(field, told["Message"])] if field else [])
    # what was written stands there still
    for name, text in parameters.items():
        if field is not None and name == field and "\0" not in text:
            assert text in html.unescape(page)


def test_a_part_of_htmx_has_the_answer_and_what_is_wrong_at_each_field(visitor: Visitor) -> None:
    headers = {"HX-Request": "true", "X-CSRF-Token": visitor.csrf()}
    part = visitor.post("/try/ListSnapshotJobs", fields(PageSize="0"), **headers)
    assert "<html" not in part.text
    assert 'hx-swap-oob="innerHTML:#told"' in part.text
    assert re.findall(r'<p class="error" id="about-p\.(\w+)" hx-swap-oob="true">', part.text) == ["PageSize"]
    assert len(re.findall(r'<p class="hint" id="about-p\.\w+" hx-swap-oob="true">', part.text)) == 6
    code = visitor.post("/try/ListSnapshotJobs/code", fields(PageSize="3"), **headers).text
    assert shown(code, "Command") == "stillframe api ListSnapshotJobs \\\n  PageSize=3\n"


def test_only_forms_of_our_pages_run_anything(running: Service, visitor: Visitor) -> None:
    for form in ({}, {"csrf": "0" * 64}):
        sent = form | fields(Name="forged", Speed="Boost")
        assert visitor.post("/try/CreatePipeline", sent).status_code == 403
    page = visitor.get("/try/CreatePipeline?Name=forged&Speed=Boost").text
    assert 'value="forged"' in page
    assert "forged" not in str(running.client.call("ListPipelines"))
    gone = visitor.get("/try/GetSnapshotJobs")
    assert gone.status_code == 404
    assert "did you mean GetSnapshotJob?" in gone.text


def test_policies_apply_in_the_words_of_the_api(running: Service) -> None:
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, "reader")
    users.attach(running.account_id, "reader", READ_ONLY)
    with visiting(running.port) as reader:
        reader.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        listed = re.findall(r'<a href="/console/try/(\w+)">', reader.get("/try").text)
        assert len(listed) > 10
        assert {ACTIONS[name].access for name in listed} == {"read"}
        page = reader.get("/try/CreatePipeline").text
        assert "<b>NoPermission</b>" in page
        assert '<button class="main">Run</button>' not in page
        status, told, _ = run(reader, "CreatePipeline", Name="x", Speed="Boost")
        assert (status, told["Code"]) == (403, "NoPermission")
        assert told["AccessDeniedDetail"]["AuthAction"] == "ice:CreatePipeline"
        assert "No policy of the user reader allows ice:CreatePipeline" in told["Message"]
        assert run(reader, "ListPipelines")[0] == 200


def test_another_account_sees_nothing_of_a_job(running: Service, visitor: Visitor) -> None:
    job_id = run(visitor, "SubmitSnapshotJob", **SUBMIT)[1]["JobId"]
    with running.account("try-strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        assert run(stranger, "GetSnapshotJob", JobId=job_id)[:1] == (404,)
        assert run(stranger, "ListSnapshotJobs")[1]["Jobs"] == []
    running.client.succeeded(job_id)


def test_a_secret_is_not_shown(running: Service, visitor: Visitor) -> None:
    given = {
        "CallbackURL": "http://127.0.0.1:9/",
        "EventTypeList": "ALL",
        "AuthSwitch": "on",
        "AuthKey": "aVerySecretKeyOf1996",
    }
    _, told, page = run(visitor, "SetEventCallback", **given)
    assert "Code" in told or told["Success"]
    assert given["AuthKey"] not in page
    assert "AuthKey=the AuthKey" in shown(page, "Command")
    running.assembly._callbacks.set(
        running.account_id, Callback("http://127.0.0.1:9/", ("SnapshotComplete",), True, given["AuthKey"])
    )
    status, told, page = run(visitor, "GetEventCallback")
    assert status == 200
    assert told["AuthKey"] == "(not shown)"
    assert given["AuthKey"] not in page


def test_a_long_answer_is_cut_off(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillframe.console.pages.try_it.LONGEST_SHOWN", 300)
    page = visitor.send("/try/ListSystemTemplates", **fields(Type="2")).text
    assert len(shown(page, "Answer")) == 300 < LONGEST_SHOWN
    assert re.search(r"Cut off: it has \d{4,} characters", page)


def test_a_form_is_bounded(visitor: Visitor) -> None:
    answer = visitor.send("/try/SubmitSnapshotJob", **fields(UserData="x" * (1 << 20)))
    assert answer.status_code == 413


def test_limits_are_those_of_the_api(database_url: URL, tmp_path: Path) -> None:
    with (
        service(database_url, tmp_path, slots=1, sandbox="off", requests_per_second=0.01) as running,
        visiting(running.port) as visitor,
    ):
        visitor.log_in_by_link(running.assembly.login_link())
        # of the same purse as the API's
        running.client.call("ListPipelines")
        status, told, page = run(visitor, "ListPipelines")
        assert (status, told["Code"]) == (400, "Throttling.User")
        assert "<dt>retry-after</dt>" in page
        with pytest.raises(Refused, match="Throttling"):
            running.client.call("ListPipelines")
        assert run(visitor, "ListSystemTemplates", Type="2")[0] == 200


CODE: dict[str, dict[str, str]] = {
    "SubmitSnapshotJob": SUBMIT,
    "ListSnapshotJobs": {"PageSize": "2", "Status": "Success"},
    "RegisterMediaInfo": {
        "InputURL": "oss://local/movie.mp4",
        "Title": "an 'odd' & \"quoted\" name",
        "Overwrite": "true",
        "RegisterConfig": '{"NeedSnapshot": false, "NeedSprite": "false"}',
    },
    "CreatePipeline": {"Name": "tried", "Speed": "Boost", "MaxConcurrency": "3"},
    "RetrySnapshotJob": {"JobId": "0" * 32},
    "GetEventCallback": {},
}


@pytest.mark.parametrize("way", ["command", "curl", "python"])
def test_the_code_does_the_same(running: Service, visitor: Visitor, tmp_path: Path, way: str) -> None:
    key = running.assembly.keys.create(running.account_id)
    env = os.environ | {
        "STILLFRAME_ENDPOINT": visitor.origin,
        "STILLFRAME_ACCESS_KEY_ID": key.access_key_id,
        "STILLFRAME_ACCESS_KEY_SECRET": key.secret,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    codes = {
        action: shown(
            visitor.send(f"/try/{action}/code", **fields(**given)).text,
            way.capitalize() if way != "curl" else "curl",
        )
        for action, given in CODE.items()
        # a command takes a second to start
        if way != "command" or action in ("SubmitSnapshotJob", "RegisterMediaInfo")
    }
    if way == "python":
        env["PYTHONPATH"] = str(INSTALL("ice6"))
        # one process for all: the SDK takes its time to be imported
        script = tmp_path / "all.py"
        script.write_text(
            "import sys, traceback\n"
            f"for action, code in {codes!r}.items():\n"
            "    print('##', action, flush=True)\n"
            "    try:\n"
            "        exec(code, {})\n"
            "    except Exception as error:\n"
            "        print(error)\n"
        )
        program = [sys.executable, str(script)]
    else:
        lines = "\n".join(
            f"echo; echo '##' {action}\n({code}) 2>&1 || true" for action, code in codes.items()
        )
        program = ["bash", "-uc", lines]
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=DEADLINE_S, cwd=tmp_path)
    said = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", done.stdout, re.DOTALL | re.MULTILINE))
    assert said.keys() == codes.keys(), done.stderr
    job_id = re.search(r"\b[0-9a-f]{32}\b", said["SubmitSnapshotJob"])
    assert job_id, said
    job = running.client.succeeded(job_id[0])
    assert job["Name"] == SUBMIT["Name"]
    config = json.loads(job["TemplateConfig"])
    assert (config["Count"], config["Quality"]) == (2, 70)
    media_id = re.search(r"\b[0-9a-f]{32}\b", said["RegisterMediaInfo"])
    assert media_id, said
    asset = running.client.prepared(media_id[0])
    assert (asset["Title"], asset["Snapshots"]) == (CODE["RegisterMediaInfo"]["Title"], "[]")
    if way == "command":
        return
    assert job_id[0] in said["ListSnapshotJobs"] or "Success" in said["ListSnapshotJobs"]
    made = [one for one in running.client.call("ListPipelines")["PipelineList"] if one["Name"] == "tried"]
    assert made[-1]["MaxConcurrency"] == 3
    assert "ResourceNotFound" in said["RetrySnapshotJob"]
    assert "RequestId" in said["GetEventCallback"]


def test_the_sdk_has_a_model_for_all_that_the_code_gives_it(tmp_path: Path) -> None:
    """What its models do not have, they drop without a word."""
    filled = {
        name: {one.name: one.example or ("{}" if one.type == "object" else "1") for one in action.parameters}
        for name, action in DESCRIBED.items()
    }
    calls = {
        name: (found[1], found[2])
        for name, given in filled.items()
        if (
            found := re.search(
                r"models\.(\w+)\(\)\.from_map\((.*?)\n\)\n",
                code_of_call(DESCRIBED[name], given, "http://x").python,
                re.DOTALL,
            )
        )
    }
    assert len(calls) > 25
    script = (
        "from alibabacloud_ice20201109 import models\n"
        f"for model, given in {[*calls.values()]!r}:\n"
        "    sent = eval(given.strip())\n"
        "    kept = getattr(models, model)().from_map(sent).to_map()\n"
        "    assert kept.keys() == sent.keys(), (model, sent.keys() - kept.keys())\n"
        "    assert all(isinstance(value, (str, dict)) for value in kept.values())\n"
    )
    env = os.environ | {"PYTHONPATH": str(INSTALL("ice6"))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
