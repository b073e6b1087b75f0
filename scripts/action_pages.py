"""The pages of docs/actions/, one for each action and one that lists them: all from the registry.

pages()["GetSnapshotJob.md"]    # the text of a page
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_snake

from stillframe.accounts.policies import MANAGED, AccessRequest, evaluate, parse_policy
from stillframe.ims.action import Action
from stillframe.ims.openapi import document
from stillframe.ims.parameters import Parameter, as_text, describe, resolved, type_of
from stillframe.ims.registry import ACTIONS
from stillframe.ims.wire import VERSION
from stillframe.service.error_table import ERRORS

DOCUMENT = document(ACTIONS)
SCHEMAS = DOCUMENT["components"]["schemas"]
WIDTH = 100

INDEX = f"""# The actions of the API

The API is that of Intelligent Media Services (product ICE, version {VERSION}): every request is a signed POST or GET to
`/`. Official SDKs sign by themselves, and so does `stillframe api`. [openapi.json](../openapi.json) says the same to
programs; a server serves it at `/openapi.json`, to whoever asks.

The examples take the key from `STILLFRAME_ACCESS_KEY_ID` and `STILLFRAME_ACCESS_KEY_SECRET`, and the endpoint from
`STILLFRAME_ENDPOINT`; [commands.md](../commands.md#jobs-and-media-assets) says where else
a command finds them. With `--curl` it prints
the signed request as a curl command, which is good once, within 15 minutes.

| action | what it does | access |
|---|---|---|
"""

ACCESS = """## Who may call it

The account's own keys, and users and roles whose policies allow `{permission}` ([ram.md](../ram.md)). A policy that
names a resource must cover `acs:ice:<region>:<account>:*`: there is none that is narrower.
Of the managed policies, {managed}.
"""

CLIENT = """import os

from alibabacloud_ice20201109{more} import {imported}
{client}from alibabacloud_tea_openapi.models import {models}
{util}
client = Client(
    Config(
        endpoint=os.environ.get("STILLFRAME_ENDPOINT", "127.0.0.1:8080"),
        protocol="http",
        access_key_id=os.environ["STILLFRAME_ACCESS_KEY_ID"],
        access_key_secret=os.environ["STILLFRAME_ACCESS_KEY_SECRET"],
    )
)
"""


def pages() -> dict[str, str]:
    """The text of each page, by its file's name."""
    index = INDEX + "".join(
        f"| [{action.name}]({action.name}.md) | {_summary(action)} | {action.access} |\n"
        for action in ACTIONS.values()
    )
    return {"README.md": index} | {f"{name}.md": page(action) for name, action in ACTIONS.items()}


def page(action: Action) -> str:
    """The page of one action."""
    operation = DOCUMENT["paths"][f"/{action.name}"]["post"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    access = ACCESS.format(permission=action.permission, managed=_managed(action.permission))
    command = command_line(action.name, action.example)
    return "\n".join(
        (
            f"# {action.name}\n\n{_summary(action)}\n",
            access,
            f"## Request\n\n{_requests(describe(action, DOCUMENT).parameters)}",
            f"## Answer\n\n{_answers(answer)}",
            f"## Errors\n\n{_errors(action)}",
            f"## Examples\n\nFrom the command line:\n\n```sh\n{command}\n```\n",
            f"With curl:\n\n```sh\n{curl_line(command)}\n```\n",
            f"In Python, with the official SDK:\n\n```python\n{python(action)}```\n",
        )
    )


def command_line(action: str, parameters: Mapping[str, Any]) -> str:
    """The command that calls an action."""
    return shlex.join(
        ["stillframe", "api", action, *(f"{name}={as_text(value)}" for name, value in parameters.items())]
    )


def curl_line(command: str) -> str:
    """The command that signs the same request, and sends it with curl."""
    return f'eval "$({command} --curl)"'


def python(action: Action) -> str:
    """A program that calls the action with the official SDK, and prints the answer."""
    if not action.is_in_ims:
        return _general_call(action)
    method = to_snake(action.name)
    arguments = [("", _model(f"{action.name}Request", action.example))] if action.example else []
    uses_models = bool(arguments)
    head = CLIENT.format(
        more="" if uses_models else ".client",
        imported="models" if uses_models else "Client",
        client="from alibabacloud_ice20201109.client import Client\n" if uses_models else "",
        models="Config",
        util="",
    )
    return f"{head}\nanswer = {_call(f'client.{method}', arguments)}\nprint(answer.body.to_map())\n"


def _general_call(action: Action) -> str:
    """The SDK has no model of what IMS does not have, but it can send it."""
    head = CLIENT.format(
        more=".client",
        imported="Client",
        client="",
        models="Config, OpenApiRequest, Params",
        util="from alibabacloud_tea_util.models import RuntimeOptions\n",
    )
    about = {
        "action": action.name,
        "version": VERSION,
        "protocol": "HTTP",
        "pathname": "/",
        "method": "POST",
        "auth_type": "AK",
        "style": "RPC",
        "req_body_type": "formData",
        "body_type": "json",
    }
    query = {name: as_text(value) for name, value in action.example.items()}
    request = _call("OpenApiRequest", [("query", _literal(query))])
    sent = _call("client.call_api", [("", "about"), ("", request), ("", "RuntimeOptions()")])
    told = _call("Params", [(name, _literal(value)) for name, value in about.items()])
    return f'{head}\nabout = {told}\nanswer = {sent}\nprint(answer["body"])\n'


def _model(name: str, values: Mapping[str, Any]) -> str:
    """The call that makes one of the SDK's models; objects within have models of their own."""
    arguments = [
        (
            to_snake(field),
            _model(f"{name}{field}", value) if isinstance(value, Mapping) else _literal(value),
        )
        for field, value in values.items()
    ]
    return _call(f"models.{name}", arguments)


def _call(function: str, arguments: list[tuple[str, str]]) -> str:
    """A call on one line where it has room there, else an argument a line."""
    told = [f"{name}={value}" if name else value for name, value in arguments]
    line = f"{function}({', '.join(told)})"
    if "\n" not in line and len(line) <= WIDTH - 12:
        return line
    inner = "".join(f"    {part},\n".replace("\n", "\n    ").rstrip(" ") for part in told)
    return f"{function}(\n{inner})"


def _literal(value: object) -> str:
    """A value as Python writes it, with double quotes where that needs no escapes."""
    if isinstance(value, str) and '"' in value:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, bool) else str(value)


def _managed(permission: str) -> str:
    request = AccessRequest(permission, "cn-shanghai", "1", {})
    allowing = [
        f"`{name}`" for name, text in MANAGED.items() if evaluate(request, [parse_policy(text)]).is_allowed
    ]
    return f"{' and '.join(allowing)} {'allow' if len(allowing) > 1 else 'allows'} it"


def _requests(parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return "It has no parameters.\n"
    rows = [_request_row(one) for parameter in parameters for one in parameter.with_keys]
    return "| field | type | required | default | range | meaning |\n|---|---|---|---|---|---|\n" + "".join(
        rows
    )


def _request_row(parameter: Parameter) -> str:
    meaning = parameter.description
    if parameter.is_config:
        meaning += " [parameters.md](../parameters.md) has the keys."
    return _cells(
        f"`{parameter.name}`",
        parameter.type,
        "yes" if parameter.is_required else "",
        f"`{parameter.default}`" if parameter.default is not None else "",
        _range(parameter),
        meaning,
    )


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    return f"`{parameter.pattern}`" if parameter.pattern is not None else parameter.range


def _answers(schema: Mapping[str, Any]) -> str:
    whole, _ = resolved(SCHEMAS, schema)
    rows = [row for name, item in whole["properties"].items() for row in _answer_rows(name, item)]
    return (
        "| field | type | meaning |\n|---|---|---|\n" + "".join(rows) + "\nWhat has no value is left out.\n"
    )


def _answer_rows(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    whole, _ = resolved(SCHEMAS, schema)
    meaning = schema.get("description") or whole.get("description", "")
    if choices := whole.get("enum"):
        meaning += f" One of: {', '.join(f'`{choice}`' for choice in choices)}."
    yield _cells(f"`{path}`", type_of(SCHEMAS, whole), meaning)
    inner, _ = resolved(SCHEMAS, whole.get("items", whole))
    within = f"{path}[]" if "items" in whole else path
    for name, item in inner.get("properties", {}).items():
        yield from _answer_rows(f"{within}.{name}", item)


def _errors(action: Action) -> str:
    rows = [f"| `{code}` | {ERRORS[code].status} | {when} |\n" for code, when in action.all_errors.items()]
    return (
        "| code | HTTP | when |\n|---|---|---|\n"
        + "".join(rows)
        + "\nAny request may also be refused for its key, its signature or its number, or meet a fault of the server:"
        " [errors.md](../errors.md) has all codes.\n"
    )


def _cells(*cells: str) -> str:
    # a bar in a text would end its cell
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _summary(action: Action) -> str:
    return action.summary if action.is_in_ims else f"{action.summary} Not in IMS."
