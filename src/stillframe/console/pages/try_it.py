"""Try it: a page for each action of the API, made from what the API tells of itself."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from stillframe.console.api_actions import ApiAction, ApiAnswer, Parameter, wrong_parameter
from stillframe.console.page import Page
from stillframe.console.request_code import code_of_call
from stillframe.console.visit import Visit
from stillframe.service.errors import ApiError, shown

#: of an answer; the report of a job with 20,000 moments has several megabytes
LONGEST_SHOWN = 60_000
#: in a form, what belongs to the action begins with it
PREFIX = "p."
_TYPES = {
    "object": "JSON",
    "integer": "A whole number",
    "number": "A number",
    "UTC time": "A time in UTC such as 2026-11-22T17:30:42Z",
}
_HIDDEN = "(not shown)"
#: an id alone on its line, as pretty JSON has it; a text that only looks so has its quotes escaped
_ID = re.compile(r'^( *"(\w+Id)": ")([0-9A-Za-z-]+)(")', re.MULTILINE)
#: what every account has
_SYSTEM = re.compile(r"S\d+-\d+")
#: whose JobId is no job of the jobs' pages
_PROBES = re.compile("MediaInfoJob")


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter as the form has it. `choices` are None where anything may be written."""

    parameter: Parameter
    name: str
    label: str
    value: str
    hint: str
    error: str | None
    type: str
    choices: Sequence[tuple[str, str]] | None
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some of an answer's text, and the page that it leads to."""

    text: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """An answer as the page has it.

    `cut_from` is the length of one that is too long to be shown whole. `wrong` says of a parameter what is.
    """

    status: int
    phrase: str
    headers: Mapping[str, str]
    request_id: str
    seconds: float
    pieces: Sequence[_Piece]
    cut_from: int | None
    wrong: Mapping[str, str]


def list_actions(visit: Visit) -> Response:
    """The actions that the visitor may call, those with a word in their names or summaries."""
    wanted = visit.query.get("q", "").strip()[:100]
    words = wanted.lower().split()
    groups = {
        title: [one for one in group if _matches(one, words) and visit.may(one.name)]
        for title, group in visit.rooms.actions.groups.items()
    }
    return visit.show(
        "try/list.html",
        part="try/_actions.html",
        wanted=wanted,
        groups={title: group for title, group in groups.items() if group},
    )


def show_action(visit: Visit) -> Response:
    """The form of an action, filled in with what is in the query, or with what it cannot be without."""
    action = _action(visit)
    if visit.query.get("example") == "true":
        values = {one.name: _example(one) for one in action.parameters}
    elif visit.query:
        values = dict(visit.query)
    else:
        values = {
            one.name: _example(one)
            for one in action.parameters
            if one.is_required and not one.name.endswith(("Id", "Ids"))
        }
    return _show(visit, action, values)


def run(visit: Visit) -> Response:
    """Call an action as the visitor."""
    action, values = _action(visit), _sent(visit)
    answer = visit.call(action.name, {name: text for name, text in values.items() if text})
    return _show(visit, action, values, part="try/_answered.html", answer=_shown(visit, action, answer))


def show_code(visit: Visit) -> Response:
    """The same request as code."""
    return _show(visit, _action(visit), _sent(visit), part="try/_code.html")


PAGES = (
    Page("/try", list_actions, (), title="Try it"),
    Page("/try/{action}", show_action, ()),
    Page("/try/{action}", run, (), method="POST"),
    Page("/try/{action}/code", show_code, (), method="POST"),
)


def _show(
    visit: Visit,
    action: ApiAction,
    values: Mapping[str, str],
    *,
    part: str | None = None,
    answer: _Shown | None = None,
) -> Response:
    given = {name: text for name, text in values.items() if text}
    return visit.show(
        "try/action.html",
        part=part,
        action=action,
        fields=[
            _field(one, values.get(one.name, ""), answer.wrong.get(one.name) if answer else None)
            for one in action.parameters
        ],
        refusal=_refusal(visit, action),
        answer=answer,
        code=code_of_call(action, given, visit.rooms.public_url()),
    )


