"""What people are told of an action and its parameters: pages of the documentation and of the console are made of it.

described(GROUPS)["Snapshot jobs"][0].parameters[0].range
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stillframe.ims.action import Action
from stillframe.ims.openapi import document

#: objects that docs/parameters.md is about; their keys are told there
CONFIGS = ("SnapshotConfig",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, or a key of one that is an object: then `name` is a path, such as Input.Type.

    `range` says what is allowed besides the type, and `pattern` is a regular expression. `choices` are all values that
    there are, or none are named. `default` and `example` are texts as they are sent. `is_config`: it holds keys of a
    snapshot config.
    """

    name: str
    type: str
    is_required: bool
    default: str | None
    range: str
    pattern: str | None
    choices: Sequence[str]
    description: str
    example: str | None
    is_secret: bool
    is_config: bool
    is_in_ims: bool
    keys: Sequence[Parameter]

    @property
    def with_keys(self) -> Iterator[Parameter]:
        """The parameter, and all that is in it."""
        yield self
        for key in self.keys:
            yield from key.with_keys


@dataclass(frozen=True, slots=True)
class Described:
    """An action for people."""

    name: str
    summary: str
    access: Literal["read", "write"]
    is_in_ims: bool
    parameters: Sequence[Parameter]


def described(groups: Mapping[str, Sequence[Action]]) -> Mapping[str, Sequence[Described]]:
    """All actions, in their groups."""
    whole = document({action.name: action for group in groups.values() for action in group})
    return {title: [describe(action, whole) for action in group] for title, group in groups.items()}


def describe(action: Action, whole: Mapping[str, Any]) -> Described:
    """One action; `whole` is the OpenAPI document that it stands in."""
    schemas = whole["components"]["schemas"]
    parameters = []
    for one in whole["paths"][f"/{action.name}"]["post"]["parameters"]:
        schema = one.get("schema") or one["content"]["application/json"]["schema"]
        example = action.example.get(one["name"])
        told = schema | {"description": one["description"]}
        parameters.append(
            _parameter(
                schemas, one["name"], told, one["required"], None if example is None else as_text(example)
            )
        )
    return Described(action.name, action.summary, action.access, action.is_in_ims, parameters)


def resolved(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """A schema with what it refers to, and the name of that."""
    if "$ref" not in schema:
        return dict(schema), None
    name = schema["$ref"].rpartition("/")[2]
    return schemas[name] | {key: value for key, value in schema.items() if key != "$ref"}, name


def type_of(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A word for what a value is."""
    if schema.get("format") == "date-time":
        return "UTC time"
    if "items" in schema:
        return f"list of {type_of(schemas, resolved(schemas, schema['items'])[0])}s"
    return str(schema["type"])


def as_text(value: object) -> str:
    """A value as a query bears it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parameter(
    schemas: Mapping[str, Any], path: str, schema: Mapping[str, Any], is_required: bool, example: str | None
) -> Parameter:
    whole, model = resolved(schemas, schema)
    choices = [*whole.get("enum", ())] or ([whole["const"]] if "const" in whole else [])
    is_config = model in CONFIGS
    description = schema.get("description") or whole.get("description", "")
    keys = {} if is_config else whole.get("properties", {})
    return Parameter(
        name=path,
        type=type_of(schemas, whole),
        is_required=is_required,
        default=as_text(whole["default"]) if "default" in whole else None,
        range=_range(whole),
        pattern=whole["pattern"] if "pattern" in whole and "format" not in whole else None,
        choices=choices,
        description=description,
        example=example,
        is_secret=whole.get("format") == "password",
        is_config=is_config,
        is_in_ims="Not in IMS." not in description,
        keys=[
            _parameter(schemas, f"{path}.{key}", item, key in whole.get("required", ()), None)
            for key, item in keys.items()
        ],
    )


def _range(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f"{schema['maxLength']} bytes or less"
    return ""
