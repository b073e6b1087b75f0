"""The pages of templates: kept as the API keeps them, drawn by the code that makes the pictures, refused in words."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from console_client import DEADLINE_S, Visitor, linked_fields, visiting
from service_client import Service, service
from stillframe.accounts.users import Users
from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.console.config_form import FIELDS
from stillframe.console.pages.templates import TEMPLATES_ON_A_PAGE
from stillframe.media import config_json
from stillframe.media.geometry import sheet_geometry
from stillframe.media.shotlist import shot_list
from stillframe.testing import videos

READ_ONLY = "AliyunICEReadOnlyAccess"
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""
SHEET = {
    "Name": "previews",
    "Type": "Sprite",
    "Count": "12",
    "Interval": "2.5",
    "Width": "160",
    "SpriteSnapshotConfig.Columns": "4",
    "SpriteSnapshotConfig.Lines": "2",
    "SpriteSnapshotConfig.Padding": "3",
    "SpriteSnapshotConfig.Margin": "7",
    "SpriteSnapshotConfig.Color": "navy",
}
SHEET_CONFIG = {
    "Type": "Sprite",
    "Count": 12,
    "IntervalMs": 2500,
    "Width": 160,
    "SpriteSnapshotConfig": {"Columns": 4, "Lines": 2, "Padding": 3, "Margin": 7, "Color": "navy"},
}


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1, max_shots=5000) as started:
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


def made(running: Service, name: str = "mine", **config: Any) -> str:
    told = running.client.call("CreateCustomTemplate", Name=name, Type=2, TemplateConfig=config)
    return str(told["CustomTemplate"]["TemplateId"])


def config_of(running: Service, template_id: str) -> Any:
    found = running.client.call("GetCustomTemplate", TemplateId=template_id)["CustomTemplate"]
    return json.loads(found["TemplateConfig"])


def stored(visitor: Visitor, **form: str) -> str:
    """The id of the template that a form has made."""
    answer = visitor.send("/templates/new", do="save", **form)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def drawn(visitor: Visitor, path: str = "/templates/new", **form: str) -> str:
    """What htmx gets while somebody types."""
    answer = visitor.post(path, form, **{"HX-Request": "true", "X-CSRF-Token": visitor.csrf()})
    assert answer.status_code == 200, answer.text
    assert "<html" not in answer.text
    return answer.text


def cells(page: str) -> list[tuple[int, ...]]:
    found = re.findall(r'<rect class="(?:cell|empty)" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', page)
    return [tuple(map(int, one)) for one in found]


def fields(page: str) -> dict[str, str]:
    """What the form of a page would send."""
    form = page[page.index('<form id="template"') :]
    found = dict(re.findall(r'<input[^>]* name="([\w.]+)"[^>]* value="([^"]*)"', form))
    for name, body in re.findall(r'<select[^>]* name="([\w.]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        # a browser takes the first one where none is chosen
        chosen = re.search(r'value="([^"]*)" selected', body) or re.search(r'value="([^"]*)"', body)
        assert chosen, name
        found[name] = chosen[1]
    for name, body in re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        found[name] = body
    found.pop("csrf")
    return {name: html.unescape(value) for name, value in found.items()}


def errors(page: str) -> dict[str, str]:
    found = re.findall(r'<p class="error" id="about-([\w.]+)"[^>]*>(.*?)</p>', page)
    return {name: html.unescape(text) for name, text in found}


def test_the_list_has_ones_own_and_the_systems(running: Service, visitor: Visitor) -> None:
    template_id = made(running, HOSTILE, Count=3, Time=5000, Width=320)
    page = visitor.get("/templates").text
    assert f"/console/templates/{template_id}" in page
    assert "3 stills, evenly spread, from 0:05 on, 320 px wide, of keyframes" in page
    assert html.escape("<script>alert(1)") in page
    assert "<script>alert" not in page
    for system_id in SYSTEM_TEMPLATES:
        assert f"/console/templates/system/{system_id}" in page
    tracks = visitor.get("/templates?type=WebVtt&name=single").text
    assert re.findall(r"templates/system/(S\d+-\d+)", tracks) == ["S00000002-000032"]
    assert re.findall(r'data-label="Type">([^<]*)', tracks) == ["WebVTT track"]
    assert "No template of yours is like that" in tracks


def test_a_long_list_has_pages(running: Service) -> None:
    with running.account("many") as (account_id, client), visiting(running.port) as visitor:
        visitor.log_in_by_key(running.assembly.keys.create(account_id))
        assert "You have no templates of your own." in visitor.get("/templates").text
        for number in range(TEMPLATES_ON_A_PAGE + 1):
            client.call("CreateCustomTemplate", Name=f"many {number:02}", Type=2, TemplateConfig={})
        first = visitor.get("/templates?name=MANY").text
        found = re.search(r'<a href="/console/templates([^"]*)" rel="next"', first)
        assert found is not None
        second = visitor.get(f"/templates{html.unescape(found[1])}").text
    names = [set(re.findall(r">many (\d\d)<", page)) for page in (first, second)]
    assert names == [{f"{number:02}" for number in range(1, TEMPLATES_ON_A_PAGE + 1)}, {"00"}]


def test_a_form_makes_what_the_api_would(running: Service, visitor: Visitor) -> None:
    template_id = stored(visitor, **SHEET)
    assert config_of(running, template_id) == SHEET_CONFIG
    said = visitor.get(f"/templates/{template_id}").text
    assert "The template is stored." in said
    assert "Sheets of 4 × 2 cells, 12 pictures, one every 2.5 s, 160 px wide, of keyframes" in said
    assert running.client.call("GetCustomTemplate", TemplateId=template_id)["CustomTemplate"]["Subtype"] == 2


@pytest.mark.parametrize("template_id", ["S00000002-000012", "S00000002-000021", "S00000002-000030"])
def test_a_copy_of_a_system_template_makes_the_same(
    running: Service, visitor: Visitor, template_id: str
) -> None:
    page = visitor.get(f"/templates/new?copy={template_id}").text
    copy = config_of(running, stored(visitor, **fields(page) | {"Name": "a copy"}))
    assert config_json.parse(copy) == config_json.parse(SYSTEM_TEMPLATES[template_id])
    assert "Copy of" in fields(page)["Name"]
    shown = visitor.get(f"/templates/system/{template_id}").text
    assert f'href="/console/templates/new?copy={template_id}">Make a copy</a>' in shown
    assert f'href="/console/jobs/new?template={template_id}">New job with it</a>' in shown


def test_a_template_is_changed_and_its_type_stays(running: Service, visitor: Visitor) -> None:
    # what does not count for stills is kept all the same
    config = {"Count": 3, "Type": "Normal", "SpriteSnapshotConfig": {"Columns": 3}}
    template_id = made(running, **config)
    before = fields(visitor.get(f"/templates/{template_id}/edit").text)
    assert before["Count"] == "3"
    assert before["Type"] == "Normal"
    changed = before | {"Name": "another", "Width": "640", "Type": "Sprite"}
    answer = visitor.send(f"/templates/{template_id}/edit", do="save", **changed)
    assert answer.headers["Location"] == f"/console/templates/{template_id}"
    assert config_of(running, template_id) == config | {"Width": 640}
    assert "another" in visitor.get(f"/templates/{template_id}").text


def test_what_is_wrong_stands_beside_its_field(running: Service, visitor: Visitor) -> None:
    total = running.client.call("ListCustomTemplates", Type=2)["Total"]
    wrong = {"Name": "", "Width": "7", "Interval": "often", "SpriteSnapshotConfig.Color": "random"}
    answer = visitor.send("/templates/new", do="save", **SHEET | wrong)
    assert answer.status_code == 400
    told = errors(answer.text)
    assert {*told} == {*wrong} == {*linked_fields(answer.text)}
    assert told["Width"] == "7 is not right. It must be a whole number from 8 to 4096."
    assert told["Interval"].startswith("often is not right. It must be seconds such as 12 or 2.5")
    assert fields(answer.text)["Width"] == "7"
    assert re.search(r'id="field-Width"[^>]* aria-describedby="about-Width" aria-invalid="true"', answer.text)
    # a folded group is opened where something is wrong in it
    folded = visitor.send("/templates/new", do="save", **SHEET | {"AllowMissing": "101"}).text
    assert re.search(r'<details class="group" open><summary>Limits', folded)
    for name in ("x" * 129, "\0"):
        assert "Name" in errors(visitor.send("/templates/new", do="save", **SHEET | {"Name": name}).text)
    assert running.client.call("ListCustomTemplates", Type=2)["Total"] == total


def test_a_sheet_is_drawn_to_scale_by_the_products_own_geometry(visitor: Visitor) -> None:
    config = config_json.parse(SHEET_CONFIG)
    for width, height in ((1920, 1080), (607, 1080)):
        page = drawn(visitor, **SHEET, VideoWidth=str(width), VideoHeight=str(height))
        grid = sheet_geometry(config, width, height)
        assert f'viewBox="0 0 {grid.width_px} {grid.height_px}"' in page
        assert cells(page) == [tuple(grid.cell(number)) for number in range(8)]
        assert f"{grid.width_px} × {grid.height_px} px" in page
        assert 'fill="#000080"' in page
    # 12 pictures on sheets of 8 cells
    assert "2 sheets, 4 on the last one" in page


def test_many_cells_are_drawn_as_a_pattern(visitor: Visitor) -> None:
    large = SHEET | {
        "Count": "1000",
        "Interval": "",
        "Width": "32",
        "SpriteSnapshotConfig.Columns": "30",
        "SpriteSnapshotConfig.Lines": "40",
    }
    page = drawn(visitor, **large)
    assert cells(page) == []
    grid = sheet_geometry(
        config_json.parse(
            {
                "Type": "Sprite",
                "Width": 32,
                "SpriteSnapshotConfig": {"Columns": 30, "Lines": 40, "Padding": 3, "Margin": 7},
            }
        ),
        1920,
        1080,
    )
    pattern = re.search(r'<pattern[^>]* x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)">', page)
    assert pattern
    second = grid.cell(31)
    assert [*map(int, pattern.groups())] == [7, 7, second.x - 7, second.y - 7]
    areas = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)" fill="url\(#cells\)"', page)
    # 33 full lines, and 10 cells of the next one
    assert [tuple(map(int, area))[:2] for area in areas] == [(7, 7), (7, grid.cell(33 * 30).y)]
    assert int(areas[1][2]) == 10 * (second.x - 7)


def test_moments_are_those_that_a_job_would_take(visitor: Visitor) -> None:
    form = {"Name": "stills", "Type": "Normal", "Count": "7", "Time": "1.5", "VideoLength": "1:01"}
    page = drawn(visitor, **form)
    moments = shot_list(config_json.parse({"Count": 7, "Time": 1500}), 61_000).requested_ms
    ticks = re.search(r'class="ticks" d="([^"]*)"', page)
    assert ticks
    assert [*map(int, re.findall(r"M(\d+) ", ticks[1]))] == [moment * 1000 // 61_000 for moment in moments]
    assert "<b>7 moments</b>" in page
    assert "7 pictures of 1920 × 1080 px" in page
    behind = drawn(visitor, **form | {"Interval": "20"})
    assert "4 of 7 moments lie behind the end: they are dropped." in behind


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"SpriteSnapshotConfig.Lines": "100"},
            "4 × 100 cells would be too large a sheet: it has 4 × 87, since players show at most 8,192 px a side and "
            "16,777,216 px in all.",
        ),
        ({"Time": "700"}, "All moments lie behind the end: such a video would fail."),
        (
            {"Count": "", "Interval": "0.1"},
            "Such a video would fail: IntervalMs is 100, but must be 120 ms or more",
        ),
        ({"Width": "4096", "SpriteSnapshotConfig.CellHeight": "4096"}, "small enough for a sheet of at most"),
        ({"VideoLength": "soon"}, "soon is not right. It must be a length such as 90, 10:00 or 1:30:00"),
        ({"VideoWidth": "0"}, "0 is not right. It must be a whole number of pixels"),
        ({"Type": "Normal", "Count": "1", "Time": "700"}, "the last keyframe is taken"),
        ({"Type": "Normal", "Count": "1", "Time": "700", "FrameType": "normal"}, "such a video would fail"),
    ],
)
def test_what_a_video_would_fail_of_is_told_before(
    visitor: Visitor, change: dict[str, str], told: str
) -> None:
    assert told in html.unescape(drawn(visitor, **SHEET | change))


def test_errors_come_and_go_while_somebody_types(visitor: Visitor) -> None:
    page = drawn(visitor, **SHEET | {"Width": "7"})
    assert errors(page) == {"Width": "7 is not right. It must be a whole number from 8 to 4096."}
    assert "Not right yet" in page
    assert page.count('hx-swap-oob="true"') == len(FIELDS)
    page = drawn(visitor, **SHEET)
    assert errors(page) == {}
    assert "12 pictures on 2 sheets" in page
    # nothing is said of a name that was not written yet
    assert "about-Name" not in drawn(visitor, **SHEET | {"Name": ""})


def test_without_scripts_a_button_draws_and_another_one_gives_json(
    running: Service, visitor: Visitor
) -> None:
    page = visitor.send("/templates/new", do="draw", **SHEET).text
    assert len(cells(page)) == 8
    by_hand = visitor.send("/templates/new", do="json", **SHEET).text
    sent = fields(by_hand)
    assert json.loads(sent["Json"]) == SHEET_CONFIG
    back = fields(visitor.send("/templates/new", do="form", **sent).text)
    assert {name: back[name] for name in SHEET} == SHEET
    config = {"Type": "WebVtt", "Interval": "5", "IsSptFrag": "True", "Fit": None}
    template_id = stored(visitor, **sent | {"Json": json.dumps(config)})
    # as it was written, but for what is null
    assert config_of(running, template_id) == {"Type": "WebVtt", "Interval": "5", "IsSptFrag": "True"}
    shown = fields(visitor.get(f"/templates/{template_id}/edit").text)
    assert (shown["Type"], shown["Interval"], shown["IsSptFrag"]) == ("WebVtt", "5", "true")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "It must be a JSON object such as"),
        ("[]", "It must be a JSON object such as"),
        ('{"Width": NaN}', "It must be a JSON object such as"),
        ('{"Name\\u0000": 1}', "without NUL"),
        ("[" * 10_000, "It must be a JSON object such as"),
        ('{"Widht": 100}', "(did you mean Width?)"),
        ('{"Width": 7, "Quality": 0}', "<b>Quality</b> 0 is not right."),
        ('{"SpriteSnapshotConfig": 5}', "SpriteSnapshotConfig is 5, but must be an object."),
    ],
)
def test_json_that_is_wrong_is_told(visitor: Visitor, text: str, told: str) -> None:
    answer = visitor.send("/templates/new", do="save", Name="by hand", Json=text)
    assert answer.status_code == 400
    assert linked_fields(answer.text) == ["Json"]
    assert told in html.unescape(answer.text)
    assert fields(answer.text)["Json"] == text
    part = html.unescape(drawn(visitor, Name="by hand", Json=text))
    assert told in part
    assert 'id="about-Json" hx-swap-oob="true"' in part


def test_the_type_of_a_template_cannot_be_changed_by_hand_either(running: Service, visitor: Visitor) -> None:
    template_id = made(running, Type="Sprite")
    form = {"Name": "x", "Json": '{"Type": "Normal"}'}
    answer = visitor.send(f"/templates/{template_id}/edit", do="save", **form)
    assert answer.status_code == 400
    assert "the type of a template stays" in answer.text
    assert config_of(running, template_id) == {"Type": "Sprite"}


def test_a_template_is_made_default_and_deleted(running: Service, visitor: Visitor) -> None:
    template_id = made(running, "to go", Type="WebVtt")
    assert visitor.send(f"/templates/{template_id}/default").status_code == 303
    default = running.client.call("GetCustomTemplate", Type=2, Subtype=3)["CustomTemplate"]
    assert default["TemplateId"] == template_id
    page = visitor.get(f"/templates/{template_id}").text
    assert 'class="tag">default<' in page
    assert "data-ask=" in page
    assert visitor.send(f"/templates/{template_id}/delete").headers["Location"] == "/console/templates"
    gone = visitor.get(f"/templates/{template_id}")
    assert gone.status_code == 404
    assert "<b>ResourceNotFound</b>" in gone.text
    system = "S00000002-000010"
    assert visitor.get(f"/templates/{system}").headers["Location"].endswith(f"/system/{system}")
    assert "/edit" not in visitor.get(f"/templates/system/{system}").text
    assert visitor.send(f"/templates/{system}/delete").status_code == 400


def test_the_code_of_a_template_makes_a_job_with_it(running: Service, visitor: Visitor) -> None:
    template_id = made(running, Count=2, Width=80, FrameType="normal")
    page = visitor.get(f"/templates/{template_id}").text
    found = re.search(r'aria-label="curl"><code>(.*?)</code>', page, re.DOTALL)
    assert found is not None
    key = running.assembly.keys.create(running.account_id)
    env = os.environ | {
        "STILLFRAME_ACCESS_KEY_ID": key.access_key_id,
        "STILLFRAME_ACCESS_KEY_SECRET": key.secret,
    }
    code = html.unescape(found[1]).replace("BUCKET", "local")
    told = subprocess.run(
        ["bash", "-euc", code], env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    job = running.client.succeeded(json.loads(told.stdout)["JobId"])
    assert job["TemplateId"] == template_id
    assert job["Count"] == 2
    assert f"--template {template_id}" in page


def test_a_template_shows_what_it_makes(running: Service, visitor: Visitor) -> None:
    template_id = made(running, Type="Sprite", Width=100, SpriteSnapshotConfig={"Columns": 3, "Lines": 2})
    path = f"/templates/{template_id}?VideoWidth=1000&VideoHeight=500&VideoLength=60"
    page = visitor.get(path).text
    assert 'viewBox="0 0 300 100"' in page
    assert re.findall(r'font-size="\d+">([^<]*)</text>', page) == [
        "0:00",
        "0:10",
        "0:20",
        "0:30",
        "0:40",
        "0:50",
    ]
    part = visitor.get(path, **{"HX-Request": "true"}).text
    assert cells(part) == cells(page)
    assert "<html" not in part


def test_who_may_only_read_is_offered_nothing_else(running: Service) -> None:
    template_id = made(running, "to be read", Count=3)
    with user(running, "reader", READ_ONLY) as reader:
        pages = {path: reader.get(path) for path in ("/templates", f"/templates/{template_id}")}
        for page in pages.values():
            assert page.status_code == 200
            for word in ("/new", "/edit", "/delete", "/default"):
                assert word not in page.text
        assert "Pipelines" in pages["/templates"].text
        assert reader.get("/templates/new").status_code == 403
        for path, action in (
            ("/templates/new", "CreateCustomTemplate"),
            (f"/templates/{template_id}/edit", "UpdateCustomTemplate"),
            (f"/templates/{template_id}/delete", "DeleteCustomTemplate"),
            (f"/templates/{template_id}/default", "SetDefaultCustomTemplate"),
        ):
            refused = reader.send(path, do="save", **SHEET)
            assert refused.status_code == 403
            assert f"ice:{action}" in refused.text
    with user(running, "nothing") as nobody:
        assert nobody.get("/templates").status_code == 403
        assert nobody.get("/templates/system/S00000002-000010").status_code == 403
    assert config_of(running, template_id) == {"Count": 3, "Type": "Normal"}


def test_two_accounts_see_nothing_of_each_other(running: Service) -> None:
    template_id = made(running, "secret plans", Count=3)
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        assert "secret plans" not in stranger.get("/templates").text
        none = "0" * 32
        for path in ("/templates/{}", "/templates/{}/edit", "/templates/new?copy={}"):
            theirs, nobodys = (stranger.get(path.format(one)) for one in (template_id, none))
            assert theirs.status_code == nobodys.status_code == 404
            assert _bare(theirs, template_id) == _bare(nobodys, none)
        for action in ("edit", "delete", "default"):
            answer = stranger.send(f"/templates/{template_id}/{action}", do="save", **SHEET)
            assert answer.status_code == 404
    assert config_of(running, template_id) == {"Count": 3, "Type": "Normal"}


def _bare(answer: httpx.Response, template_id: str) -> str:
    """A page without what is never twice the same."""
    page = re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", answer.text)
    return page.replace(template_id, "ID")