def _field(parameter: Parameter, value: str, error: str | None) -> _Field:
    choices = [*parameter.choices] or (["true", "false"] if parameter.type == "boolean" else None)
    told = [parameter.description]
    if parameter.type not in ("string", "boolean"):
        told.append(_TYPES.get(parameter.type, parameter.type.capitalize()) + ".")
    if parameter.pattern or parameter.range:
        told.append(f"Like {parameter.pattern}" if parameter.pattern else f"{parameter.range.capitalize()}.")
    if parameter.default is not None:
        told.append(f"{parameter.default} if left out.")
    if parameter.example is not None and not choices and parameter.type != "object":
        told.append(f"Such as {parameter.example}")
    attributes: dict[str, object] = {"spellcheck": "false", "autocomplete": "off"}
    if parameter.is_required:
        attributes["aria-required"] = "true"
    if parameter.type == "object":
        attributes["rows"] = max(3, value.count("\n") + 1)
    if parameter.type == "integer":
        attributes["inputmode"] = "numeric"
    return _Field(
        parameter,
        PREFIX + parameter.name,
        f"{parameter.name} (required)" if parameter.is_required else parameter.name,
        # it is not sent back to where it came from
        "" if parameter.is_secret else value,
        " ".join(told),
        error,
        {"object": "textarea"}.get(parameter.type, "password" if parameter.is_secret else "text"),
        [("", "–"), *((choice, choice) for choice in choices)] if choices else None,
        attributes,
    )


def _action(visit: Visit) -> ApiAction:
    name = visit.path["action"]
    action = visit.rooms.actions.find(name)
    if action is None:
        names = [one.name for group in visit.rooms.actions.groups.values() for one in group]
        close = difflib.get_close_matches(name[:64], names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ApiError("InvalidAction.NotFound", flaw=f"There is no action {shown(name)}{hint}.")
    return action


def _example(parameter: Parameter) -> str:
    """An example, JSON on several lines."""
    if parameter.example is None or parameter.type != "object":
        return parameter.example or ""
    return json.dumps(json.loads(parameter.example), indent=2, ensure_ascii=False)


def _sent(visit: Visit) -> dict[str, str]:
    # a text box of a browser ends its lines as mails do
    return {
        name.removeprefix(PREFIX): text.replace("\r\n", "\n")
        for name, text in visit.form.items()
        if name.startswith(PREFIX)
    }


def _refusal(visit: Visit, action: ApiAction) -> ApiError | None:
    """Why the visitor may not call it."""
    try:
        visit.demand(action.name)
    except ApiError as error:
        return error
    return None


def _matches(action: ApiAction, words: Sequence[str]) -> bool:
    text = f"{action.name} {action.summary}".lower()
    return all(word in text for word in words)


def _shown(visit: Visit, action: ApiAction, answer: ApiAnswer) -> _Shown:
    told = _without_secrets(json.loads(answer.body), visit.rooms.actions.secrets)
    message = told["Message"] if answer.status >= 400 else ""
    wrong = wrong_parameter(message)
    text = json.dumps(told, indent=2, ensure_ascii=False)
    paths = [path for path in visit.paths if not (path.startswith("/jobs/") and _PROBES.search(action.name))]
    return _Shown(
        answer.status,
        HTTPStatus(answer.status).phrase,
        answer.headers,
        answer.request_id,
        answer.seconds,
        _linked(text[:LONGEST_SHOWN], paths),
        len(text) if len(text) > LONGEST_SHOWN else None,
        {wrong: message} if wrong else {},
    )


def _without_secrets(value: Any, secrets: Collection[str]) -> Any:
    match value:
        case dict():
            return {
                key: _HIDDEN if key in secrets and inner else _without_secrets(inner, secrets)
                for key, inner in value.items()
            }
        case list():
            return [_without_secrets(inner, secrets) for inner in value]
        case _:
            return value


def _linked(text: str, paths: Collection[str]) -> Sequence[_Piece]:
    """The text of an answer, in which ids lead to the pages that there are for them."""
    pieces, done = [], 0
    for found in _ID.finditer(text):
        path = _page_of(found[2], found[3], paths)
        if path is not None:
            pieces += [_Piece(text[done : found.start(3)]), _Piece(found[3], path)]
            done = found.end(3)
    return [*pieces, _Piece(text[done:])]


def _page_of(name: str, id: str, paths: Collection[str]) -> str | None:
    if name == "TemplateId" and _SYSTEM.fullmatch(id):
        name = "SystemId"
    placeholder = "{" + re.sub("(?<!^)(?=[A-Z])", "_", name).lower() + "}"
    for path in paths:
        if path.endswith(f"/{placeholder}") and path.count("{") == 1:
            return path.replace(placeholder, quote(id, safe=""))
    return None
