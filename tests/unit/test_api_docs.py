"""docs/openapi.json, errors.md and actions/ say what the code does, and the document holds together."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ims_answers import ANSWERS, OURS_IN_ANSWERS
from stillframe.cli.main import app_for
from stillframe.ims.registry import ACTIONS
from stillframe.service.error_table import ACTION_ERRORS

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "make_api_docs.py"))
PAGES: dict[Path, str] = SCRIPT["pages"]()
# as it is made from the code now, once: that takes its time
DOCUMENT = json.loads(PAGES[ROOT / "docs" / "openapi.json"])
COMMANDS = get_command(app_for([])).commands  # type: ignore[attr-defined]
#: objects whose keys docs/parameters.md tells of
CONFIGS = ("SnapshotConfig", "SpriteSnapshotConfig")


@pytest.mark.parametrize("page", [*PAGES], ids=lambda page: page.name)
def test_the_pages_are_made_from_the_code(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page], "run: python scripts/make_api_docs.py"


def test_every_action_has_its_page_and_no_other_is_there() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "actions").iterdir()}
    assert pages == {*ACTIONS, "README"}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_command_of_the_page_is_one_and_calls_the_action(action: str) -> None:
    line, curl_line = re.findall(
        "```sh\n(.*?)\n```", PAGES[ROOT / "docs" / "actions" / f"{action}.md"], re.DOTALL
    )
    program, command, *arguments = shlex.split(line)
    parsed = COMMANDS[command].make_context(command, arguments).params
    assert (program, parsed["action"], parsed["curl"]) == ("stillframe", action, False)
    given = dict(text.split("=", 1) for text in parsed["parameters"] or ())
    assert ACTIONS[action].parse(given) == ACTIONS[action].parse(as_texts(ACTIONS[action].example))
    assert curl_line == f'eval "$({line} --curl)"'


def test_every_field_has_its_meaning() -> None:
    fields = {
        f"{name}.{field}": schema
        for name, model in DOCUMENT["components"]["schemas"].items()
        if name not in CONFIGS
        for field, schema in model["properties"].items()
    } | {
        f"{path}.{parameter['name']}": parameter
        for path, operations in DOCUMENT["paths"].items()
        for parameter in operations["post"]["parameters"]
    }
    assert [name for name, schema in fields.items() if not schema.get("description")] == []


def values_of(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from values_of(item, key)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    names = {reference.rpartition("/")[2] for reference in values_of(DOCUMENT, "$ref")}
    assert names == {*DOCUMENT["components"]["schemas"]}


def test_every_action_stands_in_it() -> None:
    assert {*values_of(DOCUMENT["paths"], "x-acs-action")} == {*ACTIONS}


@pytest.mark.parametrize("action", [*ACTIONS])
def test_its_errors_are_those_of_actions_and_say_when(action: str) -> None:
    assert {*ACTIONS[action].all_errors} <= {*ACTION_ERRORS}
    assert all(when.endswith(".") for when in ACTIONS[action].all_errors.values())


@pytest.mark.parametrize("action", [*ACTIONS])
def test_its_example_is_right_and_knows_nothing_that_ims_does_not(action: str) -> None:
    example = ACTIONS[action].example
    ACTIONS[action].parse(as_texts(example))
    assert not example.keys() & OURS.get(action, set())
    assert ACTIONS[action].is_in_ims is (action in SDK_PARAMETERS)


def as_texts(example: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in example.items()}


#: what the official SDK puts on the wire for these actions, and what it reads of the answers
SDK_PARAMETERS = {
    "SubmitSnapshotJob": "Input* Name Output* ScheduleConfig TemplateConfig* UserData",
    "GetSnapshotJob": "JobId*",
    "ListSnapshotJobs": "EndOfCreateTime JobId NextPageToken OrderBy PageSize StartOfCreateTime Status",
    "GetSnapshotUrls": "JobId* OrderBy PageNumber PageSize Timeout",
    "SubmitMediaInfoJob": "Input* Name ScheduleConfig UserData",
    "SubmitSyncMediaInfoJob": "Input* Name ScheduleConfig UserData",
    "GetMediaInfoJob": "JobId*",
    "ListMediaInfoJobs": "EndOfCreateTime JobId NextPageToken OrderBy PageSize StartOfCreateTime Status",
    "CreateCustomTemplate": "Name* Subtype TemplateConfig* Type*",
    "UpdateCustomTemplate": "Name TemplateConfig TemplateId*",
    "DeleteCustomTemplate": "TemplateId*",
    "SetDefaultCustomTemplate": "TemplateId*",
    "GetCustomTemplate": "Subtype TemplateId Type",
    "ListCustomTemplates": "Name OrderBy PageNumber PageSize Subtype TemplateId Type*",
    "GetSystemTemplate": "TemplateId*",
    "ListSystemTemplates": "Name PageNumber PageSize Status Subtype TemplateId Type*",
    "GetStorageList": "AppId Status StorageType",
    "GetDefaultStorageLocation": "",
    "SetDefaultStorageLocation": "Bucket* Path StorageType",
    "CreatePipeline": "Name* Priority Speed*",
    "UpdatePipeline": "Name PipelineId* Priority Status",
    "DeletePipeline": "PipelineId*",
    "GetPipeline": "PipelineId*",
    "ListPipelines": "Speed",
    "RegisterMediaInfo": (
        "BusinessType CateId ClientToken CoverURL Description InputURL* MediaTags MediaType Overwrite ReferenceId "
        "RegisterConfig SmartTagTemplateId Title UserData WorkflowId"
    ),
    "GetMediaInfo": "AuthTimeout InputURL MediaId OutputType ReturnDetailedInfo",
    "UpdateMediaInfo": (
        "AppendTags BusinessType CateId Category CoverURL Description InputURL MediaId MediaTags ReferenceId Title "
        "UserData"
    ),
    "DeleteMediaInfos": "DeletePhysicalFiles InputURLs MediaIds",
    "ListMediaBasicInfos": (
        "AuthTimeout BusinessType EndTime IncludeFileBasicInfo MaxResults MediaId MediaType NextToken SortBy Source "
        "StartTime Status"
    ),
    "BatchGetMediaInfos": "AdditionType AuthTimeout MediaIds*",
    "SetEventCallback": "AuthKey AuthSwitch CallbackQueueName CallbackType CallbackURL EventTypeList",
    "GetEventCallback": "",
}
OURS = {
    "SubmitSnapshotJob": {"Extensions", "ClientToken"},
    "SetDefaultStorageLocation": {"EditingTempFileStorage"},
    "CreatePipeline": {"MaxConcurrency", "ActiveHours", "TimeZone"},
    "UpdatePipeline": {"MaxConcurrency", "ActiveHours", "TimeZone"},
    "SetEventCallback": {"WebhookSecret"},
}


@pytest.mark.parametrize("action", [*SDK_PARAMETERS])
def test_the_parameters_are_those_of_the_sdk(action: str) -> None:
    parameters = DOCUMENT["paths"][f"/{action}"]["post"]["parameters"]
    ours = OURS.get(action, set())
    found = {one["name"] + "*" * one["required"] for one in parameters if one["name"] not in ours}
    assert found == {*SDK_PARAMETERS[action].split()}
    assert ours <= {one["name"] for one in parameters}


def shape(schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema["type"] == "array":
        return [shape(schema["items"])]
    if "properties" in schema:
        return {name: shape(item) for name, item in schema["properties"].items()}
    return schema["type"]


@pytest.mark.parametrize("action", [*ACTIONS])
def test_the_answers_have_the_fields_and_types_of_ims(action: str) -> None:
    answer = DOCUMENT["paths"][f"/{action}"]["post"]["responses"]["200"]
    found = shape(answer["content"]["application/json"]["schema"])
    assert found == with_ours(ANSWERS[action], OURS_IN_ANSWERS.get(action, {}))


def with_ours(documented: Any, ours: Any) -> Any:
    """The fields that IMS has, and those that only we have."""
    if isinstance(documented, list):
        return [with_ours(documented[0], ours[0] if ours else {})]
    if not isinstance(documented, dict):
        return documented
    found = {name: with_ours(item, ours.get(name, {})) for name, item in documented.items()}
    return found | {name: item for name, item in ours.items() if name not in documented}


def test_it_is_json_and_nothing_else() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
