"""The API as an OpenAPI 3.1 document, made from the registry.

All actions share the path `/`, and OpenAPI has no word for that: each action stands at a path of its own
here, and `x-acs-action` says what the request really bears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stillframe import __version__
from stillframe.accounts.policies import NoPermissionType, PolicyType
from stillframe.ims.action import Action
from stillframe.ims.wire import FORM, VERSION
from stillframe.media.config import CHOICES, LARGEST, RANGES, SnapshotConfig, SpriteSnapshotConfig, wire_name
from stillframe.service.error_table import ERRORS

_REF = "#/components/schemas/{model}"
_CONFIG = "SnapshotConfig"
#: parameters that hold any keys of a snapshot config, as TemplateConfig does where templates are made
_CONFIG_KEYS = ("OverwriteParams", "Extensions")

_ABOUT = f"""Video snapshots over the wire protocol of Alibaba Cloud Intelligent Media Services (product ICE).

Every request is a POST or a GET to `/`. A path here is only a name: `/GetSnapshotJob` stands for a request to `/`
with the header `x-acs-action: GetSnapshotJob` (with ACS3-HMAC-SHA256) or the parameter `Action=GetSnapshotJob` (with
RPC V1), and with the version {VERSION}. Parameters go into the query or into a urlencoded form; objects are JSON
text there."""


def document(actions: Mapping[str, Action], url: str = "http://127.0.0.1:8080") -> dict[str, Any]:
    """The whole document, as JSON's objects. `url` is where the service is."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stillframe",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "security": [{"ACS3": []}, {"V1": []}],
        "paths": {f"/{name}": _path(action) for name, action in actions.items()},
        "components": {"schemas": _schemas(actions.values()), "securitySchemes": _SECURITY},
    }


def _path(action: Action) -> dict[str, Any]:
    return {
        "post": {
            "operationId": action.name,
            "summary": action.summary if action.is_in_ims else f"{action.summary} Not in IMS.",
            "x-acs-action": action.name,
            "x-acs-version": VERSION,
            "x-ram-action": action.permission,
            "x-access": action.access,
            "parameters": [_parameter(name, schema) for name, schema in _parameters(action.request)],
            "responses": {
                "200": {
                    "description": "It is done.",
                    "content": {"application/json": {"schema": _ref(action.answer)}},
                },
                "default": {
                    "description": "It is not done; Code and Message say why.",
                    "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
                },
            },
        }
    }


def _parameters(model: type[BaseModel]) -> Iterable[tuple[str, dict[str, Any]]]:
    schema = model.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    for name, item in schema["properties"].items():
        yield name, _tidy(name, item) | {"required": name in required}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    required = schema.pop("required")
    parameter = {"name": name, "in": "query", "required": required}
    if description := schema.pop("description", None):
        parameter["description"] = description
    if "$ref" in schema:
        # how OpenAPI says that a parameter is JSON text
        return parameter | {"content": {"application/json": {"schema": schema}}}
    return parameter | {"schema": schema}


def _schemas(actions: Iterable[Action]) -> dict[str, Any]:
    used = [*actions]
    _, requests = models_json_schema([(one.request, "validation") for one in used], ref_template=_REF)
    _, answers = models_json_schema([(one.answer, "serialization") for one in used], ref_template=_REF)
    top = {one.request.__name__ for one in used}
    inner = {name: schema for name, schema in requests["$defs"].items() if name not in top}
    both = inner | answers["$defs"]
    for schema in both.values():
        schema["properties"] = {name: _tidy(name, item) for name, item in schema["properties"].items()}
        schema.pop("title", None)
    return dict(sorted((both | {"Error": _error(), **_config()}).items()))


def _tidy(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Without titles, which only repeat names, and without null, which nobody has to send."""
    kept = {key: value for key, value in schema.items() if key not in ("title", "anyOf")}
    if kept.get("default", ...) is None:
        del kept["default"]
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if options:
        kept = options[0] | kept
    is_template = name == "TemplateConfig" and kept.get("type") == "object"
    if name in _CONFIG_KEYS or is_template:
        described = {key: value for key, value in kept.items() if key == "description"}
        return {"$ref": _REF.format(model=_CONFIG)} | described
    return kept


def _config() -> dict[str, Any]:
    properties = {
        wire_name(item.name): _config_value(wire_name(item.name)) for item in fields(SnapshotConfig)
    }
    grid = {
        wire_name(item.name): _config_value(f"SpriteSnapshotConfig.{wire_name(item.name)}")
        for item in fields(SpriteSnapshotConfig)
    }
    properties["SpriteSnapshotConfig"] = {"$ref": _REF.format(model="SpriteSnapshotConfig")}
    return {
        _CONFIG: {
            "type": "object",
            "description": "Keys of a snapshot config; docs/parameters.md says what they mean.",
            "properties": properties,
            "additionalProperties": False,
        },
        "SpriteSnapshotConfig": {"type": "object", "properties": grid, "additionalProperties": False},
    }


def _config_value(path: str) -> dict[str, Any]:
    if path in CHOICES:
        return {"type": "string", "enum": [*CHOICES[path]]}
    if path not in RANGES:
        return {"type": "boolean" if path == "IsSptFrag" else "string"}
    low, high = RANGES[path]
    return {"type": "integer", "minimum": low, "maximum": LARGEST if high is None else high}


def _error() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["RequestId", "HostId", "Code", "Message", "Recommend"],
        "properties": {
            "RequestId": _text("The id of this request, as it stands in the server's log."),
            "HostId": _text("The host that the request was sent to."),
            "Code": _text("What is wrong, for programs; docs/errors.md has them all.")
            | {"enum": sorted(ERRORS)},
            "Message": _text("What is wrong, for people: the parameter, its value, and what is allowed."),
            "Recommend": _text("What to do."),
            "AccessDeniedDetail": _detail(),
        },
    }


def _detail() -> dict[str, Any]:
    text = {"type": "string"}
    properties = {
        "AuthAction": text,
        "AuthPrincipalDisplayName": text,
        "AuthPrincipalOwnerId": text,
        "AuthPrincipalType": {"type": "string", "enum": ["SubUser", "AssumedRoleUser"]},
        "EncodedDiagnosticMessage": text,
        "NoPermissionType": {"type": "string", "enum": [*get_args(NoPermissionType)]},
        "PolicyType": {"type": "string", "enum": [*get_args(PolicyType)]},
    }
    return {
        "type": "object",
        "description": "Of NoPermission: who was denied what, and by which kind of policy.",
        "required": [*properties],
        "properties": properties,
    }


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


_SECURITY = {
    "ACS3": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "ACS3-HMAC-SHA256 Credential=...,SignedHeaders=...,Signature=... with the headers x-acs-date, "
        "x-acs-signature-nonce and x-acs-content-sha256, and x-acs-security-token for temporary keys.",
    },
    "V1": {
        "type": "apiKey",
        "in": "query",
        "name": "Signature",
        "description": "RPC V1 with HMAC-SHA1: AccessKeyId, SignatureMethod, SignatureVersion, SignatureNonce and "
        f"Timestamp as parameters, and SecurityToken for temporary keys. In the query or in a form ({FORM}).",
    },
}
