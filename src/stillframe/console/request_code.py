"""A request as code: what somebody writes who wants to send the same from a program.

code_of(job, "http://127.0.0.1:8080", default_pipeline_id=None).curl
code_of_call(action, {"PageSize": "5"}, "http://127.0.0.1:8080").python
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.console.api_actions import ApiAction, Parameter
from stillframe.media import config_json
from stillframe.service.ports import JobView

_GRID = "SpriteSnapshotConfig"
#: what the models of official SDKs have; all else goes by Extensions
_OF_IMS = {
    *("Type", "FrameType", "Count", "Interval", "Time", "Width", "Height", "BlackLevel"),
    *("PixelBlackThreshold", "IsSptFrag", _GRID),
}
_ANY_TEMPLATE = "S00000002-000010"
#: what the SDK has a model for; to it, all other JSON is text
_OBJECTS = {
    "SubmitSnapshotJob": {"Input", "Output", "TemplateConfig", "ScheduleConfig"},
    "SubmitMediaInfoJob": {"Input", "ScheduleConfig"},
    "SubmitSyncMediaInfoJob": {"Input", "ScheduleConfig"},
}
#: what IMS has, and its SDK has not
_NOT_IN_SDK = {"EditingTempFileStorage"}

_CURL = """\
endpoint={endpoint}
body={body}

digest=$(printf %s "$body" | openssl dgst -sha256 -r | cut -c1-64)
headers="content-type:application/x-www-form-urlencoded
host:{host}
x-acs-action:{action}
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

_CLIENT = """\
import os

from alibabacloud_ice20201109{models} import {name}
{client}from alibabacloud_tea_openapi.models import {config}
{options}
client = Client(
    Config(
        endpoint={host!r},
        protocol={scheme!r},
        access_key_id=os.environ["STILLFRAME_ACCESS_KEY_ID"],
        access_key_secret=os.environ["STILLFRAME_ACCESS_KEY_SECRET"],
    )
)
"""
#: the SDK has no model of what IMS does not have, but it can send it
_GENERAL = """\
about = Params(
    action={action!r},
    version="2020-11-09",
    protocol={protocol!r},
    pathname="/",
    method="POST",
    auth_type="AK",
    style="RPC",
    req_body_type="formData",
    body_type="json",
)
request = OpenApiRequest(query={query})
answer = client.call_api(about, request, RuntimeOptions())
print(answer["body"])
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
    return RequestCode(
        _curl("SubmitSnapshotJob", parameters, endpoint),
        _command(parameters),
        _python("SubmitSnapshotJob", *_extended(parameters), endpoint, "answer.body.job_id"),
    )


def code_of_call(action: ApiAction, given: Mapping[str, str], endpoint: str) -> RequestCode:
    """The code that calls an action with parameters as texts; what is secret of them is not shown."""
    known = {parameter.name: parameter for parameter in action.parameters}
    shown = {name: _shown(known.get(name), text) for name, text in given.items()}
    call = [f"stillframe api {action.name}", *(shlex.quote(f"{name}={text}") for name, text in shown.items())]
    return RequestCode(
        _curl(action.name, shown, endpoint),
        " \\\n  ".join(call) + "\n",
        _python_call(action, known, shown, endpoint),
    )


def _shown(parameter: Parameter | None, text: str) -> str:
    if parameter is not None and parameter.is_secret:
        return f"the {parameter.name}"
    is_json = parameter is not None and parameter.type == "object"
    value = _read(text) if is_json else None
    return text if value is None else _json(value)


def _python_call(
    action: ApiAction, known: Mapping[str, Parameter], given: Mapping[str, str], endpoint: str
) -> str:
    """By the SDK's models, where these have all of it."""
    objects = {name: _read(given[name]) for name in _OBJECTS.get(action.name, ()) if name in given}
    if not action.is_in_ims or not all(_is_modelled(value, known[name]) for name, value in objects.items()):
        return _general(action.name, given, endpoint)
    modelled = {one.name for one in known.values() if one.is_in_ims} - _NOT_IN_SDK
    values = {name: text for name, text in given.items() if name in modelled} | objects
    others = {name: text for name, text in given.items() if name not in modelled}
    if action.name == "SubmitSnapshotJob":
        values, extended = _extended(values)
        if extended and "Extensions" in others:
            return _general(action.name, given, endpoint)
        others |= extended
    return _python(action.name, values, others, endpoint, "answer.body.to_map()")


