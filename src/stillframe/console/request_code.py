"""A job's request as code: what somebody writes who wants to send the same from a program."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.media import config_json
from stillframe.service.ports import JobView

_GRID = "SpriteSnapshotConfig"
#: what the models of official SDKs have; all else goes by Extensions
_OF_IMS = {
    *("Type", "FrameType", "Count", "Interval", "Time", "Width", "Height", "BlackLevel"),
    *("PixelBlackThreshold", "IsSptFrag", _GRID),
}
_ANY_TEMPLATE = "S00000002-000010"
_SDK = "models.SubmitSnapshotJobRequest"

_CURL = """\
endpoint={endpoint}
body={body}

digest=$(printf %s "$body" | openssl dgst -sha256 -r | cut -c1-64)
headers="content-type:application/x-www-form-urlencoded
host:{host}
x-acs-action:SubmitSnapshotJob
x-acs-content-sha256:$digest
x-acs-date:$(date -u +%Y-%m-%dT%H:%M:%SZ)
x-acs-signature-nonce:$(openssl rand -hex 16)
x-acs-version:2020-11-09"
names="content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
request=$(printf 'POST\\n/\\n\\n%s\\n\\n%s\\n%s' "$headers" "$names" "$digest" | openssl dgst -sha256 -r | cut -c1-64)
signature=$(printf 'ACS3-HMAC-SHA256\\n%s' "$request" |
  openssl dgst -sha256 -hmac "$STILLFRAME_ACCESS_KEY_SECRET" -r | cut -c1-64)
credential="Credential=$STILLFRAME_ACCESS_KEY_ID,SignedHeaders=$names,Signature=$signature"
printf '%s\\nauthorization:ACS3-HMAC-SHA256 %s\\n' "$headers" "$credential" |
  curl --header @- --data "$body" "$endpoint/"
"""

_PYTHON = """\
import os

from alibabacloud_ice20201109 import models
from alibabacloud_ice20201109.client import Client
from alibabacloud_tea_openapi.models import Config
{imports}
client = Client(
    Config(
        endpoint={host!r},
        protocol={scheme!r},
        access_key_id=os.environ["STILLFRAME_ACCESS_KEY_ID"],
        access_key_secret=os.environ["STILLFRAME_ACCESS_KEY_SECRET"],
    )
)
request = {request}
{call}
print(answer.body.job_id)
"""


@dataclass(frozen=True, slots=True)
class RequestCode:
    """The same request in three ways."""

    curl: str
    command: str
    python: str


def code_of(job: JobView, endpoint: str, *, default_pipeline_id: str | None) -> RequestCode:
    """The code that makes such a job once more; `endpoint` is the server's URL."""
    template_id = job.template_id or _ANY_TEMPLATE
    changes = _changes(job.template_config, template_id)
    parameters: dict[str, Any] = {
        "Input": {"Type": job.input.type, "Media": job.input.media},
        "Output": {"Type": job.output.type, "Media": job.output.media},
        "TemplateConfig": {"TemplateId": template_id} | ({"OverwriteParams": changes} if changes else {}),
    }
    if job.pipeline_id != default_pipeline_id:
        parameters["ScheduleConfig"] = {"PipelineId": job.pipeline_id}
    for key, value in (("Name", job.name), ("UserData", job.user_data)):
        if value is not None:
            parameters[key] = value
    return code_for(parameters, endpoint)


def code_for(parameters: Mapping[str, Any], endpoint: str) -> RequestCode:
    """The code that makes a job with these parameters of SubmitSnapshotJob."""
    return RequestCode(_curl(parameters, endpoint), _command(parameters), _python(parameters, endpoint))


def _changes(config: Mapping[str, Any], template_id: str) -> dict[str, Any]:
    """What a job's config has that its template has not; all of it where the template may have changed since."""
    system = SYSTEM_TEMPLATES.get(template_id)
    if system is None:
        return dict(config)
    before = config_json.to_wire(config_json.parse(system))
    changes = {key: value for key, value in config.items() if before.get(key) != value}
    if _GRID in changes:
        grid = before.get(_GRID, {})
        changes[_GRID] = {key: value for key, value in changes[_GRID].items() if grid.get(key) != value}
    return changes


def _curl(parameters: Mapping[str, Any], endpoint: str) -> str:
    form = {name: value if isinstance(value, str) else _json(value) for name, value in parameters.items()}
    return _CURL.format(
        endpoint=shlex.quote(endpoint), body=shlex.quote(urlencode(form)), host=urlsplit(endpoint).netloc
    )


def _command(parameters: Mapping[str, Any]) -> str:
    template = parameters["TemplateConfig"]
    lines = [
        f"stillframe job submit {shlex.quote(parameters['Input']['Media'])}",
        f"-o {shlex.quote(parameters['Output']['Media'])}",
        f"--template {shlex.quote(template['TemplateId'])}",
    ]
    for key, value in template.get("OverwriteParams", {}).items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        lines += [
            f"--set {shlex.quote(f'{key}.{name}'.rstrip('.') + f'={_plain(one)}')}" for name, one in inner
        ]
    options = {
        "--name": parameters.get("Name"),
        "--user-data": parameters.get("UserData"),
        "--pipeline": parameters.get("ScheduleConfig", {}).get("PipelineId"),
    }
    lines += [f"{option} {shlex.quote(value)}" for option, value in options.items() if value is not None]
    return " \\\n  ".join([*lines, "--wait"]) + "\n"


def _python(parameters: Mapping[str, Any], endpoint: str) -> str:
    sent = dict(parameters)
    template = dict(sent["TemplateConfig"])
    changes = template.pop("OverwriteParams", {})
    known = {key: value for key, value in changes.items() if key in _OF_IMS}
    more = {key: value for key, value in changes.items() if key not in _OF_IMS}
    sent["TemplateConfig"] = template | ({"OverwriteParams": known} if known else {})
    parts = urlsplit(endpoint)
    call = "answer = client.submit_snapshot_job(request)"
    if more:
        call = (
            f"extensions = {_json(more)!r}\n"
            'more = ExtendsParameters(queries={"Extensions": extensions})\n'
            "answer = client.submit_snapshot_job_with_options(request, RuntimeOptions(extends_parameters=more))"
        )
    return _PYTHON.format(
        imports="from darabonba.runtime import ExtendsParameters, RuntimeOptions\n" if more else "",
        host=parts.netloc,
        scheme=parts.scheme,
        request=f"{_SDK}().from_map(\n    {_indented(sent)}\n)",
        call=call,
    )


def _indented(value: Mapping[str, Any]) -> str:
    """A dictionary as Python writes it, a key on each line, inside of a call."""
    lines = ",\n".join(f"        {key!r}: {inner!r}" for key, inner in value.items())
    return f"{{\n{lines},\n    }}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