def _read(text: str) -> object:
    """What JSON says; None for what is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_modelled(value: object, parameter: Parameter) -> bool:
    """Whether the SDK's model has all keys of an object."""
    keys = {key.name.rpartition(".")[2] for key in parameter.keys if key.is_in_ims}
    return isinstance(value, dict) and value.keys() <= keys


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


def _curl(action: str, parameters: Mapping[str, Any], endpoint: str) -> str:
    form = {name: value if isinstance(value, str) else _json(value) for name, value in parameters.items()}
    return _CURL.format(
        action=action,
        endpoint=shlex.quote(endpoint),
        body=shlex.quote(urlencode(form)),
        host=urlsplit(endpoint).netloc,
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


def _extended(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters of SubmitSnapshotJob as the SDK's models have them, and those that they have not."""
    template = dict(parameters.get("TemplateConfig", {}))
    changes = template.pop("OverwriteParams", None)
    if not isinstance(changes, Mapping):
        return dict(parameters), {}
    known = {key: value for key, value in changes.items() if key in _OF_IMS}
    more = {key: value for key, value in changes.items() if key not in _OF_IMS}
    sent = {"TemplateConfig": template | ({"OverwriteParams": known} if known else {})}
    return {**parameters, **sent}, {"Extensions": _json(more)} if more else {}


def _python(
    action: str, parameters: Mapping[str, Any], others: Mapping[str, Any], endpoint: str, told: str
) -> str:
    """By the SDK's models; `others` are what these do not have."""
    method = "client." + re.sub("(?<!^)(?=[A-Z])", "_", action).lower()
    has_model = bool(parameters or others)
    lines = []
    if has_model:
        lines.append(f"request = models.{action}Request().from_map({_indented(parameters)})")
    if others:
        lines += [
            f"more = ExtendsParameters(queries={_indented(others)})",
            f"answer = {method}_with_options(request, RuntimeOptions(extends_parameters=more))",
        ]
    else:
        lines.append(f"answer = {method}({'request' if has_model else ''})")
    head = _CLIENT.format(
        models="" if has_model else ".client",
        name="models" if has_model else "Client",
        client="from alibabacloud_ice20201109.client import Client\n" if has_model else "",
        config="Config",
        options="from darabonba.runtime import ExtendsParameters, RuntimeOptions\n" if others else "",
        **_place(endpoint),
    )
    return "\n".join([head + lines[0], *lines[1:], f"print({told})", ""])


def _general(action: str, parameters: Mapping[str, str], endpoint: str) -> str:
    """Without models."""
    place = _place(endpoint)
    head = _CLIENT.format(
        models=".client",
        name="Client",
        client="",
        config="Config, OpenApiRequest, Params",
        options="from alibabacloud_tea_util.models import RuntimeOptions\n",
        **place,
    )
    return head + _GENERAL.format(
        action=action, protocol=place["scheme"].upper(), query=_indented(parameters)
    )


def _place(endpoint: str) -> dict[str, str]:
    parts = urlsplit(endpoint)
    return {"host": parts.netloc, "scheme": parts.scheme}


def _indented(value: Mapping[str, Any]) -> str:
    """A dictionary as Python writes it, a key on each line, inside of a call."""
    if not value:
        return "{}"
    lines = "".join(f"        {key!r}: {inner!r},\n" for key, inner in value.items())
    return f"\n    {{\n{lines}    }}\n"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
